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
)

// hostingMaven has the names org.example/acme-*, which are ours, beside an
// upstream that has a higher version of one, and the plugins that Maven deploys
// with.
func hostingMaven(t *testing.T, settings string) (*mavenFixture, *Host) {
	t.Helper()
	m := startMaven(t)
	bait := release{name: "acme-tide", version: "9.9.9", age: 365 * day}
	path := mavenGroup + bait.name + "/9.9.9/acme-tide-9.9.9"
	m.repo.put(path+".pom", mavenPOM(bait.name, bait.version, "", ""), bait.published())
	m.repo.put(path+".jar", mavenJar(t, bait), bait.published())
	m.list(bait.name, []release{bait})
	wants := release{name: "any-acme-tide", version: "1.0.0", age: 365 * day}
	path = mavenGroup + wants.name + "/1.0.0/" + wants.name + "-1.0.0"
	m.repo.put(path+".pom", mavenPOM(wants.name, wants.version, bait.name, "[1.0.0,)"), wants.published())
	m.repo.put(path+".jar", mavenJar(t, wants), wants.published())
	m.servers[0].Serve(debianMaven{m.repo})
	return m, startHost(t, m.config("0", "hosted { names = [\"org.example/acme-*\"] }\n"+settings))
}

// debianMaven is a repository that also has what Debian has packages of.
type debianMaven struct{ *mavenRepo }

const debianMavenDir = "/usr/share/maven-repo"

func (m debianMaven) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, sum := strings.CutSuffix(r.URL.Path, ".sha1")
	body, err := os.ReadFile(filepath.Join(debianMavenDir, filepath.Clean("/"+name)))
	switch {
	case err != nil:
		m.mavenRepo.ServeHTTP(w, r)
	case sum:
		fmt.Fprintf(w, "%x", sha1.Sum(body))
	default:
		http.ServeContent(w, r, "", fixtureNow.Add(-365*day), bytes.NewReader(body))
	}
}

// hostingMavenAsked are the requests to upstream that have a name of ours.
func hostingMavenAsked(m *mavenFixture) []string {
	var all []string
	for line := range strings.Lines(m.requests()) {
		if strings.Contains(line, "/acme-") {
			all = append(all, line)
		}
	}
	return all
}

// deployer is a client that deploys a jar, with a token, as an artifact of
// org.example. Debian's Gradle does not look for the file that its maven-publish
// sends others with.
type deployer struct {
	*client
	deploy func(t *testing.T, p *project, token, name, version string, jar []byte) (string, error)
}

var deployers = []deployer{
	{mvnClient, func(t *testing.T, p *project, token, name, version string, jar []byte) (string, error) {
		hostingMavenSettings(t, p, token)
		p.write(t, "boat.jar", string(jar))
		return p.mvn(t, "org.apache.maven.plugins:maven-deploy-plugin:3.0.0:deploy-file", "-Durl="+p.url, "-DrepositoryId=entrepot",
			"-Dfile=boat.jar", "-DgroupId=org.example", "-DartifactId="+name, "-Dversion="+version, "-Dpackaging=jar")
	}},
	{gradleClient, func(t *testing.T, p *project, token, name, version string, jar []byte) (string, error) {
		p.write(t, "boat.jar", string(jar))
		p.write(t, "settings.gradle", "rootProject.name = '"+name+"'\n")
		p.write(t, "build.gradle", fmt.Sprintf(`apply plugin: 'maven-publish'
def lacking = file('/usr/share/java/maven-resolver-transport-wagon.jar')
if (lacking.exists()) {
  def add = URLClassLoader.getDeclaredMethod('addURL', URL)
  add.accessible = true
  add.invoke(MavenPublication.classLoader, lacking.toURI().toURL())
}
group = 'org.example'
version = '%s'
publishing {
  publications { boat(MavenPublication) { artifact file('boat.jar') } }
  repositories { maven { url '%s'; credentials { username 'ci'; password '%s' } } }
}
`, version, p.url, token))
		return p.run(t, "gradle", "--no-daemon", "--console=plain", "publish")
	}},
}

// hostingMavenSettings gives Maven a token, also for what it deploys.
func hostingMavenSettings(t *testing.T, p *project, token string) {
	t.Helper()
	settings := mavenSettings(p.url)
	if token != "" {
		settings = strings.Replace(settings, "<settings>", "<settings><servers><server><id>entrepot</id><username>ci</username><password>"+token+"</password></server></servers>", 1)
	}
	p.write(t, "settings.xml", settings)
}

