package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pubShelf is an upstream and the configuration of a host that publishes acme_*
// beside it.
func pubShelf(t *testing.T) (shelf *shelf, config string) {
	t.Helper()
	plugins := t.TempDir()
	buildExample(t, "pubhost", plugins)
	shelf = newShelf()
	up := startUpstream(t, shelf)
	return shelf, fmt.Sprintf("plugin_dir = %q\ncooldown { default = \"3d\" }\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n  hosted { names = [\"acme_*\"] }\n  anonymous = [\"read\", \"publish\"]\n}\n", plugins, up.URL)
}

// TestRestoredBackupServesTheSame makes a backup of a host that serves and takes
// packages meanwhile, loses the host, and restores it elsewhere.
func TestRestoredBackupServesTheSame(t *testing.T) {
	t.Parallel()
	shelf, config := pubShelf(t)
	// Upstream's versions, which all claim to be old.
	retry := func(versions ...string) {
		var all []string
		for _, v := range versions {
			all = append(all, fmt.Sprintf(`{"version":%q,"published":"2020-01-01T00:00:00Z","archive_url":"https://files.example.com/retry.tar.gz","pubspec":{}}`, v))
		}
		shelf.put("/api/packages/retry", "application/json", fmt.Appendf(nil, `{"name":"retry","versions":[%s]}`, strings.Join(all, ",")))
	}
	retry("1.0.0")
	h := startHost(t, config)
	url := h.URL + "/pubhost"
	archives := map[string][]byte{}
	publish := func(version string) {
		t.Helper()
		archives[version] = pubArchive(t, "acme_lamp", version)
		if status, body := publishPub(t, url, archives[version]); status != http.StatusNoContent {
			t.Fatalf("publishing is answered with %d %s", status, body)
		}
	}
	publish("1.0.0")
	publish("1.1.0")
	token := h.token(t, "joe", "--allow", "read,publish:pubhost")
	if out, err := h.Run(t, "exempt", "pkg:pub/retry@3.0.0", "--reason", "checked by hand"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if status, _, body := get(t, url+"/api/packages/retry"); status != http.StatusOK {
		t.Fatalf("upstream's package is answered with %d %s", status, body)
	}
	retry("1.0.0", "2.0.0", "3.0.0") // of which the new ones were not there at the first look

	folder := t.TempDir()
	if out, err := h.Run(t, "backup", folder); err != nil {
		t.Fatalf("backup: %v %s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(folder, "entrepot-*.tar"))
	if err != nil || len(made) != 1 {
		t.Fatalf("it made %v (%v)", made, err)
	}
	publish("2.0.0") // after it
	h.Kill()

	// Without a host the same command copies the directory.
	offline := filepath.Join(folder, "offline.tar")
	if out, err := h.Run(t, "backup", offline); err != nil {
		t.Fatalf("backup without a host: %v %s", err, out)
	}
	for file, versions := range map[string][]string{made[0]: {"1.0.0", "1.1.0"}, offline: {"1.0.0", "1.1.0", "2.0.0"}} {
		elsewhere := &Host{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(elsewhere.Dir, "config.hcl"), fmt.Appendf(nil, "data_dir = %q\n", filepath.Join(elsewhere.Dir, "data")), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := elsewhere.Run(t, "restore", file); err != nil {
			t.Fatalf("restore: %v %s", err, out)
		}
		if out, err := elsewhere.Run(t, "restore", file); err == nil || !strings.Contains(out, "not empty") {
			t.Errorf("restoring over it: %v %s", err, out)
		}
		back := startHostIn(t, elsewhere.Dir, config)
		if out, err := back.Run(t, "restore", file); err == nil || !strings.Contains(out, "not empty") {
			t.Errorf("restoring over a host that serves: %v %s", err, out)
		}
		status, _, listing := get(t, back.URL+"/pubhost/api/packages/acme_lamp")
		if n := strings.Count(string(listing), "archive_url") - 1; status != http.StatusOK || n != len(versions) { // and the latest
			t.Errorf("the listing is %d %s, want %v", status, listing, versions)
		}
		for _, version := range versions {
			if status, _, body := get(t, back.URL+"/pubhost/api/archives/acme_lamp-"+version+".tar.gz", "Authorization", "Bearer "+token); status != http.StatusOK || !bytes.Equal(body, archives[version]) {
				t.Errorf("%s is answered with %d and %d bytes, want %d", version, status, len(body), len(archives[version]))
			}
		}
		_, _, listing = get(t, back.URL+"/pubhost/api/packages/retry")
		if text := string(listing); !strings.Contains(text, `"1.0.0"`) || strings.Contains(text, `"2.0.0"`) || !strings.Contains(text, `"3.0.0"`) {
			t.Errorf("what was seen first and what was exempted is not known any more: %s", listing)
		}
		url = back.URL + "/pubhost"
		if status, body := publishPub(t, url, archives["1.0.0"]); status != http.StatusConflict {
			t.Errorf("publishing a version again is answered with %d %s", status, body)
		}
		publish("3.0.0")
	}
}

// TestBackupThatIsKilledLeavesTheOneBefore ends a backup by kill -9 while it is
// written, on either side.
func TestBackupThatIsKilledLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	_, config := pubShelf(t)
	h := startHost(t, config)
	if status, body := publishPub(t, h.URL+"/pubhost", pubArchive(t, "acme_lamp", "1.0.0")); status != http.StatusNoContent {
		t.Fatalf("publishing is answered with %d %s", status, body)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "backup.tar")
	if out, err := h.Run(t, "backup", file); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Enough to be killed within.
	if status, body := publishPub(t, h.URL+"/pubhost", pubArchiveOf(t, "acme_lamp", "2.0.0", 64<<20)); status != http.StatusNoContent {
		t.Fatalf("publishing is answered with %d %s", status, body)
	}
	parts := func() []string {
		found, err := filepath.Glob(filepath.Join(folder, ".*.part"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, victim := range []string{"the command", "the host"} {
		var said bytes.Buffer
		cmd := exec.Command(filepath.Join(built(t), "entrepot"), "backup", file, "--config", filepath.Join(h.Dir, "config.hcl"))
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "to begin a backup", func() bool { return len(parts()) > 0 })
		if victim == "the command" {
			_ = cmd.Process.Kill()
		} else {
			h.Kill()
		}
		err := cmd.Wait()
		if err == nil {
			t.Fatalf("killing %s came too late", victim)
		}
		if victim == "the host" && !strings.Contains(said.String(), "no backup was made") {
			t.Errorf("it says %s", said.String())
		}
		after, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("after %s was killed the backup before has %d bytes, had %d (%v)", victim, len(after), len(before), err)
		}
		for _, part := range parts() {
			if victim == "the host" {
				t.Errorf("%s is left", part)
			}
			elsewhere := &Host{Dir: t.TempDir()}
			if err := os.WriteFile(filepath.Join(elsewhere.Dir, "config.hcl"), fmt.Appendf(nil, "data_dir = %q\n", filepath.Join(elsewhere.Dir, "data")), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := elsewhere.Run(t, "restore", part); err == nil || !strings.Contains(out, "cut off") && !strings.Contains(out, "does not begin") {
				t.Errorf("restoring what is left: %v %s", err, out)
			}
			if err := os.Remove(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	h = startHostIn(t, h.Dir, config)
	if out, err := h.Run(t, "backup", file); err != nil || !strings.Contains(out, "2 bodies") {
		t.Errorf("a backup after all that: %v %s", err, out)
	}
}
