package upstream

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestValidatorsGoToTheUpstreamThatGaveThem asks two upstreams, the first of
// which no longer has the document.
func TestValidatorsGoToTheUpstreamThatGaveThem(t *testing.T) {
	t.Parallel()
	var asked []http.Header
	gone := false
	serve := func(missing *bool) *config.Upstream {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header)
			switch {
			case *missing:
				w.WriteHeader(http.StatusNotFound)
			case r.Header.Get("If-None-Match") != "":
				w.WriteHeader(http.StatusNotModified)
			}
		}))
		t.Cleanup(s.Close)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return &config.Upstream{Name: s.URL, Role: "main", URL: u, Timeout: config.DefaultTimeout}
	}
	a, b := serve(&gone), serve(new(bool))
	set, err := New(Options{Upstreams: []*config.Upstream{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(r Request) *Response {
		t.Helper()
		r.Source = &pb.Source{Url: "doc", Role: "main"}
		resp, err := set.Get(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	first := get(Request{})
	if first.From != a.URL.String() {
		t.Fatalf("it came from %q", first.From)
	}
	validators := Request{ETag: `"1"`, LastModified: "Thu, 01 Jan 1970 00:00:00 GMT", From: first.From}
	if again := get(validators); again.Status != http.StatusNotModified {
		t.Errorf("the one that gave them answers %d", again.Status)
	}
	gone, asked = true, nil
	if other := get(validators); other.Status != http.StatusOK || other.From != b.URL.String() {
		t.Errorf("%s answers %d", other.From, other.Status)
	}
	if len(asked) != 2 || asked[1].Get("If-None-Match")+asked[1].Get("If-Modified-Since") != "" {
		t.Errorf("asked with %v", asked)
	}
}
