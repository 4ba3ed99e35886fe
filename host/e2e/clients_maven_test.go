package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-pkgs/purl"
)

// quickJava are options of Java for programs that run for seconds: what takes
// time to pay off is left out.
const quickJava = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"

// mvnClient resolves a package as an extension of a build: that needs no plugin,
// so that a fixture can have all of it.
var mvnClient = &client{
	name: "mvn", program: "mvn", purl: "pkg:maven/org.example/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "settings.xml", mavenSettings(p.url))
		return []string{"MAVEN_OPTS=", "MAVEN_ARGS=", "JAVA_TOOL_OPTIONS=" + quickJava + " -Duser.home=" + p.home}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		if version == "" {
			name, version = "any-"+name, "1.0.0"
		}
		p.write(t, "pom.xml", fmt.Sprintf(mavenProject, "<build><extensions><extension><groupId>org.example</groupId><artifactId>"+name+"</artifactId><version>"+version+"</version></extension></extensions></build>"))
		return p.mvn(t, "validate")
	},
}

// gradleClient resolves a package into a configuration and copies it.
var gradleClient = &client{
	name: "gradle", program: "gradle", purl: "pkg:maven/org.example/",
	set: func(t *testing.T, p *project) []string {
		return []string{"GRADLE_OPTS=", "JAVA_OPTS=", "GRADLE_USER_HOME=" + filepath.Join(p.home, "gradle"), "JAVA_TOOL_OPTIONS=" + quickJava + " --add-opens=java.base/java.net=ALL-UNNAMED -Duser.home=" + p.home}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		if version == "" {
			version = "[1.0.0,)"
		}
		p.write(t, "build.gradle", fmt.Sprintf(`repositories { maven { url '%s' } }
configurations { boat { resolutionStrategy.cacheChangingModulesFor 0, 'seconds' } }
dependencies { boat('org.example:%s:%s') { changing = '%[3]s'.endsWith('SNAPSHOT') } }
task fetch(type: Copy) { from configurations.boat; into 'boat' }
`, p.url, name, version))
		return p.run(t, "gradle", "--no-daemon", "--console=plain", "fetch")
	},
}

var mavenClients = []*client{mvnClient, gradleClient}

