package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDirectory has a host look at 100,000 small packages for the first
// time, and then again when nothing changed. With -benchtime 1x.
func BenchmarkDirectory(b *testing.B) {
	const files = 100_000
	for _, shape := range []struct {
		name    string
		perName int
	}{{"50 versions a package", 50}, {"one package", files}} {
		b.Run(shape.name, func(b *testing.B) {
			tree := b.TempDir()
			for i := range files {
				name, version := fmt.Sprintf("p%d", i/shape.perName), fmt.Sprintf("1.%d.0", i%shape.perName)
				folder := filepath.Join(tree, name, strconv.Itoa(i%shape.perName/500))
				if i%500 == 0 || shape.perName < 500 && i%shape.perName == 0 {
					if err := os.MkdirAll(folder, 0o755); err != nil {
						b.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(folder, name+"-"+version+".tgz"), tinyPackage(b, name, version), 0o644); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				h := startHost(b, fmt.Sprintf("repository \"npm\" {\n  upstream \"main\" { url = \"http://127.0.0.1:1\" }\n  directory %q {}\n}\n", tree))
				idle := h.memory(b, "VmRSS")
				first := h.looked(b, 1, files, "added="+strconv.Itoa(files), 20*time.Minute)
				b.ReportMetric(first.Seconds(), "s/first")
				b.ReportMetric(h.memory(b, "VmHWM"), "MiB-peak")
				b.ReportMetric(idle, "MiB-idle")
				h.Stop()
				again := startHostIn(b, h.Dir, strings.Join(strings.SplitAfterN(readFile(b, filepath.Join(h.Dir, "config.hcl")), "\n", 5)[4:], ""))
				second := again.looked(b, 1, files, "added=0", time.Minute)
				b.ReportMetric(second.Seconds(), "s/unchanged")
				b.ReportMetric(again.memory(b, "VmHWM"), "MiB-peak-unchanged")
				if err := again.cmd.Process.Signal(syscall.SIGHUP); err != nil {
					b.Fatal(err)
				}
				third := again.looked(b, 2, files, "added=0", time.Minute)
				b.ReportMetric(third.Seconds(), "s/unchanged-again")
				again.Stop()
			}
		})
	}
}

// tinyPackage is a package file of some hundred bytes.
func tinyPackage(b *testing.B, name, version string) []byte {
	text := fmt.Sprintf(`{"name":%q,"version":%q,"description":"floats","license":"MIT"}`, name, version)
	var body bytes.Buffer
	zip, err := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	w := tar.NewWriter(zip)
	if err := w.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		b.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		b.Fatal(err)
	}
	return body.Bytes()
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// looked waits until directories were looked at so many times, and returns how
// long the last look took.
func (h *Host) looked(t testing.TB, times, files int, want string, within time.Duration) time.Duration {
	t.Helper()
	line := regexp.MustCompile(`directories looked at: .*files=` + strconv.Itoa(files) + ` .*seconds=(\S+)`)
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		all := line.FindAllStringSubmatch(h.log.String(), -1)
		if len(all) < times {
			continue
		}
		took, err := time.ParseDuration(all[len(all)-1][1] + "s")
		if err != nil || !strings.Contains(all[len(all)-1][0], want) {
			t.Fatalf("%s (%v), want %s", all[len(all)-1][0], err, want)
		}
		return took
	}
	t.Fatalf("directories were not looked at within %s:\n%s", within, h.log.tail(4<<10))
	return 0
}

// memory of a host's process in MiB, by its name in /proc; 0 where there is
// none.
func (h *Host) memory(t testing.TB, which string) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(which + `:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", which, text)
	}
	kib, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}
