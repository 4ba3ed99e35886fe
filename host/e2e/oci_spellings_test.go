package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestOCINamesOfTheFirstUpstreamHaveOneHistory moves a tag of a first upstream that is
// not called like Docker Hub, and asks for it in all spellings, whichever of them was
// looked at first.
func TestOCINamesOfTheFirstUpstreamHaveOneHistory(t *testing.T) {
	t.Parallel()
	for about, test := range map[string]struct {
		upstream, name, options string
		spellings               []string // before and after /manifests/REFERENCE
	}{
		"somebody's": {"sea.example.com", "acme/tide", "", []string{
			"acme/tide", "sea.example.com/acme/tide", "SEA.example.com:443/acme/tide", "acme/tide?ns=sea.example.com", "acme/tide?ns=sea.example.com:443", "docker.io/acme/tide", "acme/tide?ns=docker.io",
		}},
		"official": {"sea.example.com", "library/tide", "", []string{
			"sea.example.com/library/tide", "tide", "library/tide", "library/tide?ns=sea.example.com", "docker.io/library/tide", "library/tide?ns=docker.io",
		}},
		"a prefix": {"sea", "acme/tide", `options { prefixes = ["sea"] }`, []string{"acme/tide?ns=sea", "sea/acme/tide", "acme/tide"}},
		"a port":   {"sea.example.com:5000", "acme/tide", "", []string{"acme/tide", "acme/tide?ns=sea.example.com:5000", "sea.example.com:5000/acme/tide"}},
	} {
		for i := range 2 {
			t.Run(fmt.Sprint(about, i), func(t *testing.T) {
				t.Parallel()
				g := startOCIRegistry(t)
				first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
				g.put(test.name, first, "v1")
				h := startHost(t, ociConfig("7d", `ttl = "1ms"`, test.options, ociFrom(test.upstream, g.URL)))
				address := func(spelling, reference string) string {
					name, query, _ := strings.Cut(spelling, "?")
					return strings.TrimSuffix(h.URL+"/v2/"+name+"/manifests/"+reference+"?"+query, "?")
				}
				answered(t, 200, address(test.spellings[i], "v1"))
				g.put(test.name, second, "v1")
				for _, spelling := range test.spellings {
					if a := answered(t, 200, address(spelling, "v1")); !bytes.Equal(a.Body, first.body) {
						t.Errorf("%s is served what %s is kept from", spelling, test.spellings[i])
					}
					answered(t, 403, address(spelling, second.digest))
				}
				if about != "somebody's" {
					return
				}
				// Named as the default, it keeps its names where another comes first.
				h.Stop()
				h = startHostIn(t, h.Dir, ociConfig("7d", `ttl = "1ms"`, fmt.Sprintf("options { default = %q }", test.upstream), ociFrom("first.example.com", startOCIRegistry(t).URL), ociFrom(test.upstream, g.URL)))
				for _, spelling := range test.spellings[:5] {
					if a := answered(t, 200, address(spelling, "v1")); !bytes.Equal(a.Body, first.body) {
						t.Errorf("beside another upstream %s is served what it was kept from", spelling)
					}
					answered(t, 403, address(spelling, second.digest))
				}
			})
		}
	}
}

// TestOCINamesOfTheFirstUpstreamAreMeantInAnySpelling has rules, exemptions, purges,
// permissions and names that are ours be written with the first upstream's name.
func TestOCINamesOfTheFirstUpstreamAreMeantInAnySpelling(t *testing.T) {
	t.Parallel()
	g, other := startOCIRegistry(t), startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	names := []string{"acme/tide", "calm/tide", "quiet/tide"}
	for _, name := range append(names, "ours/tide") {
		g.put(name, first, "v1")
	}
	other.put("calm/tide", first, "v1")
	config := fmt.Sprintf(`cooldown {
  default  = "7d"
  packages = { "pkg:docker/sea.example.com/calm/*" = "0", "pkg:docker/quiet/*" = "0" }
}
repository "oci" {
  ttl = "1ms"
  anonymous = []
  hosted { names = ["sea.example.com/ours/*"] }
  %s
  %s
}
`, ociFrom("sea.example.com", g.URL), ociFrom("quay.example.com", other.URL))
	h := startHost(t, config)
	token := h.token(t, "joe", "--allow", "read:oci:sea.example.com/*", "--allow", "read:oci:quay.example.com/*")
	is := func(status int, name, reference string, want *ociContent) {
		t.Helper()
		a := ociSend(t, "GET", h.URL+"/v2/"+name+"/manifests/"+reference, token, nil)
		if a.Status != status || want != nil && !bytes.Equal(a.Body, want.body) {
			t.Errorf("%s@%s is answered with %d %s", name, reference, a.Status, a.Body)
		}
	}
	for _, name := range names {
		is(200, name, "v1", first)
		g.put(name, second, "v1")
	}
	for _, prefix := range []string{"", "sea.example.com/"} {
		is(200, prefix+"acme/tide", "v1", first)
		is(403, prefix+"acme/tide", second.digest, nil)
		is(200, prefix+"calm/tide", "v1", second)
		is(200, prefix+"quiet/tide", "v1", second)
		is(404, prefix+"ours/tide", "v1", nil)
	}
	// A rule for names of the first is none for those of another.
	is(200, "quay.example.com/calm/tide", "v1", first)
	other.put("calm/tide", second, "v1")
	is(200, "quay.example.com/calm/tide", "v1", first)
	is(403, "quay.example.com/calm/tide", second.digest, nil)
	for request := range g.Requests() {
		if strings.Contains(request, "/ours/") {
			t.Errorf("upstream was asked for what is ours: %s", request)
		}
	}

	run := func(want string, args ...string) {
		t.Helper()
		if out, err := h.Run(t, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	for _, purl := range []string{"pkg:docker/acme/tide@v1", "pkg:docker/sea.example.com/acme/tide@v1", "pkg:oci/tide@v1?repository_url=sea.example.com/acme/tide"} {
		run("stands for "+second.digest, "explain", purl)
	}
	run(second.digest, "exempt", "pkg:docker/sea.example.com/acme/tide@v1", "--reason", "a test")
	for _, prefix := range []string{"", "sea.example.com/"} {
		is(200, prefix+"acme/tide", "v1", second)
	}
	before := g.Total()
	is(200, "acme/tide", second.digest, second)
	if g.Total() != before {
		t.Error("upstream was asked for what is kept")
	}
	run("", "purge", "pkg:docker/sea.example.com/acme/tide")
	is(200, "acme/tide", second.digest, second)
	if g.Total() == before {
		t.Error("what was purged is still kept")
	}
}

// TestOCIArchivesOfTheFirstUpstreamAreOursInAnySpelling has an archive name an image
// as the first upstream does, which is then not asked for it.
func TestOCIArchivesOfTheFirstUpstreamAreOursInAnySpelling(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	g.put("acme/tide", ociImage(t, "bait", "amd64", 1000), "v1", "v9")
	tree := t.TempDir()
	ociImage(t, "ours", "amd64", 1000).tarSaved(t, tree+"/x.tar", "sea.example.com/acme/tide:v1")
	h := startHost(t, ociConfig("0", ociFrom("sea.example.com", g.URL), `directory "`+tree+`" {}`))
	for _, name := range []string{"acme/tide", "sea.example.com/acme/tide", "docker.io/acme/tide"} {
		answered(t, 200, h.URL+"/v2/"+name+"/manifests/v1")
		answered(t, 404, h.URL+"/v2/"+name+"/manifests/v9")
	}
	if g.Total() > 0 {
		t.Errorf("upstream was asked for what is ours: %v", g.Requests())
	}
}
