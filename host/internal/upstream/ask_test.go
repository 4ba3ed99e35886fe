package upstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"5": 5 * time.Second, "0": 0, "99999999999": 0, "": 0, "-1": 0, "soon": 0,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
		} {
			got, told := retryAfter(header)
			if header == "99999999999" {
				if !told || got <= 0 {
					t.Errorf("%q overflows to %s", header, got)
				}
				continue
			}
			if got != want || told != (want > 0 || header == "0") {
				t.Errorf("%q is %s (%t), want %s", header, got, told, want)
			}
		}
	})
}

// open makes a set on one upstream.
func open(t *testing.T, handler http.Handler) (*Set, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	set, err := New(Options{Upstreams: []*config.Upstream{{Name: "main", URL: address(t, s.URL), Timeout: 10 * time.Second}}, Defaults: []*pb.Upstream{{Role: "main"}}})
	if err != nil {
		t.Fatal(err)
	}
	return set, &asked
}

func TestGetSaysWhatUpstreamSays(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct {
		asked  int64
		failed bool
	}{
		200: {1, false}, 304: {1, false}, 401: {1, false}, 403: {1, false}, 404: {1, false}, 410: {1, false}, 451: {1, false}, 501: {1, false},
		408: {3, true}, 429: {1, true}, 500: {3, true}, 502: {3, true}, 503: {3, true}, 599: {3, true},
	} {
		set, asked := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		resp, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: "x"}})
		var failed *Error
		if want.failed != errors.As(err, &failed) || want.failed && failed.Status != code || !want.failed && resp.Status != code {
			t.Errorf("%d: %+v, %v", code, resp, err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		if n := asked.Load(); n != want.asked {
			t.Errorf("%d: upstream was asked %d times, want %d", code, n, want.asked)
		}
	}
}

func TestGetStopsAfterTooManyRedirects(t *testing.T) {
	t.Parallel()
	set, asked := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }))
	if _, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: "x"}}); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("an endless redirect ends with %v", err)
	}
	if n := asked.Load(); n > 3*6 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestSourceOfAnUnknownRoleHasNoUpstream(t *testing.T) {
	t.Parallel()
	set, asked := open(t, http.NotFoundHandler())
	if _, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: "x", Role: "files"}}); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	if asked.Load() != 0 || set.Role("files") || !set.Role("main") || !set.Role("") {
		t.Error("a role that nobody has is asked for, or one that there is is not known")
	}
}

// TestLimitsOfOneKindOfRequest has an upstream limit one kind of requests, as
// pulls: others are asked meanwhile.
func TestLimitsOfOneKindOfRequest(t *testing.T) {
	t.Parallel()
	s, asked := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pull" {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	get := func(path, kind string) error {
		resp, err := s.Get(t.Context(), Request{Source: &pb.Source{Url: path, CountsAs: kind}})
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	limited := func(err error) bool {
		e, ok := errors.AsType[*Error](err)
		return ok && e.RateLimited() && !e.RetryAfter.IsZero()
	}
	if err := get("/pull", "pulls"); !limited(err) {
		t.Fatalf("what upstream limits: %v", err)
	}
	before := asked.Load()
	if err := get("/another", "pulls"); !limited(err) || asked.Load() != before {
		t.Errorf("another of the kind that is limited: %v, after %d requests", err, asked.Load()-before)
	}
	for _, kind := range []string{"blobs", ""} {
		if err := get("/other", kind); err != nil {
			t.Errorf("a request that counts as %q: %v", kind, err)
		}
	}
}
