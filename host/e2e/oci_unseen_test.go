package e2e

import (
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
