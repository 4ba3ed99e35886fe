package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// marks are by the path of an answer what it says of the old version and what
// of the young one.
type marks map[string][2]string

// specimen is a registry with an old and a young version of something, and
// where a plugin has them. Paths are below the host's address.
type specimen struct {
	// config has the host serve it with a cool-down.
	config    func(cooldown string) string
	upstreams []*Upstream
	// listings have versions and searches find them.
	listings, searches marks
	// old and young are the addresses of a file of each version; oldSource and
	// youngSource are the files upstream.
	old, young             string
	oldSource, youngSource source
	// called is what a refusal calls the young one.
	called string
	// missing are addresses of packages, versions and files that there are not.
	missing []string
	// publish has upstream publish the young version after the listings were
	// asked for once; nil: it is there from the beginning.
	publish func()
	// announced reports whether the host was told of what it holds back; nil: as
	// soon as the listings were asked for.
	announced func() bool
}

// source is a file upstream.
type source struct {
	on   *Upstream
	path string
}

// fetched is how often upstream was asked for the file.
func (s source) fetched() int { return s.on.Asked("GET " + s.path) }

// body is what upstream serves, asked without being counted.
func (s source) body() []byte {
	w := httptest.NewRecorder()
	s.on.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, s.path, nil))
	return w.Body.Bytes()
}

// specimenOf is a specimen of the tides that a fixture has. Paths of listings,
// searches and what is missing are below the repository's.
func specimenOf(t testing.TB, f *fixture, called string, listings, searches marks, missing ...string) *specimen {
	t.Helper()
	old, young := f.file(t, "tide", "1.0.0"), f.file(t, "tide", "1.1.0")
	return (&specimen{
		config:    func(cooldown string) string { return f.config(cooldown, always) },
		upstreams: f.servers,
		listings:  listings, searches: searches, missing: missing,
		old: old.here, young: young.here,
		oldSource: source{old.on, old.path}, youngSource: source{young.on, young.path},
		called: called + " 1.1.0",
	}).below("/" + f.repository)
}

// below puts a prefix before all paths.
func (s *specimen) below(prefix string) *specimen {
	for _, m := range []marks{s.listings, s.searches} {
		for path, says := range maps.Clone(m) {
			delete(m, path)
			m[prefix+path] = says
		}
	}
	for i := range s.missing {
		s.missing[i] = prefix + s.missing[i]
	}
	s.old, s.young = prefix+s.old, prefix+s.young
	return s
}

