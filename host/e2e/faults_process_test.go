package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childrenOf are the processes that a process started, by the names of their
// programs.
func childrenOf(t testing.TB, parent int) map[string]int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := map[string]int{}
	for _, stat := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil || parentOf(pid) != parent {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			program, _, _ := bytes.Cut(line, []byte{0})
			children[filepath.Base(string(program))] = pid
		}
	}
	return children
}

// parentOf is the parent of a process; 0: it has ended.
func parentOf(pid int) int {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

// pluginPID is the process of a host's plugin.
func pluginPID(t testing.TB, h *Host, name string) int {
	t.Helper()
	pid := 0
	h.wait(t, "to have a plugin "+name, func() bool {
		pid = childrenOf(t, h.cmd.Process.Pid)[name]
		return pid != 0
	})
	return pid
}

// faultStatus reads a field of /proc/PID/status in KiB.
func faultStatus(t testing.TB, pid int, field string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("/proc/%d/status has no %s", pid, field)
	return 0
}

// faultInside runs the body of a test in a process of its own with a private mount
// namespace, where it may mount what nobody else sees and nothing is left of.
func faultInside(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	onlyLinux(t)
	const inside = "ENTREPOT_TEST_INSIDE"
	if bin := os.Getenv(inside); bin != "" {
		binaries = func() (string, error) { return bin, nil }
		body(t)
		return
	}
	// The process inside removes its binaries at its end: links to ours.
	bin := t.TempDir()
	for _, name := range []string{"entrepot", "plugins"} {
		if err := os.Symlink(filepath.Join(built(t), name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a private mount namespace is not to be had here: %v %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-rm", self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), inside+"="+bin)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// small gives a host a data directory of its own size in memory.
func smallDisk(t testing.TB, dir string, size int64) {
	t.Helper()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// faultFill takes all but some bytes of a disk and returns the file that does.
func faultFill(t testing.TB, dir string, left int64) string {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 64<<10)
	for faultFree(t, dir) > left {
		n := min(int64(len(piece)), max(faultFree(t, dir)-left, 4096))
		if _, err := f.Write(piece[:n]); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func faultFree(t testing.TB, dir string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

func TestDiskThatIsFullFailsClearlyAndRecovers(t *testing.T) {
	t.Parallel()
	faultInside(t, func(t *testing.T) {
		for name, test := range map[string]struct{ reserve, left int64 }{
			"reserve reached": {32 << 20, 24 << 20},
			"no byte left":    {0, 0},
		} {
			t.Run(name, func(t *testing.T) {
				warm := faultVersion{Name: "warm", Version: "1.0.0", Body: faultBytes(1, 200_000)}
				cold := faultVersion{Name: "warm", Version: "1.1.0", Body: faultBytes(2, 3<<20)}
				other := faultVersion{Name: "other", Version: "1.0.0", Body: faultBytes(3, 1000)}
				reg := startFaultRegistry(t, warm, cold, other)
				dir := t.TempDir()
				smallDisk(t, dir, 192<<20)
				config := fmt.Sprintf("reserve_space = \"%d\"\n", test.reserve) + faultConfig(reg.URL, `ttl = "1ms"`)
				h := startHostIn(t, dir, config)
				served := func(when string) {
					t.Helper()
					faultGet(t, h.URL+"/npm"+warm.path(), warm.Body)
					if a := faultTry(t, "GET", h.URL+"/npm/warm"); !has(a, "1.0.0") {
						t.Errorf("the warm document %s: %d %s", when, a.Status, a.Body)
					}
				}
				served("before")
				filler := faultFill(t, filepath.Join(dir, "data"), test.left)
				for range 5 {
					served("while the disk is full")
					for _, path := range []string{cold.path(), "/other", other.path()} {
						a := faultTry(t, "GET", h.URL+"/npm"+path)
						if a.Err != nil || a.Status != 503 && a.Status != 507 || !strings.Contains(string(a.Body), "no space") {
							t.Errorf("%s while the disk is full: %d %s (%v), want a clear 503", path, a.Status, a.Body, a.Err)
						}
					}
				}
				if a := faultTry(t, "GET", h.URL+"/healthz"); a.Status != 200 {
					t.Errorf("/healthz while the disk is full: %d", a.Status)
				}
				if test.reserve > 0 { // bodies that were kept are gone, as after an eviction
					h.Stop()
					if err := os.RemoveAll(filepath.Join(dir, "data", "blobs")); err != nil {
						t.Fatal(err)
					}
					h = startHostIn(t, dir, config)
					for _, path := range []string{"/warm", "/warm/latest", warm.path()} {
						a := faultTry(t, "GET", h.URL+"/npm"+path)
						if a.Err != nil || a.Status != 503 || !strings.Contains(string(a.Body), "no space") {
							t.Errorf("%s, whose body is gone, while the disk is full: %d %s (%v), want a clear 503", path, a.Status, a.Body, a.Err)
						}
					}
				}
				if err := os.Remove(filler); err != nil {
					t.Fatal(err)
				}
				faultGet(t, h.URL+"/npm"+cold.path(), cold.Body)
				faultGet(t, h.URL+"/npm"+other.path(), other.Body)
				served("afterwards")
				if left := faultFiles(t, filepath.Join(dir, "data", "tmp")); len(left) != 0 {
					t.Errorf("temporary files are left: %v", left)
				}
				h.Stop()
				h = startHostIn(t, dir, config)
				served("after a restart")
				faultGet(t, h.URL+"/npm"+cold.path(), cold.Body)
			})
		}
	})
}

func TestDiskThatFillsInMidWriteLeavesNothing(t *testing.T) {
	t.Parallel()
	faultInside(t, func(t *testing.T) {
		v := faultVersion{Name: "filling", Version: "1.0.0", Body: faultBytes(1, 8<<20)}
		reg := startFaultRegistry(t, v)
		dir := t.TempDir()
		smallDisk(t, dir, 192<<20)
		h := startHostIn(t, dir, "reserve_space = \"0\"\n"+faultConfig(reg.URL))
		faultTry(t, "GET", h.URL+"/npm/filling")
		filler := faultFill(t, filepath.Join(dir, "data"), 4<<20)
		if a := faultTry(t, "GET", h.URL+"/npm"+v.path()); a.Status != 503 || !strings.Contains(string(a.Body), "no space") {
			t.Errorf("a file that does not fit is answered with %d %.200s", a.Status, a.Body)
		}
		reg.BreakTarballs(func(w http.ResponseWriter, _ *http.Request, v faultVersion) { // nobody knows its length
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(v.Body)
		})
		if a := faultTry(t, "GET", h.URL+"/npm"+v.path()); a.whole() {
			t.Error("a file that does not fit was served as a whole")
		}
		reg.BreakTarballs(nil)
		h.wait(t, "to remove what it wrote", func() bool { return faultFree(t, filepath.Join(dir, "data")) >= 2<<20 })
		if faultKept(h, v.Body) || len(faultFiles(t, filepath.Join(dir, "data", "tmp"))) != 0 {
			t.Error("something of the file is left")
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	})
}

func TestKillOfTheHostInMidWriteLeavesNothingWrong(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "killed", Version: "1.0.0", Body: faultBytes(1, 4<<20)}
	before := faultVersion{Name: "killed", Version: "0.9.0", Body: faultBytes(2, 100_000)}
	reg := startFaultRegistry(t, before, v)
	h := startHost(t, faultConfig(reg.URL))
	faultGet(t, h.URL+"/npm"+before.path(), before.Body)
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(2 << 20))
	broken := make(chan faultAnswer, 1)
	go func() { broken <- faultTry(t, "GET", h.URL+"/npm"+v.path()) }()
	tmp := filepath.Join(h.Dir, "data", "tmp")
	h.wait(t, "to write", func() bool {
		for _, size := range faultFiles(t, tmp) {
			if size >= 1<<20 {
				return true
			}
		}
		return false
	})
	plugin := pluginPID(t, h, "npm")
	h.Kill()
	if a := <-broken; a.whole() {
		t.Error("a client took half a file for the whole")
	}
	eventually(t, "to be outlived by no plugin", func() bool { return parentOf(plugin) == 0 })
	if len(faultFiles(t, tmp)) == 0 {
		t.Error("the kill left no temporary file, so this test shows nothing")
	}
	reg.BreakTarballs(nil)
	asked := reg.Fetched(v)
	h = startHostIn(t, h.Dir, faultConfig(reg.URL))
	if left := faultFiles(t, tmp); len(left) != 0 {
		t.Errorf("temporary files were not swept: %v", left)
	}
	faultGet(t, h.URL+"/npm"+before.path(), before.Body)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	if n := reg.Fetched(v) - asked; n != 1 {
		t.Errorf("upstream was asked for the file %d times after the restart, want once", n)
	}
	if n := reg.Fetched(before); n != 1 {
		t.Errorf("a file kept before the kill was asked for %d times", n)
	}
}

func TestKilledHostsLeaveNoSocketDirectories(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	reg := startFaultRegistry(t)
	// So deep that sockets do not fit below the data directory.
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 12))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var left []string
	for range 2 {
		h := startHostIn(t, dir, faultConfig(reg.URL))
		left = append(left, socketDir(t, pluginPID(t, h, "npm")))
		h.Kill()
	}
	startHostIn(t, dir, faultConfig(reg.URL))
	for _, d := range left {
		if _, err := os.Stat(d); err == nil {
			t.Errorf("%s is left of a host that was killed", d)
		}
	}
}

// faultEnviron is a process's environment.
func faultEnviron(t testing.TB, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == 0 })
}

func socketDir(t testing.TB, pid int) string {
	t.Helper()
	for _, v := range faultEnviron(t, pid) {
		if dir, ok := strings.CutPrefix(v, "PLUGIN_UNIX_SOCKET_DIR="); ok {
			return dir
		}
	}
	t.Fatal("the plugin knows no directory for its socket")
	return ""
}

func TestPluginInheritsNothingFromTheHost(t *testing.T) {
	onlyLinux(t)
	t.Parallel()
	h := startHost(t, faultConfig("http://127.0.0.1:1"), "ENTREPOT_TEST_SECRET=hunter2")
	pid := pluginPID(t, h, "npm")
	for _, v := range faultEnviron(t, pid) {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "PLUGIN_") && name != "ENTREPOT_PLUGIN" {
			t.Errorf("the plugin has %s in its environment", name)
		}
	}
	if len(faultEnviron(t, h.cmd.Process.Pid)) < 3 || !slices.Contains(faultEnviron(t, h.cmd.Process.Pid), "ENTREPOT_TEST_SECRET=hunter2") {
		t.Error("the host itself has no environment, so this test shows nothing")
	}
	if in, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", pid)); err != nil || in != os.DevNull {
		t.Errorf("the plugin's standard input is %s (%v)", in, err)
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("no descriptors: %v", err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, h.Dir) {
			t.Errorf("the plugin has %s open", to)
		}
	}
	info, err := os.Stat(socketDir(t, pid))
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("the sockets' directory is %v (%v), want 0700", info.Mode(), err)
	}
	data, err := os.Stat(filepath.Join(h.Dir, "data"))
	if err != nil || data.Mode() != os.ModeDir|0o700 {
		t.Errorf("the data directory is %v (%v), want 0700", data.Mode(), err)
	}
	h.Stop()
	eventually(t, "to be outlived by no plugin", func() bool { return parentOf(pid) == 0 })
}

func TestSecondHostOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	h := startHost(t, faultConfig("http://127.0.0.1:1"))
	began := time.Now()
	out, err := h.Run(t, "serve")
	if err == nil || !strings.Contains(out, "another entrepot has the data directory open: "+filepath.Join(h.Dir, "data")) {
		t.Errorf("a second host ends with %v: %s", err, out)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if a := faultTry(t, "GET", h.URL+"/healthz"); a.Status != 200 {
		t.Errorf("the first host answers %d afterwards", a.Status)
	}
}

// TestCommandsReachAHostThatStarts has commands come while a host starts: all of
// them are carried out, and it serves.
func TestCommandsReachAHostThatStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startHostIn(t, dir, faultConfig("http://127.0.0.1:1"))
	first.Stop()
	const commands = 6
	outcomes := make(chan string, commands)
	go func() {
		for i := range commands {
			if out, err := first.Run(t, "token", "create", fmt.Sprintf("joe%d", i), "--allow", "read"); err != nil {
				outcomes <- fmt.Sprintf("%v: %s", err, out)
			} else {
				outcomes <- ""
			}
		}
	}()
	second := startHostIn(t, dir, faultConfig("http://127.0.0.1:1"))
	for range commands {
		if wrong := <-outcomes; wrong != "" {
			t.Errorf("a command fails while the host starts: %s", wrong)
		}
	}
	if out, err := second.Run(t, "token", "list"); err != nil || strings.Count(out, " joe") != commands {
		t.Errorf("the tokens are (%v)\n%s", err, out)
	}
}

