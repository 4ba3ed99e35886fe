package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ociCache is a host that pulls through from a registry.
func ociCache(t *testing.T, g *ociRegistry, cooldown string, lines ...string) *Host {
	t.Helper()
	return startHost(t, ociConfig(cooldown, append(lines, ociFrom("sea.example.com", g.URL))...))
}

// quickly fails unless what is done takes less than a second or, where the
// machine is slowed down by the race detector, five.
func quickly(t *testing.T, doing string, do func()) {
	t.Helper()
	began, limit := time.Now(), time.Second
	if raced {
		limit *= 5
	}
	if do(); time.Since(began) > limit {
		t.Errorf("%s took %v", doing, time.Since(began))
	}
}

// served fails unless a repository serves content with all that it points at.
func (c *ociContent) served(t *testing.T, repository string) {
	t.Helper()
	kind := "manifests"
	if len(c.blobs)+len(c.manifests) == 0 {
		kind = "blobs"
	}
	a := answered(t, 200, repository+"/"+kind+"/"+c.digest)
	if !bytes.Equal(a.Body, c.body) || a.Header.Get("Docker-Content-Digest") != c.digest {
		t.Errorf("%s/%s: %v %.100s", kind, c.digest, a.Header, a.Body)
	}
	if got := a.Header.Get("Content-Type"); kind == "manifests" && got != c.mediaType {
		t.Errorf("%s is served as %q", c.digest, got)
	}
	for _, part := range slices.Concat(c.blobs, c.manifests) {
		part.served(t, repository)
	}
}

// ociPulled is what the tests pull: an index of two platforms, to which a
// signature is attached.
func ociPulled(t *testing.T, g *ociRegistry) (index, signature *ociContent) {
	t.Helper()
	index = ociIndex(t, ociImage(t, "tide", "amd64", 1000), ociImage(t, "tide", "arm64", 1000))
	signature = ociArtifact(t, "application/vnd.example.signature", "signed", index)
	for _, name := range []string{"acme/tide", "library/tide"} {
		g.put(name, index, "v1", "v2", "v3", "latest", "1.0")
		g.put(name, signature)
	}
	return index, signature
}

