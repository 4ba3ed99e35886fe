package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// badPlugin builds the plugin that misbehaves, once.
var badPlugin = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "entrepot-bad-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "badplugin")
	if out, err := exec.Command("go", "build", "-o", file, "./testdata/badplugin").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(file)
})

// faultPlugins is a directory of its own for plugins, with copies of the npm
// plugin and of the one that misbehaves, under the names given.
func faultPlugins(t testing.TB, bad ...string) string {
	t.Helper()
	dir := t.TempDir()
	npm, err := os.ReadFile(filepath.Join(built(t), "plugins", "npm"))
	if err != nil {
		t.Fatal(err)
	}
	faultInstall(t, dir, "npm", npm)
	for _, name := range bad {
		program, err := badPlugin()
		if err != nil {
			t.Fatal(err)
		}
		faultInstall(t, dir, name, program)
	}
	return dir
}

// faultInstall puts a program in its place as package managers do, by a rename.
func faultInstall(t testing.TB, dir, name string, program []byte) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file+".new", program, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// under asks for some addresses again and again until stop is called, which
// returns how many answers there were and the first that was not a 200 with
// the right body.
func underLoad(t testing.TB, wants map[string][]byte) (stop func() (int64, error)) {
	t.Helper()
	done := make(chan struct{})
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for address, want := range wants {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := sameBody(client, address, want); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				n.Add(1)
			}
		})
	}
	var once sync.Once
	finish := func() { once.Do(func() { close(done); all.Wait() }) }
	t.Cleanup(finish)
	return func() (int64, error) {
		finish()
		if err := failed.Load(); err != nil {
			return n.Load(), *err
		}
		return n.Load(), nil
	}
}

func sameBody(client *http.Client, address string, want []byte) error {
	resp, err := client.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body.Bytes(), want) {
		return fmt.Errorf("%s: %d %s", address, resp.StatusCode, body.Bytes()[:min(300, body.Len())])
	}
	return nil
}

// faultWarm has a host fetch a package and returns what it says from then on.
func faultWarm(t testing.TB, h *Host, v faultVersion) map[string][]byte {
	t.Helper()
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	a := faultTry(t, http.MethodGet, h.URL+"/npm/"+v.Name)
	if !has(a, v.Version) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return map[string][]byte{h.URL + "/npm" + v.path(): v.Body, h.URL + "/npm/" + v.Name: a.Body}
}

func TestKillOfAPluginUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "loaded", Version: "1.0.0", Body: faultBytes(1, 100_000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	stop := underLoad(t, faultWarm(t, h, v))
	const kills = 3
	for i := range kills {
		fresh := faultVersion{Name: fmt.Sprint("fresh", i), Version: "1.0.0", Body: faultBytes(uint64(10+i), 1000)}
		reg.Publish(fresh)
		pid := pluginPID(t, h, "npm")
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/"+fresh.Name); !has(a, "1.0.0") {
			t.Errorf("an uncached request right after kill %d: %d %s", i, a.Status, a.Body)
		}
		faultGet(t, h.URL+"/npm"+fresh.path(), fresh.Body)
		if parentOf(pid) != 0 {
			t.Error("the plugin that was killed is still there")
		}
	}
	if n, err := stop(); err != nil || n < 10 {
		t.Errorf("of %d cached requests, one failed: %v", n, err)
	}
	_, _, metrics := get(t, h.URL+"/metrics")
	if !strings.Contains(string(metrics), fmt.Sprintf(`entrepot_plugin_restarts_total{plugin="npm"} %d`, kills)) {
		t.Errorf("%d restarts are not in the metrics", kills)
	}
}

func TestKillOfAPluginInMidRenderingIsAskedAgain(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "rendering", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	pid := pluginPID(t, h, "npm")
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		// The plan is made and the rendering waits for its document.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		reg.BreakDocuments(nil)
		reg.serveDocument(w, r)
	})
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/rendering"); !has(a, "1.0.0") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := reg.Documents("rendering"); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestCachedPackagesAreServedWithoutTheirPlugin(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "orphan", Version: "1.0.0", Body: faultBytes(1, 100_000)}
	reg := startFaultRegistry(t, v)
	plugins := faultPlugins(t)
	config := fmt.Sprintf("plugin_dir = %q\nbase_url = \"http://127.0.0.1:1/base\"\n", plugins) + faultConfig(reg.URL)
	h := startHost(t, config)
	want := faultWarm(t, h, v)
	h.Stop()
	if err := os.Remove(filepath.Join(plugins, "npm")); err != nil {
		t.Fatal(err)
	}
	old := h.URL
	h = startHostIn(t, h.Dir, config)
	for address, body := range want {
		faultGet(t, h.URL+strings.TrimPrefix(address, old), body)
	}
	a := faultTry(t, http.MethodGet, h.URL+"/npm/never")
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "the npm plugin is down") {
		t.Errorf("what needs the plugin: %d %s", a.Status, a.Body)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/readyz"); a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "npm") {
		t.Errorf("/readyz: %d %s", a.Status, a.Body)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/healthz"); a.Status != http.StatusOK {
		t.Errorf("/healthz: %d", a.Status)
	}
	npm, err := os.ReadFile(filepath.Join(built(t), "plugins", "npm"))
	if err != nil {
		t.Fatal(err)
	}
	faultInstall(t, plugins, "npm", npm)
	eventually(t, "to pick the plugin up", func() bool {
		return faultTry(t, http.MethodGet, h.URL+"/npm/never").Status == http.StatusNotFound
	})
}

