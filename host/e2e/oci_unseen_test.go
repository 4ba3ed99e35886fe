package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOCITagsThatWereMissingAreHeldBack has tags appear that upstream answered with
// 404 before: they are new, other than one that nobody asked for yet.
func TestOCITagsThatWereMissingAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	settings := []string{`ttl = "1ms"`, `negative_ttl = "1ms"`}
	h := ociCache(t, g, "7d", settings...)
	manifests := func() string { return h.URL + "/v2/acme/tide/manifests/" }
	for _, tag := range []string{"v2", "v3", "again"} {
		answered(t, 404, manifests()+tag)
	}
	answered(t, 404, h.URL+"/v2/acme/lamp/manifests/v1") // a repository likewise
	answered(t, 200, manifests()+"v1")
	h.Stop()
	other := startOCIRegistry(t)
	h = startHostIn(t, h.Dir, ociConfig("7d", append(settings, ociFrom("sea.example.com", g.URL), ociFrom("lake.example.com", other.URL))...))

	g.put("acme/tide", second, "v2")
	g.put("acme/tide", third, "v3")
	g.put("acme/tide", first, "again")
	g.put("acme/lamp", second, "v1", "latest")
	for _, reference := range []string{"v2", second.digest, third.digest, "v3"} {
		if a := answered(t, 403, manifests()+reference); !strings.Contains(string(a.Body), "is held back until") {
			t.Errorf("%s is refused so: %s", reference, a.Body)
		}
	}
	answered(t, 403, h.URL+"/v2/acme/lamp/manifests/v1")
	// An image that was there is not new by another name.
	if got := answered(t, 200, manifests()+"again").Header.Get("Docker-Content-Digest"); got != first.digest {
		t.Errorf("the new name of an old image is %s", got)
	}
	// That others did not have it says nothing.
	other.put("acme/boat", second, "v1")
	answered(t, 404, h.URL+"/v2/acme/boat/manifests/v1")
	h.Stop()
	h = startHostIn(t, h.Dir, ociConfig("7d", append(settings, ociFrom("sea.example.com", other.URL))...))
	answered(t, 200, h.URL+"/v2/acme/boat/manifests/v1")
}

// TestOCITagsOfListsThatWereEmptyAreHeldBack has tags appear in repositories whose list
// upstream answered as empty, or with 404, before.
func TestOCITagsOfListsThatWereEmptyAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/empty", first)
	h := ociCache(t, g, "7d", `ttl = "1s"`, `negative_ttl = "1s"`)
	repository := func(name string) string { return h.URL + "/v2/acme/" + name }
	answered(t, 404, repository("missing")+"/tags/list")
	answered(t, 404, repository("listed")+"/tags/list?n=5")
	answered(t, 404, repository("unlisted")+"/tags/list")
	if tags := ociTags(t, repository("empty")+"/tags/list"); len(tags) > 0 {
		t.Fatalf("the tags are %v", tags)
	}
	h.Stop()
	h = startHostIn(t, h.Dir, ociConfig("7d", `ttl = "1s"`, `negative_ttl = "1s"`, ociFrom("sea.example.com", g.URL)))
	g.put("acme/empty", second, "v1")
	g.put("acme/missing", second, "v1")
	g.put("acme/listed", third, "v1", "latest")
	g.put("acme/unlisted", third, "v1")
	held := func(address string) {
		t.Helper()
		if a := answered(t, 403, address); !strings.Contains(string(a.Body), "is held back until") {
			t.Errorf("%s is refused so: %s", address, a.Body)
		}
	}
	for _, name := range []string{"empty", "missing"} {
		held(repository(name) + "/manifests/v1")
		held(repository(name) + "/manifests/" + second.digest)
	}
	// So they are where the list is looked at first, or a page of it.
	for _, page := range []string{"?n=5", ""} {
		eventually(t, "to see that there are tags", func() bool {
			a := faultTry(t, "GET", repository("listed")+"/tags/list"+page)
			return a.Status == 200
		})
		if tags := ociTags(t, repository("listed")+"/tags/list"+page); len(tags) > 0 {
			t.Errorf("new tags are listed: %v", tags)
		}
	}
	held(repository("listed") + "/manifests/latest")
	// A list that never has what is there tells nothing.
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/unlisted/tags/list") {
			ociFailure(w, "UNSUPPORTED")
			return true
		}
		return false
	})
	answered(t, 200, repository("unlisted")+"/manifests/v1")
}

// TestOCIWhatTheAnonymousDidNotSeeIsNotNew has an upstream hide a repository from who
// has no credentials, until the configuration has some.
func TestOCIWhatTheAnonymousDidNotSeeIsNotNew(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			ociFailure(w, "NAME_UNKNOWN")
			return true
		}
		return false
	})
	h := startHost(t, ociConfig("7d", ociFrom("sea.example.com", g.URL)))
	repository := h.URL + "/v2/acme/tide"
	paths := []string{"/manifests/v1", "/manifests/" + first.digest, "/blobs/" + first.blobs[1].digest, "/tags/list"}
	for _, path := range paths {
		answered(t, 404, repository+path)
	}
	known := func(lines ...string) string {
		return ociConfig("7d", append(lines, fmt.Sprintf("upstream \"sea.example.com\" {\n url = %q\n token = \"sesame\"\n}", g.URL))...)
	}
	h.Configure(t, known())
	for _, path := range paths {
		answered(t, 200, repository+path)
	}
	// What is missing with credentials is.
	answered(t, 404, repository+"/manifests/v2")
	h.Configure(t, known(`negative_ttl = "1ms"`, `ttl = "1ms"`))
	g.put("acme/tide", second, "v2")
	answered(t, 403, repository+"/manifests/v2")
}

// TestOCITagsThatMoveToKnownImages moves a tag to an image that another one stood
// for when it was first looked at, as "latest" is.
func TestOCITagsThatMoveToKnownImages(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	g.put("acme/tide", first, "v1", "latest")
	g.put("acme/tide", second, "v2")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	digest := func(tag string) string {
		return answered(t, 200, h.URL+"/v2/acme/tide/manifests/"+tag).Header.Get("Docker-Content-Digest")
	}
	if digest("latest") != first.digest || digest("v2") != second.digest {
		t.Fatal("a fresh install does not serve what there is")
	}
	g.put("acme/tide", second, "latest")
	eventually(t, "to serve the image by its second name", func() bool { return digest("latest") == second.digest })
}

// TestOCIListedTagsAreServedWhateverIsAskedForFirst gives an old image a new name,
// which is asked for before the old one.
func TestOCIListedTagsAreServedWhateverIsAskedForFirst(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	g.put("acme/tide", first, "old", "moved", "quiet")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"moved", "old", "quiet"}) {
		t.Fatalf("the tags are %v", tags)
	}
	g.put("acme/tide", first, "new")
	answered(t, 403, repository+"/manifests/new")
	answered(t, 200, repository+"/manifests/old")
	answered(t, 200, repository+"/manifests/"+first.digest)
	// What a tag was moved to is held also by a name that was listed.
	answered(t, 200, repository+"/manifests/moved")
	g.put("acme/tide", second, "moved", "quiet")
	eventually(t, "to see that the tag moved", func() bool {
		answered(t, 200, repository+"/manifests/moved")
		return faultTry(t, "GET", repository+"/manifests/"+second.digest).Status == 403
	})
	answered(t, 403, repository+"/manifests/quiet")
}
