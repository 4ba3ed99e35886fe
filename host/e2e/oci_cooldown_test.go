package e2e

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOCIMovedTagsAreHeldBack moves a tag upstream while a cool-down is on.
func TestOCIMovedTagsAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociIndex(t, ociImage(t, "second", "amd64", 1000))
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	is := func(c *ociContent) {
		t.Helper()
		if a := answered(t, 200, repository+"/manifests/v1"); !bytes.Equal(a.Body, c.body) || a.Header.Get("Docker-Content-Digest") != c.digest {
			t.Errorf("the tag is %v %s", a.Header, a.Body)
		}
	}
	// What was there when it was first looked at is served, by tag and digest.
	is(first)
	first.served(t, repository)

	g.put("acme/tide", second, "v1")
	eventually(t, "to see that the tag moved", func() bool {
		is(first)
		return faultTry(t, "GET", repository+"/manifests/"+second.digest).Status == 403
	})
	a := answered(t, 403, repository+"/manifests/"+second.digest)
	if !strings.Contains(string(a.Body), `"code":"DENIED"`) || !strings.Contains(string(a.Body), "is held back until") {
		t.Errorf("the refusal is %s", a.Body)
	}
	is(first)
	first.served(t, repository)
	// A tag that nobody looked at before does not let it out either.
	g.put("acme/tide", second, "latest")
	answered(t, 403, repository+"/manifests/latest")
	answered(t, 403, repository+"/manifests/"+second.digest)
	// A restart forgets nothing.
	h.Stop()
	h = startHostIn(t, h.Dir, ociConfig("7d", `ttl = "1ms"`, ociFrom("sea.example.com", g.URL)))
	repository = h.URL + "/v2/acme/tide"
	is(first)
	answered(t, 403, repository+"/manifests/"+second.digest)

	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@"+second.digest, "--reason", "a test"); err != nil {
		t.Fatalf("exempt: %v %s", err, out)
	}
	is(second)
	second.served(t, repository)
	first.served(t, repository)
}

// TestOCIExemptionsOfTags exempts what a tag stands for by the tag, and refuses to
// guess where it moved more than once.
func TestOCIExemptionsOfTags(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	address := h.URL + "/v2/acme/tide/manifests/"
	answered(t, 200, address+"v1")
	move := func(to *ociContent) {
		g.put("acme/tide", to, "v1")
		eventually(t, "to see that the tag moved", func() bool {
			answered(t, 200, address+"v1")
			return faultTry(t, "GET", address+to.digest).Status == 403
		})
	}
	move(second)
	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@v1", "--reason", "a test"); err != nil || !strings.Contains(out, second.digest) {
		t.Fatalf("exempt: %v %s", err, out)
	}
	eventually(t, "to serve what is exempt", func() bool {
		return answered(t, 200, address+"v1").Header.Get("Docker-Content-Digest") == second.digest
	})
	second.served(t, h.URL+"/v2/acme/tide")
	if out, err := h.Run(t, "exempt", "--list"); err != nil || !strings.Contains(out, second.digest) || !strings.Contains(out, "(v1)") {
		t.Errorf("the exemptions are %v %s", err, out)
	}
	// What was made by the tag is taken back by it.
	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@v1", "--revoke"); err != nil {
		t.Errorf("revoke: %v %s", err, out)
	}
	answered(t, 403, address+second.digest)
	if out, err := h.Run(t, "explain", "pkg:docker/acme/tide@v1"); err != nil || !strings.Contains(out, "stands for "+second.digest) {
		t.Errorf("the tag is explained so: %v %s", err, out)
	}
	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@v1", "--revoke"); err == nil || !strings.Contains(out, "there is no exemption") {
		t.Errorf("revoke: %v %s", err, out)
	}
	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@v1", "--reason", "a test"); err != nil {
		t.Fatalf("exempt: %v %s", err, out)
	}
	fourth := ociImage(t, "fourth", "amd64", 1000)
	move(third)
	move(fourth)
	out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@v1", "--reason", "a test")
	if err == nil || !strings.Contains(out, third.digest) || !strings.Contains(out, fourth.digest) || strings.Contains(out, second.digest) {
		t.Errorf("exempt: %v %s", err, out)
	}
}

