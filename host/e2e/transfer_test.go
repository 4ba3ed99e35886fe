package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackagesMoveBetweenHosts publishes with npm, exports, imports elsewhere,
// and has both hosts tell and serve the very same.
func TestPackagesMoveBetweenHosts(t *testing.T) {
	t.Parallel()
	needs(t, "npm")
	f, h := hostingNpm(t, "")
	p := hostingNpmProject(t, npmClient, h, f, h.token(t, "joe", "--allow", "read,publish,delete,admin:npm"))
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0"} {
		if out, err := hostingNpmPublish(t, p, "@acme/boat", version, nil); err != nil {
			t.Fatalf("npm does not publish: %v\n%s", err, out)
		}
	}
	p.must(t, "npm", "dist-tag", "add", "@acme/boat@1.0.0", "old")
	p.must(t, "npm", "deprecate", "@acme/boat@1.1.0", "it leaks")
	if out, err := hostingNpmPublish(t, p, "@acme/sail", "1.0.0", nil); err != nil {
		t.Fatalf("npm does not publish: %v\n%s", err, out)
	}

	dir := filepath.Join(t.TempDir(), "export")
	run := func(h *Host, want string, args ...string) {
		t.Helper()
		if out, err := h.Run(t, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v %s, want %q", args, err, out, want)
		}
	}
	run(h, "1 packages, 1 files", "export", dir, "pkg:npm/@acme/sail")
	run(h, "1 packages, 2 files", "export", dir, "pkg:npm/@acme/boat@1.*", "--repository", "npm")
	run(h, "2 packages, 4 files", "export", dir)
	if body, err := os.ReadFile(filepath.Join(dir, "npm", "@acme", "boat", "-", "boat-1.0.0.tgz")); err != nil || len(body) < 200<<10 {
		t.Errorf("the file in the export has %d bytes (%v)", len(body), err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "mine.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Run(t, "export", other); err == nil || !strings.Contains(out, "is not empty") {
		t.Errorf("exporting into a directory of others: %v %s", err, out)
	}

	f2, to := hostingNpm(t, "")
	run(to, "2 packages: 4 files and versions added, 0 were there", "import", dir, "--repository", "npm")
	same := func() {
		t.Helper()
		for _, name := range []string{"@acme%2fboat", "@acme%2fsail"} {
			_, _, want := get(t, mount(h, f)+"/"+name)
			status, _, got := get(t, mount(to, f2)+"/"+name)
			if text := strings.ReplaceAll(string(want), mount(h, f), mount(to, f2)); status != http.StatusOK || withoutRev(string(got)) != withoutRev(text) {
				t.Errorf("%s is\n%s\nbut was\n%s", name, got, text)
			}
		}
	}
	same()
	hostingNpmInstalls(t, npmClient, mount(to, f2), "@acme/boat", "2.0.0", "2.0.0")
	run(to, "2 packages: 0 files and versions added, 4 were there", "import", dir, "--repository", "npm")
	same()

	// Without a repository each goes where it came from, and what is of another
	// plugin, or has no such repository, is told in one line.
	fourth := startHost(t, "repository \"generic\" {\n  upstream \"main\" { url = \"http://192.0.2.1/\" }\n  hosted { any = true }\n}\n"+f.config("3d", "hosted {\n  names = [\"@acme/*\"]\n}"))
	run(fourth, "left out: 2 packages of plugin npm, which are none for repository \"generic\"\n", "import", dir, "--repository", "generic")
	run(fourth, "2 packages: 4 files and versions added, 0 were there\n", "import", dir)
	bare := startHost(t, "repository \"generic\" {\n  upstream \"main\" { url = \"http://192.0.2.1/\" }\n  hosted { any = true }\n}\n")
	run(bare, "left out: 2 packages of repository \"npm\", which the host does not have\n", "import", dir)

	// A file that was changed, and names that are not taken, are told.
	file := filepath.Join(dir, "npm", "@acme", "sail", "-", "sail-1.0.0.tgz")
	body := []byte(readFile(t, file))
	body[len(body)/2] ^= 1
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	// One that is missing leaves the rest.
	if err := os.Remove(filepath.Join(dir, "npm", "@acme", "boat", "-", "boat-1.1.0.tgz")); err != nil {
		t.Fatal(err)
	}
	fifth := startHost(t, f.config("3d", "hosted {\n  names = [\"@acme/*\"]\n}"))
	if out, err := fifth.Run(t, "import", dir); err == nil || !strings.Contains(out, "boat-1.1.0.tgz cannot be read") || !strings.Contains(out, "2 packages: 2 files and versions added") || strings.Contains(out, "Post") {
		t.Errorf("importing what lacks a file: %v %s", err, out)
	}
	if out, err := h.Run(t, "export", t.TempDir(), "pkg:npm/@acme/boat@old"); err == nil || !strings.Contains(out, "nothing that is hosted here fits") {
		t.Errorf("exporting by a tag: %v %s", err, out)
	}
	third := startHost(t, f.config("3d", "hosted {\n  names = [\"@acme/s*\"]\n}"))
	out, err := third.Run(t, "import", dir, "--repository", "npm")
	if err == nil || !strings.Contains(out, "is damaged: its sha") || !strings.Contains(out, "@acme/boat cannot be published") {
		t.Errorf("importing what is damaged or not ours: %v %s", err, out)
	}
	if status, _, _ := get(t, mount(third, f)+"/@acme%2fsail"); status != http.StatusNotFound {
		t.Errorf("a damaged package is answered with %d", status)
	}
}

