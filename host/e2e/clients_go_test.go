package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gomod "golang.org/x/mod/module"
)

// goClient is a folder that the go command works in, with a module cache of its
// own. Only the build cache is the machine's.
type goClient struct {
	program, root string
	env           []string
}

// newGoClient makes a module that asks a list of proxies, and verifies by a
// checksum database; "off": by none.
func newGoClient(t *testing.T, proxies, database string) *goClient {
	t.Helper()
	top := t.TempDir()
	c := &goClient{program: needs(t, "go"), root: filepath.Join(top, "app")}
	cache, err := exec.Command(c.program, "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToUpper(v), "=")
		if !strings.HasPrefix(name, "GO") && !strings.HasSuffix(name, "_PROXY") && name != "HOME" || name == "GOROOT" {
			c.env = append(c.env, v)
		}
	}
	c.env = append(c.env,
		"HOME="+filepath.Join(top, "home"), "GOPATH="+filepath.Join(top, "path"), "GOBIN="+filepath.Join(top, "bin"),
		"GOCACHE="+strings.TrimSpace(string(cache)), "GOENV=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod -modcacherw",
		"GOPROXY="+proxies, "GOSUMDB="+database,
	)
	c.write(t, "go.mod", "module example.org/app\n\ngo 1.21\n")
	return c
}

func (c *goClient) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(c.root, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.root, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *goClient) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs the go command, or an installed program.
func (c *goClient) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.root, c.env, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *goClient) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.run(t, args...)
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused fails the test unless the go command fails and says something.
func (c *goClient) refused(t *testing.T, says string, args ...string) {
	t.Helper()
	out, err := c.run(t, args...)
	if err == nil || !strings.Contains(out, says) {
		t.Errorf("go %s ends with %v and does not say %q:\n%s", strings.Join(args, " "), err, says, out)
	}
}

// installed is the program of a name that go install made.
func (c *goClient) installed(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(filepath.Dir(c.root), "bin", name))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

const goMain = `package main

import (
	kelp "example.com/Team/Kelp/v2"
	"example.com/team/tide"
	"example.com/team/wreck"
)

func main() { println(tide.Name, kelp.Name, wreck.Name) }
`

// goWorks has a client add modules, build with them, download them anew and
// install a program. It returns the client that has all of them locked.
func goWorks(t *testing.T, proxies, database, tide string) *goClient {
	t.Helper()
	c := newGoClient(t, proxies, database)
	c.write(t, "main.go", goMain)
	c.must(t, "get", "example.com/team/tide", "example.com/Team/Kelp/v2@latest", "example.com/team/wreck@v2.0.0", "example.com/team/drift@latest")
	want := "example.com/team/tide " + tide + " example.com/Team/Kelp/v2 v2.0.0 example.com/team/wreck v2.0.0+incompatible\n"
	if out := c.must(t, "run", "."); out != want {
		t.Errorf("go run prints %q, want %q", out, want)
	}
	c.downloads(t, proxies, database)
	program := newGoClient(t, proxies, database)
	program.must(t, "install", "example.com/team/tide/cmd/tide@latest")
	if out := program.installed(t, "tide"); out != "example.com/team/tide "+tide+"\n" {
		t.Errorf("the installed program prints %q", out)
	}
	return c
}

// downloads has another client download all that is locked.
func (c *goClient) downloads(t *testing.T, proxies, database string) {
	t.Helper()
	again := newGoClient(t, proxies, database)
	again.write(t, "go.mod", c.read(t, "go.mod"))
	again.write(t, "go.sum", c.read(t, "go.sum"))
	again.must(t, "mod", "download", "all")
	again.must(t, "mod", "verify")
}

