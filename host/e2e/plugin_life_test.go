package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processOf is the process id of a plugin that a host started last; 0: none.
func processOf(h *Host, plugin string) int {
	all := regexp.MustCompile(`\.`+plugin+`: plugin started:.* pid=(\d+)`).FindAllStringSubmatch(h.log.String(), -1)
	if len(all) == 0 {
		return 0
	}
	pid, _ := strconv.Atoi(all[len(all)-1][1])
	return pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// pluginAnswers asks for something that only the plugin can answer, each time anew.
func pluginAnswers(t *testing.T, h *Host) {
	t.Helper()
	r, err := http.Get(fmt.Sprintf("%s/npm/-/ping?%d", h.URL, time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("the plugin's answer is %s", r.Status)
	}
}

const unreachable = "repository \"npm\" {\n upstream \"main\" { url = \"https://registry.example.com\" }\n}\n"

func TestPluginThatNobodyAsksIsStoppedAndStartsAgainWhenAsked(t *testing.T) {
	t.Parallel()
	h := startHost(t, "plugin \"npm\" { idle = \"1s\" }\n"+unreachable)
	first := processOf(h, "npm")
	if first == 0 {
		t.Fatal("no process of the plugin is logged")
	}
	eventually(t, "to stop the plugin", func() bool { return !alive(first) })
	ready, err := http.Get(h.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	ready.Body.Close()
	if ready.StatusCode != http.StatusOK {
		t.Errorf("with a plugin that rests the host says that it is not ready: %s", ready.Status)
	}
	pluginAnswers(t, h)
	if again := processOf(h, "npm"); again == first || !alive(again) {
		t.Errorf("process %d answers after process %d was stopped", again, first)
	}
}

// TestStoppedPluginIsAskedAboutANewConfiguration has a plugin refuse options that
// were written while it was stopped because nobody asked.
func TestStoppedPluginIsAskedAboutANewConfiguration(t *testing.T) {
	t.Parallel()
	h := startHost(t, "plugin \"oci\" { idle = \"1s\" }\nrepository \"oci\" {}\n")
	h.wait(t, "the plugin to be stopped", func() bool { return strings.Contains(h.log.String(), "because nobody asks it") })
	file := filepath.Join(h.Dir, "config.hcl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "repository \"more\" {\n  plugin = \"oci\"\n  options { prefixes = [\"a b\"] }\n}\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to refuse it", func() bool { return strings.Contains(h.log.String(), "the configuration was not changed") })
	if want := "Plugin oci refuses its options: write the first part of a repository's name"; !strings.Contains(h.log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, h.log.tail(3000))
	}
}

func TestPluginIsBoundInMemory(t *testing.T) {
	t.Parallel()
	h := startHost(t, "plugin \"npm\" { memory = \"100MiB\" }\n"+unreachable)
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", processOf(h, "npm")))
	if err != nil {
		t.Skip("SKIPPED: the environment of a process cannot be read here: ", err)
	}
	if !strings.Contains(string(environment), "GOMEMLIMIT=104857600\x00") {
		t.Errorf("the plugin's environment is %q", environment)
	}
}

func TestPluginUnderADebuggerIsAttachedToAndOutlivesTheHost(t *testing.T) {
	t.Parallel()
	debugged := exec.Command(filepath.Join(built(t), "plugins", "npm"), "debug")
	printed, err := debugged.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := debugged.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = debugged.Process.Signal(os.Interrupt)
		if err := debugged.Wait(); err != nil {
			t.Errorf("an interrupted plugin ends with %v", err)
		}
	}()
	block, err := bufio.NewReader(printed).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	h := startHost(t, block+unreachable)
	pluginAnswers(t, h)
	if pid := processOf(h, "npm"); pid != debugged.Process.Pid {
		t.Errorf("process %d answers, not the debugged %d", pid, debugged.Process.Pid)
	}
	h.Stop()
	if !alive(debugged.Process.Pid) {
		t.Error("the debugged plugin ended with the host")
	}
}