// specimens are by the plugin that serves them.
var specimens = map[string]func(t testing.TB) *specimen{
	"npm": func(t testing.TB) *specimen {
		return specimenOf(t, startNPM(t), "tide",
			marks{"/tide": {"tide-1.0.0.tgz", "tide-1.1.0.tgz"}, "/-/package/tide/dist-tags": {`"latest":"1.0.0"`, `"latest":"1.1.0"`}},
			marks{"/-/v1/search?text=tide": {`"version":"1.0.0"`, `"version":"1.1.0"`}},
			"/nobody", "/tide/9.9.9", "/tide/-/tide-9.9.9.tgz", "/nobody/-/nobody-1.0.0.tgz")
	},
	"cargo": func(t testing.TB) *specimen {
		return specimenOf(t, startCargo(t), "tide",
			marks{"/ti/de/tide": {`"vers":"1.0.0"`, `"vers":"1.1.0"`}},
			marks{"/api/v1/crates?q=tide": {`"max_version":"1.0.0"`, `"max_version":"1.1.0"`}},
			"/no/bo/nobody", "/crates/tide/9.9.9/download", "/crates/nobody/1.0.0/download")
	},
	"pypi": func(t testing.TB) *specimen {
		f := startPyPI(t)
		// What is left once the young one is held is asked for by its version.
		old := f.file(t, "tide", "1.0.0")
		f.servers[0].handler.(*shelf).put("/pypi/tide/1.0.0/json", "application/json", marshal(t, map[string]any{
			"info": map[string]any{"name": "tide", "version": "1.0.0"}, "last_serial": 7,
			"urls": []any{map[string]any{"filename": wheelName(old.release), "url": old.on.URL + old.path, "digests": map[string]string{"sha256": old.digest}, "upload_time_iso_8601": pypiTime(old.published())}},
		}))
		return specimenOf(t, f, "tide",
			marks{"/simple/tide/": {"tide-1.0.0-py3", "tide-1.1.0-py3"}, "/pypi/tide/json": {"tide-1.0.0-py3", "tide-1.1.0-py3"}},
			nil,
			"/simple/nobody/", "/pypi/tide/9.9.9/json", "/files/packages/no/bo/dy/tide-9.9.9-py3-none-any.whl")
	},
	"maven": func(t testing.TB) *specimen {
		return specimenOf(t, startMaven(t).fixture, "org.example/tide",
			marks{"/org/example/tide/maven-metadata.xml": {"<version>1.0.0</version>", "<version>1.1.0</version>"}},
			nil,
			"/org/example/nobody/maven-metadata.xml", "/org/example/tide/9.9.9/tide-9.9.9.jar", "/org/example/tide/1.0.0/tide-1.0.0-none.jar")
	},
	"nuget": func(t testing.TB) *specimen {
		return specimenOf(t, startNuGet(t), "tide",
			marks{
				"/v3/flatcontainer/tide/index.json":                                           {`"1.0.0"`, `"1.1.0"`},
				"/v3/registration/tide/index.json":                                            {"tide.1.0.0.nupkg", "tide.1.1.0.nupkg"},
				"/v2/FindPackagesById()?id='tide'":                                            {"Version=&#39;1.0.0&#39;", "Version=&#39;1.1.0&#39;"},
				"/v2/Packages()?$filter=Id%20eq%20'tide'":                                     {"Version=&#39;1.0.0&#39;", "Version=&#39;1.1.0&#39;"},
				"/v2/GetUpdates()?packageIds='tide'&versions='0.1.0'&includeAllVersions=true": {"Version=&#39;1.0.0&#39;", "Version=&#39;1.1.0&#39;"},
				"/v3/autocomplete?id=tide":                                                    {`"1.0.0"`, `"1.1.0"`},
			},
			marks{
				"/v3/search?q=tide":              {"/tide/1.0.0.json", "/tide/1.1.0.json"},
				"/v2/Search()?searchTerm='tide'": {"Id=&#39;tide&#39;,Version=&#39;1.0.0&#39;", "Id=&#39;tide&#39;,Version=&#39;1.1.0&#39;"},
			},
			"/v3/flatcontainer/nobody/index.json", "/v3/registration/nobody/index.json", "/v3/registration/tide/9.9.9.json", "/v3/flatcontainer/tide/9.9.9/tide.9.9.9.nupkg")
	},
	"go": func(t testing.TB) *specimen {
		p := startGo(t)
		const tide = "/example.com/team/tide/"
		old, young := tide+"@v/v1.0.0.zip", tide+"@v/v1.1.0.zip"
		return (&specimen{
			config:    func(cooldown string) string { return p.config(cooldown, always) },
			upstreams: p.servers,
			listings:  marks{tide + "@v/list": {"v1.0.0", "v1.1.0"}, tide + "@latest": {"v1.0.0", "v1.1.0"}},
			old:       old, young: young,
			oldSource: source{p.servers[0], old}, youngSource: source{p.servers[0], young},
			called:  "example.com/team/tide v1.1.0",
			missing: []string{"/example.com/team/nobody/@v/list", "/example.com/team/nobody/@latest", tide + "@v/v1.9.9.info", tide + "@v/v1.9.9.zip"},
		}).below("/go")
	},
	"debian": func(t testing.TB) *specimen {
		a := startArchive(t)
		a.publish(t, stable)
		a.put("/"+tide11.path(), tide11.deb(t), fixtureNow.Add(-tide11.age))
		date := func(s suiteState) string { return fixtureNow.Add(-s.age).Format("Date: Mon, 02 Jan 2006 15:04:05 UTC") }
		return (&specimen{
			config:    func(cooldown string) string { return debianConfig(a, cooldown, always) },
			upstreams: []*Upstream{a.Upstream},
			listings: marks{
				"/dists/stable/InRelease":                     {date(stable), date(newStable)},
				"/dists/stable/main/binary-amd64/Packages.gz": {tide10.file(), tide11.file()},
			},
			old: "/" + tide10.path(), young: "/" + tide11.path(),
			oldSource: source{a.Upstream, "/" + tide10.path()}, youngSource: source{a.Upstream, "/" + tide11.path()},
			called:  "sea/tide 1.1-1",
			missing: []string{"/dists/nobody/InRelease", "/dists/stable/nobody/binary-amd64/Packages", "/pool/main/n/nobody/nobody_1_amd64.deb"},
			publish: func() {
				a.remove("/dists/")
				a.publish(t, newStable)
			},
			announced: func() bool {
				return a.askedFor("by-hash/SHA256/"+sha256Hex(a.files["/dists/stable/main/binary-amd64/Packages.gz"].body)) > 0
			},
		}).below("/debian/sea")
	},
	// A tag stands for one manifest at a time, and is what clients list.
	"oci": func(t testing.TB) *specimen {
		g := startOCIRegistry(t)
		first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
		g.put("acme/tide", first, "v1")
		old, young := "/acme/tide/blobs/"+first.blobs[1].digest, "/acme/tide/manifests/"+second.digest
		return (&specimen{
			config: func(cooldown string) string {
				return ociConfig(cooldown, `ttl = "1ms"`, ociFrom("sea.example.com", g.URL))
			},
			upstreams: []*Upstream{g.Upstream},
			listings:  marks{"/acme/tide/manifests/v1": {first.blobs[0].digest, second.blobs[0].digest}},
			old:       old, young: young,
			oldSource: source{g.Upstream, "/v2" + old}, youngSource: source{g.Upstream, "/v2" + young},
			called:  "acme/tide " + second.digest,
			missing: []string{"/acme/tide/manifests/none", "/acme/nobody/tags/list", "/acme/tide/blobs/sha256:" + strings.Repeat("0", 64)},
			publish: func() { g.put("acme/tide", second, "v1") },
		}).below("/v2")
	},
	// Addresses have what device asks.
	"spk": func(t testing.TB) *specimen {
		var version atomic.Pointer[string]
		publish := func(v string) { version.Store(&v) }
		publish("1.0-1")
		up := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				fmt.Fprint(w, "bytes of "+r.URL.Path)
				return
			}
			v := *version.Load()
			_, _ = w.Write(marshal(t, []any{map[string]any{"package": "sonar", "version": v, "link": "sonar-" + v + ".spk"}}))
		}))
		at := func(name, version string) string {
			file := name + "-" + version + ".spk"
			return "/packages/" + name + "/" + version + "/" + sha256Hex([]byte(up.URL + "/" + file))[:12] + "/" + file + "?" + spkQuestion
		}
		return (&specimen{
			config: func(cooldown string) string {
				return fmt.Sprintf("cooldown {\n  default = %q\n}\nrepository \"spk\" {\n  ttl = \"1ms\"\n  upstream \"main\" { url = %q }\n}\n", cooldown, up.URL)
			},
			upstreams: []*Upstream{up},
			listings:  marks{"/?" + spkQuestion: {`"version":"1.0-1"`, `"version":"2.0-1"`}},
			old:       at("sonar", "1.0-1"), young: at("sonar", "2.0-1"),
			oldSource: source{up, "/sonar-1.0-1.spk"}, youngSource: source{up, "/sonar-2.0-1.spk"},
			called:  "sonar 2.0-1",
			missing: []string{"/packages/none/x/y", "/icons/sonar/1.0-1/none/64.png"},
			publish: func() { publish("2.0-1") },
		}).below("/spk")
	},
	// Files of any kind have no listings.
	"generic": func(t testing.TB) *specimen {
		old, young := &genericFile{}, &genericFile{}
		old.replace("first light\n", fixtureNow.Add(-tide10.age))
		young.replace("new light\n", fixtureNow.Add(-tide11.age))
		mux := http.NewServeMux()
		mux.Handle("/dist/lamp-1.0.bin", old)
		mux.Handle("/dist/lamp-1.1.bin", young)
		up := startUpstream(t, mux)
		return (&specimen{
			config:    func(cooldown string) string { return strings.Replace(genericConfig(up, always), "3d", cooldown, 1) },
			upstreams: []*Upstream{up},
			old:       "/lamp-1.0.bin", young: "/lamp-1.1.bin",
			oldSource: source{up, "/dist/lamp-1.0.bin"}, youngSource: source{up, "/dist/lamp-1.1.bin"},
			called:  "tools/lamp-1.1.bin",
			missing: []string{"/nobody.bin", "/", "/folder/"},
		}).below("/generic/tools")
	},
}

