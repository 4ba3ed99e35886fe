package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestOCITokensOfUpstreamAreFetchedWithItsCredentials pulls from a registry
// that wants tokens of a service at its own address, and sends blobs from
// elsewhere.
func TestOCITokensOfUpstreamAreFetchedWithItsCredentials(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	index, _ := ociPulled(t, g)
	g.tokens = &ociTokens{user: "joe", password: "sesame", realm: g.URL, Upstream: g.Upstream}
	elsewhere := startUpstream(t, g)
	g.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/token":
			g.tokens.ServeHTTP(w, r)
		case r.Host == registryOf(elsewhere.URL):
			g.mu.Lock()
			c := g.repos["acme/tide"].content[r.URL.Path[1:]]
			g.mu.Unlock()
			_, _ = w.Write(c.body) // the host may have left
		case strings.Contains(r.URL.Path, "/blobs/") && r.Header.Get("Authorization") == "Bearer for repository:acme/tide:pull":
			_, _, digest := ociTarget(r.URL.Path)
			http.Redirect(w, r, elsewhere.URL+"/"+digest, http.StatusTemporaryRedirect)
		default:
			return false
		}
		return true
	})
	h := startHost(t, ociConfig("0", fmt.Sprintf("upstream \"sea.example.com\" {\n  url = %q\n  username = \"joe\"\n  password = \"sesame\"\n}", g.URL)))
	repository := h.URL + "/v2/acme/tide"
	answered(t, 200, repository+"/manifests/v1")
	index.served(t, repository)
	ociTags(t, repository+"/tags/list")
	granted := 0
	for request, n := range g.Requests() {
		basic := strings.HasPrefix(g.Header(request).Get("Authorization"), "Basic ")
		if token := strings.HasPrefix(request, "GET /token"); token {
			granted += n
		} else if basic {
			t.Errorf("%s was asked with the password", request)
		}
	}
	if granted != 1 {
		t.Errorf("%d tokens were fetched for one repository: %v", granted, g.Requests())
	}
	if elsewhere.Total() == 0 {
		t.Error("no blob came from elsewhere")
	}
	for request := range elsewhere.Requests() {
		if a := elsewhere.Header(request).Get("Authorization"); a != "" {
			t.Errorf("%s was asked with %q", request, a)
		}
	}
	if log := h.log.String(); strings.Contains(log, "sesame") || strings.Contains(log, "for repository:") {
		t.Error("a secret is in the log")
	}
}

// TestOCITokensOfOtherServicesAreFetchedWithoutCredentials has the service be
// on another host that is reached without TLS.
func TestOCITokensOfOtherServicesAreFetchedWithoutCredentials(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	index, _ := ociPulled(t, g)
	s := startOCITokens(t, g, "", "")
	s.realm = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	h := startHost(t, ociConfig("0", `allow_hosts = ["localhost"]`, fmt.Sprintf("upstream \"sea.example.com\" {\n  url = %q\n  username = \"joe\"\n  password = \"sesame\"\n}", g.URL)))
	index.served(t, h.URL+"/v2/acme/tide")
	if s.Total() == 0 {
		t.Error("no token was fetched")
	}
	for _, u := range []*Upstream{g.Upstream, s.Upstream} {
		for request := range u.Requests() {
			if a := u.Header(request).Get("Authorization"); strings.HasPrefix(a, "Basic ") {
				t.Errorf("%s was asked with the password", request)
			}
		}
	}
}

// TestOCITokenServicesThatRefuseAreNoAnswer has an upstream whose password is
// wrong: what is there must not be taken for missing.
func TestOCITokenServicesThatRefuseAreNoAnswer(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	index, _ := ociPulled(t, g)
	startOCITokens(t, g, "joe", "sesame")
	h := startHost(t, ociConfig("0", fmt.Sprintf("upstream \"sea.example.com\" {\n  url = %q\n  username = \"joe\"\n  password = \"wrong\"\n}", g.URL)))
	for _, path := range []string{"/manifests/v1", "/manifests/" + index.digest, "/tags/list"} {
		answered(t, http.StatusBadGateway, h.URL+"/v2/acme/tide"+path)
	}
}

