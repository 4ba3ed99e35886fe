package main

import (
	"os"
	"os/exec"
	"testing"
)

// A program that others run as well is as heavy as it is alone: their share of
// its pages must not be taken off.
func TestMemoryOfAProgramThatOthersRunToo(t *testing.T) {
	if rss(os.Getpid()) == 0 {
		t.Skip("this system does not tell of the memory of processes")
	}
	start := func() *contestant {
		c := &contestant{cmd: exec.Command("sleep", "60")}
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.stop() })
		return c
	}
	one := start()
	start()
	start()
	pid := one.cmd.Process.Pid
	if got, want := one.memory(), rss(pid); got < 0.95*want || got > 1.05*want {
		t.Errorf("one of three has %.2f MiB, resident are %.2f (its share of them is %.2f)", got, want, rollup(pid, "Pss"))
	}
}
