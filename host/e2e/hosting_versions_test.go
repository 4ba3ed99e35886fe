package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// sameVersions are versions by plugin: one that is published, those that clients
// take for it, and one that they do not. File is what is published, or lies in a
// directory, of a version.
var sameVersions = []struct {
	name, plugin string
	first, other string
	same         []string
	file         func(t *testing.T, version string) (name string, body []byte)
	put          func(t *testing.T, url, token, version, name string, body []byte) (int, string)
}{
	{"crates", "cargo", "1.0.0+linux", "1.0.1", []string{"1.0.0", "1.0.0+mac"},
		func(t *testing.T, version string) (string, []byte) {
			return "acme-lamp-" + version + ".crate", crate(t, release{name: "acme-lamp", version: version})
		},
		func(t *testing.T, url, token, version, _ string, body []byte) (int, string) {
			return hostingCargoPut(t, url, token, hostingCargoFrame(t, hostingCargoMetadata("acme-lamp", version), body))
		}},
	{"wheels", "pypi", "1.0", "1.0.1", []string{"1.0.0", "1"},
		func(t *testing.T, version string) (string, []byte) {
			r := release{name: "acme_lamp", version: version}
			return wheelName(r), wheel(t, r)
		}, hostingPyPIPut},
	{"source distributions", "pypi", "1.0.0", "1.0rc1", []string{"1.0", "1", "1.0.0.0"},
		func(t *testing.T, version string) (string, []byte) {
			r := release{name: "acme_tide", version: version}
			return r.name + "-" + r.version + ".tar.gz", sdist(t, r)
		}, hostingPyPIPut},
	{"nupkgs", "nuget", "1.0.0-rc.1", "1.0.0-rc.2", []string{"1.0-rc.1", "1.0.0-RC.1", "1.0.0-rc.1+meta", "1.0.0-rc.01"},
		func(t *testing.T, version string) (string, []byte) {
			return "acme.lamp." + version + ".nupkg", nupkg(t, release{name: "acme.lamp", version: version})
		},
		func(t *testing.T, url, token, _, name string, body []byte) (int, string) {
			contentType, form := hostingNuGetForm(t, name, body)
			return hostingSend(t, http.MethodPut, url+"/v2/package", token, contentType, form)
		}},
	{"spks", "spk", "1.0-0010", "1.0-0011", []string{"1.0-10", "01.0-10"},
		func(t *testing.T, version string) (string, []byte) {
			return "acme-lamp-" + version + ".spk", spk(t, "acme-lamp", version, "")
		},
		func(t *testing.T, url, token, _, name string, body []byte) (int, string) {
			return hostingSend(t, http.MethodPut, url+"/packages/"+name, token, "application/octet-stream", body)
		}},
}

func hostingPyPIPut(t *testing.T, url, token, _, name string, body []byte) (int, string) {
	return hostingPyPIPost(t, url, token, name, body)
}