// TestOCIUpstreamsAreFoundByName has two upstreams, of which the first has the
// names that begin with none.
func TestOCIUpstreamsAreFoundByName(t *testing.T) {
	t.Parallel()
	hub, quay := startOCIRegistry(t), startOCIRegistry(t)
	official, plain, other := ociImage(t, "official", "amd64", 1000), ociImage(t, "plain", "amd64", 1000), ociImage(t, "other", "amd64", 1000)
	hub.put("library/tide", official, "v1")
	hub.put("acme/tide", plain, "v1")
	quay.put("acme/tide", other, "v1")
	quay.put("tide", other, "v1")
	h := startHost(t, ociConfig("0", ociFrom("docker.io", hub.URL), ociFrom("quay.example.com", quay.URL)))
	for path, want := range map[string]*ociContent{
		"tide/manifests/v1":                          official,
		"library/tide/manifests/v1":                  official,
		"library/tide/manifests/v1?ns=docker.io":     official,
		"docker.io/library/tide/manifests/v1":        official,
		"docker.io/tide/manifests/v1":                official,
		"acme/tide/manifests/v1":                     plain,
		"quay.example.com/acme/tide/manifests/v1":    other,
		"acme/tide/manifests/v1?ns=quay.example.com": other,
		"quay.example.com/tide/manifests/v1":         other,
		"tide/manifests/v1?ns=quay.example.com":      other,
	} {
		a := answered(t, 200, h.URL+"/v2/"+path)
		if !bytes.Equal(a.Body, want.body) {
			t.Errorf("%s is another image: %s", path, a.Body)
		}
		_, namespace, _ := strings.Cut(path, "?ns=")
		if got := a.Header.Get("OCI-Namespace"); got != namespace {
			t.Errorf("%s: the namespace is %q", path, got)
		}
		if namespace == "" {
			want.served(t, h.URL+"/v2/"+strings.Split(path, "/manifests/")[0])
		}
	}
	// All images of Docker Hub without a user's name are in library/.
	before := hub.Total()
	answered(t, 404, h.URL+"/v2/shell/manifests/v1")
	if n := hub.Total() - before; n != 1 {
		t.Errorf("the hub is asked %d times for a name that it does not have", n)
	}
	before = hub.Total() + quay.Total()
	for _, path := range []string{"elsewhere.example.com/acme/tide/manifests/v1", "acme/tide/manifests/v1?ns=elsewhere.example.com", "ACME/tide/manifests/v1"} {
		answered(t, 404, h.URL+"/v2/"+path)
	}
	if n := hub.Total() + quay.Total(); n != before {
		t.Errorf("upstreams were asked for what is not theirs: %v %v", hub.Requests(), quay.Requests())
	}
}