// TestOCISignaturesOfServedImagesAreServed has tags appear, and move, that are made
// of the digest of an image that is served.
func TestOCISignaturesOfServedImagesAreServed(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	image := ociImage(t, "first", "amd64", 1000)
	g.put("acme/tide", image, "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`, `negative_ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	tags := []string{"v1"}
	if got := ociTags(t, repository+"/tags/list"); !slices.Equal(got, tags) {
		t.Fatalf("the tags are %v", got)
	}
	for _, state := range []string{"signed", "signed again"} {
		for _, suffix := range []string{"", ".att", ".sbom", ".sig"} {
			tag := strings.Replace(image.digest, ":", "-", 1) + suffix
			signature := ociImage(t, state+suffix, "amd64", 1000)
			g.put("acme/tide", signature, tag)
			eventually(t, "to serve the tag "+tag, func() bool {
				return answered(t, 200, repository+"/manifests/"+tag).Header.Get("Docker-Content-Digest") == signature.digest
			})
			signature.served(t, repository)
		}
	}
	g.put("acme/tide", ociImage(t, "second", "amd64", 1000), "sha256-0.sig")
	eventually(t, "to list them", func() bool { return len(ociTags(t, repository+"/tags/list")) == 5 })
	answered(t, 403, repository+"/manifests/sha256-0.sig")
}

// TestOCIMovedTagsAreServedOnceTheyAreOldEnough waits for a short window to
// end.
func TestOCIMovedTagsAreServedOnceTheyAreOldEnough(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	const window = 6 * time.Second
	h := ociCache(t, g, "6s", `ttl = "1ms"`)
	address := h.URL + "/v2/acme/tide/manifests/"
	digest := func() string { return answered(t, 200, address+"v1").Header.Get("Docker-Content-Digest") }
	if digest() != first.digest {
		t.Fatal("a fresh install serves nothing")
	}
	g.put("acme/tide", second, "v1")
	moved := time.Now()
	eventually(t, "to hold the new image", func() bool {
		return faultTry(t, "GET", address+second.digest).Status == 403 || digest() == second.digest
	})
	if digest() == second.digest && time.Since(moved) < window/2 {
		t.Error("the new image was not held")
	}
	eventually(t, "to serve the new image", func() bool { return digest() == second.digest })
	if age := time.Since(moved); age < window/2 {
		t.Errorf("the new image was served after %v", age)
	}
	answered(t, 200, address+second.digest)
	answered(t, 200, address+first.digest)
}

// TestOCITagsThatWereMovedBackStayThere has upstream take an image back: while
// the next one is held, it is not the one that was taken back which is served.
func TestOCITagsThatWereMovedBackStayThere(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "3s", `ttl = "1ms"`)
	address := h.URL + "/v2/acme/tide/manifests/"
	digest := func() string { return faultTry(t, "GET", address+"v1").Header.Get("Docker-Content-Digest") }
	if digest() != first.digest {
		t.Fatal("a fresh install serves nothing")
	}
	g.put("acme/tide", second, "v1")
	eventually(t, "to serve the second image once the window is over", func() bool { return digest() == second.digest })
	g.put("acme/tide", first, "v1")
	eventually(t, "to serve the first image again", func() bool { return digest() == first.digest })
	g.put("acme/tide", third, "v1")
	for got := digest(); got != third.digest; got = digest() {
		if got != first.digest {
			t.Fatalf("%s is served while the third image is held, not the first", got)
		}
	}
}