func TestOCIPullsThrough(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	index, signature := ociPulled(t, g)
	h := ociCache(t, g, "0")
	repository := h.URL + "/v2/acme/tide"
	for range 2 { // cold and warm
		a := answered(t, 200, repository+"/manifests/v1", "Accept", ociIndexType)
		if !bytes.Equal(a.Body, index.body) || a.Header.Get("Content-Type") != ociIndexType || a.Header.Get("Docker-Content-Digest") != index.digest {
			t.Errorf("the tag is %v %s", a.Header, a.Body)
		}
		if head := faultTry(t, http.MethodHead, repository+"/manifests/v1"); head.Status != 200 || head.Header.Get("Docker-Content-Digest") != index.digest || head.Header.Get("Content-Length") != fmt.Sprint(len(index.body)) {
			t.Errorf("HEAD: %d %v", head.Status, head.Header)
		}
		index.served(t, repository)
		if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"1.0", "latest", "v1", "v2", "v3"}) {
			t.Errorf("the tags are %v", tags)
		}
		a = answered(t, 200, repository+"/tags/list?n=2&last=latest")
		if !strings.Contains(string(a.Body), `["v1","v2"]`) || !strings.Contains(a.Header.Get("Link"), `/v2/acme/tide/tags/list?last=v2&n=2>; rel="next"`) {
			t.Errorf("a page of tags is %s with %q", a.Body, a.Header.Get("Link"))
		}
		a = answered(t, 200, repository+"/referrers/"+index.digest)
		if !strings.Contains(string(a.Body), signature.digest) || a.Header.Get("Content-Type") != ociIndexType {
			t.Errorf("the referrers are %s", a.Body)
		}
		signature.served(t, repository)
	}
	for request, n := range g.Requests() {
		if n > 1 {
			t.Errorf("%s was asked %d times", request, n)
		}
	}
	if n := g.Asked("HEAD /v2/acme/tide/manifests/v1"); n != 1 {
		t.Errorf("upstream was asked %d times what the tag stands for", n)
	}
	for path, code := range map[string]string{
		"/manifests/none": "MANIFEST_UNKNOWN",
		"/manifests/sha256:" + strings.Repeat("0", 64): "MANIFEST_UNKNOWN",
		"/blobs/sha256:" + strings.Repeat("0", 64):     "BLOB_UNKNOWN",
	} {
		if a := answered(t, 404, repository+path); !strings.Contains(string(a.Body), code) {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	if a := answered(t, 404, h.URL+"/v2/acme/none/tags/list"); !strings.Contains(string(a.Body), "NAME_UNKNOWN") {
		t.Errorf("%s", a.Body)
	}
}

// TestOCIReferrersOfOldRegistriesAreFoundByTag asks a registry that has no list
// of referrers.
func TestOCIReferrersOfOldRegistriesAreFoundByTag(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	g.bare = true
	index, signature := ociPulled(t, g)
	g.put("acme/tide", ociIndex(t, signature), strings.Replace(index.digest, ":", "-", 1))
	h := ociCache(t, g, "0")
	if a := answered(t, 200, h.URL+"/v2/acme/tide/referrers/"+index.digest); !strings.Contains(string(a.Body), signature.digest) {
		t.Errorf("the referrers are %s", a.Body)
	}
}

// TestOCIManyClientsOfOneBlobCauseOneFetch has eight clients pull what upstream
// holds back after its first bytes, one of them only a range of it.
func TestOCIManyClientsOfOneBlobCauseOneFetch(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	blob := newOCIContent(ociLayerType, faultBytes(1, 50<<20))
	g.put("acme/tide", blob)
	gate := newFaultGate(t)
	path := "/v2/acme/tide/blobs/" + blob.digest
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.URL.Path != path {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(blob.body)))
		_, _ = w.Write(blob.body[:2<<20]) // the host may have left
		w.(http.Flusher).Flush()
		gate.Wait(r)
		_, _ = w.Write(blob.body[2<<20:]) // as above
		return true
	})
	h := ociCache(t, g, "0")
	var begun, all sync.WaitGroup
	for range 8 {
		begun.Add(1)
		all.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			resp, err := http.Get(h.URL + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			f := &following{want: blob.body}
			buf := make([]byte, 64<<10)
			for {
				n, err := resp.Body.Read(buf)
				if _, wrong := f.Write(buf[:n]); wrong != nil {
					t.Error(wrong)
					return
				}
				if f.at > 1<<20 {
					once()
				}
				if err != nil {
					break
				}
			}
			if f.at != len(blob.body) {
				t.Errorf("a client got %d bytes", f.at)
			}
		})
	}
	begun.Wait()
	a := answered(t, http.StatusPartialContent, h.URL+path, "Range", "bytes=1000-1999")
	if !bytes.Equal(a.Body, blob.body[1000:2000]) {
		t.Errorf("a range of what is fetched has %d bytes", len(a.Body))
	}
	gate.Open()
	all.Wait()
	if n := g.Asked("GET " + path); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestOCIColdRangeIsAnswered(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	blob := newOCIContent(ociLayerType, faultBytes(1, 5<<20))
	g.put("acme/tide", blob)
	h := ociCache(t, g, "0")
	path := "/v2/acme/tide/blobs/" + blob.digest
	a := answered(t, http.StatusPartialContent, h.URL+path, "Range", "bytes=3000000-3000999")
	if !bytes.Equal(a.Body, blob.body[3000000:3001000]) || a.Header.Get("Content-Range") != fmt.Sprintf("bytes 3000000-3000999/%d", len(blob.body)) {
		t.Errorf("%v and %d bytes", a.Header, len(a.Body))
	}
	faultGet(t, h.URL+path, blob.body)
	if n := g.Asked("GET " + path); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

// TestOCIWarmImagesAreServedWithoutUpstream breaks upstream in several ways
// after an image was pulled once, when what its tag stands for is to be asked
// again.
func TestOCIWarmImagesAreServedWithoutUpstream(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]struct {
		hook   func(http.ResponseWriter, *http.Request) bool
		status int // of what is not there
	}{
		"it is gone":    {nil, http.StatusBadGateway},
		"it is limited": {limited, http.StatusTooManyRequests},
		"it fails": {func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return true
		}, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startOCIRegistry(t)
			index, _ := ociPulled(t, g)
			h := ociCache(t, g, "0", `ttl = "1ms"`)
			repository := h.URL + "/v2/acme/tide"
			answered(t, 200, repository+"/manifests/v1")
			ociTags(t, repository+"/tags/list")
			index.served(t, repository)
			g.breaks(broken.hook)
			if broken.hook == nil {
				g.Close()
			}
			quickly(t, "a warm image", func() {
				a := answered(t, 200, repository+"/manifests/v1")
				if !bytes.Equal(a.Body, index.body) || !strings.Contains(a.Header.Get("Cache-Status"), "stale") {
					t.Errorf("the tag is %v %s", a.Header, a.Body)
				}
				index.served(t, repository)
			})
			quickly(t, "a warm list of tags", func() {
				if tags := ociTags(t, repository+"/tags/list"); len(tags) != 5 {
					t.Errorf("the tags are %v", tags)
				}
			})
			for _, path := range []string{"/manifests/v2", "/manifests/sha256:" + strings.Repeat("0", 64), "/blobs/sha256:" + strings.Repeat("0", 64)} {
				a := answered(t, broken.status, repository+path)
				if broken.status == http.StatusTooManyRequests && (!strings.Contains(string(a.Body), "TOOMANYREQUESTS") || a.Header.Get("Retry-After") == "") {
					t.Errorf("%s: %v %s", path, a.Header, a.Body)
				}
			}
		})
	}
}