func TestGoBuilds(t *testing.T) {
	t.Parallel()
	for cooldown, tide := range map[string]string{"3d": "v1.0.0", "0": "v1.1.0"} {
		t.Run("cooldown "+cooldown, func(t *testing.T) {
			t.Parallel()
			p := startGo(t)
			h := startHost(t, p.config(cooldown, ""))
			goWorks(t, mount(h, p.fixture), p.key, tide)
			young := p.servers[0].Asked("GET " + p.file(p.find(t, "example.com/team/tide", "v1.1.0"), ".zip"))
			if want := map[string]int{"3d": 0, "0": 1}[cooldown]; young != want {
				t.Errorf("upstream was asked %d times for the newest tide, want %d", young, want)
			}
			for request, n := range p.servers[0].Requests() {
				if strings.HasSuffix(request, ".zip") && n != 1 {
					t.Errorf("upstream was asked %d times: %s", n, request)
				}
			}
			asked := p.asked()
			goWorks(t, mount(h, p.fixture), p.key, tide)
			if p.asked() != asked {
				t.Errorf("a second client has upstream asked again; all requests:\n%s", p.requests())
			}
			p.close()
			locked := goWorks(t, mount(h, p.fixture), p.key, tide)
			h.Stop()
			h = startHostIn(t, h.Dir, p.config(cooldown, `ttl = "1ms"`)) // documents are to be confirmed, which nobody does
			locked.downloads(t, mount(h, p.fixture), p.key)
		})
	}
}

func TestGoIsRefusedHeldVersions(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, p.config("3d", ""))
	at := mount(h, p.fixture)
	const says = "example.com/team/tide v1.1.0 is held back until "

	newGoClient(t, at, p.key).refused(t, says, "get", "example.com/team/tide@v1.1.0")
	newGoClient(t, at, p.key).refused(t, says, "install", "example.com/team/tide/cmd/tide@v1.1.0")
	newGoClient(t, at, p.key).refused(t, "example.com/team/spray v1.0.0 is held back until ", "get", "example.com/team/spray")
	locked := newGoClient(t, at, p.key)
	locked.write(t, "go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/team/tide v1.1.0\n")
	locked.refused(t, says, "mod", "download", "all")
	// The next proxy of a list must not be asked instead.
	newGoClient(t, at+","+p.servers[0].URL, p.key).refused(t, says, "get", "example.com/team/tide@v1.1.0")

	tide := p.find(t, "example.com/team/tide", "v1.1.0")
	for _, extension := range []string{".info", ".mod", ".zip"} {
		status, _, body := get(t, at+p.file(tide, extension))
		if status != http.StatusForbidden || !strings.Contains(string(body), says) {
			t.Errorf("%s is answered with %d %s", extension, status, body)
		}
	}
	if n := p.servers[0].Asked("GET " + p.file(tide, ".zip")); n != 0 {
		t.Errorf("upstream was asked %d times for a file that is held back", n)
	}
	const purl = "pkg:golang/example.com/team/tide@v1.1.0"
	if out, err := h.Run(t, "explain", purl); err != nil || !strings.Contains(out, "example.com/team/tide v1.1.0 is held: ") {
		t.Errorf("explain: %v\n%s", err, out)
	}
	if out, err := h.Run(t, "exempt", purl, "--reason", "it mends a leak", "--expires", "1d"); err != nil {
		t.Fatalf("exempt: %v\n%s", err, out)
	}
	locked.must(t, "mod", "download", "all")
	goWorks(t, at, p.key, "v1.1.0")
}

// TestGoFirstSight publishes a version whose commit claims to be old.
func TestGoFirstSight(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, p.config("3d", `ttl = "1ms"`))
	at := mount(h, p.fixture)
	newGoClient(t, at, p.key).must(t, "get", "example.com/team/tide@v1.0.0")
	p.publish(t, goLibrary("example.com/team/tide", "v1.0.1", 500*day, ""))

	const says = "example.com/team/tide v1.0.1 is held back until "
	c := newGoClient(t, at, p.key)
	c.refused(t, says, "get", "example.com/team/tide@v1.0.1")
	c.must(t, "get", "example.com/team/tide@latest")
	if mod := c.read(t, "go.mod"); !strings.Contains(mod, "example.com/team/tide v1.0.0") {
		t.Errorf("go get adds another version:\n%s", mod)
	}
	status, _, body := get(t, at+p.file(p.find(t, "example.com/team/tide", "v1.0.1"), ".zip"))
	if status != http.StatusForbidden || !strings.Contains(string(body), "not seen before") {
		t.Errorf("its zip is answered with %d %s", status, body)
	}
}