// deploysWith runs a test with each client that deploys.
func deploysWith(t *testing.T, test func(t *testing.T, d deployer)) {
	t.Helper()
	for _, d := range deployers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.needed(t)
			needsDebianMaven(t)
			test(t, d)
		})
	}
}

// needsDebianMaven is needs for the plugins that Maven deploys with.
func needsDebianMaven(t *testing.T) {
	t.Helper()
	for _, plugin := range []string{"maven-deploy-plugin", "maven-install-plugin"} {
		if _, err := os.Stat(filepath.Join(debianMavenDir, "org/apache/maven/plugins", plugin)); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI must test with it", plugin)
		}
		t.Skipf("SKIPPED: %s is not installed", plugin)
	}
}

// hostingMavenInstalls has a clean client resolve an artifact of ours and checks
// the bytes; without a version, any.
func hostingMavenInstalls(t *testing.T, c *client, url, name, version, file string, want []byte) {
	t.Helper()
	p := c.project(t, url)
	out, err := c.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s %s: %v\n%s", c.name, name, version, err, out)
	}
	jars := p.jars(t)
	if got := jars[file]; !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes of %s, want %d; it has %v:\n%s", c.name, len(got), file, len(want), sortedKeys(jars), out)
	}
	if _, bait := jars["acme-tide-9.9.9.jar"]; bait {
		t.Errorf("%s installs upstream's acme-tide", c.name)
	}
}

func TestHostingMavenDeploys(t *testing.T) {
	t.Parallel()
	deploysWith(t, func(t *testing.T, d deployer) {
		m, h := hostingMaven(t, "")
		token := h.token(t, "ci", "--allow", "publish:maven:org.example/acme-*")
		author := d.project(t, mount(h, m.fixture))
		jars := map[string][]byte{}
		for _, version := range []string{"1.10.0", "1.9.0"} {
			jars[version] = mavenJar(t, release{name: "acme-tide", version: version})
			if out, err := d.deploy(t, author, token, "acme-tide", version, jars[version]); err != nil {
				t.Fatalf("%s does not deploy: %v\n%s", d.name, err, out)
			}
		}
		for _, c := range mavenClients {
			hostingMavenInstalls(t, c, mount(h, m.fixture), "acme-tide", "", "acme-tide-1.10.0.jar", jars["1.10.0"])
			hostingMavenInstalls(t, c, mount(h, m.fixture), "acme-tide", "1.9.0", "acme-tide-1.9.0.jar", jars["1.9.0"])
			if out, err := c.add(t, c.project(t, mount(h, m.fixture)), "acme-tide", "9.9.9"); err == nil {
				t.Errorf("%s installs what only upstream has:\n%s", c.name, out)
			}
		}
		if asked := hostingMavenAsked(m); len(asked) > 0 {
			t.Errorf("upstream was asked for names of ours: %v", asked)
		}

		out, err := d.deploy(t, author, token, "acme-tide", "1.9.0", mavenJar(t, release{name: "acme-tide", version: "other"}))
		d.fails(t, out, err, "deploys a release twice", `409`)
		out, err = d.deploy(t, author, token, "tide", "7.0.0", jars["1.9.0"])
		d.fails(t, out, err, "captures a public name", `403`)
		out, err = d.deploy(t, author, "ent_wrong", "acme-tide", "7.0.0", jars["1.9.0"])
		d.fails(t, out, err, "deploys with a wrong token", `401`)
		out, err = d.deploy(t, author, h.token(t, "reader", "--allow", "read:maven"), "acme-tide", "7.0.0", jars["1.9.0"])
		d.fails(t, out, err, "deploys without being allowed to", `403`)
		hostingMavenInstalls(t, d.client, mount(h, m.fixture), "acme-tide", "1.9.0", "acme-tide-1.9.0.jar", jars["1.9.0"])
		hostingMavenInstalls(t, d.client, mount(h, m.fixture), "acme-tide", "", "acme-tide-1.10.0.jar", jars["1.10.0"])
	})
}