// TestOCITagOfASlowRegistryIsWhatItIsNow moves a tag again and again in a registry
// that takes a while for each answer, as one far away does.
func TestOCITagOfASlowRegistryIsWhatItIsNow(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	h := ociCache(t, g, "0", `ttl = "1ms"`)
	var delay atomic.Int64
	g.breaks(func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(time.Duration(delay.Load()))
		return false
	})
	moved := 0
	// pulls moves the tag, and reports whether it is what it is now.
	pulls := func(takes time.Duration) bool {
		t.Helper()
		delay.Store(int64(takes))
		moved++
		now := ociImage(t, fmt.Sprint("tide", moved), "amd64", 1000)
		g.put("acme/tide", now, "latest")
		a := answered(t, 200, h.URL+"/v2/acme/tide/manifests/latest")
		fits := a.Header.Get("Docker-Content-Digest") == now.digest
		// Who joins a question that was asked before the move is told what was so then.
		if fits && a.stale() || !fits && !a.stale() && takes > time.Second {
			t.Errorf("after %s: the tag is what it is now: %t; %v", takes, fits, a.Header)
		}
		return fits
	}
	if !pulls(0) {
		t.Error("the tag is another image")
	}
	// Each time is tried for a while, as a busy machine adds to it.
	h.wait(t, "to wait for 0.35 seconds", func() bool { return pulls(350 * time.Millisecond) })
	if pulls(3 * time.Second) {
		t.Error("a client waited for three seconds")
	}
	h.wait(t, "to wait again: it was a moment only", func() bool { return pulls(150 * time.Millisecond) })
}

// TestOCIRefusedManifestsAreNotNamed has upstream give other bytes than those of the
// digest asked for, and then the right ones.
func TestOCIRefusedManifestsAreNotNamed(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	index, _ := ociPulled(t, g)
	h := ociCache(t, g, "0", "")
	manifest := h.URL + "/v2/acme/tide/manifests/sha256:" + faultSum(index.body)
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/sha256:") || r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		_, _ = w.Write(bytes.Repeat([]byte(" "), len(index.body)))
		return true
	})
	a := answered(t, http.StatusBadGateway, manifest)
	if named := a.Header.Get("Docker-Content-Digest"); named != "" {
		t.Errorf("what is refused is named %s", named)
	}
	g.breaks(nil)
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		a := faultTry(t, http.MethodGet, manifest)
		if a.Status == http.StatusOK && bytes.Equal(a.Body, index.body) && a.Header.Get("Docker-Content-Digest") != "" {
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("afterwards it is %d %v", a.Status, a.Header)
		}
	}
}