// TestGoUntagged has the latest commit of a module move on: the one before it
// is the latest until the new one is old enough.
// TestGoBackdated has a commit of today that claims to be old. That the checksum
// database had no record of it a moment ago tells.
func TestGoBackdated(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, p.config("3d", ""))
	if status, _, body := get(t, mount(h, p.fixture)+"/sumdb/sumdb.example.com/latest"); status != http.StatusOK {
		t.Fatalf("the database's tree is answered with %d %s", status, body)
	}
	old, young := p.find(t, "example.com/team/drift", "v0.0.0-20200501000000-0123456789ab"), goLibrary("example.com/team/drift", "v0.0.0-20200601000000-ba9876543210", 1000*day, "")
	p.publish(t, young)
	p.publish(t, goLibrary("example.com/team/fjord", "v1.0.0", 1000*day, "")) // nobody asked for it, but it is listed
	check := func() {
		t.Helper()
		for _, extension := range []string{".zip", ".info", ".mod"} {
			if status, _, body := get(t, mount(h, p.fixture)+p.file(young, extension)); status != http.StatusForbidden || !strings.Contains(string(body), "is held back until") {
				t.Errorf("the %s of a commit of today is answered with %d %s", extension, status, body)
			}
			for _, m := range []goModule{old, p.find(t, "example.com/team/fjord", "v1.0.0")} {
				if status, _, body := get(t, mount(h, p.fixture)+p.file(m, extension)); status != http.StatusOK {
					t.Errorf("the %s of %s is answered with %d %s", extension, m.Path, status, body)
				}
			}
		}
	}
	check()
	if out, err := h.Run(t, "explain", "pkg:golang/example.com/team/drift@"+young.Version.Version); err != nil || !strings.Contains(out, "not seen before") {
		t.Errorf("explain: %v\n%s", err, out)
	}
	h.Stop()
	h = startHostIn(t, h.Dir, p.config("3d", ""))
	check()
}

// TestGoUnknownIsHeld has no checksum database. What nobody but its author dates
// is served at the first look, unless the configuration has it wait.
func TestGoUnknownIsHeld(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{`unknown = "serve"`: http.StatusOK, `unknown = "hold"`: http.StatusForbidden} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			p := startGo(t)
			p.upstream = fmt.Sprintf("upstream \"main\" { url = %q }\noptions { sumdb = \"off\" }", p.servers[0].URL)
			h := startHost(t, p.config("3d", setting))
			for _, m := range []goModule{p.find(t, "example.com/team/drift", "v0.0.0-20200501000000-0123456789ab"), p.find(t, "example.com/team/tide", "v1.0.0")} {
				for _, file := range []string{p.file(m, ".zip"), p.file(m, ".info"), goPath(m.Path, "@latest")} {
					if status, _, body := get(t, mount(h, p.fixture)+file); status != want || want != http.StatusOK && !strings.Contains(string(body), "held back until") {
						t.Errorf("%s is answered with %d %s, want %d", file, status, body, want)
					}
				}
			}
		})
	}
}

func TestGoUntagged(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, p.config("3d", `ttl = "1ms"`))
	at := mount(h, p.fixture)
	newGoClient(t, at, p.key).must(t, "get", "example.com/team/drift@latest")
	young := gomod.PseudoVersion("v0", "", fixtureNow.Add(-time.Hour), "ba9876543210")
	p.publish(t, goLibrary("example.com/team/drift", young, time.Hour, ""))

	c := newGoClient(t, at, p.key)
	c.must(t, "get", "example.com/team/drift@latest")
	if mod := c.read(t, "go.mod"); !strings.Contains(mod, "example.com/team/drift v0.0.0-20200501000000-0123456789ab") {
		t.Errorf("go get adds another version:\n%s", mod)
	}
	c.refused(t, "example.com/team/drift "+young+" is held back until ", "get", "example.com/team/drift@"+young)
}