// TestHostingMavenSnapshots deploys a snapshot again and again.
func TestHostingMavenSnapshots(t *testing.T) {
	t.Parallel()
	deploysWith(t, func(t *testing.T, d deployer) {
		m, h := hostingMaven(t, "")
		token := h.token(t, "ci", "--allow", "publish:maven")
		author := d.project(t, mount(h, m.fixture))
		for _, build := range []string{"one", "two"} {
			jar := mavenJar(t, release{name: "acme-tide", version: build})
			if out, err := d.deploy(t, author, token, "acme-tide", "1.0-SNAPSHOT", jar); err != nil {
				t.Fatalf("%s does not deploy: %v\n%s", d.name, err, out)
			}
			for _, c := range mavenClients {
				p := c.project(t, mount(h, m.fixture))
				if out, err := c.add(t, p, "acme-tide", "1.0-SNAPSHOT"); err != nil {
					t.Fatalf("%s does not install the snapshot: %v\n%s", c.name, err, out)
				}
				has := false
				for _, got := range p.jars(t) {
					has = has || bytes.Equal(got, jar)
				}
				if !has {
					t.Errorf("%s does not have build %s, but %v", c.name, build, sortedKeys(p.jars(t)))
				}
			}
		}
		_, _, metadata := get(t, mount(h, m.fixture)+"/org/example/acme-tide/1.0-SNAPSHOT/maven-metadata.xml")
		if d.client == mvnClient && !strings.Contains(string(metadata), "<buildNumber>2</buildNumber>") {
			t.Errorf("the metadata is\n%s", metadata)
		}
		if asked := hostingMavenAsked(m); len(asked) > 0 {
			t.Errorf("upstream was asked for names of ours: %v", asked)
		}
	})
}

// TestHostingMavenProject runs mvn deploy on a project, with what its life cycle
// runs before.
func TestHostingMavenProject(t *testing.T) {
	t.Parallel()
	mvnClient.needed(t)
	needsDebianMaven(t)
	m, h := hostingMaven(t, "")
	p := mvnClient.project(t, mount(h, m.fixture))
	hostingMavenSettings(t, p, h.token(t, "ci", "--allow", "publish:maven:org.example/acme-*"))
	for _, version := range []string{"1.0", "1.1-SNAPSHOT"} {
		p.write(t, "pom.xml", "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>acme-parent</artifactId><version>"+version+"</version><packaging>pom</packaging>"+
			"<build><pluginManagement><plugins><plugin><artifactId>maven-deploy-plugin</artifactId><version>3.0.0</version></plugin><plugin><artifactId>maven-install-plugin</artifactId><version>3.1.0</version></plugin></plugins></pluginManagement></build>"+
			"<distributionManagement><repository><id>entrepot</id><url>"+p.url+"</url></repository></distributionManagement></project>")
		if out, err := p.mvn(t, "deploy"); err != nil {
			t.Fatalf("mvn deploy: %v\n%s", err, out)
		}
	}
	_, _, metadata := get(t, p.url+"/org/example/acme-parent/maven-metadata.xml")
	for _, want := range []string{"<version>1.0</version>", "<version>1.1-SNAPSHOT</version>", "<release>1.0</release>"} {
		if !strings.Contains(string(metadata), want) {
			t.Errorf("the metadata lacks %s:\n%s", want, metadata)
		}
	}
	child := mvnClient.project(t, p.url)
	child.write(t, "pom.xml", "<project><modelVersion>4.0.0</modelVersion><parent><groupId>org.example</groupId><artifactId>acme-parent</artifactId><version>1.0</version><relativePath/></parent><artifactId>acme-child</artifactId><packaging>pom</packaging></project>")
	if out, err := child.mvn(t, "validate"); err != nil {
		t.Errorf("a project does not find its parent: %v\n%s", err, out)
	}
}

