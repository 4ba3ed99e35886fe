package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// pulls is how often a method was used to ask for manifests.
func (g *ociRegistry) pulls(method string) (n int) {
	for request, times := range g.Requests() {
		if strings.HasPrefix(request, method+" ") && strings.Contains(request, "/manifests/") {
			n += times
		}
	}
	return n
}

// TestOCIHeadsArePullsNowhere has an upstream limit pulls of manifests, as public
// registries do, and asks for nothing but heads: they are answered, and a tag's
// costs one.
func TestOCIHeadsArePullsNowhere(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	first, second, third := ociImage(t, "first", "amd64", 1000), ociIndex(t, ociImage(t, "second", "amd64", 1000)), ociImage(t, "third", "amd64", 1000)
	g.put("acme/tide", first, "v1")
	g.put("acme/tide", second, "v2")
	g.put("acme/tide", third)
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && limited(w, r)
	})
	h := ociCache(t, g, "0")
	address := h.URL + "/v2/acme/tide/manifests/"
	answered(t, http.StatusTooManyRequests, address+"v1")
	asked := g.pulls(http.MethodHead)
	for _, c := range []struct {
		reference string
		*ociContent
	}{{"v2", second}, {third.digest, third}} {
		a := faultTry(t, http.MethodHead, address+c.reference)
		if a.Status != 200 || a.Header.Get("Docker-Content-Digest") != c.digest || a.Header.Get("Content-Type") != c.mediaType || a.Header.Get("Content-Length") != fmt.Sprint(len(c.body)) {
			t.Errorf("HEAD of %s: %d %v", c.reference, a.Status, a.Header)
		}
	}
	if n := g.pulls(http.MethodHead) - asked; n != 2 {
		t.Errorf("upstream was asked %d times for two heads", n)
	}
	g.breaks(nil)
	answered(t, http.StatusTooManyRequests, address+"v1") // as it is left alone
}

// TestOCITagsWithoutADigestArePulledOnce has upstreams that do not say of which
// digest a tag is, or know no HEAD.
func TestOCITagsWithoutADigestArePulledOnce(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"no digest": func(http.ResponseWriter, *http.Request) bool { return false },
		"no HEAD": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodHead {
				return false
			}
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startOCIRegistry(t)
			g.undigested = true
			g.breaks(odd)
			index := ociIndex(t, ociImage(t, "first", "amd64", 1000))
			g.put("acme/tide", index, "v1")
			h := ociCache(t, g, "0")
			for _, reference := range []string{"v1", index.digest} {
				a := answered(t, 200, h.URL+"/v2/acme/tide/manifests/"+reference)
				if string(a.Body) != string(index.body) || a.Header.Get("Content-Type") != ociIndexType {
					t.Errorf("%s is %v %s", reference, a.Header, a.Body)
				}
			}
			if n := g.pulls(http.MethodGet); n != 1 {
				t.Errorf("the manifest was pulled %d times: %v", n, g.Requests())
			}
		})
	}
}

// TestOCIBlobsAreFetchedForOneNameOnly pulls images of several repositories that
// have a layer in common.
func TestOCIBlobsAreFetchedForOneNameOnly(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	layer := newOCIContent(ociLayerType, faultBytes(1, 1<<20))
	config := newOCIContent(ociConfigType, []byte("{}"))
	image := func(name string) *ociContent {
		return manifestOf(t, config, []*ociContent{layer}, map[string]any{"annotations": map[string]string{"is": name}})
	}
	for _, name := range []string{"base", "clock", "tide"} {
		g.put("acme/"+name, image(name), "v1")
	}
	g.put("acme/other", ociImage(t, "other", "amd64", 1000), "v1")
	h := ociCache(t, g, "0")
	at := func(name string) string { return h.URL + "/v2/acme/" + name }
	image("base").served(t, at("base"))
	image("clock").served(t, at("clock"))
	if n := g.Asked("GET /v2/acme/clock/blobs/" + layer.digest); n != 0 {
		t.Errorf("the layer was fetched %d times more", n)
	}
	// Where upstream does not have it, neither do we.
	answered(t, 404, at("other")+"/blobs/"+layer.digest)
	answered(t, 200, at("other")+"/manifests/v1")

	// What a manifest that is kept needs is served of what is kept.
	answered(t, 200, at("tide")+"/manifests/v1")
	for _, broken := range []func(http.ResponseWriter, *http.Request) bool{
		limited,
		func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
	} {
		g.breaks(broken)
		if a := faultTry(t, http.MethodHead, at("tide")+"/blobs/"+layer.digest); a.Status != 200 || a.Header.Get("Content-Length") != fmt.Sprint(len(layer.body)) {
			t.Errorf("HEAD of a layer that is kept: %d %v", a.Status, a.Header)
		}
		if a := faultTry(t, http.MethodGet, at("none")+"/blobs/"+layer.digest); a.Status == 200 {
			t.Error("a layer is served to whom no manifest names it")
		}
	}
	image("tide").served(t, at("tide"))
}

