package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBreakpointStopsInAPluginThatTheHostAttachedTo follows the guide's words on
// debuggers: the plugin runs under one, a host attaches to it, and a request
// stops where it is to.
func TestBreakpointStopsInAPluginThatTheHostAttachedTo(t *testing.T) {
	t.Parallel()
	dlv := exec.Command(needs(t, "dlv"), "exec", "--allow-non-terminal-interactive=true", filepath.Join(built(t), "plugins", "npm"), "--", "debug")
	dlv.Dir = t.TempDir()
	commands, err := dlv.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := dlv.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	dlv.Stderr = log
	if err := dlv.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(output); in.Scan(); {
			fmt.Fprintln(log, in.Text())
			lines <- in.Text()
		}
	}()
	plugin := 0 // its process
	defer func() {
		if plugin != 0 {
			_ = syscall.Kill(plugin, syscall.SIGKILL)
		}
		_ = commands.Close() // the debugger ends where there is nothing more to do
		defer time.AfterFunc(10*time.Second, func() { _ = dlv.Process.Kill() }).Stop()
		_ = dlv.Wait()
	}()
	say := func(command string) {
		t.Helper()
		if _, err := io.WriteString(commands, command+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	sees := func(pattern string) string {
		t.Helper()
		wanted, timeout := regexp.MustCompile(pattern), time.After(time.Minute)
		for {
			select {
			case line, open := <-lines:
				if found := wanted.FindString(line); found != "" {
					return found
				}
				if open {
					continue
				}
			case <-timeout:
			}
			t.Fatalf("the debugger does not say %s:\n%s", pattern, log)
		}
	}

	say("break main.planProbe")
	sees(`Breakpoint 1 set`)
	say("continue")
	block := sees(`plugin "npm" \{ attach = ".*" \}`)
	if _, err := fmt.Sscanf(block, `plugin "npm" { attach = "%d:`, &plugin); err != nil {
		t.Fatalf("%s: %v", block, err)
	}
	h := startHost(t, block+"\n"+unreachable)
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(h.URL + "/npm/-/ping?stop")
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	if at := sees(`> \[Breakpoint 1\] .*`); !strings.Contains(at, "main.planProbe") {
		t.Errorf("it stops at %s", at)
	}
	say("clear 1")
	say("continue")
	if err := <-answered; err != nil {
		t.Error(err)
	}
	pluginAnswers(t, h)
}