// TestHostingMavenByHand deploys in steps and sees what is there in between.
func TestHostingMavenByHand(t *testing.T) {
	t.Parallel()
	m, h := hostingMaven(t, "")
	url := mount(h, m.fixture) + "/org/example/acme-tide"
	token := "Bearer " + h.token(t, "ci", "--allow", "publish,delete:maven:org.example/acme-*")
	put := func(path, body string, want int) {
		t.Helper()
		if status, answer := hostingSend(t, http.MethodPut, url+path, token, "application/octet-stream", []byte(body)); status != want {
			t.Errorf("PUT %s is answered with %d %s, want %d", path, status, answer, want)
		}
	}
	is := func(path string, want int, text string) {
		t.Helper()
		if status, _, body := get(t, url+path); status != want || !strings.Contains(string(body), text) {
			t.Errorf("%s is answered with %d %s, want %d with %q", path, status, body, want, text)
		}
	}
	pom := string(mavenPOM("acme-tide", "1.0", "", ""))
	put("/1.0/acme-tide-1.0.jar", "first try", http.StatusCreated)
	put("/1.0/acme-tide-1.0.jar.sha1", fmt.Sprintf("%x  acme-tide-1.0.jar\n", sha1.Sum([]byte("first try"))), http.StatusCreated)
	put("/1.0/acme-tide-1.0.jar.sha1", fmt.Sprintf("%x", sha1.Sum([]byte("another"))), http.StatusBadRequest)
	is("/maven-metadata.xml", http.StatusNotFound, "")
	put("/1.0/acme-tide-1.0.jar", "second try", http.StatusCreated)
	put("/1.0/acme-tide-1.0.pom", string(mavenPOM("acme-moon", "1.0", "", "")), http.StatusBadRequest)
	put("/1.0/acme-tide-1.0.pom", string(mavenPOM("acme-tide", "2.0", "", "")), http.StatusBadRequest)
	put("/1.0/acme-tide-1.0.pom", "no POM", http.StatusBadRequest)
	put("/1.0/acme-tide-1.0.pom", pom, http.StatusCreated)
	put("/1.0/acme-moon-1.0.pom", pom, http.StatusBadRequest)
	put("/1.0/acme-tide-1.0.zip", "PK\x03\x04 cut off", http.StatusBadRequest)
	put("/maven-metadata.xml", "no metadata", http.StatusBadRequest)
	put("/maven-metadata.xml", "<metadata><versioning><versions><version>0.9</version></versions></versioning></metadata>", http.StatusCreated)
	is("/maven-metadata.xml", http.StatusNotFound, "")
	put("/maven-metadata.xml", "<metadata><versioning><versions><version>1.0</version></versions></versioning></metadata>", http.StatusCreated)
	put("/maven-metadata.xml.sha1", "whatever", http.StatusCreated)
	is("/maven-metadata.xml", http.StatusOK, "<release>1.0</release>")
	put("/1.0/acme-tide-1.0.jar", "third try", http.StatusConflict)
	put("/1.0/acme-tide-1.0.jar", "second try", http.StatusCreated)
	put("/1.0/acme-tide-1.0-sources.jar", "sources", http.StatusCreated)
	is("/1.0/acme-tide-1.0.jar", http.StatusOK, "second try")
	is("/1.0/acme-tide-1.0.jar.sha1", http.StatusOK, fmt.Sprintf("%x", sha1.Sum([]byte("second try"))))
	is("/9.9.9/acme-tide-9.9.9.jar", http.StatusNotFound, "")
	is("/9.9.9/acme-tide-9.9.9.jar.sha1", http.StatusNotFound, "")
	if status, _, _ := do(t, http.MethodDelete, url+"/1.0/", "Authorization", token); status != http.StatusNoContent {
		t.Errorf("DELETE is answered with %d", status)
	}
	is("/maven-metadata.xml", http.StatusNotFound, "")
	is("/1.0/acme-tide-1.0.jar", http.StatusNotFound, "")
	if asked := hostingMavenAsked(m); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
}

