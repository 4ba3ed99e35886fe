package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostingNuGet has the names acme.*, which are ours, beside an upstream that has
// a higher version of one.
func hostingNuGet(t *testing.T, settings string) (*fixture, *Host) {
	t.Helper()
	f := startNuGet(t)
	bait := release{name: "acme.tide", version: "9.9.9", age: 365 * day}
	feed, file := f.servers[0], "/flat/acme.tide/9.9.9/acme.tide.9.9.9.nupkg"
	rest := feed.handler
	feed.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v3/registration/acme.tide/index.json" {
			rest.ServeHTTP(w, r)
			return
		}
		_, _ = w.Write(marshal(t, map[string]any{"count": 1, "items": []any{map[string]any{
			"@id": feed.URL + r.URL.Path + "#page", "count": 1, "lower": "9.9.9", "upper": "9.9.9",
			"items": []any{nugetItem(bait, feed.URL, f.servers[1].URL+file)},
		}}}))
	}))
	f.servers[1].handler.(*shelf).put(file, "application/octet-stream", nupkg(t, bait))
	return f, startHost(t, f.config("3d", "hosted { names = [\"Acme.*\"] }\n"+settings))
}

// hostingNuGetAsked are the requests to upstream that have a name of ours.
func hostingNuGetAsked(f *fixture) []string {
	var all []string
	for line := range strings.Lines(f.requests()) {
		if strings.Contains(line, "acme.") {
			all = append(all, line)
		}
	}
	return all
}

// source is the address that a client knows a repository by.
func (p *project) source() string {
	if p.client == nugetV2 {
		return p.url + "/v2/"
	}
	return p.url + "/v3/index.json"
}

// hostingNuGetPush pushes a package with a client.
func hostingNuGetPush(t *testing.T, p *project, token string, r release) (string, error) {
	t.Helper()
	p.write(t, r.name+".nupkg", string(nupkg(t, r)))
	return hostingNuGetRun(t, p, token, "push", r.name+".nupkg")
}

func hostingNuGetRun(t *testing.T, p *project, token string, args ...string) (string, error) {
	t.Helper()
	return p.nuget(t, append(args, "-Source", p.source(), "-ApiKey", token)...)
}

// hostingNuGetInstalls has a clean client install a package of ours and checks
// what it got.
func hostingNuGetInstalls(t *testing.T, c *client, url, name, version, want string) {
	t.Helper()
	p := c.project(t, url)
	out, err := c.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s %s: %v\n%s", c.name, name, version, err, out)
	}
	found, err := filepath.Glob(filepath.Join(p.root, "packages", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range found {
		if base := strings.ToLower(filepath.Base(dir)); strings.HasPrefix(base, name+".") && base != name+"."+want {
			t.Errorf("%s installs %s, want %s", c.name, base, want)
		}
	}
	for _, dir := range found {
		if strings.ToLower(filepath.Base(dir)) != name+"."+want {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, "content", "data.bin")); err != nil || !bytes.Equal(got, (release{name: name, version: want}).data()) {
			t.Errorf("%s has %d bytes of %s %s (%v)", c.name, len(got), name, want, err)
		}
		return
	}
	t.Errorf("%s has %v, want %s %s:\n%s", c.name, found, name, want, out)
}

func TestHostingNuGetPushes(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		f, h := hostingNuGet(t, "")
		url := mount(h, f)
		token := h.token(t, "ci", "--allow", "publish,delete:nuget:acme.*")
		author := c.project(t, url)
		for _, r := range []release{{name: "acme.moon", version: "1.0.0"}, {name: "acme.tide", version: "1.0.0", needs: "acme.moon"}, {name: "acme.tide", version: "1.1.0", needs: "shell"}} {
			if out, err := hostingNuGetPush(t, author, token, r); err != nil {
				t.Fatalf("%s does not push %s: %v\n%s", c.name, r, err, out)
			}
		}
		for _, other := range nugetClients {
			hostingNuGetInstalls(t, other, url, "acme.tide", "", "1.1.0")
			hostingNuGetInstalls(t, other, url, "acme.tide", "1.0.0", "1.0.0")
			if out, err := other.add(t, other.project(t, url), "acme.tide", "9.9.9"); err == nil {
				t.Errorf("%s installs what only upstream has:\n%s", other.name, out)
			}
		}

		// A delete unlists: who asks for it by its version still gets it.
		if out, err := hostingNuGetRun(t, author, token, "delete", "acme.tide", "1.1.0"); err != nil {
			t.Fatalf("%s does not delete: %v\n%s", c.name, err, out)
		}
		hostingNuGetInstalls(t, nugetV2, url, "acme.tide", "", "1.0.0") // later ones install what is unlisted
		hostingNuGetInstalls(t, c, url, "acme.tide", "1.1.0", "1.1.0")
		var found struct {
			Data []struct {
				ID, Version string
				Versions    []struct{ Version string }
			}
		}
		_, _, body := get(t, url+"/v3/search?q=about")
		if err := json.Unmarshal(body, &found); err != nil || len(found.Data) < 2 || found.Data[1].ID != "acme.tide" || found.Data[1].Version != "1.0.0" || len(found.Data[1].Versions) != 1 {
			t.Errorf("a search finds %s (%v)", body, err)
		}
		if status, _ := hostingSend(t, http.MethodPost, url+"/v3/package/Acme.Tide/1.1.0", "Bearer "+token, "", nil); status != http.StatusOK {
			t.Errorf("a relisting is answered with %d", status)
		}
		hostingNuGetInstalls(t, c, url, "acme.tide", "", "1.1.0")
		if asked := hostingNuGetAsked(f); len(asked) > 0 {
			t.Errorf("upstream was asked for names of ours: %v", asked)
		}
	})
}

