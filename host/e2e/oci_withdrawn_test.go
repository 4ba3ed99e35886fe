package e2e

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// remove takes tags away from a repository, and what digests stand for.
func (g *ociRegistry) remove(name string, references ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[name]
	maps.DeleteFunc(r.tags, func(tag, digest string) bool {
		for _, reference := range references {
			if reference == tag || reference == digest {
				return true
			}
		}
		return false
	})
	for _, reference := range references {
		delete(r.content, reference)
	}
}

// withdrawal is a repository of which a tag, or what it stood for, is withdrawn
// upstream while a cool-down is on.
type withdrawal struct {
	t    *testing.T
	g    *ociRegistry
	h    *Host
	name string
}

func startWithdrawal(t *testing.T, settings ...string) *withdrawal {
	t.Helper()
	g := startOCIRegistry(t)
	return &withdrawal{t, g, ociCache(t, g, "7d", append(settings, `ttl = "1ms"`, `negative_ttl = "1ms"`)...), "acme/tide"}
}

// is waits until a reference stands for an image.
func (w *withdrawal) is(reference string, c *ociContent) {
	w.t.Helper()
	eventually(w.t, "to serve "+reference, func() bool {
		a := faultTry(w.t, http.MethodGet, w.h.URL+"/v2/"+w.name+"/manifests/"+reference)
		return a.Status == 200 && bytes.Equal(a.Body, c.body)
	})
}

// gone waits until there is no such tag.
func (w *withdrawal) gone(tag string) {
	w.t.Helper()
	eventually(w.t, "to see that "+tag+" went", func() bool {
		return faultTry(w.t, http.MethodGet, w.h.URL+"/v2/"+w.name+"/manifests/"+tag).Status == 404
	})
}

// unseen waits until upstream was asked for a tag once more, and again, so that
// what it said first counts.
func (w *withdrawal) unseen(tag string) {
	w.t.Helper()
	head := "HEAD /v2/" + w.name + "/manifests/" + tag
	before := w.g.Asked(head)
	eventually(w.t, "to look at "+tag+" again", func() bool {
		faultTry(w.t, http.MethodGet, w.h.URL+"/v2/"+w.name+"/manifests/"+tag)
		return w.g.Asked(head) > before+1
	})
}

// held waits until a reference is held back.
func (w *withdrawal) held(reference string) {
	w.t.Helper()
	eventually(w.t, "to hold "+reference, func() bool {
		a := faultTry(w.t, http.MethodGet, w.h.URL+"/v2/"+w.name+"/manifests/"+reference)
		return a.Status == 403 && strings.Contains(string(a.Body), "is held back until")
	})
}

