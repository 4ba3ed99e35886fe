package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// guarded is a registry that wants tokens of a service of its own.
type guarded struct {
	registry, service *httptest.Server
	realm             string // how the registry calls the service

	grants, refusals atomic.Int64
	lifetime         atomic.Int64 // seconds that a token is said to live
	valid            atomic.Value // the token that is taken
	closed           atomic.Bool  // the service gives none

	mu    sync.Mutex
	basic map[string]bool // Basic credentials seen by the service
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{basic: map[string]bool{}}
	g.lifetime.Store(300)
	g.valid.Store("first")
	g.service = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.grants.Add(1)
		user, password, _ := r.BasicAuth()
		g.mu.Lock()
		g.basic[user+":"+password] = true
		g.mu.Unlock()
		if g.closed.Load() || r.FormValue("service") != "fixture, with a comma" || r.FormValue("scope") != "repository:acme/app:pull" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d}`, g.valid.Load(), g.lifetime.Load())
	}))
	t.Cleanup(g.service.Close)
	g.realm = g.service.URL
	g.registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+g.valid.Load().(string) || strings.Contains(r.URL.Path, "private") {
			g.refusals.Add(1)
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="fixture, with a comma",scope="repository:acme/app:pull"`, g.realm))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "body of "+r.URL.Path)
	}))
	t.Cleanup(g.registry.Close)
	return g
}

// set asks the registry with the credentials given.
func (g *guarded) set(t *testing.T, user, password string) *Set {
	t.Helper()
	base, err := url.Parse(g.registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Upstreams: []*config.Upstream{{Name: "main", URL: base, Username: user, Password: password, Timeout: 10 * time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func status(t *testing.T, s *Set, path string) int {
	t.Helper()
	resp, err := s.Get(context.Background(), Request{Source: &pb.Source{Url: path}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Status
}

func TestTokensOfAService(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	s := g.set(t, "", "")
	for range 5 {
		for _, path := range []string{"/v2/acme/app/manifests/1", "/v2/acme/app/blobs/sha256:00"} {
			if got := status(t, s, path); got != http.StatusOK {
				t.Fatalf("%s answers %d", path, got)
			}
		}
	}
	if g.grants.Load() != 1 || g.refusals.Load() != 1 {
		t.Errorf("for ten requests to one repository %d tokens were asked for and %d requests refused", g.grants.Load(), g.refusals.Load())
	}
	g.valid.Store("second") // as when one is revoked
	if got := status(t, s, "/v2/acme/app/manifests/1"); got != http.StatusOK || g.grants.Load() != 2 {
		t.Errorf("after the token was revoked the answer is %d, with %d tokens", got, g.grants.Load())
	}
}

// TestWhatATokenDoesNotOpenIsNotFound refuses what may not even exist, as public
// registries do: it is not there for us, which is no failure of the registry, and
// no sign that it is gone.
func TestWhatATokenDoesNotOpenIsNotFound(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	get := func(user, path string) *Response {
		t.Helper()
		resp, err := g.set(t, user, user).Get(t.Context(), Request{Source: &pb.Source{Url: path}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for _, user := range []string{"", "joe"} {
		if got := get(user, "/v2/acme/private/manifests/1"); got.Status != http.StatusNotFound || !got.Closed {
			t.Errorf("what a token does not open answers %d to %q, closed %t", got.Status, user, got.Closed)
		}
		if got := get(user, "/v2/acme/app/manifests/1"); got.Closed {
			t.Errorf("what is given to %q is closed", user)
		}
	}
	g.closed.Store(true)
	if got := get("", "/v2/acme/app/manifests/1"); got.Status != http.StatusNotFound || !got.Closed {
		t.Errorf("without a token the answer is %d, closed %t", got.Status, got.Closed)
	}
	if got := get("joe", "/v2/acme/app/manifests/1"); got.Status != http.StatusUnauthorized {
		t.Errorf("an account that the service does not know gets %d", got.Status)
	}
}

// TestCredentialsForTheTokenService sends those of the upstream to its service
// only where that is encrypted or its own.
func TestCredentialsForTheTokenService(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	if got := status(t, g.set(t, "joe", "secret"), "/v2/acme/app/manifests/1"); got != http.StatusOK || !g.basic["joe:secret"] {
		t.Fatalf("the answer is %d, and the service of the registry's own host got %v", got, g.basic)
	}
	g = newGuarded(t)
	g.realm = strings.Replace(g.service.URL, "127.0.0.1", "localhost", 1) // another host, not encrypted
	base, _ := url.Parse(g.registry.URL)
	s, err := New(Options{
		Upstreams: []*config.Upstream{{Name: "main", URL: base, Username: "joe", Password: "secret", Timeout: 10 * time.Second}},
		Allow:     []string{"localhost"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(t, s, "/v2/acme/app/manifests/1"); got != http.StatusOK {
		t.Errorf("a service that asks for no password is answered %d", got)
	}
	if g.basic["joe:secret"] {
		t.Error("the password was sent to another host in clear text")
	}
	for header, want := range map[string]challenge{
		`Basic realm="x"`: {},
		`bearer realm="https://a.example.com/t?x=1"`:         {realm: "https://a.example.com/t?x=1"},
		`Bearer service=s, realm="https://a/\"b\"",scope=""`: {realm: `https://a/"b"`, service: "s"},
		`Bearer`: {},
		`Basic realm="x, y=z", Bearer realm="https://a/t",service="s"`:        {realm: "https://a/t", service: "s"},
		`Negotiate, Basic realm=x, Bearer realm=https://a/t, scope="a:b:c d"`: {realm: "https://a/t", scope: "a:b:c d"},
		`Negotiate YWJj==,Bearer realm="https://a/t"`:                         {realm: "https://a/t"},
		`Bearer realm="https://a/t", Basic realm="x"`:                         {realm: "https://a/t"},
		`, ,=,"Bearer realm=`: {},
	} {
		if got, _ := bearer([]string{"Basic", header}); got != want {
			t.Errorf("%s is read as %+v", header, got)
		}
	}
}