func TestHostingNuGetRefusals(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		f, h := hostingNuGet(t, "")
		token := h.token(t, "ci", "--allow", "publish:nuget")
		p := c.project(t, mount(h, f))
		if out, err := hostingNuGetPush(t, p, token, release{name: "acme.tide", version: "1.0.0"}); err != nil {
			t.Fatalf("%s does not push: %v\n%s", c.name, err, out)
		}
		out, err := hostingNuGetPush(t, p, token, release{name: "acme.tide", version: "1.0.0"})
		c.fails(t, out, err, "pushes a version twice", `409|(?i)conflict`)
		out, err = hostingNuGetPush(t, p, token, release{name: "Acme.Tide", version: "1.0.0.0"})
		c.fails(t, out, err, "pushes a version twice in another spelling", `409|(?i)conflict`)
		out, err = hostingNuGetPush(t, p, token, release{name: "tide", version: "7.0.0"})
		c.fails(t, out, err, "captures a public name", `403|(?i)forbidden|permission`)
		out, err = hostingNuGetPush(t, p, "wrong", release{name: "acme.tide", version: "2.0.0"})
		c.fails(t, out, err, "pushes with a wrong key", `401|(?i)unauthorized|credentials`)
		out, err = hostingNuGetRun(t, p, token, "delete", "acme.tide", "1.0.0")
		c.fails(t, out, err, "deletes without being allowed to", `403|(?i)forbidden|permission`)
		hostingNuGetInstalls(t, c, p.url, "acme.tide", "", "1.0.0")
	})
}

// TestHostingNuGetSymbols pushes symbols with the client that keeps them apart.
func TestHostingNuGetSymbols(t *testing.T) {
	t.Parallel()
	nugetV3.needed(t)
	f, h := hostingNuGet(t, "")
	token := h.token(t, "ci", "--allow", "publish:nuget")
	p := nugetV3.project(t, mount(h, f))
	p.write(t, "acme.tide.1.0.0.snupkg", string(nupkg(t, release{name: "acme.tide", version: "1.0.0"})))
	out, err := hostingNuGetRun(t, p, token, "push", "acme.tide.1.0.0.snupkg")
	nugetV3.fails(t, out, err, "pushes symbols", `packages of symbols are not kept here`)
}

// hostingNuGetForm is the body of a push.
func hostingNuGetForm(t *testing.T, filename string, file []byte) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("package", filename)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), b.Bytes()
}