// TestOCITagsThatNobodyAskedForAreHeldBackToo moves a tag, and adds one, that
// nobody looked at for longer than the window: it is their first sight that
// counts, not the last look without them.
func TestOCITagsThatNobodyAskedForAreHeldBackToo(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	g.put("acme/clock", first, "v1")
	h := ociCache(t, g, "4s", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	digest := func(name string) string {
		return faultTry(t, "GET", h.URL+"/v2/acme/"+name+"/manifests/v1").Header.Get("Docker-Content-Digest")
	}
	if tags := ociTags(t, repository+"/tags/list"); digest("tide") != first.digest || !slices.Equal(tags, []string{"v1"}) {
		t.Fatalf("a fresh install serves %s, with the tags %v", digest("tide"), tags)
	}
	if digest("clock") != first.digest {
		t.Fatal("a fresh install serves nothing")
	}
	g.put("acme/clock", second, "v1")
	eventually(t, "to serve another image once the window is over", func() bool { return digest("clock") == second.digest })
	g.put("acme/tide", second, "v1")
	g.put("acme/tide", third, "v2")
	eventually(t, "to see that the tag moved", func() bool {
		a := faultTry(t, "GET", repository+"/manifests/"+second.digest)
		served := digest("tide")
		if served == second.digest {
			t.Fatal("an image that was just pushed is served")
		}
		return a.Status == 403
	})
	answered(t, 403, repository+"/manifests/v2")
}

// TestOCINewTagsAreHeldBack has a tag appear after the list of tags was seen
// without it.
func TestOCINewTagsAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"v1"}) {
		t.Fatalf("the tags are %v", tags)
	}
	g.put("acme/tide", second, "v2")
	g.put("acme/tide", first, "again")
	for _, reference := range []string{"v2", second.digest} {
		if a := answered(t, 403, repository+"/manifests/"+reference); !strings.Contains(string(a.Body), "is held back until") {
			t.Errorf("%s is refused so: %s", reference, a.Body)
		}
	}
	// What it was there at first is served, also by a new name.
	first.served(t, repository)
	answered(t, 200, repository+"/manifests/v1")
	if a := answered(t, 200, repository+"/manifests/again"); !bytes.Equal(a.Body, first.body) {
		t.Errorf("the new name of an old image is %s", a.Body)
	}
	for _, page := range []string{"", "?n=10"} {
		eventually(t, "to look at the tags again", func() bool {
			tags := ociTags(t, repository+"/tags/list"+page)
			return slices.Equal(tags, []string{"again", "v1"})
		})
	}
	// What is listed is served, also a name that nobody asked for yet, and a page
	// that is asked for before the whole list tells no more than that.
	g.put("acme/tide", first, "once-more")
	g.put("acme/tide", third, "v3")
	for _, page := range []string{"?n=20", "", "?n=30"} {
		eventually(t, "to see the new name of an old image", func() bool {
			tags := ociTags(t, repository+"/tags/list"+page)
			if slices.Contains(tags, "v2") || slices.Contains(tags, "v3") {
				t.Fatalf("the tags %v are listed", tags)
			}
			return slices.Equal(tags, []string{"again", "once-more", "v1"})
		})
	}
	answered(t, 200, repository+"/manifests/once-more")
	answered(t, 403, repository+"/manifests/v3")
	for purl, verdict := range map[string]string{
		"pkg:docker/acme/tide@v1":                                               "served",
		"pkg:docker/acme/tide@v2":                                               "held",
		"pkg:docker/acme/tide@" + second.digest:                                 "held",
		"pkg:docker/acme/tide@" + first.digest:                                  "served",
		"pkg:oci/tide@" + second.digest + "?repository_url=docker.io/acme/tide": "held",
		"pkg:docker/tide@v2?repository_url=docker.io/acme":                      "held",
		"pkg:docker/acme/tide@sha256:" + strings.Repeat("0", 64):                "unknown",
	} {
		out, err := h.Run(t, "explain", "--json", purl)
		if err != nil || !strings.Contains(out, `"verdict": "`+verdict+`"`) && !strings.Contains(out, `"verdict":"`+verdict+`"`) {
			t.Errorf("%s is explained so, want %s: %v %s", purl, verdict, err, out)
		}
	}
}