const mavenProject = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>com.example</groupId><artifactId>harbour</artifactId><version>1</version><packaging>pom</packaging>%s</project>`

// mavenSettings has one mirror in the place of all repositories, of which the
// central one has snapshots too.
func mavenSettings(url string) string {
	const repository = "<id>central</id><url>http://central.example.com</url><releases/><snapshots><updatePolicy>always</updatePolicy></snapshots>"
	return "<settings><mirrors><mirror><id>entrepot</id><mirrorOf>*</mirrorOf><url>" + url + "</url></mirror></mirrors>" +
		"<profiles><profile><id>all</id><repositories><repository>" + repository + "</repository></repositories>" +
		"<pluginRepositories><pluginRepository>" + repository + "</pluginRepository></pluginRepositories></profile></profiles>" +
		"<activeProfiles><activeProfile>all</activeProfile></activeProfiles></settings>"
}

// mvn runs Maven with nothing of the machine's, and checksums that must fit.
func (p *project) mvn(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return p.run(t, "mvn", append([]string{"-B", "-C", "-s", "settings.xml", "-Dmaven.repo.local=" + filepath.Join(p.root, "repository")}, args...)...)
}

// jars are the files of packages that a client has, by their names.
func (p *project) jars(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"repository/org/example/*/*/*.jar", "boat/*.jar"} {
		files, err := filepath.Glob(filepath.Join(p.root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(file)] = body
		}
	}
	return found
}

// mavenInstalls has a client resolve a package and checks the bytes that it
// got, and that it got no other version.
func mavenInstalls(t *testing.T, c *client, url string, m *mavenFixture, name, version, want string) {
	t.Helper()
	p := c.project(t, url)
	out, err := c.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s: %v\n%s", c.name, name, err, out)
	}
	jars := p.jars(t)
	for r, file := range m.files {
		if file.name != name {
			continue
		}
		got, there := jars[file.name+"-"+file.version+".jar"]
		if there != (file.version == want) || there && !bytes.Equal(got, file.body) {
			t.Errorf("%s has %d bytes of %s, want %s %s:\n%s", c.name, len(got), r, name, want, out)
		}
	}
}

func TestMavenInstallsWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	each(t, mavenClients, func(t *testing.T, c *client) {
		for cooldown, want := range map[string]string{"0": "1.1.0", "3d": "1.0.0"} {
			m := startMaven(t)
			h := startHost(t, m.config(cooldown, ""))
			mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "", want)
			for _, file := range []*fixtureFile{m.file(t, "tide", "1.0.0"), m.file(t, "tide", "1.1.0"), m.file(t, "shell", "1.0.0")} {
				asked := 0
				if file.version == want || file.name == "shell" {
					asked = 1
				}
				if got := file.fetched(); got != asked {
					t.Errorf("upstream was asked %d times for %s, want %d:\n%s", got, file, asked, m.requests())
				}
			}
			if got := m.servers[0].Asked("HEAD /org/example/tide/1.1.0/tide-1.1.0.pom"); (got > 0) != (cooldown != "0") {
				t.Errorf("upstream was asked %d times how old tide 1.1.0 is, with a cool-down of %s", got, cooldown)
			}

			asked := m.asked()
			mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "", want)
			if m.asked() != asked {
				t.Errorf("a second installation asks upstream again; all requests:\n%s", m.requests())
			}
			m.close()
			mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "", want)
		}
	})
}

func TestMavenRefusesHeldVersions(t *testing.T) {
	t.Parallel()
	each(t, mavenClients, func(t *testing.T, c *client) {
		m := startMaven(t)
		h := startHost(t, m.config("3d", ""))
		for _, wanted := range [][2]string{{"tide", "1.1.0"}, {"spray", ""}, {"spray", "1.0.0"}} {
			out, err := c.add(t, c.project(t, mount(h, m.fixture)), wanted[0], wanted[1])
			c.fails(t, out, err, "installs "+wanted[0]+" "+wanted[1], `403`)
		}
		status, _, body := get(t, mount(h, m.fixture)+"/org/example/tide/1.1.0/tide-1.1.0.jar")
		if status != http.StatusForbidden || !strings.Contains(string(body), "org.example/tide 1.1.0 is held back until") {
			t.Errorf("the held file is answered with %d %s", status, body)
		}
		if m.file(t, "tide", "1.1.0").fetched() != 0 {
			t.Error("upstream was asked for a held file")
		}
		if out, err := h.Run(t, "explain", c.purl+"tide@1.1.0"); err != nil || !strings.Contains(out, "org.example/tide 1.1.0 is held") {
			t.Errorf("explain: %v\n%s", err, out)
		}
		if out, err := h.Run(t, "exempt", c.purl+"tide@1.1.0", "--reason", "it mends a leak", "--expires", "1d"); err != nil {
			t.Fatalf("exempt: %v\n%s", err, out)
		}
		mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "", "1.1.0")
		mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "1.1.0", "1.1.0")
	})
}

// TestMavenPluginPrefixes runs a plugin by the prefix that its group's metadata
// gives it, which leads to a version that is old enough.
func TestMavenPluginPrefixes(t *testing.T) {
	t.Parallel()
	mvnClient.needed(t)
	m := startMaven(t)
	var made []release
	for _, r := range []release{{name: "lamp-maven-plugin", version: "1.0.0", age: 30 * day}, {name: "lamp-maven-plugin", version: "1.1.0", age: time.Hour}} {
		path := fmt.Sprintf("%s%s/%s/%[2]s-%[3]s", mavenGroup, r.name, r.version)
		pom := bytes.Replace(mavenPOM(r.name, r.version, "", ""), []byte("</project>"), []byte("<packaging>maven-plugin</packaging></project>"), 1)
		m.repo.put(path+".pom", pom, r.published())
		m.repo.put(path+".jar", mavenPlugin(t, r, "lamp"), r.published())
		made = append(made, r)
	}
	m.list("lamp-maven-plugin", made)
	m.repo.put(mavenGroup+"maven-metadata.xml", []byte("<metadata><plugins><plugin><name>Lamp</name><prefix>lamp</prefix><artifactId>lamp-maven-plugin</artifactId></plugin></plugins></metadata>"), made[0].published())
	h := startHost(t, m.config("3d", ""))
	for _, upstream := range []string{"cold", "warm", "dead"} {
		if upstream == "dead" {
			m.servers[0].Close()
		}
		p := mvnClient.project(t, mount(h, m.fixture))
		p.write(t, "settings.xml", strings.Replace(p.read(t, "settings.xml"), "<settings>", "<settings><pluginGroups><pluginGroup>org.example</pluginGroup></pluginGroups>", 1))
		out, err := p.mvn(t, "lamp:light")
		if err != nil || !strings.Contains(out, "this is lamp-maven-plugin 1.0.0") {
			t.Fatalf("with upstream %s, mvn lamp:light ends with %v:\n%s", upstream, err, out)
		}
	}
}

func TestMavenFilesAreVerified(t *testing.T) {
	t.Parallel()
	each(t, mavenClients, func(t *testing.T, c *client) {
		m := startMaven(t)
		h := startHost(t, m.config("3d", ""))
		tide := m.file(t, "tide", "1.0.0")
		bad := bytes.Clone(tide.body)
		bad[len(bad)/2] ^= 1
		m.repo.replace(tide.path, bad)
		out, err := c.add(t, c.project(t, mount(h, m.fixture)), "tide", "1.0.0")
		if err == nil {
			t.Fatalf("%s installs a file that was tampered with:\n%s", c.name, out)
		}
		if tide.fetched() == 0 {
			t.Fatalf("%s failed before the file:\n%s", c.name, out)
		}
		m.repo.replace(tide.path, tide.body)
		mavenInstalls(t, c, mount(h, m.fixture), m, "tide", "1.0.0", "1.0.0")
	})
}

// TestMavenFilesOutsideMetadata asks for what no metadata lists: files without
// a checksum, and artifacts that have no metadata.
func TestMavenFilesOutsideMetadata(t *testing.T) {
	t.Parallel()
	m := startMaven(t)
	h := startHost(t, m.config("3d", ""))
	for path, file := range map[string]struct {
		age    int
		status int
	}{
		"/org/example/tide/0.9.1/tide-0.9.1.jar":         {1, http.StatusForbidden},
		"/org/example/tide/0.9.0/tide-0.9.0.jar":         {30, http.StatusOK},
		"/org/example/loose/1.0/loose-1.0.jar":           {30, http.StatusOK},
		"/org/example/loose/1.1/loose-1.1.jar":           {1, http.StatusForbidden},
		"/org/example/tide/1.0.0/tide-1.0.0-sources.jar": {30, http.StatusOK},
		"/org/example/tide/1.0.0/tide-1.0.0-late.jar":    {1, http.StatusForbidden},
	} {
		m.repo.put(path, []byte(path), fixtureNow.AddDate(0, 0, -file.age))
		m.repo.remove(path + ".sha1")
		if status, _, body := get(t, mount(h, m.fixture)+path); status != file.status || status == http.StatusOK && string(body) != path {
			t.Errorf("%s is answered with %d %s, want %d", path, status, body, file.status)
		}
	}
	for _, path := range []string{"/org/example/tide/1.0.0/tide-1.0.0-none.jar", "/org/example/none/1.0/none-1.0.pom", "/org/example/none/maven-metadata.xml"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if status, _, body := do(t, method, mount(h, m.fixture)+path); status != http.StatusNotFound {
				t.Errorf("%s %s is answered with %d %s, want 404", method, path, status, body)
			}
		}
	}
	status, header, _ := do(t, http.MethodHead, mount(h, m.fixture)+"/org/example/tide/1.0.0/tide-1.0.0.jar")
	if want := fmt.Sprint(len(m.file(t, "tide", "1.0.0").body)); status != http.StatusOK || header.Get("Content-Length") != want {
		t.Errorf("HEAD is answered with %d and %s bytes, want %s", status, header.Get("Content-Length"), want)
	}
	if m.file(t, "tide", "1.0.0").fetched() != 0 {
		t.Error("HEAD fetches the file")
	}
}

// TestMavenSumsThatComeLater has a file that is fetched before it has a
// checksum, which then is another file's.
func TestMavenSumsThatComeLater(t *testing.T) {
	t.Parallel()
	m := startMaven(t)
	h := startHost(t, m.config("0", "ttl = \"1ms\"\nnegative_ttl = \"1ms\""))
	const path, same = "/org/example/loose/1.0/loose-1.0.jar", "/org/example/loose/1.0/loose-1.0-sources.jar"
	old := fixtureNow.AddDate(0, 0, -30)
	for _, p := range []string{path, same} {
		m.repo.put(p, []byte("first"), old)
		m.repo.remove(p + ".sha1")
	}
	has := func(path, want string) bool {
		status, _, body := get(t, mount(h, m.fixture)+path)
		return status == http.StatusOK && string(body) == want
	}
	if !has(path, "first") || !has(same, "first") {
		t.Fatal("a file without a checksum is not served")
	}
	if log := h.log.String(); !strings.Contains(log, "upstream tells no digest of a file") || !strings.Contains(log, sha256Hex([]byte("first"))) {
		t.Error("that a file has no checksum is not logged")
	}
	m.repo.put(path, []byte("second"), old)
	m.repo.put(same, []byte("first"), old)
	eventually(t, "to drop what its checksum contradicts", func() bool { return has(path, "second") })
	eventually(t, "to ask for the other's checksum", func() bool { return has(same, "first") && m.servers[0].Asked("GET "+same+".sha1") > 1 })
	if !has(same, "first") || m.servers[0].Asked("GET "+same) != 1 {
		t.Error("a file that its checksum confirms is fetched again")
	}
}

// TestMavenChecksumsFitMetadata has upstream change between a client's request
// for metadata and the one for its checksum, which changes with it, other than
// that of a release's file.
func TestMavenChecksumsFitMetadata(t *testing.T) {
	t.Parallel()
	m := startMaven(t)
	h := startHost(t, m.config("0", `ttl = "1ms"`))
	at := mount(h, m.fixture) + mavenGroup + "tide/maven-metadata.xml"
	status, _, metadata := get(t, at)
	m.list("tide", []release{{name: "tide", version: "1.0.0"}})
	for range 2 {
		_, _, sum := get(t, at+".sha1")
		if want := sha1.Sum(metadata); status != http.StatusOK || string(sum) != hex.EncodeToString(want[:]) {
			t.Errorf("the checksum %s is not that of the metadata (%d): %s", sum, status, metadata)
		}
	}
	for path, want := range map[string]string{"maven-metadata.xml.sha1": "no-cache", "1.0.0/tide-1.0.0.jar.sha1": "public, max-age=31536000, immutable"} {
		status, header, _ := get(t, mount(h, m.fixture)+mavenGroup+"tide/"+path)
		if control := header.Get("Cache-Control"); status != http.StatusOK || control != want {
			t.Errorf("%s is answered with %d and Cache-Control %q, want %q", path, status, control, want)
		}
	}
	eventually(t, "to serve the new metadata", func() bool {
		_, _, now := get(t, at)
		_, _, sum := get(t, at+".sha1")
		want := sha1.Sum(now)
		return !bytes.Equal(now, metadata) && string(sum) == hex.EncodeToString(want[:])
	})
}

// TestMavenSnapshots builds against a snapshot of which upstream gets a new
// build, which is too young.
func TestMavenSnapshots(t *testing.T) {
	t.Parallel()
	each(t, mavenClients, func(t *testing.T, c *client) {
		m := startMaven(t)
		old, jar := m.build(t, "surf", 3, 40*day)
		h := startHost(t, m.config("3d", `ttl = "1ms"`))
		literal := mount(h, m.fixture) + "/org/example/surf/1.0-SNAPSHOT/surf-1.0-SNAPSHOT.jar"
		installs := func(version string, want []byte) {
			t.Helper()
			eventually(t, "to have confirmed the snapshot", func() bool {
				_, _, body := get(t, literal)
				return bytes.Equal(body, want)
			})
			p := c.project(t, mount(h, m.fixture))
			if out, err := c.add(t, p, "surf", version); err != nil {
				t.Fatalf("%s does not install surf %s: %v\n%s", c.name, version, err, out)
			}
			for name, got := range p.jars(t) {
				if !bytes.Equal(got, want) {
					t.Errorf("%s has other bytes of %s than were published", c.name, name)
				}
			}
		}
		installs("1.0-SNAPSHOT", jar)
		young, _ := m.build(t, "surf", 4, day)
		installs("1.0-SNAPSHOT", jar)
		installs(old, jar)
		out, err := c.add(t, c.project(t, mount(h, m.fixture)), "surf", young)
		c.fails(t, out, err, "installs a build that is held back", `403`)
		if status, _, body := get(t, mount(h, m.fixture)+"/org/example/surf/1.0-SNAPSHOT/maven-metadata.xml"); status != http.StatusOK || !strings.Contains(string(body), old) || strings.Contains(string(body), young) {
			t.Errorf("the snapshot's metadata is answered with %d %s", status, body)
		}
		backdated, newer := m.build(t, "surf", 5, 10*day) // which was not there a moment ago
		installs("1.0-SNAPSHOT", jar)
		if out, err := h.Run(t, "exempt", c.purl+"surf@"+backdated, "--reason", "it mends a leak", "--expires", "1d"); err != nil {
			t.Fatalf("exempt: %v\n%s", err, out)
		}
		installs("1.0-SNAPSHOT", newer)
	})
}

// TestMavenReplacedSnapshots asks for a snapshot that upstream replaces in
// place.
func TestMavenReplacedSnapshots(t *testing.T) {
	t.Parallel()
	m := startMaven(t)
	h := startHost(t, m.config("3d", `ttl = "1ms"`))
	path := "/org/example/foam/1.0-SNAPSHOT/foam-1.0-SNAPSHOT.jar"
	m.repo.put(path, []byte("one"), fixtureNow.Add(-30*day))
	serves := func(want string) {
		t.Helper()
		eventually(t, "to serve "+want, func() bool {
			status, _, body := get(t, mount(h, m.fixture)+path)
			return status == http.StatusOK && string(body) == want
		})
	}
	serves("one")
	m.repo.put(path, []byte("two"), fixtureNow.Add(-20*day))
	eventually(t, "to look at the new file", func() bool {
		serves("one")
		return m.servers[0].Asked("GET "+path+".sha1") > 1
	})
	serves("one")
	h.Configure(t, m.config("0", `ttl = "1ms"`))
	serves("two")
}

// TestMavenSeveralUpstreams has a second repository behind the first.
func TestMavenSeveralUpstreams(t *testing.T) {
	t.Parallel()
	first, second := startMaven(t), startMaven(t)
	h := startHost(t, first.config("3d", fmt.Sprintf("upstream \"portal\" {\n  role = \"main\"\n  url  = %q\n}", second.servers[0].URL)))
	second.repo.put("/org/example/lagoon/1.0/lagoon-1.0.jar", []byte("lagoon"), fixtureNow.AddDate(0, 0, -30))
	for path, want := range map[string]string{
		"/org/example/lagoon/1.0/lagoon-1.0.jar":     "lagoon",
		"/org/example/tide/1.0.0/tide-1.0.0.jar":     string(first.file(t, "tide", "1.0.0").body),
		"/org/example/lagoon/1.0/lagoon-1.0-a.jar":   "",
		"/org/example/lagoon/1.0/lagoon-1.0.jar.md5": "",
	} {
		status, _, body := get(t, mount(h, first.fixture)+path)
		if (status == http.StatusOK) != (want != "") || status == http.StatusOK && string(body) != want {
			t.Errorf("%s is answered with %d and %d bytes", path, status, len(body))
		}
	}
	if second.file(t, "tide", "1.0.0").fetched() != 0 {
		t.Error("the second repository was asked for what the first has")
	}
}

// TestMavenBuildsFromDefaultUpstream has Maven fetch its own plugins, as a
// configuration has it that names no upstream.
func TestMavenBuildsFromDefaultUpstream(t *testing.T) {
	t.Parallel()
	mvnClient.needed(t)
	reach(t, strings.TrimSuffix(purl.DefaultRegistry("maven"), "/")+"/junit/junit/4.13.2/junit-4.13.2.pom")
	h := startHost(t, "repository \"maven\" {}\n")
	at := h.URL + "/maven"
	for range 2 { // cold, and from the cache
		p := mvnClient.project(t, at)
		p.write(t, "pom.xml", strings.Replace(fmt.Sprintf(mavenProject, ""), "<packaging>pom</packaging>", "<packaging>jar</packaging>", 1))
		p.write(t, "src/main/resources/data.txt", "data\n")
		if out, err := p.mvn(t, "package"); err != nil {
			t.Fatalf("mvn package: %v\n%s", err, out)
		}
		if built, err := filepath.Glob(filepath.Join(p.root, "target/*.jar")); err != nil || len(built) != 1 {
			t.Errorf("mvn package makes %v (%v)", built, err)
		}
		if out, err := p.mvn(t, "dependency:get", "-Dartifact=junit:junit:4.13.2"); err != nil {
			t.Fatalf("mvn dependency:get: %v\n%s", err, out)
		}
		got, err := os.ReadFile(filepath.Join(p.root, "repository/junit/junit/4.13.2/junit-4.13.2.jar"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "8e495b634469d64fb8acfa3495a065cbacc8a0fff55ce1e31007be4c16dc57d3"; sha256Hex(got) != want {
			t.Errorf("junit 4.13.2 has the sha256 %s, want %s", sha256Hex(got), want)
		}
	}
}
