package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries builds the host and all plugins once for all tests.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "entrepot-e2e-")
	if err != nil {
		return "", err
	}
	for target, pkg := range map[string]string{"": "./host/cmd/entrepot", "plugins": "./plugins/..."} {
		args := []string{"build", "-o", filepath.Join(dir, target) + "/"}
		if raced {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, pkg)...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	if !given("test.parallel") {
		// Most of a test's time is spent waiting for clients and clocks.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if dir, err := binaries(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// given reports whether a flag stands on the command line.
func given(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// built returns the directory of the built binaries: entrepot and plugins/.
func built(t testing.TB) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Host is a running entrepot.
type Host struct {
	// URL is its address, without a slash at its end.
	URL string
	// Dir holds config.hcl and data/.
	Dir string
	env []string // added to that of its processes
	cmd *exec.Cmd
	log *logBuffer
	end chan error
}

// startHost runs entrepot with a configuration; listen, data_dir and
// plugin_dir are added, and variables to its environment. It ends with the
// test.
func startHost(t testing.TB, config string, env ...string) *Host {
	t.Helper()
	return startHostIn(t, t.TempDir(), config, env...)
}

// startHostIn is startHost on a directory that was used before.
func startHostIn(t testing.TB, dir, config string, env ...string) *Host {
	t.Helper()
	bin := built(t)
	text := fmt.Sprintf("listen = \"127.0.0.1:0\"\ndata_dir = %q\nplugin_dir = %q\naccess_log = %q\n%s",
		filepath.Join(dir, "data"), filepath.Join(bin, "plugins"), filepath.Join(dir, "access.log"), config)
	if strings.Contains(config, "plugin_dir") {
		text = strings.Replace(text, fmt.Sprintf("plugin_dir = %q\n", filepath.Join(bin, "plugins")), "", 1)
	}
	file := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{Dir: dir, env: env, log: &logBuffer{}, end: make(chan error, 1)}
	h.cmd = exec.Command(filepath.Join(bin, "entrepot"), "serve", "--config", file, "--log-level", "debug")
	h.cmd.Env = append(os.Environ(), env...)
	h.cmd.Stderr, h.cmd.Stdout = h.log, h.log
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.end <- h.cmd.Wait() }()
	t.Cleanup(func() {
		h.Stop()
		if strings.Contains(h.log.String(), "WARNING: DATA RACE") {
			t.Errorf("the host races:\n%s", h.log.tail(32<<10))
		}
		if t.Failed() {
			t.Logf("the host's log:\n%s", h.log.tail(8<<10))
		}
	})
	address := regexp.MustCompile(`serving: address=(https?://[0-9.:]+)/`)
	h.wait(t, "to serve", func() bool {
		if m := address.FindStringSubmatch(h.log.String()); m != nil {
			h.URL = m[1]
			return true
		}
		select {
		case err := <-h.end:
			h.end <- err
			t.Fatalf("the host ended at once: %v\n%s", err, h.log.String())
		default:
		}
		return false
	})
	return h
}

// wait waits for a condition, half a minute at most.
func (h *Host) wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	eventually(t, what, condition)
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for the host %s", what)
		case <-tick.C:
		}
	}
}

// Stop ends the host as SIGTERM does and waits for it.
func (h *Host) Stop() {
	_ = h.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-h.end:
		h.end <- err
	case <-time.After(30 * time.Second):
		_ = h.cmd.Process.Kill()
		err := <-h.end
		h.end <- err
	}
}

// Kill ends the host as a power failure would, for what it is concerned.
func (h *Host) Kill() {
	_ = h.cmd.Process.Kill() // it may have ended
	err := <-h.end
	h.end <- err
}

// Run runs another entrepot command with the host's configuration.
func (h *Host) Run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(built(t), "entrepot"), append(args, "--config", filepath.Join(h.Dir, "config.hcl"))...)
	cmd.Env = append(os.Environ(), h.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// token makes a token and returns it.
func (h *Host) token(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := h.Run(t, append([]string{"token", "create", name}, args...)...)
	token := regexp.MustCompile(`(?m)^ent_[0-9A-Za-z]{46}$`).FindString(out)
	if err != nil || token == "" {
		t.Fatalf("token create: %v\n%s", err, out)
	}
	return token
}

// Configure replaces the configuration below the lines that startHost adds,
// and reloads it.
func (h *Host) Configure(t testing.TB, config string) {
	t.Helper()
	file := filepath.Join(h.Dir, "config.hcl")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head := strings.SplitAfterN(string(old), "\n", 5)[:4]
	if err := os.WriteFile(file, []byte(strings.Join(head, "")+config), 0o600); err != nil {
		t.Fatal(err)
	}
	before := strings.Count(h.log.String(), "configuration and plugins reloaded")
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to reload", func() bool { return strings.Count(h.log.String(), "configuration and plugins reloaded") > before })
}

// get asks for an address and returns status, headers and body.
func get(t testing.TB, url string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	return do(t, http.MethodGet, url, headers...)
}

// do asks with any method; headers are names and values in turn.
func do(t testing.TB, method, url string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v after %d bytes", method, url, err, len(body))
	}
	return resp.StatusCode, resp.Header, body
}

// needs finds a client's program. Without it the test fails in CI and is
// skipped elsewhere.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and CI must test with it", program)
	}
	t.Skipf("SKIPPED: %s is not installed", program)
	return ""
}

// onlyLinux skips tests of what only Linux has.
func onlyLinux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: needs Linux")
	}
}

// logBuffer is what a process prints.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}