// TestOCITagsThatWereWithdrawn has upstream delete a tag and have it again.
func TestOCITagsThatWereWithdrawn(t *testing.T) {
	t.Parallel()
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	start := func(t *testing.T, settings ...string) *withdrawal {
		t.Helper()
		t.Parallel()
		w := startWithdrawal(t, settings...)
		w.g.put(w.name, first, "v1", "stays")
		w.is("v1", first)
		w.is("stays", first)
		return w
	}
	t.Run("as another image", func(t *testing.T) {
		w := start(t)
		w.g.remove(w.name, "v1")
		w.gone("v1")
		w.h.Stop()
		w.h = startHostIn(t, w.h.Dir, ociConfig("7d", `ttl = "1ms"`, `negative_ttl = "1ms"`, ociFrom("sea.example.com", w.g.URL)))
		w.g.put(w.name, second, "v1")
		w.held("v1")
		w.held(second.digest)
		// It is the tag that was withdrawn, from what it stood for.
		w.is("stays", first)
		first.served(t, w.h.URL+"/v2/"+w.name)
		// Nor is it that when the tag moves on.
		w.g.put(w.name, third, "v1")
		w.held(third.digest)
		w.held("v1")
		w.g.put(w.name, first, "v1")
		w.is("v1", first)
	})
	t.Run("as the same image", func(t *testing.T) {
		w := start(t)
		w.g.remove(w.name, "v1", first.digest)
		w.gone("v1")
		w.g.put(w.name, first, "v1")
		w.is("v1", first)
		w.g.put(w.name, second, "v1")
		w.held(second.digest)
		w.is("v1", first)
	})
	t.Run("while it is held back", func(t *testing.T) {
		w := start(t)
		w.g.put(w.name, second, "v1")
		w.held(second.digest)
		w.g.remove(w.name, "v1")
		w.gone("v1")
		w.held(second.digest)
		// As it is what it was, nothing was withdrawn.
		w.g.put(w.name, second, "v1")
		w.is("v1", first)
		w.held(second.digest)
	})
	t.Run("as another image, where what was removed is served", func(t *testing.T) {
		w := start(t, `removed = "serve"`)
		w.g.remove(w.name, "v1")
		w.unseen("v1")
		w.is("v1", first)
		w.g.put(w.name, second, "v1")
		w.held(second.digest)
		w.is("v1", first)
	})
	t.Run("with their repository, where what was removed is served", func(t *testing.T) {
		w := start(t, `removed = "serve"`)
		first.served(t, w.h.URL+"/v2/"+w.name)
		w.g.breaks(func(w http.ResponseWriter, _ *http.Request) bool {
			ociFailure(w, "NAME_UNKNOWN")
			return true
		})
		w.unseen("v1")
		w.is("v1", first)
		// Nor is it forgotten over a restart; what nobody asked for cannot be had.
		restart := func(settings ...string) {
			w.h.Stop()
			w.h = startHostIn(t, w.h.Dir, ociConfig("7d", append(settings, `ttl = "1ms"`, `negative_ttl = "1ms"`, ociFrom("sea.example.com", w.g.URL))...))
		}
		restart(`removed = "serve"`)
		w.unseen("v1")
		w.is("v1", first)
		first.served(t, w.h.URL+"/v2/"+w.name)
		w.gone("v2")
		restart() // with the setting changed
		w.gone("v1")
		restart(`removed = "serve"`)
		w.is("v1", first)
	})
	t.Run("after they moved to and fro, where what was removed is served", func(t *testing.T) {
		w := start(t, `removed = "serve"`)
		if out, err := w.h.Run(t, "exempt", "pkg:docker/acme/tide@"+second.digest, "--reason", "a test"); err != nil {
			t.Fatalf("exempt: %v %s", err, out)
		}
		for _, c := range []*ociContent{second, first} {
			w.g.put(w.name, c, "v1")
			w.is("v1", c)
		}
		w.g.put(w.name, third, "v1") // held, and never fetched
		w.held(third.digest)
		w.g.remove(w.name, "v1")
		w.unseen("v1")
		w.is("v1", first)
	})
	t.Run("as one that cannot be had", func(t *testing.T) {
		w := start(t)
		if out, err := w.h.Run(t, "exempt", "pkg:docker/acme/tide@"+second.digest, "--reason", "a test"); err != nil {
			t.Fatalf("exempt: %v %s", err, out)
		}
		w.g.remove(w.name, "v1")
		w.gone("v1")
		w.g.put(w.name, second, "v1", "stays")
		w.g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, second.digest) && limited(w, r)
		})
		eventually(t, "to say so", func() bool {
			return faultTry(t, http.MethodGet, w.h.URL+"/v2/"+w.name+"/manifests/v1").Status == http.StatusTooManyRequests
		})
		w.is("stays", first)
	})
	t.Run("while upstream fails", func(t *testing.T) {
		w := start(t)
		w.g.breaks(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		w.is("v1", first)
		w.g.put(w.name, second, "v1")
		w.g.breaks(nil)
		w.held(second.digest)
		w.is("v1", first)
	})
}

// TestOCIImagesThatWereWithdrawn has upstream drop an image that a tag stands for
// while the one that it was moved to is held back: registries drop what no tag
// names any more, so that one that is kept is served on. One that is not cannot be.
func TestOCIImagesThatWereWithdrawn(t *testing.T) {
	t.Parallel()
	first, second, third := ociImage(t, "first", "amd64", 1000), ociImage(t, "second", "amd64", 1000), ociImage(t, "third", "amd64", 1000)
	w := startWithdrawal(t)
	w.g.put(w.name, first, "kept", "headed", "former")
	w.is("kept", first)
	w.g.put(w.name, second, "headed")
	for _, tag := range []string{"headed", "former"} {
		if a := faultTry(t, http.MethodHead, w.h.URL+"/v2/"+w.name+"/manifests/"+tag); a.Status != 200 {
			t.Fatalf("HEAD of %s: %d", tag, a.Status)
		}
	}
	w.g.put(w.name, third, "kept", "headed")
	w.g.remove(w.name, first.digest, second.digest)
	w.g.put(w.name, third, "former")
	w.held(third.digest)
	w.is("kept", first)
	w.is("former", first)
	w.held("headed")
	if a := faultTry(t, http.MethodHead, w.h.URL+"/v2/"+w.name+"/manifests/headed"); a.Status != 403 {
		t.Errorf("HEAD of what cannot be had: %d", a.Status)
	}
	// That it cannot be asked for says nothing.
	w.g.put(w.name, second, "headed")
	w.is("headed", second)
}