// TestEveryPluginAgreesWithItself has each plugin keep the laws that hold for
// all of them: what is held back is held back wherever one looks, what is not
// is there, and all answers are good HTTP, with upstream and without.
func TestEveryPluginAgreesWithItself(t *testing.T) {
	t.Parallel()
	for name, start := range specimens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := &crosscheck{T: t, specimen: s, host: startHost(t, s.config("7d"))}
			c.cold()
			c.held()
			for _, path := range slices.Sorted(maps.Keys(s.listings)) {
				c.conditional(path)
			}
			c.conditional(s.old)
			c.ranges()
			for _, path := range s.missing {
				if got := c.headed(path); got.Status != http.StatusNotFound {
					t.Errorf("%s is answered with %d %s, want 404", path, got.Status, got.Body)
				}
			}

			// What was held is there once nothing holds it: the marks are the right
			// ones. It is held again although it is kept.
			c.host.Configure(t, s.config("0"))
			c.loosened()
			c.host.Configure(t, s.config("7d"))
			c.held()

			kept := map[string][]byte{}
			for _, path := range slices.Sorted(maps.Keys(s.listings)) {
				kept[path] = c.ask(http.MethodGet, path).Body
			}
			for _, u := range s.upstreams {
				u.CloseClientConnections()
				u.Close()
			}
			kept[s.old] = c.body
			for range 2 {
				for path, want := range kept {
					if got := c.headed(path); !got.whole() || !bytes.Equal(got.Body, want) {
						t.Errorf("with upstream down, %s is answered with %d %.300s, before with %.300s", path, got.Status, got.Body, want)
					}
				}
				c.refused()
			}
			if n := s.oldSource.fetched(); n != 1 {
				t.Errorf("upstream was asked %d times for %s, want 1", n, s.old)
			}
		})
	}
}

