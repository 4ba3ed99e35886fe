package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOCIArchivesWithTheSameTag has several archives give a tag to different images:
// the one that was there first has it, the next gets it when that goes, and each that
// lacks it is told of once.
func TestOCIArchivesWithTheSameTag(t *testing.T) {
	t.Parallel()
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	tree := t.TempDir()
	at := func(file string) string { return filepath.Join(tree, file) }
	first.tarLayout(t, at("a.tar"), "acme/tide:1")
	first.tarLayout(t, at("alias.tar"), "acme/tide:other")
	second.tarLayout(t, at("b.tar"), "acme/tide:1")
	second.tarLayout(t, at("same.tar"), "acme/tide:2")
	config := ociConfig("7d", ociOurs, `directory "`+tree+`" {}`)
	h := startHost(t, config)
	is := func(tag string, c *ociContent) {
		t.Helper()
		eventually(t, "to have "+tag+" be another image", func() bool {
			a := faultTry(t, "GET", h.URL+"/v2/acme/tide/manifests/"+tag)
			return a.Status == 200 && a.Header.Get("Docker-Content-Digest") == c.digest
		})
	}
	told := func(file, instead string) int {
		n := 0
		for line := range strings.Lines(h.log.String()) {
			if strings.Contains(line, "stays that of another file") && strings.Contains(line, at(file)) && strings.Contains(line, at(instead)) {
				n++
			}
		}
		return n
	}
	is("1", first)
	is("other", first)
	is("2", second)
	eventually(t, "to say which tag an archive lacks", func() bool { return told("b.tar", "a.tar") == 1 })
	second.served(t, h.URL+"/v2/acme/tide") // by its digest

	// One that comes later has it neither, also after a restart, and where it is
	// called as if it were before.
	h.Stop()
	h = startHostIn(t, h.Dir, config)
	third.tarLayout(t, at("0.tar"), "acme/tide:1")
	eventually(t, "to say which tag an archive lacks", func() bool { return told("0.tar", "a.tar") == 1 })
	is("1", first)
	// One that is moved has lost nothing.
	if err := os.Rename(at("a.tar"), at("z.tar")); err != nil {
		t.Fatal(err)
	}
	third.tarLayout(t, at("mark.tar"), "acme/tide:mark")
	is("mark", third)
	if n := told("b.tar", "a.tar"); n != 0 {
		t.Errorf("it is told again %d times", n)
	}
	if got := answered(t, 200, h.URL+"/v2/acme/tide/manifests/1").Header.Get("Docker-Content-Digest"); got != first.digest {
		t.Errorf("the archive that was moved leaves its tag to %s", got)
	}
	for _, file := range []string{"z.tar", "0.tar"} {
		if err := os.Remove(at(file)); err != nil {
			t.Fatal(err)
		}
	}
	is("1", second)
	is("other", first)
	if err := os.Remove(at("b.tar")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to see that nothing has the tag", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/acme/tide/manifests/1").Status == 404
	})
	is("2", second)
}