// withoutRev is a packument without the revision, which each host counts.
func withoutRev(text string) string {
	before, rest, ok := strings.Cut(text, `"_rev":"`)
	if !ok {
		return text
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// TestAnEditedExportIsNotBelieved changes the list of an export so that a file of
// one package is to be another's, at its own address and at one of the other's.
func TestAnEditedExportIsNotBelieved(t *testing.T) {
	t.Parallel()
	tree, dir := t.TempDir(), filepath.Join(t.TempDir(), "export")
	if err := os.WriteFile(filepath.Join(tree, "lamp.tgz"), npmTarball(t, release{name: "@acme/lamp", version: "1.0.0"}, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(settings string) string {
		return "repository \"npm\" {\n  upstream \"main\" { url = \"http://192.0.2.1/\" }\n  " + settings + "\n}\n"
	}
	from := startHost(t, config("directory \""+tree+"\" {}"))
	from.wait(t, "to look at the directory", func() bool { return strings.Contains(from.log.String(), "added=1") })
	if out, err := from.Run(t, "export", dir); err != nil {
		t.Fatalf("export: %v\n%s", err, out)
	}
	const list = "entrepot-export.jsonl"
	whole := readFile(t, filepath.Join(dir, list))
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, list), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := startHost(t, config("hosted { any = true }"))
	renamed := strings.Replace(whole, `"name":"@acme/lamp"`, `"name":"@acme/bulb"`, 1)
	write(renamed)
	if out, err := to.Run(t, "import", dir); err == nil || !strings.Contains(out, "lamp-1.0.0.tgz is not taken: it is an address of @acme/lamp") {
		t.Errorf("importing a file at an address of another package: %v %s", err, out)
	}
	moved := strings.ReplaceAll(renamed, "lamp", "bulb")
	write(moved)
	if err := os.MkdirAll(filepath.Join(dir, "npm", "@acme", "bulb", "-"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "npm", "@acme", "lamp", "-", "lamp-1.0.0.tgz"), filepath.Join(dir, "npm", "@acme", "bulb", "-", "bulb-1.0.0.tgz")); err != nil {
		t.Fatal(err)
	}
	if out, err := to.Run(t, "import", dir); err == nil || !strings.Contains(out, "bulb-1.0.0.tgz is not taken: it is a file of @acme/lamp") {
		t.Errorf("importing a file of another package: %v %s", err, out)
	}
	if status, _, body := get(t, to.URL+"/npm/@acme%2fbulb"); status == http.StatusOK {
		t.Errorf("the package that is none is served: %s", body)
	}
}