func TestUnknownDataFormatIsRefused(t *testing.T) {
	t.Parallel()
	h := startHost(t, faultConfig("http://127.0.0.1:1"))
	h.Stop()
	format := filepath.Join(h.Dir, "data", "format")
	if err := os.WriteFile(format, []byte("entrepot data 999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := h.Run(t, "serve")
	if err == nil || !strings.Contains(out, "has format 999") || !strings.Contains(out, "use the version that wrote it") {
		t.Errorf("a host on unknown data ends with %v: %s", err, out)
	}
	if have, err := os.ReadFile(format); err != nil || string(have) != "entrepot data 999\n" {
		t.Errorf("the format was changed to %q (%v)", have, err)
	}
}

func TestSigtermLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "draining", Version: "1.0.0", Body: faultBytes(1, 2<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(1 << 20))
	answer := make(chan faultAnswer, 1)
	go func() { answer <- faultTry(t, "GET", h.URL+"/npm"+v.path()) }()
	eventually(t, "to ask upstream", func() bool { return reg.Fetched(v) == 1 })
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to stop", func() bool { return strings.Contains(h.log.String(), "stopping") })
	gate.Open()
	if a := <-answer; !a.whole() || !bytes.Equal(a.Body, v.Body) {
		t.Errorf("a request under way ended with %d, %d bytes, %v", a.Status, len(a.Body), a.Err)
	}
	if err := <-h.end; err != nil {
		t.Errorf("the host ended with %v", err)
	} else {
		h.end <- err
	}
}