// TestOCIDigestsThatTagsWereMovedTo asks for an image by its digest, as clients do
// that are given both, before anybody sees that the tag moved.
func TestOCIDigestsThatTagsWereMovedTo(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, old := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "old", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	g.put("acme/tide", old)
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	g.put("acme/tide", second, "v1")
	for range 2 {
		if a := answered(t, 403, repository+"/manifests/"+second.digest); !strings.Contains(string(a.Body), "is held back until") {
			t.Errorf("the refusal is %s", a.Body)
		}
	}
	// What no tag ever stood for is as old as anybody knows.
	old.served(t, repository)
	first.served(t, repository)
}

// TestOCIPartsOfHeldIndexesAreHeldBack asks for an image by its own digest of which
// only an index tells, that a tag was moved to.
func TestOCIPartsOfHeldIndexesAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	both, old, fresh := ociImage(t, "both", "arm64", 1000), ociImage(t, "old", "amd64", 1000), ociImage(t, "fresh", "amd64", 1000)
	first, second := ociIndex(t, both, old), ociIndex(t, both, fresh)
	g.put("acme/tide", first, "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	g.put("acme/tide", second, "v1")
	for range 2 {
		if a := answered(t, 403, repository+"/manifests/"+fresh.digest); !strings.Contains(string(a.Body), "is held back until") {
			t.Errorf("the refusal is %s", a.Body)
		}
		if a := faultTry(t, "HEAD", repository+"/manifests/"+fresh.digest); a.Status != 403 {
			t.Errorf("HEAD of what is held is answered with %d", a.Status)
		}
	}
	if n := g.Asked("GET /v2/acme/tide/manifests/" + second.digest); n != 1 {
		t.Errorf("the index that is held was fetched %d times", n)
	}
	answered(t, 403, repository+"/manifests/"+second.digest)
	// What an index that is served names is served.
	first.served(t, repository)
	if out, err := h.Run(t, "exempt", "pkg:docker/acme/tide@"+second.digest, "--reason", "a test"); err != nil {
		t.Fatalf("exempt: %v %s", err, out)
	}
	eventually(t, "to serve the new index", func() bool {
		return answered(t, 200, repository+"/manifests/v1").Header.Get("Docker-Content-Digest") == second.digest
	})
	second.served(t, repository)

	// By its digest it is what a fresh cache begins with.
	h = ociCache(t, g, "7d")
	fresh.served(t, h.URL+"/v2/acme/tide")
	second.served(t, h.URL+"/v2/acme/tide")
}

// TestOCIPartsOfIndexesInHeldIndexesAreHeldBack asks for images by their own digests
// to which only indexes in indexes lead, that a tag was moved to, while another index
// that is served leads to some too.
func TestOCIPartsOfIndexesInHeldIndexesAreHeldBack(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	old, fresh, deep, single := ociImage(t, "old", "amd64", 1000), ociImage(t, "fresh", "amd64", 1000), ociImage(t, "deep", "amd64", 1000), ociImage(t, "single", "amd64", 1000)
	inner := ociIndex(t, old)
	g.put("acme/tide", ociIndex(t, inner), "v1")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	g.put("acme/tide", ociIndex(t, inner, single, ociIndex(t, fresh, ociIndex(t, deep))), "v1")
	for range 2 {
		for _, c := range []*ociContent{deep, fresh, single} {
			if a := answered(t, 403, repository+"/manifests/"+c.digest); !strings.Contains(string(a.Body), "is held back until") {
				t.Errorf("the refusal is %s", a.Body)
			}
		}
	}
	for _, c := range []*ociContent{fresh, single} {
		if n := g.Asked("GET /v2/acme/tide/manifests/" + c.digest); n != 0 {
			t.Errorf("an image that is held was fetched %d times", n)
		}
		if n := g.Asked("HEAD /v2/acme/tide/manifests/" + c.digest); n > 1 {
			t.Errorf("it was asked %d times of what kind an image is", n)
		}
	}
	old.served(t, repository)
}

