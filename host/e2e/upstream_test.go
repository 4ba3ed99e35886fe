package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Upstream is a registry on loopback that remembers what it was asked.
type Upstream struct {
	*httptest.Server

	mu      sync.Mutex
	handler http.Handler
	asked   map[string]int
	headers map[string]http.Header
}

// startUpstream serves a handler; it ends with the test.
func startUpstream(t testing.TB, handler http.Handler) *Upstream {
	t.Helper()
	u := &Upstream{handler: handler, asked: map[string]int{}, headers: map[string]http.Header{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.asked[r.Method+" "+r.RequestURI]++
		u.headers[r.Method+" "+r.RequestURI] = r.Header.Clone()
		h := u.handler
		u.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(u.Server.Close)
	return u
}

// Serve puts another handler in the place of the one that answers now.
func (u *Upstream) Serve(h http.Handler) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = h
}

// Asked is how often a method and target ("GET /lodash") were asked for.
func (u *Upstream) Asked(request string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[request]
}

// Total is how many requests there were.
func (u *Upstream) Total() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, k := range u.asked {
		n += k
	}
	return n
}

// Requests are all requests with their counts.
func (u *Upstream) Requests() map[string]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.asked)
}

// Header is the last request's header for a method and target; nil: not asked.
func (u *Upstream) Header(request string) http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.headers[request]
}