// TestHostingNuGetRefusesFiles pushes what is no package, or one that is not
// kept.
func TestHostingNuGetRefusesFiles(t *testing.T) {
	t.Parallel()
	f, h := hostingNuGet(t, "options { delete = true }")
	url := mount(h, f)
	token := h.token(t, "ci", "--allow", "publish,delete:nuget")
	const nuspec = `<package><metadata><id>acme.tide</id><version>1.0.0</version><authors>a</authors><description>d</description>%s</metadata></package>`
	plain := fmt.Sprintf(nuspec, "")
	for name, test := range map[string]struct {
		filename string
		file     []byte
		says     string
	}{
		"no archive":     {"a.nupkg", []byte("nothing"), "no manifest"},
		"no manifest":    {"a.nupkg", zipped(t, "lib/a.txt", "a"), "no manifest"},
		"two":            {"a.nupkg", zipped(t, "a.nuspec", plain, "b.nuspec", plain), "two manifests"},
		"broken":         {"a.nupkg", zipped(t, "a.nuspec", "<package>"), "cannot be read"},
		"bad name":       {"a.nupkg", zipped(t, "a.nuspec", strings.Replace(plain, "acme.tide", "acme/../tide", 1)), "which no package can have"},
		"bad version":    {"a.nupkg", zipped(t, "a.nuspec", strings.Replace(plain, "1.0.0", "latest", 1)), "which is none"},
		"zip slip":       {"a.nupkg", zipped(t, "a.nuspec", plain, "../evil", "x"), "leads elsewhere"},
		"symbols":        {"a.snupkg", zipped(t, "a.nuspec", fmt.Sprintf(nuspec, `<packageTypes><packageType name="SymbolsPackage" /></packageTypes>`)), "packages of symbols are not kept here"},
		"old symbols":    {"a.1.0.0.symbols.nupkg", zipped(t, "a.nuspec", plain), "packages of symbols are not kept here"},
		"their content":  {"package", zipped(t, "a.nuspec", plain, "lib/net45/a.dll", "x", "lib/net45/A.PDB", "x", "src/a.cs", "x"), "packages of symbols are not kept here"},
		"another case":   {"a.nupkg", zipped(t, "a.nuspec", plain, "lib/net45/a.dll", "1", "lib/NET45/a.dll", "2"), "one where case does not matter"},
		"no form":        {"", []byte("nothing"), "no multipart form"},
		"cut off":        {"a.nupkg", zipped(t, "a.nuspec", plain)[:60], "the archive is refused"},
		"twice a member": {"a.nupkg", zipped(t, "a.nuspec", plain, "a.txt", "1", "a.txt", "2"), "stands twice"},
	} {
		contentType, body := "text/plain", test.file
		if test.filename != "" {
			contentType, body = hostingNuGetForm(t, test.filename, test.file)
		}
		if status, answer := hostingSend(t, http.MethodPut, url+"/v3/package/", "Bearer "+token, contentType, body); status != http.StatusBadRequest || !strings.Contains(answer, test.says) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, _, _ := get(t, url+"/v3/flatcontainer/acme.tide/index.json"); status != http.StatusNotFound {
		t.Errorf("something was stored: %d", status)
	}
	moon := strings.Replace(plain, "acme.tide", "acme.moon", 1)
	contentType, body := hostingNuGetForm(t, "package", zipped(t, "a.nuspec", moon, "lib/net45/a.dll", "x", "lib/net45/a.pdb", "x", "src/_._", "", "src.txt", "x"))
	if status, answer := hostingSend(t, http.MethodPut, url+"/v3/package/", "Bearer "+token, contentType, body); status != http.StatusCreated {
		t.Errorf("a package with symbols beside its library is answered with %d %s", status, answer)
	}
	contentType, body = hostingNuGetForm(t, "package", zipped(t, "a.nuspec", plain))
	for _, at := range []string{"/api/v2/package/", "/v2/package/"} {
		if status, answer := hostingSend(t, http.MethodPut, url+at, "Bearer "+token, contentType, body); status != http.StatusCreated {
			t.Errorf("a push to %s is answered with %d %s", at, status, answer)
		}
		if status, _ := hostingSend(t, http.MethodDelete, url+at+"acme.tide/1.0.0", "Bearer "+token, "", nil); status != http.StatusNoContent {
			t.Errorf("a delete is answered with %d", status)
		}
		if status, _, _ := get(t, url+"/v3/flatcontainer/acme.tide/1.0.0/acme.tide.1.0.0.nupkg"); status != http.StatusNotFound {
			t.Errorf("what was removed is answered with %d", status)
		}
	}
}

func TestHostingNuGetSearchAndDirectory(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "anything.nupkg"), nupkg(t, release{name: "Acme.Tide", version: "1.0.0"}), 0o644); err != nil {
		t.Fatal(err)
	}
	f, h := hostingNuGet(t, fmt.Sprintf("directory %q {}", tree))
	url := mount(h, f)
	eventually(t, "to find the package", func() bool {
		status, _, _ := get(t, url+"/v3/flatcontainer/acme.tide/1.0.0/acme.tide.1.0.0.nupkg")
		return status == http.StatusOK
	})
	for path, want := range map[string]string{
		"/v3/flatcontainer/acme.tide/1.0.0/acme.tide.nuspec": "<id>Acme.Tide</id>",
		"/v3/search?q=about": `"id":"Acme.Tide"`,
		"/v2/Search()?searchTerm='about'&includePrerelease=false": "<d:Id>Acme.Tide</d:Id>",
	} {
		status, _, body := get(t, url+path)
		if status != http.StatusOK || !strings.Contains(string(body), want) || strings.Contains(string(body), "9.9.9") {
			t.Errorf("%s is answered with %d %s", path, status, body)
		}
	}
	if asked := hostingNuGetAsked(f); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
	nugetV3.needed(t)
	out, err := nugetV3.project(t, url).nuget(t, "list", "about")
	if err != nil || !strings.Contains(out, "Acme.Tide 1.0.0") || !strings.Contains(out, "tide 1.0.0") {
		t.Errorf("nuget list: %v\n%s", err, out)
	}
}
