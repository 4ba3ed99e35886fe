package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestBreakerCountsFaultsInARowAndClosesAfterAWhile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault     outcome
		addresses int // at which it fails, in turn
		most      int // of faults that trip nothing
		trips     bool
	}{
		"no connection":           {unreachable, 1, faultsToTrip - 1, true},
		"down":                    {down, 2, faultsToTrip - 1, true},
		"down at one address":     {down, 1, 100, false},
		"an error everywhere":     {stumbled, 1000, addressesToTrip - 1, true},
		"an error at some places": {stumbled, addressesToTrip - 1, 100, false},
		"our own doing":           {ours, 1000, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker("a")
				n := 0
				use := func(o outcome) {
					t.Helper()
					n++
					done, err := b.allow(strconv.Itoa(n % test.addresses))
					if err != nil {
						t.Fatal(err)
					}
					done(o, errors.New("the reason"))
				}
				for range 10 {
					for range test.most {
						use(test.fault)
					}
					use(fine)
				}
				for range test.most {
					use(test.fault)
				}
				if !test.trips {
					use(fine)
					return
				}
				use(test.fault)
				if _, err := b.allow("x"); err == nil || !strings.Contains(err.Error(), "the reason") {
					t.Fatalf("after that many faults in a row: %v", err)
				}
				time.Sleep(breakerPause + time.Second)
				done, err := b.allow("x")
				if err != nil {
					t.Fatalf("a while later nothing may be tried: %v", err)
				}
				if _, err := b.allow("x"); err == nil {
					t.Error("two requests try at once whether upstream is back")
				}
				done(test.fault, errors.New("the reason"))
				if _, err := b.allow("x"); err == nil {
					t.Error("a failed try closes the breaker")
				}
				time.Sleep(breakerPause + time.Second)
				use(fine)
				for range test.most {
					use(test.fault)
				}
				use(fine)
			})
		})
	}
}

// TestFaultsOfAnotherHost has an upstream redirect to a host that is dead, or
// that fails or wants to be left alone, which says nothing of the upstream.
func TestFaultsOfAnotherHost(t *testing.T) {
	t.Parallel()
	dead := httptest.NewServer(nil)
	dead.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.WriteHeader(status)
	}))
	t.Cleanup(failing.Close)
	for name, target := range map[string]string{
		"dead": dead.URL + "/x", "503": failing.URL + "/x?status=503", "500": failing.URL + "/x?status=500", "429": failing.URL + "/x?status=429",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/moved") {
					http.Redirect(w, r, target+"#"+r.URL.Path, http.StatusFound)
				}
			}))
			for i := range 3 * addressesToTrip {
				_, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: fmt.Sprint("moved", i)}, Body: http.NoBody})
				failed, ok := errors.AsType[*Error](err)
				if !ok || !strings.HasPrefix(target, failed.Upstream) {
					t.Fatalf("request %d: %v, want an error of %s", i, err, target)
				}
			}
			resp, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: "here"}})
			if err != nil {
				t.Fatalf("what upstream has itself: %v", err)
			}
			resp.Body.Close()
		})
	}
}

// TestUpstreamsBesideEachOther keeps what is wrong below one base apart from
// what is below another.
func TestUpstreamsBesideEachOther(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/a/b/") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	set, err := New(Options{Upstreams: []*config.Upstream{
		{Name: "outer", URL: address(t, s.URL+"/a"), Timeout: 10 * time.Second},
		{Name: "inner", URL: address(t, s.URL+"/a/b"), Timeout: 10 * time.Second},
	}, Defaults: []*pb.Upstream{{Role: "outer"}, {Role: "inner"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: strconv.Itoa(i), Role: "inner"}}); err == nil {
			t.Fatal("503 is an answer")
		}
	}
	resp, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: "x", Role: "outer"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