// TestOCIBlobsThatAreKeptWaitForNobody has upstream answer nothing while layers are
// asked for that were fetched under another name.
func TestOCIBlobsThatAreKeptWaitForNobody(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	image := ociImage(t, "base", "amd64", 1000)
	g.put("acme/base", image, "v1")
	g.put("acme/tide", image, "v1")
	h := ociCache(t, g, "0")
	image.served(t, h.URL+"/v2/acme/base")
	tide := h.URL + "/v2/acme/tide"
	answered(t, 200, tide+"/manifests/v1")
	g.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		quickly(t, "getting a layer that is kept", func() {
			if a := faultTry(t, method, tide+"/blobs/"+image.blobs[0].digest); a.Status != 200 {
				t.Errorf("%s of a layer that is kept: %d %s", method, a.Status, a.Body)
			}
		})
	}
}

// TestOCIUpstreamsGetNothingOfOthers has a registry say of another's layer, by its
// digest, that it has it: it is asked for the bytes, which it cannot give.
func TestOCIUpstreamsGetNothingOfOthers(t *testing.T) {
	t.Parallel()
	good, other := startOCIRegistry(t), startOCIRegistry(t)
	secret := ociImage(t, "secret", "amd64", 1000)
	good.put("acme/secret", secret, "v1")
	other.put("acme/bait", secret, "v1") // the manifest may be known, but not what it names
	h := startHost(t, ociConfig("0", ociFrom("good.example.com", good.URL), ociFrom("other.example.com", other.URL)))
	secret.served(t, h.URL+"/v2/good.example.com/acme/secret")
	layer := secret.blobs[len(secret.blobs)-1]
	lies := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(layer.body)))
		w.WriteHeader(http.StatusOK)
		return true
	}
	at := h.URL + "/v2/other.example.com/acme/bait"
	other.breaks(lies)
	if a := faultTry(t, http.MethodGet, at+"/blobs/"+layer.digest); a.Status == 200 {
		t.Error("a layer that only another registry gave is served under its name")
	}
	answered(t, 200, at+"/manifests/v1")
	other.breaks(limited)
	if a := faultTry(t, http.MethodGet, at+"/blobs/"+layer.digest); a.Status == 200 {
		t.Error("a layer that only another registry gave is served while it answers nothing")
	}
}

// TestOCITagsMoveToWhatCanBeHad has tags move upstream to images that upstream says
// are there and does not give: they go on standing for the former ones, whether
// they are pulled or only looked at, until the new ones can be had.
func TestOCITagsMoveToWhatCanBeHad(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"limited": limited,
		"failing": func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"gone": func(w http.ResponseWriter, _ *http.Request) bool {
			ociFailure(w, "MANIFEST_UNKNOWN")
			return true
		},
		"hanging": func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startOCIRegistry(t)
			first, second := ociIndex(t, ociImage(t, "first", "amd64", 1000)), ociIndex(t, ociImage(t, "second", "amd64", 1000))
			g.put("acme/tide", first, "v1")
			h := startHost(t, ociConfig("0", `ttl = "1s"`, `negative_ttl = "1s"`, fmt.Sprintf("upstream \"sea.example.com\" {\n url = %q\n timeout = \"3s\"\n}", g.URL)))
			at := h.URL + "/v2/acme/tide/manifests/v1"
			answered(t, 200, at)
			g.put("acme/tide", second, "v1")
			g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && broken(w, r)
			})
			seen := func() bool { return g.Asked("HEAD /v2/acme/tide/manifests/v1") > 1 }
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				eventually(t, "the tag to have moved upstream", func() bool {
					a := faultTry(t, method, at)
					if a.Status != 200 || a.Header.Get("Docker-Content-Digest") != first.digest {
						t.Fatalf("%s: %d, %v", method, a.Status, a.Header)
					}
					return seen() && strings.HasPrefix(a.Header.Get("Warning"), `299 - "`)
				})
				quickly(t, method, func() { faultTry(t, method, at) })
			}
			g.breaks(nil)
			if name == "limited" {
				return // it is left alone for as long as it says
			}
			eventually(t, "the tag to move", func() bool {
				return faultTry(t, http.MethodGet, at).Header.Get("Docker-Content-Digest") == second.digest
			})
		})
	}
}