func TestReplacedBinaryIsPickedUpUnderLoadWithoutAFailure(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "replaced", Version: "1.0.0", Body: faultBytes(1, 100_000)}
	reg := startFaultRegistry(t, v)
	plugins := faultPlugins(t)
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\n", plugins)+faultConfig(reg.URL))
	stop := underLoad(t, faultWarm(t, h, v))
	old := pluginPID(t, h, "npm")
	npm, err := os.ReadFile(filepath.Join(plugins, "npm"))
	if err != nil {
		t.Fatal(err)
	}
	faultInstall(t, plugins, "npm", append(npm, "another checksum"...))
	fresh := 0
	h.wait(t, "to use the new binary and end the old one", func() bool {
		name := fmt.Sprint("fresh", fresh)
		fresh++
		reg.Publish(faultVersion{Name: name, Version: "1.0.0", Body: []byte("x")})
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/"+name); !has(a, "1.0.0") {
			t.Fatalf("an uncached request meanwhile: %d %s", a.Status, a.Body)
		}
		return strings.Contains(h.log.String(), "plugin replaced") && parentOf(old) == 0
	})
	if n, err := stop(); err != nil || n < 10 {
		t.Errorf("of %d cached requests, one failed: %v", n, err)
	}
}

func TestBrokenReplacementIsNotUsed(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "kept", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	plugins := faultPlugins(t)
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\n", plugins)+faultConfig(reg.URL))
	pid := pluginPID(t, h, "npm")
	faultInstall(t, plugins, "npm", []byte("#!/bin/sh\necho this is no plugin\n"))
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to refuse the new binary", func() bool { return strings.Contains(h.log.String(), "the configuration was not changed") })
	if log := h.log.String(); !strings.Contains(log, "plugin npm did not start") && !strings.Contains(log, "plugin npm printed something else") {
		t.Errorf("the log does not say why:\n%s", h.log.tail(2000))
	}
	faultWarm(t, h, v)
	if parentOf(pid) != h.cmd.Process.Pid {
		t.Error("the old plugin is gone")
	}
}

func TestReloadUnderLoadDropsNothing(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "reloaded", Version: "1.0.0", Body: faultBytes(1, 2<<20)}
	reg := startFaultRegistry(t, v)
	config := faultConfig(reg.URL)
	h := startHost(t, config)
	stop := underLoad(t, faultWarm(t, h, v))
	gated := faultVersion{Name: "gated", Version: "1.0.0", Body: faultBytes(2, 2<<20)}
	reg.Publish(gated)
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(1 << 20))
	under := make(chan faultAnswer, 1)
	go func() { under <- faultTry(t, http.MethodGet, h.URL+"/npm"+gated.path()) }()
	eventually(t, "to ask upstream", func() bool { return reg.Fetched(gated) == 1 })
	for i := range 5 {
		h.Configure(t, config+fmt.Sprintf("repository \"more\" {\n  plugin = \"npm\"\n  path = \"/more%d\"\n  upstream \"main\" { url = %q }\n}\n", i, reg.URL))
		if a := faultTry(t, http.MethodGet, fmt.Sprintf("%s/more%d/reloaded", h.URL, i)); !has(a, "1.0.0") {
			t.Errorf("the new repository after reload %d: %d %s", i, a.Status, a.Body)
		}
	}
	gate.Open()
	if a := <-under; !a.whole() || !bytes.Equal(a.Body, gated.Body) {
		t.Errorf("a download that spans reloads: %d, %d bytes, %v", a.Status, len(a.Body), a.Err)
	}
	if n, err := stop(); err != nil || n < 10 {
		t.Errorf("of %d cached requests, one failed: %v", n, err)
	}
}

func TestBadConfigurationAtReloadChangesNothing(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "steady", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	file := filepath.Join(h.Dir, "config.hcl")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(good, "cooldown { default = \"soon\" }\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to refuse it", func() bool { return strings.Contains(h.log.String(), "the configuration was not changed") })
	faultWarm(t, h, v)
}