// TestOCIOursHideUpstreams has names be ours beside some that are cached:
// upstream has an image of the same name and tag, which nobody gets.
func TestOCIOursHideUpstreams(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	bait, theirs, ours := ociImage(t, "bait", "amd64", 1000), ociImage(t, "theirs", "amd64", 1000), ociImage(t, "ours", "amd64", 1000)
	g.put("acme/tide", bait, "v1", "v9")
	g.put("library/secret", bait, "v1")
	g.put("acme/tide", ociArtifact(t, "application/vnd.example.signature", "forged", ours))
	g.put("other/tide", theirs, "v1")
	g.put("library/lamp", bait, "v1")
	g.put("library/lantern", bait, "v1")
	h := ociCache(t, g, "0", `hosted { names = ["acme/*", "secret", "library/la*", "docker.io/library/boat"] }`, `anonymous = ["read"]`)
	token := h.token(t, "joe", "--allow", "read,publish")
	repository := h.URL + "/v2/acme/tide"
	before := []string{"/manifests/v1", "/manifests/" + bait.digest, "/blobs/" + bait.blobs[0].digest, "/tags/list"}
	for _, path := range before {
		answered(t, 404, repository+path)
	}
	ociStore(t, repository, token, ours, "v1")
	for _, path := range []string{"/manifests/v1", "/manifests/v1?ns=docker.io"} {
		if a := answered(t, 200, repository+path); !bytes.Equal(a.Body, ours.body) {
			t.Errorf("%s is %s", path, a.Body)
		}
	}
	ours.served(t, repository)
	for _, path := range append(before[1:3:3], "/manifests/v9") {
		answered(t, 404, repository+path)
	}
	for _, path := range []string{"/v2/secret/manifests/v1", "/v2/library/secret/manifests/v1", "/v2/docker.io/library/secret/manifests/v1",
		"/v2/lamp/manifests/v1", "/v2/library/lantern/manifests/v1", "/v2/boat/manifests/v1"} {
		answered(t, 404, h.URL+path)
	}
	for _, name := range []string{"library/lamp", "boat"} {
		ociStore(t, h.URL+"/v2/"+name, token, ours, "v1")
		ours.served(t, h.URL+"/v2/"+strings.TrimPrefix(name, "library/"))
	}
	if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"v1"}) {
		t.Errorf("the tags are %v", tags)
	}
	if a := answered(t, 200, repository+"/referrers/"+ours.digest); strings.Contains(string(a.Body), "sha256:") {
		t.Errorf("the referrers are %s", a.Body)
	}
	if g.Total() > 0 {
		t.Errorf("upstream was asked for what is ours: %v", g.Requests())
	}
	theirs.served(t, h.URL+"/v2/other/tide")
	if a := ociPut(t, h.URL+"/v2/other/tide/manifests/v1", token, theirs); a.Status != http.StatusForbidden {
		t.Errorf("a push to a name of upstream's: %d %s", a.Status, a.Body)
	}
}

// TestOCINamesBecomeOursWhenTheyArePushed lets any name be pushed: from then on
// upstream's is hidden, tags that were not pushed included.
func TestOCINamesBecomeOursWhenTheyArePushed(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	bait, ours := ociImage(t, "bait", "amd64", 1000), ociImage(t, "ours", "amd64", 1000)
	h := ociCache(t, g, "0", `hosted { any = true }`, `anonymous = ["read"]`)
	token := h.token(t, "joe", "--allow", "read,publish")
	repository := h.URL + "/v2/acme/tide"
	ociStore(t, repository, token, ours, "v1")
	g.put("acme/tide", bait, "v1", "v9")
	before := g.Total()
	if a := answered(t, 200, repository+"/manifests/v1"); !bytes.Equal(a.Body, ours.body) {
		t.Errorf("the tag is %s", a.Body)
	}
	for _, path := range []string{"/manifests/v9", "/manifests/" + bait.digest, "/blobs/" + bait.blobs[0].digest} {
		answered(t, 404, repository+path)
	}
	if tags := ociTags(t, repository+"/tags/list"); !slices.Equal(tags, []string{"v1"}) {
		t.Errorf("the tags are %v", tags)
	}
	if g.Total() != before {
		t.Errorf("upstream was asked for what is ours: %v", g.Requests())
	}
}

