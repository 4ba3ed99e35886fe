package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// memory is the resident memory of all of a contestant's processes in MiB, as
// it is now. What they share with each other counts once; what they share with
// others counts in full, so that a program is not the lighter for being run by
// two contestants.
func (c *contestant) memory() float64 {
	own := 0.0
	files := map[string]float64{}
	for _, pid := range c.processes() {
		own += rollup(pid, "Pss_Anon")
		for mapping, mib := range mapped(pid) {
			files[mapping] = max(files[mapping], mib)
		}
	}
	for _, mib := range files {
		own += mib
	}
	return own
}

// mapped are the parts of files and of shared memory that a process has mapped,
// with how many MiB of each are resident and not copies of its own. A process
// that has ended has none.
func mapped(pid int) map[string]float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil
	}
	all := map[string]float64{}
	at := ""
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if !strings.HasSuffix(f[0], ":") { // addresses, permissions, offset, device, inode
			at = ""
			if f[4] != "0" {
				at = strings.Join(f[2:5], " ")
			}
			continue
		}
		if at == "" {
			continue
		}
		switch f[0] {
		case "Rss:":
			all[at] += kib(f[1])
		case "Anonymous:":
			all[at] -= kib(f[1])
		}
	}
	return all
}

// rss is the resident memory of a process in MiB, private the part of it that
// the process has written itself: the rest is of files, as its program, which may
// be just built and not yet on disk.
func rss(pid int) float64     { return rollup(pid, "Rss") }
func private(pid int) float64 { return rollup(pid, "Anonymous") }

// rollup adds figures of a process's memory, in MiB. One that has ended has
// none.
func rollup(pid int, names ...string) (sum float64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		if slices.Contains(names, name) {
			sum += kib(strings.Fields(rest)[0])
		}
	}
	return sum
}

// kib reads a number of KiB as MiB.
func kib(s string) float64 {
	n, _ := strconv.ParseInt(s, 10, 64) // the kernel writes numbers
	return float64(n) / 1024
}