// TestEveryPluginRefusesWithoutUpstream asks for what a listing was seen to have,
// and is held back, for the first time once upstream is down.
func TestEveryPluginRefusesWithoutUpstream(t *testing.T) {
	t.Parallel()
	for name, start := range specimens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if len(s.listings) == 0 {
				return // what has no listing is not known before it is asked for
			}
			c := &crosscheck{T: t, specimen: s, host: startHost(t, s.config("7d"))}
			c.cold()
			eventually(t, "to have told of the young version", func() bool {
				for _, path := range slices.Sorted(maps.Keys(s.listings)) {
					c.ask(http.MethodGet, path)
				}
				return s.announced == nil || s.announced()
			})
			for _, u := range s.upstreams {
				u.Close()
			}
			c.refused()
		})
	}
}

// crosscheck is a specimen at a host.
type crosscheck struct {
	*testing.T
	*specimen
	host *Host
	// body is the old file's.
	body []byte
}

func (c *crosscheck) ask(method, path string, headers ...string) faultAnswer {
	c.Helper()
	a := faultTry(c.T, method, c.host.URL+path, headers...)
	if a.Err != nil {
		c.Fatalf("%s %s: %v", method, path, a.Err)
	}
	return a
}

// headed asks by GET, and by HEAD, which must say the same.
func (c *crosscheck) headed(path string) faultAnswer {
	c.Helper()
	head, got := c.ask(http.MethodHead, path), c.ask(http.MethodGet, path)
	c.same(path, head, got, "Content-Length", "Content-Type", "ETag")
	return got
}

// same compares an answer to HEAD with one to GET.
func (c *crosscheck) same(path string, head, got faultAnswer, headers ...string) {
	c.Helper()
	if head.Status != got.Status || len(head.Body) > 0 {
		c.Errorf("HEAD of %s is answered with %d and %d bytes, GET with %d", path, head.Status, len(head.Body), got.Status)
	}
	for _, name := range headers {
		if a, b := head.Header.Get(name), got.Header.Get(name); a != b {
			c.Errorf("%s of %s is %q by HEAD and %q by GET", name, path, a, b)
		}
	}
	if size := got.Header.Get("Content-Length"); size != fmt.Sprint(len(got.Body)) {
		c.Errorf("Content-Length of %s is %q of %d bytes", path, size, len(got.Body))
	}
}

// cold asks for the old version for the first time.
func (c *crosscheck) cold() {
	c.Helper()
	if c.publish != nil {
		for _, path := range slices.Sorted(maps.Keys(c.listings)) {
			c.ask(http.MethodGet, path)
		}
		c.publish()
	}
	c.body = c.oldSource.body()
	head := c.ask(http.MethodHead, c.old)
	if n := c.oldSource.fetched(); n != 0 {
		c.Errorf("HEAD of %s had upstream asked for it %d times", c.old, n)
	}
	got := c.ask(http.MethodGet, c.old)
	c.same(c.old, head, got, "Content-Length", "Content-Type") // an ETag is of bytes that are here
	if sum := sha256Hex(got.Body); !got.whole() || sum != sha256Hex(c.body) {
		c.Errorf("%s is answered with %d and the SHA-256 %s, want upstream's %s", c.old, got.Status, sum, sha256Hex(c.body))
	}
}

