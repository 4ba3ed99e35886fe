package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain lets the test binary be the program that applies the sandbox.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "sandbox-exec" {
		if err := Main(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if program, err := escape(); err == nil {
		os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

func self() []string { return []string{os.Args[0], "sandbox-exec"} }

// escape builds the program that tries to get out.
var escape = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "entrepot-escape-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "escape")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/escape").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// possible is what a program can do under a sandbox.
func possible(t *testing.T, s *Sandbox) []string {
	t.Helper()
	program, err := escape()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sb") // short: socket paths are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	unixSocket, err := net.Listen("unix", filepath.Join(dir, "daemon"))
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	datagrams, err := net.ListenPacket("unixgram", filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	secret := filepath.Join(dir, "secrets", "config.hcl")
	run := filepath.Join(dir, "run")
	for _, d := range []string{filepath.Dir(secret), run, filepath.Join(dir, "neighbour")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	neighbour, err := net.Listen("unix", filepath.Join(dir, "neighbour", "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	if err := os.WriteFile(secret, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, tcp.Addr().String(), filepath.Join(dir, "daemon"), filepath.Join(dir, "log"), secret, dir)
	cmd.Env = []string{socketDirVariable + "=" + run}
	s.Wrap(cmd)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the program did not run: %v\n%s", err, errs.String())
	}
	t.Logf("refused:\n%s", errs.String())
	return strings.Fields(string(out))
}

func TestASandboxedProgramCanOnlyListenOnItsSocket(t *testing.T) {
	s := New(self(), func(string) bool { return true })
	for _, layer := range []string{NoNewPrivs, Seccomp, Landlock} {
		if !slices.Contains(s.Enforced(), layer) {
			t.Skipf("SKIPPED: this machine does not enforce %s: %v", layer, s.Missing())
		}
	}
	if got := possible(t, s); !slices.Equal(got, []string{"listen"}) {
		t.Errorf("a sandboxed program can %v", got)
	}
}

// Each layer is what stops something when the others are off, and is missed
// when it is off itself.
func TestEachLayerStopsItsPart(t *testing.T) {
	all := possible(t, &Sandbox{self: self()})
	sockets := []string{"dial", "udp", "connect", "datagram", "pair"}
	processes := []string{"fork", "signal", "limits", "priority", "affinity", "scheduler", "scheduling", "ioprio"}
	metadata := []string{"chmod", "chmod-folder", "chown", "utimes"}
	// Not every file system knows these.
	for _, what := range []string{"fchmodat2", "xattr", "flags"} {
		if slices.Contains(all, what) {
			metadata = append(metadata, what)
		}
	}
	directories := []string{"neighbours", "impersonate", "content", "folder", "fifo", "link", "own"}
	for _, want := range slices.Concat(sockets, []string{"read", "list", "write", "listen"}, processes, metadata, directories) {
		if !slices.Contains(all, want) {
			t.Fatalf("without a sandbox the program cannot %s, so nothing is tested: %v", want, all)
		}
	}
	for layer, stops := range map[string][]string{
		Seccomp:    slices.Concat(sockets, processes, metadata),
		Landlock:   slices.Concat([]string{"read", "list", "write", "proc"}, directories),
		Namespaces: {"dial"},
	} {
		t.Run(layer, func(t *testing.T) {
			s := New(self(), func(l string) bool { return l == layer || l == NoNewPrivs })
			if !slices.Contains(s.Enforced(), layer) {
				t.Skipf("SKIPPED: %v", s.Missing())
			}
			got := possible(t, s)
			for _, what := range stops {
				if slices.Contains(got, what) {
					t.Errorf("under %s alone the program can still %s", layer, what)
				}
			}
			if !slices.Contains(got, "listen") {
				t.Errorf("under %s the program cannot listen on its own socket", layer)
			}
			for _, what := range []string{"dial", "read", "write"} {
				if !slices.Contains(stops, what) && !slices.Contains(got, what) {
					t.Errorf("under %s alone the program cannot %s: the layer does more than it says", layer, what)
				}
			}
		})
	}
}

func TestWhatIsOffIsSaid(t *testing.T) {
	s := New(self(), func(layer string) bool { return layer != Landlock })
	if slices.Contains(s.Enforced(), Landlock) {
		t.Errorf("landlock was switched off and is enforced")
	}
	if !slices.Contains(s.Missing(), "landlock is switched off") {
		t.Errorf("nothing says that landlock is off: %v", s.Missing())
	}
}

func TestAProgramThatIsNotThereIsAnError(t *testing.T) {
	cmd := exec.Command("/nonexistent/plugin")
	cmd.Err = nil
	New(self(), func(string) bool { return true }).Wrap(cmd)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "/nonexistent/plugin") {
		t.Errorf("starting a program that is not there: %v, %q", err, out)
	}
}

// TestAScriptIsToldToBeNone is about what a shell has to read first.
func TestAScriptIsToldToBeNone(t *testing.T) {
	s := New(self(), func(string) bool { return true })
	if !slices.Contains(s.Enforced(), Landlock) {
		t.Skipf("SKIPPED: %v", s.Missing())
	}
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	s.Wrap(cmd)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "a script is none") {
		t.Errorf("starting a script: %v, %q", err, out)
	}
}