func TestPluginThatCannotStartIsNamedWithTheReason(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"talks":   "printed something else than the handshake on its standard output",
		"newer":   "speaks version 2 of the plugin protocol and this entrepot version 1; update entrepot",
		"older":   "speaks version 0 of the plugin protocol and this entrepot version 1; update the plugin",
		"dies":    "my licence has expired",
		"renamed": `it says that its name is "somebody-else"`,
		"absent":  "build or copy it there",

		"misrouted":     `plugin misrouted: route "GET boxes/{name}": the path must begin with a slash`,
		"mounted-twice": `plugin mounted-twice: mount "/boxes" stands twice`,
		"unhelpful":     `plugin unhelpful: option light has no help text: write help:"…"`,
		"nameless":      `plugin nameless: the route "GET /boxes/{name}", asked for /boxes/example, returned a Document that names no package: write its Name`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := startFaultRegistry(t, faultVersion{Name: "beside", Version: "1.0.0", Body: faultBytes(1, 1000)})
			dir := faultPlugins(t, name)
			if name == "absent" {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			good := faultConfig(reg.URL)
			h := startHost(t, fmt.Sprintf("plugin_dir = %q\n", dir)+good)
			file := filepath.Join(h.Dir, "config.hcl")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, fmt.Appendf(text, "repository %q {}\n", name), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			h.wait(t, "to refuse the plugin", func() bool { return strings.Contains(h.log.String(), "the configuration was not changed") })
			h.wait(t, "to say why", func() bool { return strings.Contains(h.log.String(), want) })
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/beside"); !has(a, "1.0.0") {
				t.Errorf("the other repository: %d %s", a.Status, a.Body)
			}
			out, err := h.Run(t, "validate")
			if err == nil || !strings.Contains(out, want) {
				t.Fatalf("validate ends with %v and says %s, not %q", err, out, want)
			}
			out, err = h.Run(t, "serve", "--data-dir", t.TempDir())
			if err == nil || !strings.Contains(out, want) {
				t.Errorf("serve ends with %v and says %s, not %q", err, out, want)
			}
		})
	}
}

func TestHostOutlivesWhateverAPluginDoes(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "beside", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	dir := faultPlugins(t, "bad", "noisy")
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\n", dir)+faultConfig(reg.URL, `max_document = "4MiB"`)+`
repository "bad" { max_document = "4MiB" }
repository "noisy" {}
`)
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/bad/panic":          {503, "the bad plugin failed; entrepot's log says why, at the request id "},
		"/bad/nothing":        {503, "the bad plugin failed"},
		"/bad/exit/now":       {503, "plugin"},
		"/bad/render-panic":   {503, "the bad plugin failed"},
		"/bad/render-exit":    {503, "plugin"},
		"/bad/render-nothing": {503, "renders no output"},
		"/bad/asks-for-ever":  {503, "documents in"},
		"/bad/many-outputs":   {503, "more than 1024 outputs"},
		"/bad/endless-output": {503, "four times max_document"},
		"/bad/noise/now":      {200, "done"},
		"/noisy/fine":         {200, "fine"},
		"/bad/unknown":        {404, "no such address"},
	} {
		began := time.Now()
		a := faultTry(t, http.MethodGet, h.URL+path)
		if a.Err != nil || a.Status != want.status || !strings.Contains(string(a.Body), want.says) {
			t.Errorf("%s: %d %q (%v), want %d and %q", path, a.Status, a.Body, a.Err, want.status, want.says)
		}
		if strings.Contains(string(a.Body), "oh no") {
			t.Errorf("%s: a client is told of the plugin's inside: %s", path, a.Body)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %s", path, took)
		}
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/beside"); !has(a, "1.0.0") {
			t.Fatalf("after %s another plugin's package: %d %s", path, a.Status, a.Body)
		}
		eventually(t, "to have the plugin back after "+path, func() bool {
			return string(faultTry(t, http.MethodGet, h.URL+"/bad/fine").Body) == "fine\n"
		})
	}
	for _, code := range []string{"7", "99", "1000", "-1", "200"} {
		a := faultTry(t, http.MethodGet, h.URL+"/bad/status/"+code)
		if a.Header.Get("Set-Cookie") != "" {
			t.Errorf("status %s: a header's value became a header", code)
		}
		if code != "200" && (a.Err != nil || a.Status < 500) {
			t.Errorf("a plugin that answers with status %s: %d %s (%v), want 5xx", code, a.Status, a.Body, a.Err)
		}
	}
	log := h.log.String()
	for _, want := range []string{
		"noisy: plain words", "bad: plain words", "well-formed", "the end of the noise", "no such level", "unfinished",
		"bad: panic: oh no: stack=\"main.main.func", "plugin failed: panic: oh no, in main.", "returned no plan",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks the plugin's %q", want)
		}
	}
	for _, bad := range []string{"\x00", "\x1b", "\xff", "\r"} {
		if strings.Contains(log, bad) {
			t.Errorf("the log has %q in it", bad)
		}
	}
	if left := faultFiles(t, filepath.Join(h.Dir, "data", "tmp")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}