// TestGoDatabaseOfANewRepository has a repository come with a new configuration:
// the checksum database is looked at without anybody's request, so that what it
// does not have yet is known to be young.
func TestGoDatabaseOfANewRepository(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, fmt.Sprintf("cooldown {\n  default = \"3d\"\n}\nrepository \"generic\" {\n  upstream \"tools\" { url = %q }\n}\n", p.servers[0].URL))
	h.Configure(t, p.config("3d", ""))
	eventually(t, "to look at the checksum database", func() bool { return p.servers[1].Asked("GET /latest") > 0 })
}

// TestGoDatabaseThroughTheProxy has a checksum database that only the module
// proxy reaches, as the go command would ask for it.
func TestGoDatabaseThroughTheProxy(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	const passed = "/sumdb/sumdb.example.com"
	mux := http.NewServeMux()
	mux.Handle("/", p.shelf)
	mux.Handle(passed+"/", http.StripPrefix(passed, p.servers[1].handler))
	mux.HandleFunc(passed+"/supported", func(http.ResponseWriter, *http.Request) {})
	proxy := startUpstream(t, mux)
	p.upstream = fmt.Sprintf("upstream \"main\" { url = %q }\noptions { sumdb = %q }", proxy.URL, p.key)
	h := startHost(t, p.config("3d", ""))
	at := mount(h, p.fixture)
	newGoClient(t, at, p.key).must(t, "get", "example.com/team/tide")
	tide := p.find(t, "example.com/team/tide", "v1.0.0")
	if n := proxy.Asked("GET " + passed + "/lookup/example.com/team/tide@v1.0.0"); n == 0 {
		t.Errorf("the proxy was not asked for the database's record: %v", proxy.Requests())
	}
	if n := p.servers[1].Total(); n != 0 {
		t.Errorf("the database itself was asked %d times", n)
	}
	if n := proxy.Asked("GET " + passed + "/supported"); n != 1 {
		t.Errorf("the proxy was asked %d times whether it passes the database on, want once", n)
	}
	kelp := p.find(t, "example.com/Team/Kelp/v2", "v2.0.0")
	p.shelf.put(p.file(kelp, ".zip"), "application/zip", tide.zip(t))
	newGoClient(t, at, "off").refused(t, "502 Bad Gateway", "get", kelp.Path+"@v2.0.0")
	// What the database has no record of is served, as the proxy answers for it.
	p.publish(t, goLibrary("example.com/team/unheard", "v1.0.0", 60*day, ""))
	p.modules = p.modules[:len(p.modules)-1]
	newGoClient(t, at, "off").must(t, "get", "example.com/team/unheard@v1.0.0")
}

// TestGoGetsNothingTamperedWith has upstream serve files that are not those of
// the checksum database, to a client that does not ask it.
func TestGoGetsNothingTamperedWith(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	h := startHost(t, p.config("3d", ""))
	at := mount(h, p.fixture)
	tide, shell := p.find(t, "example.com/team/tide", "v1.0.0"), p.find(t, "example.com/team/shell", "v1.0.0")
	evil := goLibrary(tide.Path, tide.Version.Version, tide.age, "")
	p.shelf.put(p.file(tide, ".zip"), "application/zip", evil.zip(t))
	p.shelf.put(p.file(shell, ".mod"), "text/plain", []byte(shell.mod()+"\nrequire example.com/evil v1.0.0\n"))
	for _, m := range []string{tide.Path, shell.Path} {
		newGoClient(t, at, "off").refused(t, "502 Bad Gateway", "get", m+"@v1.0.0")
	}
	if whole(at + p.file(tide, ".zip")) {
		t.Error("the whole zip is sent although its hash is wrong")
	}
	p.shelf.put(p.file(tide, ".zip"), "application/zip", tide.zip(t))
	p.shelf.put(p.file(shell, ".mod"), "text/plain", []byte(shell.mod()))
	newGoClient(t, at, "off").must(t, "get", tide.Path+"@v1.0.0")
}