// TestOCIPushesTakeOverWhatUpstreamHas pushes an image whose blobs upstream has
// under the same name, and one while upstream is down, as clients do: they ask
// first what is there, with a token that is for the push.
func TestOCIPushesTakeOverWhatUpstreamHas(t *testing.T) {
	t.Parallel()
	for about, hosted := range map[string]string{"any": `hosted { any = true }`, "merge": `hosted { merge = ["acme/*"] }`} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			g := startOCIRegistry(t)
			image, other := ociImage(t, "image", "amd64", 1000), ociImage(t, "other", "amd64", 1000)
			g.put("acme/tide", image, "v1")
			h := ociCache(t, g, "0", hosted, `anonymous = ["read"]`)
			all := h.token(t, "joe", "--allow", "read,publish")
			token := ociIssued(t, h, all, "repository:acme/tide:pull,push")
			repository := h.URL + "/v2/acme/tide"
			push := func(c *ociContent, tag string) {
				t.Helper()
				for _, path := range []string{"/blobs/" + c.blobs[0].digest, "/blobs/" + c.blobs[1].digest, "/manifests/" + tag, "/manifests/" + c.digest} {
					if a := ociSend(t, http.MethodHead, repository+path, token, nil); a.Status != http.StatusNotFound {
						t.Errorf("before the push HEAD %s answers %d", path, a.Status)
					}
				}
				ociStore(t, repository, token, c, tag)
				if a := ociSend(t, http.MethodHead, repository+"/blobs/"+c.blobs[0].digest, token, nil); a.Status != http.StatusOK {
					t.Errorf("after the push the blob answers %d", a.Status)
				}
			}
			// Who only reads is told of what upstream has, and who may publish but does
			// not say that this is to come, of manifests, which are looked up to pull.
			if a := faultTry(t, http.MethodHead, repository+"/blobs/"+image.blobs[0].digest); a.Status != http.StatusOK {
				t.Errorf("a reader is told %d", a.Status)
			}
			for _, path := range []string{"/manifests/v1", "/manifests/" + image.digest} {
				for _, token := range []string{all, ociIssued(t, h, all, "repository:acme/tide:pull")} {
					if a := ociSend(t, http.MethodHead, repository+path, token, nil); a.Status != http.StatusOK || a.Header.Get("Docker-Content-Digest") != image.digest {
						t.Errorf("who may publish is told %d %v of %s", a.Status, a.Header, path)
					}
				}
			}
			push(image, "v1")
			g.Close()
			push(other, "v2")
			image.served(t, repository)
			other.served(t, repository)
		})
	}
}

// TestOCIPublishersWithoutATokenAreToldWhatOthersAre looks for what is about to be
// pushed while upstream cannot be reached, where anybody may publish and where not.
func TestOCIPublishersWithoutATokenAreToldWhatOthersAre(t *testing.T) {
	t.Parallel()
	for anonymous, without := range map[string]int{`["read", "publish"]`: http.StatusNotFound, `["read"]`: http.StatusBadGateway} {
		g := startOCIRegistry(t)
		h := ociCache(t, g, "0", `hosted { any = true }`, `anonymous = `+anonymous)
		g.Close()
		digest := ociImage(t, "image", "amd64", 1000).digest
		token := h.token(t, "joe", "--allow", "read,publish")
		for _, path := range []string{"/manifests/v1", "/manifests/" + digest, "/tags/list"} {
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				address := h.URL + "/v2/acme/tide" + path
				if a := faultTry(t, method, address); a.Status != without {
					t.Errorf("anonymous = %s: %s %s is answered with %d, want %d", anonymous, method, path, a.Status, without)
				}
				if a := ociSend(t, method, address, token, nil); a.Status != http.StatusNotFound {
					t.Errorf("anonymous = %s: %s %s with a token is answered with %d", anonymous, method, path, a.Status)
				}
			}
		}
	}
}

// TestOCIOwnNamesAreNoRegistrys has a mirror's client say by which of our names it
// knows us, which is not the one that it asks.
func TestOCIOwnNamesAreNoRegistrys(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	image := ociImage(t, "tide", "amd64", 1000)
	g.put("acme/tide", image, "v1")
	h := startHost(t, "hosts = [\"inner.example.com\", \"other.example.com:5000\"]\n"+ociConfig("0", ociFrom("sea.example.com", g.URL)))
	for ns, status := range map[string]int{
		registryOf(h.URL): 200, "inner.example.com": 200, "Inner.example.com:443": 200, "other.example.com:5000": 200, "other.example.com": 404, "localhost:1": 404, "elsewhere.example.com": 404,
	} {
		answered(t, status, h.URL+"/v2/acme/tide/manifests/v1?ns="+url.QueryEscape(ns))
	}
}
