package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostingGo has the names example.com/acme*, which are ours, beside a proxy and
// a checksum database that know a higher version of one.
func hostingGo(t *testing.T, settings string) (*goProxy, *Host) {
	t.Helper()
	p := startGo(t)
	p.publish(t, goLibrary("example.com/acme/tide", "v1.99.0", 365*day, ""))
	return p, startHost(t, p.config("3d", "hosted { names = [\"example.com/acme*\"] }\n"+settings))
}

// hostingGoAsked are the requests to upstream that have a name of ours.
func hostingGoAsked(p *goProxy) []string {
	var all []string
	for line := range strings.Lines(p.requests()) {
		if strings.Contains(line, "/acme") {
			all = append(all, line)
		}
	}
	return all
}

// hostingGoPut publishes a module with curl.
func hostingGoPut(t *testing.T, url, token string, m goModule) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "module.zip")
	if err := os.WriteFile(file, m.zip(t), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(needs(t, "curl"), "-sS", "--noproxy", "*", "--fail-with-body", "-u", "ci:"+token, "-T", file, url+goPath(m.Path, "@v/"+m.Version.Version+".zip"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestHostingGoPublishes(t *testing.T) {
	t.Parallel()
	p, h := hostingGo(t, "")
	url := mount(h, p.fixture)
	token := h.token(t, "ci", "--allow", "publish,delete:go:example.com/acme/*")
	for _, m := range []goModule{
		goLibrary("example.com/acme/Moon/v2", "v2.0.0", 0, ""),
		goLibrary("example.com/acme/tide", "v1.9.0", 0, "example.com/acme/Moon/v2 v2.0.0"),
		goLibrary("example.com/acme/tide", "v1.10.0", 0, "example.com/team/shell v1.0.0"),
		goLibrary("example.com/acme/old", "v2.0.0+incompatible", 0, ""),
	} {
		if out, err := hostingGoPut(t, url, token, m); err != nil {
			t.Fatalf("%s: %v\n%s", m.Version, err, out)
		}
	}
	private := func() *goClient {
		c := newGoClient(t, url, p.key)
		c.env = append(c.env, "GONOSUMDB=example.com/acme")
		return c
	}
	c := private()
	c.write(t, "main.go", "package main\n\nimport (\n\t\"example.com/acme/old\"\n\t\"example.com/acme/tide\"\n)\n\nfunc main() { println(tide.Name, old.Name) }\n")
	c.must(t, "get", "example.com/acme/tide", "example.com/acme/old@v2.0.0+incompatible")
	if out := c.must(t, "run", "."); out != "example.com/acme/tide v1.10.0 example.com/acme/old v2.0.0+incompatible\n" {
		t.Errorf("go run prints %q", out)
	}
	c.must(t, "get", "example.com/acme/tide@v1.9.0")
	if out := c.must(t, "run", "."); !strings.HasPrefix(out, "example.com/acme/tide v1.9.0 ") {
		t.Errorf("go run prints %q", out)
	}
	again := private()
	again.write(t, "go.mod", c.read(t, "go.mod"))
	again.write(t, "go.sum", c.read(t, "go.sum"))
	again.must(t, "mod", "download", "all")
	again.must(t, "mod", "verify")
	program := private()
	program.must(t, "install", "example.com/acme/tide/cmd/tide@latest")
	if out := program.installed(t, "tide"); out != "example.com/acme/tide v1.10.0\n" {
		t.Errorf("the installed program prints %q", out)
	}

	// What only upstream has is not there, and the checksum database is not asked
	// on behalf of those who do not know better.
	private().refused(t, "404 Not Found", "get", "example.com/acme/tide@v1.99.0")
	newGoClient(t, url, p.key).refused(t, "404 Not Found", "get", "example.com/acme/tide@v1.10.0")
	for _, path := range []string{"/example.com/acme/tide/@v/v1.99.0.zip", "/example.com/acme/tide/@v/v1.99.0.mod", "/example.com/acme/tide/@v/main.info", "/sumdb/sumdb.example.com/lookup/example.com/acme/tide@v1.99.0"} {
		if status, _, body := get(t, url+path); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d %s", path, status, body)
		}
	}
	if asked := hostingGoAsked(p); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
	if status, _, _ := do(t, http.MethodDelete, url+"/example.com/acme/tide/@v/v1.10.0.zip", "Authorization", "Bearer "+token); status != http.StatusNoContent {
		t.Errorf("a delete is answered with %d", status)
	}
	if status, _, body := get(t, url+"/example.com/acme/tide/@latest"); status != http.StatusOK || !strings.Contains(string(body), `"v1.9.0"`) {
		t.Errorf("after it, the latest version is %d %s", status, body)
	}
}

func TestHostingGoRefusals(t *testing.T) {
	t.Parallel()
	p, h := hostingGo(t, "")
	url := mount(h, p.fixture)
	token := h.token(t, "ci", "--allow", "publish:go:example.com/acme/*")
	wide := h.token(t, "wide", "--allow", "publish:go")
	const at = "/example.com/acme/tide/@v/v1.0.0.zip"
	const prefix = "example.com/acme/tide@v1.0.0/"
	mod := []string{prefix + "go.mod", "module example.com/acme/tide\n"}
	for name, test := range map[string]struct {
		path, token string
		body        []byte
		status      int
		says        string
	}{
		"no zip":           {at, token, []byte("nothing"), 400, "no zip archive"},
		"empty":            {at, token, zipped(t), 400, "no module zip"},
		"cut off":          {at, token, zipped(t, mod...)[:60], 400, "the archive is refused"},
		"zip slip":         {at, token, zipped(t, append(mod, "../evil", "")...), 400, "leads elsewhere"},
		"another version":  {"/example.com/acme/tide/@v/v1.1.0.zip", token, zipped(t, mod...), 400, "is of example.com/acme/tide@v1.0.0, but was sent as example.com/acme/tide@v1.1.0"},
		"another module":   {at, token, zipped(t, prefix+"go.mod", "module example.com/acme/moon\n"), 400, `has the module \"example.com/acme/moon\"`},
		"another prefix":   {at, token, zipped(t, append(mod, "example.com/acme/moon@v1.0.0/a.go", "")...), 400, "does not begin with"},
		"a module in it":   {at, token, zipped(t, append(mod, prefix+"sub/go.mod", "module x\n")...), 400, "the go.mod of another module"},
		"colliding names":  {at, token, zipped(t, append(mod, prefix+"a.go", "", prefix+"A.go", "")...), 400, "collide"},
		"a public name":    {"/example.com/team/tide/@v/v1.5.0.zip", wide, zipped(t, "example.com/team/tide@v1.5.0/a.go", ""), 403, "cannot be published"},
		"without a token":  {at, "", zipped(t, mod...), 401, ""},
		"no version":       {"/example.com/acme/tide/@v/latest.zip", token, zipped(t, mod...), 400, "no canonical version"},
		"wrong major path": {"/example.com/acme/tide/@v/v2.0.0.zip", token, zipped(t, mod...), 400, "v2.0.0"},
	} {
		status, body := hostingSend(t, http.MethodPut, url+test.path, "Bearer "+test.token, "application/zip", test.body)
		if status != test.status || !strings.Contains(body, strings.ReplaceAll(test.says, `\"`, `"`)) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _, _ := get(t, url+"/example.com/acme/tide/@v/list"); status != http.StatusNotFound {
		t.Errorf("something was stored: %d", status)
	}
	first := goLibrary("example.com/acme/tide", "v1.0.0", 0, "")
	if out, err := hostingGoPut(t, url, token, first); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := hostingGoPut(t, url, token, first); err == nil || !strings.Contains(out, "is there already") {
		t.Errorf("a second publication: %v\n%s", err, out)
	}
}

func TestHostingGoDirectory(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	m := goLibrary("example.com/acme/tide", "v1.2.0", 0, "")
	if err := os.WriteFile(filepath.Join(tree, "anything.zip"), m.zip(t), 0o644); err != nil {
		t.Fatal(err)
	}
	p, h := hostingGo(t, fmt.Sprintf("directory %q {}", tree))
	url := mount(h, p.fixture)
	eventually(t, "to find the module", func() bool {
		status, _, _ := get(t, url+"/example.com/acme/tide/@v/v1.2.0.info")
		return status == http.StatusOK
	})
	c := newGoClient(t, url, p.key)
	c.env = append(c.env, "GONOSUMDB=example.com/acme")
	c.must(t, "install", "example.com/acme/tide/cmd/tide@latest")
	if out := c.installed(t, "tide"); out != "example.com/acme/tide v1.2.0\n" {
		t.Errorf("the installed program prints %q", out)
	}
	if asked := hostingGoAsked(p); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
}