// goToolchain is a toolchain for this machine whose go command says only which
// it is.
func goToolchain(version string, age time.Duration) goModule {
	platform := runtime.GOOS + "-" + runtime.GOARCH
	return goModule{gomod.Version{Path: "golang.org/toolchain", Version: "v0.0.1-" + version + "." + platform}, age, map[string]string{
		"bin/go":            "#!/bin/sh\necho this is " + version + "\n",
		"pkg/tool/none/vet": "#!/bin/sh\n",
		"bin/gofmt":         "#!/bin/sh\n",
		"lib/wasm/run":      "#!/bin/sh\n",
		"src/_go.mod":       "module std\n",
	}}
}

// TestGoToolchains has the go command download toolchains, which it does not run
// unless the checksum database has them.
func TestGoToolchains(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the toolchain of this test is a shell script")
	}
	p := startGo(t)
	fresh, evil := goToolchain("go1.99.1", 2*time.Hour), goToolchain("go1.98.0", 30*day)
	for _, m := range []goModule{goToolchain("go1.99.0", 30*day), fresh, evil} {
		p.publish(t, m)
	}
	p.shelf.put(p.file(evil, ".zip"), "application/zip", goToolchain("go1.97.0", 30*day).zip(t))
	h := startHost(t, p.config("3d", `ttl = "1ms"`))
	at := mount(h, p.fixture)
	// client has the go command choose a toolchain, and write what go.mod asks for.
	client := func(choice, wants string) *goClient {
		c := newGoClient(t, at, p.key)
		c.env = append(c.env, "GOTOOLCHAIN="+choice)
		c.write(t, "go.mod", "module example.org/app\n\ngo "+wants+"\n")
		return c
	}
	runs := func() {
		t.Helper()
		for _, c := range []*goClient{client("go1.99.0", "1.21"), client("auto", "1.99.0")} {
			if out := c.must(t, "version"); !strings.HasSuffix(out, "this is go1.99.0\n") {
				t.Errorf("go version prints %q", out)
			}
		}
	}
	runs()
	if n := p.servers[0].Asked("GET " + p.file(goToolchain("go1.99.0", 0), ".zip")); n != 1 {
		t.Errorf("upstream was asked %d times for the toolchain, want once", n)
	}
	client("go1.99.1", "1.21").refused(t, fresh.Path+" "+fresh.Version.Version+" is held back until ", "version")
	client("go1.98.0", "1.21").refused(t, "502 Bad Gateway", "version")
	if list := newGoClient(t, at, p.key).must(t, "list", "-m", "-versions", fresh.Path); strings.Contains(list, "go1.99.1") || !strings.Contains(list, "go1.99.0") {
		t.Errorf("go list -m -versions prints %q", list)
	}
	for _, server := range p.servers {
		server.Close()
	}
	runs()
}

// TestGoFallsBack asks for modules that are not here.
func TestGoFallsBack(t *testing.T) {
	t.Parallel()
	p, other := startGo(t), startGo(t)
	other.publish(t, goLibrary("example.com/other/lamp", "v1.0.0", 60*day, ""))
	h := startHost(t, p.config("3d", ""))
	newGoClient(t, mount(h, p.fixture)+","+other.servers[0].URL, "off").must(t, "get", "example.com/other/lamp")
	newGoClient(t, mount(h, p.fixture), p.key).refused(t, "404 Not Found", "get", "example.com/other/lamp")
	// A database of another name is not passed on, so that clients ask it themselves.
	newGoClient(t, mount(h, p.fixture), other.key+" "+other.servers[1].URL).must(t, "get", "example.com/team/shell")
}

