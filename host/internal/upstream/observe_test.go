package upstream

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestHostsThatDocumentsNameAreObservedTogether asks an upstream and another
// host.
func TestHostsThatDocumentsNameAreObservedTogether(t *testing.T) {
	t.Parallel()
	ours := httptest.NewServer(http.NotFoundHandler())
	defer ours.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	base, err := url.Parse(ours.URL)
	if err != nil {
		t.Fatal(err)
	}
	var observed []string
	set, err := New(Options{
		Upstreams: []*config.Upstream{{Name: "main", Role: "main", URL: base, Timeout: config.DefaultTimeout}},
		Observe:   func(upstream string, _ time.Duration, _ int, _ error) { observed = append(observed, upstream) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"a", ours.URL + "/a", other.URL + "/a"} {
		resp, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: address, Role: "main"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if want := []string{ours.URL, ours.URL, elsewhere}; !slices.Equal(observed, want) {
		t.Errorf("observed are %v, want %v", observed, want)
	}
}
