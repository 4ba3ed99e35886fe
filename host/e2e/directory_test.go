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
	"time"
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
	has("1.0.0", first)
	eventually(t, "to report a file that is no package", func() bool { return strings.Contains(h.log.String(), "broken.tgz") })
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

	if n := up.Total(); n != 0 {
		t.Errorf("upstream was asked %d times for a package that is in a directory", n)
	}

	if n := strings.Count(h.log.String(), "broken.tgz"); n != 1 {
		t.Errorf("a file that is no package is reported %d times", n)
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

// TestDirectoriesAreFollowedAtOnce has events tell of what happens, long before
// a refresh.
func TestDirectoriesAreFollowedAtOnce(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	plugins, tree := t.TempDir(), t.TempDir()
	buildExample(t, "pubhost", plugins)
	up := startUpstream(t, newShelf())
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n  hosted { names = [\"lamp\"] }\n  directory %q { refresh = \"24h\" }\n}\n", plugins, up.URL, tree))
	lists := func(want, not string) func() bool {
		return func() bool {
			_, _, body := get(t, h.URL+"/pubhost/api/packages/lamp")
			return strings.Contains(string(body), want) && !strings.Contains(string(body), not)
		}
	}
	h.looked(t, 1, 0, "added=0", time.Minute)
	deep := filepath.Join(tree, "new", "folders")
	first := pubFile(t, filepath.Join(deep, "lamp-1.tgz"), "lamp", "1.0.0")
	eventually(t, "to list a file in a new folder", lists(`"1.0.0"`, "no"))
	pubFile(t, filepath.Join(deep, "lamp-2.tgz"), "lamp", "2.0.0")
	eventually(t, "to list a file that was added", lists(`"2.0.0"`, "no"))
	pubFile(t, filepath.Join(deep, "lamp-2.tgz"), "lamp", "2.1.0")
	eventually(t, "to follow a file that was changed", lists(`"2.1.0"`, `"2.0.0"`))
	if err := os.Rename(filepath.Join(deep, "lamp-2.tgz"), filepath.Join(tree, "lamp.tgz")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(deep, "lamp-1.tgz")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to follow a file that went", lists(`"2.1.0"`, `"1.0.0"`))

	// A file that is written slowly is not reported, and served when it is whole.
	slow, err := os.Create(filepath.Join(tree, "slow.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for _, part := range [][]byte{first[:40], first[40:80], first[80:]} {
		if _, err := slow.Write(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond) // as a slow disk does
	}
	eventually(t, "to list a file that was written slowly", lists(`"1.0.0"`, "no"))
	if strings.Contains(h.log.String(), "is not served") {
		t.Errorf("a file that was being written was reported")
	}
}

// TestUpstreamIsNotAskedBeforeTheFirstLook has a directory that cannot be read
// at first: no name that may lie there is told to upstream.
func TestUpstreamIsNotAskedBeforeTheFirstLook(t *testing.T) {
	t.Parallel()
	plugins, tree := t.TempDir(), filepath.Join(t.TempDir(), "mounted", "later")
	buildExample(t, "pubhost", plugins)
	shelf := newShelf()
	up := startUpstream(t, shelf)
	for _, name := range []string{"lamp", "retry"} {
		shelf.put("/api/packages/"+name, "application/json", fmt.Appendf(nil, `{"name":%q,"versions":[{"version":"99.0.0","published":"2020-01-01T00:00:00Z","archive_url":"https://files.example.com/evil.tar.gz","pubspec":{}}]}`, name))
	}
	config := fmt.Sprintf("plugin_dir = %q\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n  directory %q {}\n}\n", plugins, up.URL, tree)
	h := startHost(t, config)
	status, header, body := get(t, h.URL+"/pubhost/api/packages/lamp")
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(string(body), "later") {
		t.Errorf("before the first look a name is answered with %d %s", status, body)
	}
	if status, _, _ := get(t, h.URL+"/pubhost/api/archives/lamp-99.0.0.tar.gz"); status != http.StatusServiceUnavailable {
		t.Errorf("before the first look a file is answered with %d", status)
	}
	if n := up.Total(); n != 0 {
		t.Fatalf("upstream was asked %d times", n)
	}
	pubFile(t, filepath.Join(tree, "lamp.tgz"), "lamp", "1.0.0")
	eventually(t, "to look again", func() bool {
		status, _, body := get(t, h.URL+"/pubhost/api/packages/lamp")
		return status == http.StatusOK && strings.Contains(string(body), `"1.0.0"`) && !strings.Contains(string(body), "99.0.0")
	})
	if status, _, _ := get(t, h.URL+"/pubhost/api/packages/retry"); status != http.StatusOK || up.Total() == 0 {
		t.Errorf("after the first look upstream's name is answered with %d", status)
	}
	h.Stop()

	// What was looked at once is known, also when it cannot be read at a start.
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	h = startHostIn(t, h.Dir, config)
	if status, _, _ := get(t, h.URL+"/pubhost/api/packages/retry"); status != http.StatusOK {
		t.Errorf("after a restart upstream's name is answered with %d", status)
	}
	if status, _, body := get(t, h.URL+"/pubhost/api/packages/lamp"); status != http.StatusOK || strings.Contains(string(body), "99.0.0") {
		t.Errorf("after a restart a name of ours is answered with %d %s", status, body)
	}
}