// TestGoProxyLists has the host ask several proxies, as GOPROXY lists them.
func TestGoProxyLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		separator string
		broken    bool
		works     bool
	}{
		"the first has nothing":            {",", false, true},
		"the first fails":                  {",", true, false},
		"the first fails, behind it a bar": {"|", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startGo(t)
			first := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.broken {
					http.Error(w, "out of order", http.StatusInternalServerError)
					return
				}
				http.NotFound(w, r)
			}))
			p.upstream = fmt.Sprintf("allow_hosts = [\"127.0.0.1\"]\noptions {\n  proxy = %q\n  sumdb = %q\n}",
				first.URL+test.separator+p.servers[0].URL+",direct", p.key+" "+p.servers[1].URL)
			h := startHost(t, p.config("3d", ""))
			c := newGoClient(t, mount(h, p.fixture), p.key)
			if out, err := c.run(t, "get", "example.com/team/tide"); (err == nil) != test.works {
				t.Errorf("go get ends with %v:\n%s", err, out)
			}
			if first.Total() == 0 {
				t.Error("the first proxy was not asked")
			}
		})
	}
}

// TestGoEnvironment has the host take its upstreams from its environment.
func TestGoEnvironment(t *testing.T) {
	t.Parallel()
	p := startGo(t)
	p.upstream = `allow_hosts = ["127.0.0.1"]`
	h := startHost(t, p.config("3d", ""), "GOPROXY="+p.servers[0].URL+",direct", "GOSUMDB="+p.key+" "+p.servers[1].URL)
	newGoClient(t, mount(h, p.fixture), p.key).must(t, "get", "example.com/team/tide")
	if p.servers[1].Total() == 0 {
		t.Error("the checksum database was not asked")
	}
}

// TestGoDefault downloads a small module through the proxy and the checksum
// database that the go command itself would ask.
func TestGoDefault(t *testing.T) {
	t.Parallel()
	program := needs(t, "go")
	out, err := exec.Command(program, "env", "GOPROXY", "GOSUMDB").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	proxies, database := lines[0], lines[1]
	first := strings.FieldsFunc(proxies, func(r rune) bool { return r == ',' || r == '|' })
	if len(first) == 0 || slices.Contains([]string{"direct", "off"}, first[0]) {
		t.Skipf("SKIPPED: the go command asks no proxy (%s)", proxies)
	}
	const path, version = "github.com/pkg/errors", "v0.9.1"
	for _, document := range []string{"list", version + ".info"} {
		reach(t, first[0]+"/"+path+"/@v/"+document)
	}
	if name := strings.Fields(database); len(name) == 1 && !answers(first[0]+"/sumdb/"+name[0]+"/supported") && !answers("https://"+name[0]+"/latest") {
		t.Logf("SKIPPED in part: the checksum database %s cannot be reached, so nothing is verified", name[0])
		database = "off"
	}
	h := startHost(t, fmt.Sprintf("repository \"go\" {\n  options {\n    proxy = %q\n    sumdb = %q\n  }\n}\n", proxies, database))
	c := newGoClient(t, h.URL+"/go", database)
	c.write(t, "main.go", "package main\n\nimport \"github.com/pkg/errors\"\n\nfunc main() { println(errors.New(\"it sank\").Error()) }\n")
	c.must(t, "get", path+"@"+version)
	if out := c.must(t, "run", "."); !strings.Contains(out, "it sank") {
		t.Errorf("go run prints %q", out)
	}
	if list := c.must(t, "list", "-m", "-versions", path); !strings.Contains(list, version) {
		t.Errorf("go list -m -versions prints %q", list)
	}
}

// answers reports whether an address answers with success.
func answers(address string) bool {
	client := &http.Client{Timeout: 15 * time.Second}
	resp, err := client.Get(address)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
