package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// mavenRepo is an upstream in the Maven repository layout, which says of each
// file when it was published.
type mavenRepo struct {
	mu    sync.Mutex
	files map[string]mavenFile
}

type mavenFile struct {
	body []byte
	at   time.Time
}

// put publishes a file with its SHA-1.
func (m *mavenRepo) put(path string, body []byte, at time.Time) {
	sum := sha1.Sum(body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = mavenFile{body, at}
	m.files[path+".sha1"] = mavenFile{[]byte(hex.EncodeToString(sum[:])), at}
}

// replace changes a file, and nothing else.
func (m *mavenRepo) replace(path string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = mavenFile{body, m.files[path].at}
}

// remove drops a file's checksum, as of a file that never had one.
func (m *mavenRepo) remove(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, path)
}

func (m *mavenRepo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	f, ok := m.files[r.URL.Path]
	m.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+sha256Hex(f.body)[:16]+`"`)
	http.ServeContent(w, r, "", f.at, bytes.NewReader(f.body))
}

// mavenFixture is a Maven repository with the releases, and for each package an
// artifact any-NAME that wants any version of it.
type mavenFixture struct {
	*fixture
	repo *mavenRepo
}

const mavenGroup = "/org/example/"

func startMaven(t testing.TB) *mavenFixture {
	t.Helper()
	repo := &mavenRepo{files: map[string]mavenFile{}}
	server := startUpstream(t, repo)
	m := &mavenFixture{repo: repo, fixture: &fixture{
		repository: "maven",
		upstream:   fmt.Sprintf("upstream \"main\" { url = %q }", server.URL),
		servers:    []*Upstream{server},
		files:      map[string]*fixtureFile{},
	}}
	// Maven gives this to every extension.
	utils := release{name: "plexus-utils", version: "1.1", age: 365 * day}
	repo.put("/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1.pom", bytes.ReplaceAll(mavenPOM(utils.name, utils.version, "", ""), []byte("org.example"), []byte("org.codehaus.plexus")), utils.published())
	repo.put("/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1.jar", mavenJar(t, utils), utils.published())
	grouped(releases, func(name string, of []release) {
		for _, r := range of {
			path := fmt.Sprintf("%s%s/%s/%s-%s", mavenGroup, name, r.version, name, r.version)
			file := &fixtureFile{release: r, here: path + ".jar", path: path + ".jar", on: server, body: mavenJar(t, r)}
			m.files[r.String()] = file
			repo.put(path+".pom", mavenPOM(name, r.version, r.needs, "1.0.0"), r.published())
			repo.put(path+".jar", file.body, r.published())
		}
		m.list(name, of)
		any := release{name: "any-" + name, version: "1.0.0", age: 365 * day}
		path := mavenGroup + any.name + "/1.0.0/" + any.name + "-1.0.0"
		repo.put(path+".pom", mavenPOM(any.name, any.version, name, "[1.0.0,)"), any.published())
		repo.put(path+".jar", mavenJar(t, any), any.published())
	})
	return m
}

// list writes an artifact's metadata.
func (m *mavenFixture) list(name string, of []release) {
	var versions strings.Builder
	for _, r := range of {
		fmt.Fprintf(&versions, "<version>%s</version>", r.version)
	}
	last := of[len(of)-1]
	m.repo.put(mavenGroup+name+"/maven-metadata.xml", fmt.Appendf(nil,
		"<metadata><groupId>org.example</groupId><artifactId>%s</artifactId><versioning><latest>%s</latest><release>%s</release><versions>%s</versions><lastUpdated>%s</lastUpdated></versioning></metadata>",
		name, last.version, last.version, versions.String(), last.published().Format("20060102150405")), last.published())
}

// build publishes a build of the snapshot of a package and makes it the only
// one that the metadata names. It returns the build's version and its jar.
func (m *mavenFixture) build(t testing.TB, name string, number int, age time.Duration) (string, []byte) {
	t.Helper()
	at := fixtureNow.Add(-age)
	version := fmt.Sprintf("1.0-%s-%d", at.Format("20060102.150405"), number)
	dir := mavenGroup + name + "/1.0-SNAPSHOT/"
	jar := mavenJar(t, release{name: name, version: version})
	m.repo.put(dir+name+"-"+version+".pom", mavenPOM(name, "1.0-SNAPSHOT", "", ""), at)
	m.repo.put(dir+name+"-"+version+".jar", jar, at)
	var entries strings.Builder
	for _, extension := range []string{"jar", "pom"} {
		fmt.Fprintf(&entries, "<snapshotVersion><extension>%s</extension><value>%s</value><updated>%s</updated></snapshotVersion>", extension, version, at.Format("20060102150405"))
	}
	m.repo.put(dir+"maven-metadata.xml", fmt.Appendf(nil,
		"<metadata modelVersion=\"1.1.0\"><groupId>org.example</groupId><artifactId>%s</artifactId><version>1.0-SNAPSHOT</version><versioning><snapshot><timestamp>%s</timestamp><buildNumber>%d</buildNumber></snapshot><lastUpdated>%s</lastUpdated><snapshotVersions>%s</snapshotVersions></versioning></metadata>",
		name, at.Format("20060102.150405"), number, at.Format("20060102150405"), entries.String()), at)
	return version, jar
}

func mavenPOM(name, version, needs, wants string) []byte {
	dependencies := ""
	if needs != "" {
		dependencies = fmt.Sprintf("<dependencies><dependency><groupId>org.example</groupId><artifactId>%s</artifactId><version>%s</version></dependency></dependencies>", needs, wants)
	}
	return fmt.Appendf(nil, "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>%s</artifactId><version>%s</version>%s</project>", name, version, dependencies)
}

// mavenPlugin is the jar of a plugin with one goal, "light", that says which
// release it is.
func mavenPlugin(t testing.TB, r release, prefix string) []byte {
	t.Helper()
	javac := needs(t, "javac")
	version, err := exec.Command(needs(t, "mvn"), "--version").Output()
	home := regexp.MustCompile(`(?m)^Maven home: (.*)$`).FindSubmatch(version)
	if err != nil || home == nil {
		t.Fatalf("mvn --version: %v\n%s", err, version)
	}
	api, err := filepath.Glob(filepath.Join(string(home[1]), "lib", "maven-plugin-api*.jar"))
	if err != nil || len(api) == 0 {
		t.Fatalf("Maven in %s has no plugin API (%v)", home[1], err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "Light.java")
	text := fmt.Sprintf("public class Light extends org.apache.maven.plugin.AbstractMojo { public void execute() { System.out.println(\"this is %s %s\"); } }\n", r.name, r.version)
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(javac, "-d", dir, "-cp", api[0], source).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	class, err := os.ReadFile(filepath.Join(dir, "Light.class"))
	if err != nil {
		t.Fatal(err)
	}
	descriptor := fmt.Appendf(nil, "<plugin><groupId>org.example</groupId><artifactId>%s</artifactId><version>%s</version><goalPrefix>%s</goalPrefix>"+
		"<mojos><mojo><goal>light</goal><requiresProject>false</requiresProject><implementation>Light</implementation><language>java</language><instantiationStrategy>per-lookup</instantiationStrategy></mojo></mojos></plugin>", r.name, r.version, prefix)
	return mavenJar(t, r, "META-INF/maven/plugin.xml", string(descriptor), "Light.class", string(class))
}

func mavenJar(t testing.TB, r release, more ...string) []byte {
	t.Helper()
	return zipped(t, append([]string{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n", "data.bin", string(r.data())}, more...)...)
}