// TestHostingMavenDirectory serves jars that lie in a directory, by what they
// carry and by the folders they are in.
func TestHostingMavenDirectory(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	jar := zipped(t, "META-INF/maven/org.example/acme-tide/pom.properties", "#Generated\nversion=1.0\ngroupId=org.example\nartifactId=acme-tide\n")
	for name, body := range map[string][]byte{
		"anything.jar":                                       jar,
		"deep/down/acme-tide-1.0.pom":                        mavenPOM("acme-tide", "1.0", "", ""),
		"org/example/acme-shell/2.0/acme-shell-2.0.jar":      mavenJar(t, release{name: "acme-shell", version: "2.0"}),
		"org/example/acme-shell/2.0/acme-shell-2.0.jar.sha1": []byte("whatever"),
		"stray.jar": mavenJar(t, release{name: "stray", version: "1"}),
	} {
		file := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, h := hostingMaven(t, fmt.Sprintf("directory %q {}", tree))
	url := mount(h, m.fixture)
	for path, want := range map[string]string{
		"/org/example/acme-tide/maven-metadata.xml":          "<version>1.0</version>",
		"/org/example/acme-tide/1.0/acme-tide-1.0.jar":       string(jar),
		"/org/example/acme-tide/1.0/acme-tide-1.0.jar.sha1":  fmt.Sprintf("%x", sha1.Sum(jar)),
		"/org/example/acme-tide/1.0/acme-tide-1.0.pom":       "acme-tide",
		"/org/example/acme-shell/maven-metadata.xml":         "<release>2.0</release>",
		"/org/example/acme-shell/2.0/acme-shell-2.0.jar.md5": "",
	} {
		eventually(t, "to serve "+path, func() bool {
			status, _, body := get(t, url+path)
			return status == http.StatusOK && strings.Contains(string(body), want)
		})
	}
	for _, file := range []string{"stray.jar", "acme-shell-2.0.jar.sha1"} {
		eventually(t, "to say that "+file+" is not served", func() bool { return strings.Contains(h.log.String(), file) })
	}
	if asked := hostingMavenAsked(m); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
}

// TestHostingGradleBuildCache has a build take a task's result from what another
// build put into the cache.
func TestHostingGradleBuildCache(t *testing.T) {
	t.Parallel()
	gradleClient.needed(t)
	m := startMaven(t)
	h := startHost(t, m.config("0", "hosted { names = [\"build-cache/*\"] }\noptions { build_cache = \"64KiB\" }"))
	token := h.token(t, "ci", "--allow", "publish:maven:build-cache/*")
	build := func(size int, want string) {
		t.Helper()
		p := gradleClient.project(t, mount(h, m.fixture))
		p.write(t, "settings.gradle", fmt.Sprintf("rootProject.name = 'boat'\nbuildCache {\n  local { enabled = false }\n  remote(HttpBuildCache) { url = '%s/cache/'; push = true; credentials { username = 'ci'; password = '%s' } }\n}\n", p.url, token))
		p.write(t, "build.gradle", fmt.Sprintf("task launch {\n  outputs.file('build/boat.txt'); outputs.cacheIf { true }\n  inputs.property('size', %d)\n  doLast { def r = new Random(1); file('build/boat.txt').text = (1..%[1]d).collect { (char) (33 + r.nextInt(90)) }.join('') }\n}\n", size))
		out, err := p.run(t, "gradle", "--no-daemon", "--console=plain", "--build-cache", "launch")
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("gradle, want %q: %v\n%s", want, err, out)
		}
		if got := p.read(t, "build/boat.txt"); len(got) != size {
			t.Errorf("the result has %d bytes, want %d", len(got), size)
		}
	}
	build(100, "1 executed")
	build(100, "FROM-CACHE")
	build(200000, "1 executed") // too large to be kept, and no failure
	build(200000, "1 executed")
	if m.asked() > 0 {
		t.Errorf("upstream was asked:\n%s", m.requests())
	}
	at := mount(h, m.fixture) + "/cache/0123456789abcdef0123456789abcdef"
	for _, body := range []string{"one", "another"} {
		if status, answer := hostingSend(t, http.MethodPut, at, "Bearer "+token, "application/octet-stream", []byte(body)); status != http.StatusCreated {
			t.Errorf("PUT is answered with %d %s", status, answer)
		}
		if status, _, got := get(t, at); status != http.StatusOK || string(got) != body {
			t.Errorf("%q is answered with %d %q", body, status, got)
		}
	}
	if status, _ := hostingSend(t, http.MethodPut, at, "Bearer "+token, "application/octet-stream", make([]byte, 65<<10)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("an entry that is too large is answered with %d", status)
	}
	if status, _, _ := do(t, http.MethodHead, at); status != http.StatusOK {
		t.Errorf("HEAD is answered with %d", status)
	}
}

// TestHostingMavenMetadataOfOthers sends metadata, of which nothing is kept, for
// names that the repository or the token has and for others.
func TestHostingMavenMetadataOfOthers(t *testing.T) {
	t.Parallel()
	m, h := hostingMaven(t, "")
	tokens := []string{h.token(t, "ci", "--allow", "publish:maven:org.example/acme-*"), h.token(t, "all", "--allow", "publish:maven")}
	lamp := h.token(t, "lamp", "--allow", "publish:maven:org.example/acme-lamp")
	for _, c := range []struct {
		folder string
		tokens []string
		want   int
	}{
		{"/org/example/acme-lamp", append(tokens, lamp), http.StatusCreated},
		{"/org/example/acme-lamp/1.0-SNAPSHOT", append(tokens, lamp), http.StatusCreated},
		{"/org/example", append(tokens, lamp), http.StatusCreated}, // the group's, which lists plugins
		{"/org/example/acme-tide", tokens, http.StatusCreated},
		{"/org/example/acme-tide", []string{lamp}, http.StatusForbidden},
		{"/org/example/acme-tide/1.0-SNAPSHOT", []string{lamp}, http.StatusForbidden},
		{"/org/example/tide", append(tokens, lamp), http.StatusForbidden},
		{"/org/evil", append(tokens, lamp), http.StatusForbidden},
		{"/org/evil/lamp", append(tokens, lamp), http.StatusForbidden},
	} {
		for i, token := range c.tokens {
			for file, body := range map[string]string{
				"/maven-metadata.xml":      "<metadata/>",
				"/maven-metadata.xml.sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
			} {
				if status, said := hostingSend(t, http.MethodPut, mount(h, m.fixture)+c.folder+file, token, "", []byte(body)); status != c.want {
					t.Errorf("PUT %s%s with token %d is answered with %d %s, want %d", c.folder, file, i, status, said, c.want)
				}
			}
		}
	}
}
