package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pubFile puts a package archive into a directory.
func pubFile(t *testing.T, path, name, version string) []byte {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	body := pubArchive(t, name, version)
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	return body
}

// TestDirectoriesAreServedAndFollowed has packages found in directories, below
// one address with upstream's, and follows what happens to the files.
func TestDirectoriesAreServedAndFollowed(t *testing.T) {
	t.Parallel()
	plugins, tree := t.TempDir(), t.TempDir()
	buildExample(t, "pubhost", plugins)
	shelf := newShelf()
	up := startUpstream(t, shelf)
	shelf.put("/api/packages/lamp", "application/json", []byte(`{"name":"lamp","versions":[{"version":"99.0.0","published":"2020-01-01T00:00:00Z","archive_url":"https://files.example.com/evil.tar.gz","pubspec":{}}]}`))
	first := pubFile(t, filepath.Join(tree, "any", "depth", "lamp.tgz"), "lamp", "1.0.0")
	pubFile(t, filepath.Join(tree, "drafts", "lamp.draft"), "lamp", "7.0.0")
	if err := os.WriteFile(filepath.Join(tree, "broken.tgz"), []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := func(refresh string) string {
		return fmt.Sprintf("plugin_dir = %q\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n  directory %q {\n    match = [\"**.tgz\"]\n    refresh = %q\n  }\n}\n", plugins, up.URL, tree, refresh)
	}
	h := startHost(t, config("1s"))
	url := h.URL + "/pubhost"
	lists := func(want, not string) func() bool {
		return func() bool {
			status, _, body := get(t, url+"/api/packages/lamp")
			return status == http.StatusOK && strings.Contains(string(body), want) && !strings.Contains(string(body), not)
		}
	}
	has := func(version string, want []byte) {
		t.Helper()
		status, header, body := get(t, url+"/api/archives/lamp-"+version+".tar.gz")
		if status != http.StatusOK || !bytes.Equal(body, want) || header.Get("ETag") == "" {
			t.Errorf("the file is answered with %d and %d bytes, want %d", status, len(body), len(want))
		}
	}

	eventually(t, "to list what is there", lists(`"1.0.0"`, "99.0.0"))
	asked := up.Total() // perhaps before the first look was over
	has("1.0.0", first)
	if n := strings.Count(h.log.String(), "broken.tgz"); n != 1 {
		t.Errorf("a file that is no package is reported %d times", n)
	}
	if strings.Contains(h.log.String(), "lamp.draft") || lists(`"7.0.0"`, "99.0.0")() {
		t.Error("a file that no pattern chooses is looked at")
	}

	second := pubFile(t, filepath.Join(tree, "lamp-2.tgz"), "lamp", "2.0.0")
	eventually(t, "to list a file that was added", lists(`"2.0.0"`, "99.0.0"))
	has("2.0.0", second)

	pubFile(t, filepath.Join(tree, "lamp-2.tgz"), "lamp", "2.1.0")
	eventually(t, "to follow a file that was changed", lists(`"2.1.0"`, `"2.0.0"`))

	if err := os.Remove(filepath.Join(tree, "lamp-2.tgz")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to follow a file that went", lists(`"1.0.0"`, `"2.1.0"`))
	if status, _, _ := get(t, url+"/api/archives/lamp-2.1.0.tar.gz"); status != http.StatusNotFound {
		t.Errorf("a file that went is answered with %d", status)
	}

	if n := up.Total(); n != asked {
		t.Errorf("upstream was asked %d times for a package that is in a directory", n-asked)
	}

	// With a long refresh SIGHUP is what has directories looked at.
	h.Stop()
	h = startHostIn(t, h.Dir, config("24h"))
	url = h.URL + "/pubhost"
	eventually(t, "to list what is there after a restart", lists(`"1.0.0"`, "99.0.0"))
	pubFile(t, filepath.Join(tree, "lamp-3.tgz"), "lamp", "3.0.0")
	if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to look after SIGHUP", lists(`"3.0.0"`, "99.0.0"))
	if n := strings.Count(h.log.String(), "broken.tgz"); n != 0 {
		t.Errorf("after a restart a file that is no package is reported %d times again", n)
	}
}