// held wants the old version, and not the young one, in all listings and
// searches, and the young one's file refused.
func (c *crosscheck) held() {
	c.Helper()
	for _, m := range []marks{c.listings, c.searches} {
		for _, path := range slices.Sorted(maps.Keys(m)) { // a signed root before its parts, as clients ask
			says := m[path]
			got := c.headed(path)
			if text := c.text(got); !got.whole() || !strings.Contains(text, says[0]) || strings.Contains(text, says[1]) {
				c.Errorf("%s is answered with %d, %t for the old version and %t for the young one: %.500s", path, got.Status, strings.Contains(text, says[0]), strings.Contains(text, says[1]), text)
			}
		}
	}
	if got := c.headed(c.old); !got.whole() || !bytes.Equal(got.Body, c.body) {
		c.Errorf("%s is answered with %d and other bytes than upstream's", c.old, got.Status)
	}
	before := c.youngSource.fetched()
	c.refused()
	if n := c.youngSource.fetched() - before; n != 0 {
		c.Errorf("upstream was asked %d times for %s, which is held", n, c.young)
	}
}

// refused wants the young file refused, and the reason said.
func (c *crosscheck) refused() {
	c.Helper()
	got := c.headed(c.young)
	if text := string(got.Body); got.Status != http.StatusForbidden || !strings.Contains(text, c.called+" ") || !strings.Contains(text, "is held back until ") {
		c.Errorf("%s is answered with %d %.300s", c.young, got.Status, text)
	}
}

// text is what a listing says, which may be packed.
func (c *crosscheck) text(a faultAnswer) string {
	c.Helper()
	z, err := gzip.NewReader(bytes.NewReader(a.Body))
	if err != nil {
		return string(a.Body)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		c.Error(err)
	}
	return string(text)
}

// loosened wants the young version everywhere.
func (c *crosscheck) loosened() {
	c.Helper()
	for _, m := range []marks{c.listings, c.searches} {
		for _, path := range slices.Sorted(maps.Keys(m)) { // a signed root before its parts, as clients ask
			says := m[path]
			eventually(c.T, "to show the young version in "+path, func() bool {
				got := c.ask(http.MethodGet, path)
				return got.whole() && strings.Contains(c.text(got), says[1])
			})
		}
	}
	if got := c.ask(http.MethodGet, c.young); !got.whole() || !bytes.Equal(got.Body, c.youngSource.body()) {
		c.Errorf("without a cool-down, %s is answered with %d %.300s", c.young, got.Status, got.Body)
	}
}

// conditional asks for what a client has.
func (c *crosscheck) conditional(path string) {
	c.Helper()
	got := c.headed(path)
	etag := got.Header.Get("ETag")
	if etag == "" {
		c.Errorf("%s has no ETag", path)
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		again := c.ask(method, path, "If-None-Match", etag)
		if again.Status != http.StatusNotModified || len(again.Body) > 0 || again.Header.Get("ETag") != etag {
			c.Errorf("%s %s with If-None-Match is answered with %d, %d bytes and the ETag %s, had %s", method, path, again.Status, len(again.Body), again.Header.Get("ETag"), etag)
		}
		if other := c.ask(method, path, "If-None-Match", `"other"`); other.Status != http.StatusOK {
			c.Errorf("%s %s with another If-None-Match is answered with %d", method, path, other.Status)
		}
	}
}

// ranges asks for parts of the old file, which is kept by now.
func (c *crosscheck) ranges() {
	c.Helper()
	n := len(c.body)
	for _, test := range []struct {
		asks, says string
		want       []byte
	}{
		{"bytes=5-9", fmt.Sprintf("bytes 5-9/%d", n), c.body[5:10]},
		{"bytes=-3", fmt.Sprintf("bytes %d-%d/%d", n-3, n-1, n), c.body[n-3:]},
	} {
		got := c.ask(http.MethodGet, c.old, "Range", test.asks)
		if got.Status != http.StatusPartialContent || got.Header.Get("Content-Range") != test.says || !bytes.Equal(got.Body, test.want) {
			c.Errorf("%s of %s is answered with %d, %q and %d bytes", test.asks, c.old, got.Status, got.Header.Get("Content-Range"), len(got.Body))
		}
	}
	got := c.ask(http.MethodGet, c.old, "Range", fmt.Sprintf("bytes=%d-", n))
	if got.Status != http.StatusRequestedRangeNotSatisfiable || got.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", n) {
		c.Errorf("a range beyond the end of %s is answered with %d and %q", c.old, got.Status, got.Header.Get("Content-Range"))
	}
}

// TestSpecimensAreOfAllPlugins keeps a new plugin from being left out.
func TestSpecimensAreOfAllPlugins(t *testing.T) {
	t.Parallel()
	plugins, err := os.ReadDir(filepath.Join("..", "..", "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plugins {
		if p.IsDir() && specimens[p.Name()] == nil {
			t.Errorf("there is no specimen of %s", p.Name())
		}
	}
}
