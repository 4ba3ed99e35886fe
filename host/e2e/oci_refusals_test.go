package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOCIRefusalsAreNoSignThatSomethingIsGone has an upstream ask for a log-in
// that it did not ask for before: what is cached stays, and what was never seen is
// not found.
func TestOCIRefusalsAreNoSignThatSomethingIsGone(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first := ociImage(t, "first", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "0", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	ociTags(t, repository+"/tags/list")
	startOCITokens(t, g, "joe", "sesame")
	asked := g.Total()
	eventually(t, "to ask again", func() bool {
		if a := answered(t, 200, repository+"/manifests/v1"); string(a.Body) != string(first.body) {
			t.Errorf("the tag is %s", a.Body)
		}
		if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"v1"}) {
			t.Errorf("the tags are %v", tags)
		}
		return g.Total() > asked+4
	})
	answered(t, http.StatusNotFound, repository+"/manifests/v2")
	answered(t, http.StatusNotFound, h.URL+"/v2/acme/none/tags/list")
}

// TestOCIWhatAnAccountMayNotSeeIsNotThere has an upstream refuse a name to the
// account that is configured, as it does with one that does not exist.
func TestOCIWhatAnAccountMayNotSeeIsNotThere(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	g.put("acme/tide", ociImage(t, "first", "amd64", 1000), "v1")
	startOCITokens(t, g, "joe", "sesame")
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/acme/none/") || r.Header.Get("Authorization") == "" {
			return false
		}
		w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="sea",scope="repository:acme/none:pull",error="insufficient_scope"`, g.tokens.URL))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	h := startHost(t, ociConfig("0", fmt.Sprintf("upstream \"sea.example.com\" {\n  url = %q\n  username = \"joe\"\n  password = \"sesame\"\n}", g.URL)))
	answered(t, 200, h.URL+"/v2/acme/tide/manifests/v1")
	answered(t, http.StatusNotFound, h.URL+"/v2/acme/none/manifests/v1")
	asked := g.Total()
	answered(t, http.StatusNotFound, h.URL+"/v2/acme/none/manifests/v1")
	if again := g.Total() - asked; again != 0 {
		t.Errorf("%d requests were made for what is known to be refused", again)
	}
}

// TestOCILimitsOfPullsLeaveOtherRequestsAlone has an upstream limit pulls of
// manifests, as public registries do: heads and blobs are still asked for.
func TestOCILimitsOfPullsLeaveOtherRequestsAlone(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	g.put("acme/tide", second, "v2")
	h := ociCache(t, g, "0", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && limited(w, r)
	})
	answered(t, http.StatusTooManyRequests, repository+"/manifests/v2")
	first.served(t, repository)
	heads := func() int { return g.Requests()["HEAD /v2/acme/tide/manifests/v1"] }
	asked := heads()
	eventually(t, "to ask for the head of a tag", func() bool {
		answered(t, 200, repository+"/manifests/v1")
		return heads() > asked
	})
}

// TestOCIListsOfTags are as long as upstream's, and name the repository as it was
// asked for.
func TestOCIListsOfTags(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	image := ociImage(t, "first", "amd64", 1000)
	var all []string
	for i := range 40 { // two on a page
		all = append(all, fmt.Sprintf("v%02d", i))
	}
	g.put("library/tide", image, all...)
	below := fmt.Sprintf("repository \"team\" {\n  plugin = \"oci\"\n  path = \"/v2/team\"\n  %s\n}\n", ociFrom("docker.io", g.URL))
	h := startHost(t, ociConfig("0", ociFrom("docker.io", g.URL))+below)
	for asked, name := range map[string]string{
		"tide": "tide", "library/tide": "library/tide", "docker.io/library/tide": "docker.io/library/tide",
		"team/tide": "team/tide", "team/library/tide": "team/library/tide",
	} {
		a := answered(t, 200, h.URL+"/v2/"+asked+"/tags/list")
		if !strings.HasPrefix(string(a.Body), fmt.Sprintf(`{"name":%q,`, name)) {
			t.Errorf("the list of %s is %s", asked, a.Body)
		}
		if tags := ociTags(t, h.URL+"/v2/"+asked+"/tags/list"); !slices.Equal(tags, all) {
			t.Errorf("%s has the tags %v", asked, tags)
		}
	}
	a := answered(t, 200, h.URL+"/v2/library/tide/tags/list?n=1&ns=docker.io")
	if link, want := a.Header.Get("Link"), fmt.Sprintf(`<%s/v2/library/tide/tags/list?last=v00&n=1&ns=docker.io>; rel="next"`, h.URL); link != want {
		t.Errorf("the next page is %s, want %s", link, want)
	}
}
