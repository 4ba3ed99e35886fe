package e2e

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mavenBuilt is a jar as Maven builds it, with its POM.
func mavenBuilt(t *testing.T, name, version string, pom []byte) []byte {
	t.Helper()
	return zipped(t,
		"META-INF/maven/org.example/"+name+"/pom.properties", "artifactId="+name+"\ngroupId=org.example\nversion="+version+"\n",
		"META-INF/maven/org.example/"+name+"/pom.xml", string(pom),
		"META-INF/maven/org.example/shaded/pom.xml", string(mavenPOM("shaded", version, "", "")),
	)
}

// TestMavenJarsInDirectoriesBringTheirPOMs has clients install a jar from a
// directory that carries its POM, with what that needs.
func TestMavenJarsInDirectoriesBringTheirPOMs(t *testing.T) {
	t.Parallel()
	each(t, mavenClients, func(t *testing.T, c *client) {
		tree := mavenTree{t, t.TempDir()}
		tree.put("lamp.jar", mavenBuilt(t, "acme-lamp", "1.0", mavenPOM("acme-lamp", "1.0", "acme-bulb", "2.0")))
		tree.put("bulb.jar", mavenBuilt(t, "acme-bulb", "2.0", mavenPOM("acme-bulb", "2.0", "", "")))
		m, h := hostingMaven(t, fmt.Sprintf("directory %q {}", tree.root))
		h.looked(t, 1, 2, "added=2", time.Minute)
		p := c.project(t, mount(h, m.fixture))
		if out, err := c.add(t, p, "acme-lamp", "1.0"); err != nil {
			t.Fatalf("%s does not install it: %v\n%s", c.name, err, out)
		}
		if jars := p.jars(t); jars["acme-bulb-2.0.jar"] == nil {
			t.Errorf("%s has %v, not what it needs", c.name, sortedKeys(jars))
		}
	})
}

// mavenTree is a directory.
type mavenTree struct {
	t    *testing.T
	root string
}

func (m mavenTree) put(name string, body []byte) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), body, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m mavenTree) remove(name string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.root, name)); err != nil {
		m.t.Fatal(err)
	}
}

// TestMavenPOMsInDirectoriesComeFirst has jars in a directory that carry their
// POMs, beside which one lies at times.
func TestMavenPOMsInDirectoriesComeFirst(t *testing.T) {
	t.Parallel()
	tree := mavenTree{t, t.TempDir()}
	pom, beside := mavenPOM("acme-lamp", "1.0", "acme-bulb", "2.0"), mavenPOM("acme-lamp", "1.0", "", "")
	other := append([]byte("<!-- -->"), pom...)
	tree.put("lamp.jar", mavenBuilt(t, "acme-lamp", "1.0", pom))
	tree.put("acme-lamp-1.0-sources.jar", mavenBuilt(t, "acme-lamp", "1.0", other))
	m, h := hostingMaven(t, fmt.Sprintf("directory %q { refresh = \"1s\" }", tree.root))
	at := mount(h, m.fixture) + "/org/example/acme-lamp/1.0/acme-lamp-1.0."
	is := func(what, kind string, want []byte) {
		t.Helper()
		eventually(t, "to serve "+what, func() bool {
			status, _, body := get(t, at+kind)
			return want == nil && status == http.StatusNotFound || want != nil && bytes.Equal(body, want)
		})
		if _, _, sum := get(t, at+kind+".sha1"); want != nil && string(sum) != fmt.Sprintf("%x", sha1.Sum(want)) {
			t.Errorf("the checksum of %s is %s", what, sum)
		}
	}
	is("the jar's POM", "pom", pom)
	tree.put("acme-lamp-1.0.pom", beside)
	is("the POM that lies beside the jar", "pom", beside)
	changed := mavenBuilt(t, "acme-lamp", "1.0", other)
	tree.put("lamp.jar", changed)
	is("another jar", "jar", changed)
	is("the POM that lies beside the other jar", "pom", beside)
	tree.remove("acme-lamp-1.0.pom")
	is("the other jar's POM", "pom", other)
	tree.remove("lamp.jar")
	is("no POM", "pom", nil)
	is("no jar", "jar", nil)
	if strings.Contains(h.log.String(), "is not served") {
		t.Error("a file is reported")
	}
	if asked := hostingMavenAsked(m); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
}
