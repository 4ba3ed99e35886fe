package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNamesInDirectoriesStayOurs has the last file of a package go, all files, and
// the directory itself, also from the configuration: upstream is not asked for a
// name until an administrator gives it up.
func TestNamesInDirectoriesStayOurs(t *testing.T) {
	t.Parallel()
	plugins, root := t.TempDir(), t.TempDir()
	tree := filepath.Join(root, "mounted")
	buildExample(t, "pubhost", plugins)
	shelf := newShelf()
	up := startUpstream(t, shelf)
	for _, name := range []string{"lamp", "tide", "other"} {
		shelf.put("/api/packages/"+name, "application/json", fmt.Appendf(nil, `{"name":%q,"versions":[{"version":"99.0.0","published":"2020-01-01T00:00:00Z","archive_url":"%s/evil.tar.gz","pubspec":{}}]}`, name, up.URL))
	}
	config := func(more string) string {
		return fmt.Sprintf("plugin_dir = %q\ncooldown { default = \"0\" }\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n%s\n}\n", plugins, up.URL, more)
	}
	directory := fmt.Sprintf("directory %q { refresh = \"1s\" }", tree)
	pubFile(t, filepath.Join(tree, "lamp.tgz"), "lamp", "1.0.0")
	pubFile(t, filepath.Join(tree, "tide.tgz"), "tide", "1.0.0")
	h := startHost(t, config(directory))
	ask := func(name string) (int, string) {
		status, _, body := get(t, h.URL+"/pubhost/api/packages/"+name)
		return status, string(body)
	}
	holds := func(when string, names ...string) {
		t.Helper()
		for _, name := range names {
			eventually(t, "to have no "+name+" "+when, func() bool { status, _ := ask(name); return status == http.StatusNotFound })
			if status, _, _ := get(t, h.URL+"/pubhost/api/archives/"+name+"-99.0.0.tar.gz"); status != http.StatusNotFound {
				t.Errorf("%s: upstream's file of %s is answered with %d", when, name, status)
			}
		}
		if n := up.Total(); n != 0 {
			t.Fatalf("%s: upstream was asked %d times: %v", when, n, up.Requests())
		}
	}
	h.looked(t, 1, 2, "added=2", time.Minute)

	if err := os.Remove(filepath.Join(tree, "lamp.tgz")); err != nil {
		t.Fatal(err)
	}
	holds("after its last file went", "lamp")
	if status, body := ask("tide"); status != http.StatusOK || !strings.Contains(body, `"1.0.0"`) {
		t.Errorf("what is still there is answered with %d %s", status, body)
	}
	eventually(t, "to say that lamp has no file", func() bool { return strings.Contains(h.log.String(), `first=["lamp"]`) })

	// A directory that cannot be read has lost nothing.
	away := filepath.Join(root, "away")
	if err := os.Rename(tree, away); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to miss the directory", func() bool { return strings.Contains(h.log.String(), "cannot be looked at completely") })
	if status, body := ask("tide"); status != http.StatusOK || strings.Contains(body, "99.0.0") {
		t.Errorf("while the directory is away tide is answered with %d %s", status, body)
	}

	// What a file system leaves where it was mounted is an empty folder.
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	holds("with an empty directory", "lamp", "tide")
	h.Stop()
	h = startHostIn(t, h.Dir, config(directory))
	holds("after a restart", "lamp", "tide")
	h.Stop()
	h = startHostIn(t, h.Dir, config(""))
	holds("without the directory in the configuration", "lamp", "tide")
	if status, body := ask("other"); status != http.StatusOK || !strings.Contains(body, "99.0.0") {
		t.Errorf("a name that never was ours is answered with %d %s", status, body)
	}

	if out, err := h.Run(t, "explain", "pkg:pub/lamp@99.0.0"); err != nil || !strings.Contains(out, "the name stays ours") || !strings.Contains(out, "--give-up") {
		t.Errorf("explain: %v\n%s", err, out)
	}
	if out, err := h.Run(t, "purge", "pkg:pub/lamp"); err != nil {
		t.Errorf("purge: %v\n%s", err, out)
	}
	if status, _ := ask("lamp"); status != http.StatusNotFound {
		t.Errorf("purged without being given up, lamp is answered with %d", status)
	}
	out, err := h.Run(t, "purge", "--give-up", "pkg:pub/lamp")
	if err != nil || !strings.Contains(out, "1 names given up: lamp") {
		t.Errorf("purge --give-up: %v\n%s", err, out)
	}
	if status, body := ask("lamp"); status != http.StatusOK || !strings.Contains(body, "99.0.0") {
		t.Errorf("once it is given up, lamp is answered with %d %s", status, body)
	}
	if status, _ := ask("tide"); status != http.StatusNotFound {
		t.Errorf("tide, which was not given up, is answered with %d", status)
	}
}

// TestFilesInDirectoriesFollowPublications has a file refused for what is
// published in its place, and served once that is deleted: it has the bytes that
// may come back.
func TestFilesInDirectoriesFollowPublications(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	h := startHost(t, fmt.Sprintf("repository \"generic\" {\n  hosted { any = true }\n  directory %q { refresh = \"24h\" }\n}\n", tree))
	token := "Bearer " + h.token(t, "jane", "--allow", "publish,delete:generic")
	at := h.URL + "/generic/acme/lamp.bin"
	if status, body := hostingSend(t, http.MethodPut, at, token, "", []byte("lamp")); status/100 != 2 {
		t.Fatalf("it is published with %d %s", status, body)
	}
	file := filepath.Join(tree, "acme", "lamp.bin")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("lamp"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to refuse the file", func() bool {
		return strings.Contains(h.log.String(), "what is published gets no files from directories")
	})
	if status, body := hostingSend(t, http.MethodDelete, at, token, "", nil); status/100 != 2 {
		t.Fatalf("it is deleted with %d %s", status, body)
	}
	eventually(t, "to serve the file", func() bool {
		status, _, body := get(t, at)
		return status == http.StatusOK && string(body) == "lamp"
	})
}
