package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ociRegistry is a registry of images on loopback that is read only, remembers
// what it was asked, and can be broken.
type ociRegistry struct {
	*Upstream

	mu    sync.Mutex
	repos map[string]*ociRepo
	// fault answers in the place of the registry where it returns true.
	fault func(http.ResponseWriter, *http.Request) bool
	// tokens is the service whose tokens it wants; nil: none.
	tokens *ociTokens
	// bare registries have no list of referrers.
	bare bool
	// undigested registries do not say what digest something has.
	undigested bool
}

type ociRepo struct {
	content map[string]*ociContent // by digest
	tags    map[string]string
}

func startOCIRegistry(t testing.TB) *ociRegistry {
	t.Helper()
	g := &ociRegistry{repos: map[string]*ociRepo{}}
	g.Upstream = startUpstream(t, g)
	return g
}

// put has a repository have some content, under tags.
func (g *ociRegistry) put(name string, c *ociContent, tags ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[name]
	if r == nil {
		r = &ociRepo{content: map[string]*ociContent{}, tags: map[string]string{}}
		g.repos[name] = r
	}
	for _, part := range c.all() {
		r.content[part.digest] = part
	}
	for _, tag := range tags {
		r.tags[tag] = c.digest
	}
}

// breaks has requests answered by a hook where it returns true; nil: none.
func (g *ociRegistry) breaks(hook func(http.ResponseWriter, *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = hook
}

// limited answers 429 to everything.
func limited(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Retry-After", "60")
	http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, http.StatusTooManyRequests)
	return true
}

func (g *ociRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	fault, tokens := g.fault, g.tokens
	g.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	name, kind, rest := ociTarget(r.URL.Path)
	if tokens != nil && !tokens.admits(w, r, name) {
		return
	}
	g.mu.Lock()
	repo := g.repos[name]
	g.mu.Unlock()
	if r.URL.Path == "/v2/" {
		fmt.Fprint(w, "{}")
		return
	}
	if repo == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		ociFailure(w, "NAME_UNKNOWN")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch kind {
	case "tags":
		g.listTags(w, r, name, repo)
	case "referrers":
		g.listReferrers(w, rest, repo)
	case "manifests", "blobs":
		digest := rest
		if kind == "manifests" && repo.tags[rest] != "" {
			digest = repo.tags[rest]
		}
		c := repo.content[digest]
		if c == nil {
			ociFailure(w, strings.ToUpper(strings.TrimSuffix(kind, "s"))+"_UNKNOWN")
			return
		}
		w.Header().Set("Content-Type", c.mediaType)
		if !g.undigested {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.body))
	}
}

// ociTarget takes a path apart: /v2/NAME/KIND/REST.
func ociTarget(path string) (name, kind, rest string) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, kind := range []string{"manifests", "blobs", "referrers", "tags"} {
		if name, rest, ok := strings.Cut(path, "/"+kind+"/"); ok {
			return name, kind, rest
		}
	}
	return "", "", ""
}

func ociFailure(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"there is none"}]}`, code)
}

// listTags answers with two tags a page.
func (g *ociRegistry) listTags(w http.ResponseWriter, r *http.Request, name string, repo *ociRepo) {
	tags := []string{}
	for tag := range repo.tags {
		if tag > r.URL.Query().Get("last") {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	if len(tags) > 2 {
		tags = tags[:2]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s>; rel="next"`, name, url.QueryEscape(tags[1])))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": tags}) // whoever asked may be gone
}

func (g *ociRegistry) listReferrers(w http.ResponseWriter, digest string, repo *ociRepo) {
	if g.bare {
		ociFailure(w, "UNSUPPORTED")
		return
	}
	found := []any{}
	for _, c := range repo.content {
		if c.subject == digest {
			found = append(found, c.descriptor())
		}
	}
	w.Header().Set("Content-Type", ociIndexType)
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": ociIndexType, "manifests": found}) // as above
}

// ociTokens is a token service (distribution, "Token Authentication
// Specification").
type ociTokens struct {
	*Upstream
	// user and password are who may have a token; empty: everybody.
	user, password string
	// realm is the address that clients are told.
	realm string
}

// startOCITokens has a registry want tokens of a service of its own address.
func startOCITokens(t testing.TB, g *ociRegistry, user, password string) *ociTokens {
	t.Helper()
	s := &ociTokens{user: user, password: password}
	s.Upstream = startUpstream(t, s)
	s.realm = s.URL
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = s
	return s
}

func (s *ociTokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if s.user != "" && (user != s.user || password != s.password) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, `{"token":"for %s","expires_in":300}`, strings.Join(r.URL.Query()["scope"], " "))
}

// admits reports whether a request has a token for a repository; else it is
// told where to get one.
func (s *ociTokens) admits(w http.ResponseWriter, r *http.Request, name string) bool {
	scope := "repository:" + name + ":pull"
	if r.Header.Get("Authorization") == "Bearer for "+scope {
		return true
	}
	w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="sea",scope=%q`, s.realm, scope))
	http.Error(w, "a token is needed", http.StatusUnauthorized)
	return false
}

// ociConfig is a host with one repository of images.
func ociConfig(cooldown string, lines ...string) string {
	return fmt.Sprintf("cooldown {\n  default = %q\n}\nrepository \"oci\" {\n  %s\n}\n", cooldown, strings.Join(lines, "\n  "))
}

// ociFrom is a line that names an upstream.
func ociFrom(name, address string) string {
	return fmt.Sprintf("upstream %q { url = %q }", name, address)
}

// ociOurs is a line that has all names be ours, whatever upstream may have.
const ociOurs = `hosted { names = ["*"] }`