// TestVersionsThatAreTheSameArePublishedOnce publishes versions that clients take
// for one that is there, however they are spelled, and has them lie in a directory.
func TestVersionsThatAreTheSameArePublishedOnce(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	var config strings.Builder
	for i, c := range sameVersions {
		dir := filepath.Join(tree, fmt.Sprint(i))
		fmt.Fprintf(&config, "repository \"r%d\" {\n  plugin = %q\n  hosted { any = true }\n}\n", i, c.plugin)
		fmt.Fprintf(&config, "repository \"d%d\" {\n  plugin = %q\n  directory %q { refresh = \"1h\" }\n}\n", i, c.plugin, dir)
		for n, version := range append([]string{c.first, c.other}, c.same...) {
			name, body := c.file(t, version)
			path := filepath.Join(dir, fmt.Sprint(n), name)
			long := time.Now().Add(-time.Hour) // so that it is not taken for one that is being written
			err := os.MkdirAll(filepath.Dir(path), 0o755)
			if err == nil {
				err = os.WriteFile(path, body, 0o644)
			}
			if err == nil {
				err = os.Chtimes(path, long, long)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	h := startHost(t, config.String())
	token := h.token(t, "alice", "--allow", "publish:*")
	for i, c := range sameVersions {
		t.Run(c.name, func(t *testing.T) {
			for n, version := range append([]string{c.first, c.other}, c.same...) {
				name, body := c.file(t, version)
				status, answer := c.put(t, fmt.Sprintf("%s/r%d", h.URL, i), token, version, name, body)
				if n < 2 && status/100 != 2 || n >= 2 && status != http.StatusConflict {
					t.Errorf("beside %s, %s is answered with %d %s", c.first, version, status, answer)
				}
			}
			looked := fmt.Sprintf("directories looked at: repository=d%d files=%d added=2 removed=0 refused=%d", i, 2+len(c.same), len(c.same))
			eventually(t, "to have "+looked, func() bool { return strings.Contains(h.log.String(), looked) })
		})
	}
}

// TestVersionsOfBeforeArePublishedOnce has versions that were stored when their
// canonical form was not: in the data directory, and in an export.
func TestVersionsOfBeforeArePublishedOnce(t *testing.T) {
	t.Parallel()
	var config strings.Builder
	for i, c := range sameVersions {
		fmt.Fprintf(&config, "repository \"r%d\" {\n  plugin = %q\n  hosted { any = true }\n}\n", i, c.plugin)
	}
	h := startHost(t, config.String())
	token := h.token(t, "alice", "--allow", "publish:*")
	publish := func(t *testing.T, h *Host, token string, i int, version string, want int) {
		t.Helper()
		name, body := sameVersions[i].file(t, version)
		if status, answer := sameVersions[i].put(t, fmt.Sprintf("%s/r%d", h.URL, i), token, version, name, body); status/100 != 2 && want == 0 || want != 0 && status != want {
			t.Errorf("%s of %s is answered with %d %s", version, sameVersions[i].name, status, answer)
		}
	}
	for i, c := range sameVersions {
		publish(t, h, token, i, c.first, 0)
	}
	out := filepath.Join(t.TempDir(), "export")
	if said, err := h.Run(t, "export", out); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	h.Stop()
	formless(t, filepath.Join(h.Dir, "data"))
	h = startHostIn(t, h.Dir, config.String())
	for i, c := range sameVersions {
		for _, version := range c.same {
			publish(t, h, token, i, version, http.StatusConflict)
		}
	}

	withoutForms(t, out)
	h = startHost(t, config.String())
	token = h.token(t, "alice", "--allow", "publish:*")
	if said, err := h.Run(t, "import", out); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for i, c := range sameVersions {
		publish(t, h, token, i, c.same[0], http.StatusConflict)
		publish(t, h, token, i, c.other, 0)
	}
}

// formless takes the canonical forms of versions out of a data directory.
func formless(t *testing.T, data string) {
	t.Helper()
	dir, err := store.Open(data, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	change := store.Change{}
	form := regexp.MustCompile(`"Canonical":"[^"]*",`)
	err = dir.Keep.Each("hosted/", false, func(key string, value []byte) bool {
		switch {
		case strings.HasPrefix(key, "hosted/file/"):
			if change[key] = form.ReplaceAll(value, nil); bytes.Equal(change[key], value) {
				t.Errorf("the record has no form: %s", value)
			}
		case strings.HasPrefix(key, "hosted/forms/"):
			change[key] = nil
		}
		return true
	})
	if err == nil {
		err = dir.Keep.Apply(change)
	}
	if err = errors.Join(err, dir.Close()); err != nil || len(change) < len(sameVersions) {
		t.Fatalf("%d records are changed: %v", len(change), err)
	}
}

// withoutForms takes them out of an export.
func withoutForms(t *testing.T, dir string) {
	t.Helper()
	n := 0
	form := regexp.MustCompile(`"canonical": ?"[^"]*",\s*`)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".jsonl" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n += len(form.FindAll(body, -1))
		return os.WriteFile(path, form.ReplaceAll(body, nil), 0o644)
	})
	if err != nil || n < len(sameVersions) {
		t.Fatalf("%d forms are gone: %v", n, err)
	}
}

// TestMavenArtifactsOfAlikeGroups publishes artifacts whose names differ in where
// the group ends, and versions that Maven orders alike: they have places of their
// own.
func TestMavenArtifactsOfAlikeGroups(t *testing.T) {
	t.Parallel()
	h := startHost(t, "repository \"maven\" {\n  hosted { names = [\"com.acme.*\"] }\n}\n")
	token := "Bearer " + h.token(t, "ci", "--allow", "publish:maven")
	for _, path := range []string{"com/acme/light/bulb/1.0/bulb-1.0.jar", "com/acme/light.bulb/1.0/light.bulb-1.0.jar", "com/acme/light.bulb/1.0.0/light.bulb-1.0.0.jar"} {
		if status, body := hostingSend(t, http.MethodPut, h.URL+"/maven/"+path, token, "application/java-archive", []byte("jar "+path)); status != http.StatusCreated {
			t.Errorf("%s is answered with %d %s", path, status, body)
		}
		if status, _, body := get(t, h.URL+"/maven/"+path); status != http.StatusOK || string(body) != "jar "+path {
			t.Errorf("%s is served with %d %q", path, status, body)
		}
	}
}