// TestOCIUntaggedIndexesFreeNothing has images that are held named by an index that
// no tag leads to: one that a tag was moved to, and one in an index that a tag was.
func TestOCIUntaggedIndexesFreeNothing(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, single, part := ociImage(t, "first", "amd64", 1000), ociImage(t, "single", "amd64", 1000), ociImage(t, "part", "amd64", 1000)
	old := ociImage(t, "old", "amd64", 1000)
	untagged := ociIndex(t, single, part, old)
	g.put("acme/tide", first, "v1", "multi")
	g.put("acme/tide", ociIndex(t, untagged))
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	answered(t, 200, repository+"/manifests/multi")
	g.put("acme/tide", single, "v1")
	g.put("acme/tide", ociIndex(t, part), "multi")
	held := func() {
		t.Helper()
		for _, c := range []*ociContent{single, part} {
			answered(t, 403, repository+"/manifests/"+c.digest)
		}
	}
	held()
	for _, c := range []*ociContent{ociIndex(t, untagged), untagged, old} {
		answered(t, 200, repository+"/manifests/"+c.digest)
	}
	held()
}

// TestOCIPartsOfServedIndexesStayServed has a tag appear for an image that an index
// names which is served, also where that is in another.
func TestOCIPartsOfServedIndexesStayServed(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	part, deep, first := ociImage(t, "part", "amd64", 1000), ociImage(t, "deep", "amd64", 1000), ociImage(t, "first", "amd64", 1000)
	inner := ociIndex(t, deep)
	g.put("acme/tide", ociIndex(t, part, inner), "v1")
	g.put("acme/tide", first, "a", "b")
	h := ociCache(t, g, "7d", `ttl = "1ms"`)
	repository := h.URL + "/v2/acme/tide"
	for _, reference := range []string{"v1", "a", "b", inner.digest} {
		answered(t, 200, repository+"/manifests/"+reference)
	}
	parts := []*ociContent{part, deep}
	served := func() {
		t.Helper()
		for _, c := range parts {
			answered(t, 200, repository+"/manifests/"+c.digest)
		}
	}
	move := func() {
		t.Helper()
		for i, tag := range []string{"a", "b"} {
			g.put("acme/tide", parts[i], tag)
			for range 2 { // seen, and judged by what was
				answered(t, 200, repository+"/manifests/"+tag)
			}
		}
	}
	move()
	served()
	answered(t, 200, repository+"/manifests/v1")
	served()
	h = ociCache(t, g, "7d", `ttl = "1ms"`)
	g.put("acme/tide", first, "a", "b")
	repository = h.URL + "/v2/acme/tide"
	for _, reference := range []string{"v1", "a", "b", inner.digest, part.digest, deep.digest} {
		answered(t, 200, repository+"/manifests/"+reference)
	}
	move() // of what is kept
	served()
}

// TestOCIDigestsThatNothingTellsOfWaitWhereTheyShall holds what is of unknown age
// from when it was first asked for.
func TestOCIDigestsThatNothingTellsOfWaitWhereTheyShall(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	image := ociImage(t, "first", "amd64", 1000)
	g.put("acme/tide", image)
	h := ociCache(t, g, "3s", `ttl = "1ms"`, `unknown = "hold"`)
	address := h.URL + "/v2/acme/tide/manifests/"
	if a := answered(t, 403, address+image.digest); !strings.Contains(string(a.Body), "is held back until") {
		t.Errorf("the refusal is %s", a.Body)
	}
	answered(t, 404, address+"sha256:"+strings.Repeat("0", 64))
	eventually(t, "to serve it once its time is over", func() bool {
		return faultTry(t, "GET", address+image.digest).Status == 200
	})
	image.served(t, h.URL+"/v2/acme/tide")
}
