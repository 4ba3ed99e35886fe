package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ownFiles are by plugin: package files of what sameNames asks for, by their
// places in a directory.
func ownFiles(t *testing.T, plugin string) map[string][]byte {
	t.Helper()
	lamp := func(name string) release { return release{name: name, version: "1.0.0"} }
	switch plugin {
	case "npm":
		return map[string][]byte{"lamp.tgz": npmTarball(t, lamp("@acme/lamp"), "")}
	case "cargo":
		return map[string][]byte{"lamp.crate": crate(t, lamp("acme_lamp"))}
	case "pypi":
		return map[string][]byte{wheelName(lamp("acme_lamp")): wheel(t, lamp("acme_lamp"))}
	case "nuget":
		return map[string][]byte{"lamp.nupkg": nupkg(t, lamp("Acme.Lamp"))}
	case "maven":
		return map[string][]byte{
			"com/acme/lamp/1.0.0/lamp-1.0.0.jar":       mavenJar(t, lamp("lamp")),
			"com/acme/light/bulb/1.0.0/bulb-1.0.0.jar": mavenJar(t, lamp("bulb")),
		}
	case "go":
		return map[string][]byte{
			"lamp.zip":  goLibrary("corp.example.com/lamp", "v1.0.0", 0, "").zip(t),
			"other.zip": goLibrary("corp.example.com/Lamp", "v1.0.0", 0, "").zip(t),
		}
	case "generic":
		return map[string][]byte{"acme/lamp.bin": []byte("ours")}
	case "spk":
		return map[string][]byte{"lamp.spk": spk(t, "acme-lamp", "1.0-1", "")}
	case "oci":
		dir := t.TempDir()
		ociImage(t, "lamp", "amd64", 1000).tarLayout(t, filepath.Join(dir, "lamp.tar"), "v1")
		body, err := os.ReadFile(filepath.Join(dir, "lamp.tar"))
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{"acme/lamp.tar": body}
	}
	t.Fatalf("plugin %s has no package file here", plugin)
	return nil
}

// baits are lists in which upstream has what is ours in a newer version: by
// plugin the address here, that at upstream, and the list.
var baits = map[string]struct{ here, there, list string }{
	"npm": {"/-/v1/search?text=lamp", "/npm/main/-/v1/search",
		`{"objects":[{"package":{"name":"@acme/lamp","version":"99.0.0","date":"2020-01-01T00:00:00Z"}}],"total":1,"time":""}`},
	"cargo": {"/api/v1/crates?q=lamp", "/cargo/api/api/v1/crates",
		`{"crates":[{"name":"Acme-Lamp","max_version":"99.0.0"}],"meta":{"total":1}}`},
	"spk": {"/?" + spkQuestion, "/spk/main",
		`{"packages":[{"package":"acme-lamp","version":"99.0-1","link":"bait.spk"}],"keyrings":[]}`},
}

// TestNamesOfPackagesAreOurs has packages that lie in directories, that did, and
// that are published, under names which the configuration does not have: no
// spelling of them is asked upstream, where there are newer versions.
func TestNamesOfPackagesAreOurs(t *testing.T) {
	t.Parallel()
	upstream := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, b := range baits {
			if strings.TrimSuffix(r.URL.Path, "/") == b.there {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, b.list)
				return
			}
		}
		http.NotFound(w, r)
	}))
	root := t.TempDir()
	config := func(each func(plugin string) string) string {
		var text strings.Builder
		text.WriteString("cooldown { default = \"0\" }\n")
		for _, plugin := range sortedKeys(sameNames) {
			fmt.Fprintf(&text, "repository %q {\n%s\n", plugin, each(plugin))
			for _, u := range sameNames[plugin].upstreams {
				fmt.Fprintf(&text, "  upstream %q { url = %q }\n", u, upstream.URL+"/"+plugin+"/"+u)
			}
			text.WriteString("}\n")
		}
		return text.String()
	}
	named := regexp.MustCompile(`(?i)lamp|bulb`) // but for the bait, all are called so
	ours := func(when string, h *Host) {
		t.Helper()
		for _, plugin := range sortedKeys(sameNames) {
			for _, address := range sameNames[plugin].ours {
				status, _, body := get(t, h.URL+"/"+plugin+address)
				if status >= 500 || strings.Contains(string(body), "99.0") {
					t.Errorf("%s, %s of %s is answered with %d %.200s", when, address, plugin, status, body)
				}
			}
			b, listed := baits[plugin]
			if listed {
				if status, _, body := get(t, h.URL+"/"+plugin+b.here); status != http.StatusOK || strings.Contains(string(body), "99.0") {
					t.Errorf("%s, %s of %s is answered with %d %.200s", when, b.here, plugin, status, body)
				}
			}
			for request := range upstream.Requests() {
				_, path, _ := strings.Cut(request, " ")
				path, _, _ = strings.Cut(path, "?")
				if named.MatchString(path) && !(listed && strings.TrimSuffix(path, "/") == b.there) {
					t.Fatalf("%s, upstream was asked for what is ours: %s", when, request)
				}
			}
		}
	}

	for plugin := range sameNames {
		for name, body := range ownFiles(t, plugin) {
			file := filepath.Join(root, plugin, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := startHost(t, config(func(plugin string) string {
		return fmt.Sprintf("  directory %q { refresh = \"1s\" }", filepath.Join(root, plugin))
	}))
	all := func(what, line string) {
		t.Helper()
		for plugin := range sameNames {
			h.wait(t, what+" of "+plugin, func() bool {
				return regexp.MustCompile(fmt.Sprintf(line, plugin)).MatchString(h.log.String())
			})
		}
	}
	all("to look at the directory", `directories looked at: repository=%s files=[1-9]\d* added=[1-9]`)
	ours("from directories", h)
	if t.Failed() {
		return
	}
	out := filepath.Join(t.TempDir(), "export")
	if text, err := h.Run(t, "export", out); err != nil {
		t.Fatalf("export: %v\n%s", err, text)
	}
	for plugin := range sameNames {
		dir := filepath.Join(root, plugin)
		if err := os.Rename(dir, dir+"-away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	all("to miss the files", `have no file any more.*repository=%s `)
	ours("once they went", h)

	published := startHost(t, config(func(string) string { return "  hosted { any = true }" }))
	if text, err := published.Run(t, "import", out); err != nil {
		t.Fatalf("import: %v\n%s", err, text)
	}
	ours("published", published)
	for plugin, c := range sameNames {
		if before := upstream.Total(); c.others != "" {
			if get(t, published.URL+"/"+plugin+c.others); upstream.Total() == before {
				t.Errorf("upstream was not asked for %s of %s", c.others, plugin)
			}
		}
	}
}
