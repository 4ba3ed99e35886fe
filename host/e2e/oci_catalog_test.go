package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOCICatalogShowsWhatATokenMayRead lists repositories to who may read some
// of them.
func TestOCICatalogShowsWhatATokenMayRead(t *testing.T) {
	t.Parallel()
	h := startHost(t, ociConfig("0", `hosted { names = ["*"] }`, private))
	all := h.token(t, "joe", "--allow", "read,publish")
	image := ociImage(t, "tide", "amd64", 1000)
	names := []string{"acme/lamp", "acme/tide", "other/boat", "secret/plan"}
	for _, name := range names {
		ociStore(t, h.URL+"/v2/"+name, all, image, "v1")
	}
	some := h.token(t, "ann", "--allow", "read:oci:acme/*", "--allow", "read:oci:other/boat", "--allow", "publish:oci:secret/*")
	writes := h.token(t, "bob", "--allow", "publish:oci:acme/*")

	catalog := func(query, token string) ([]string, string) {
		t.Helper()
		a := ociSend(t, http.MethodGet, h.URL+"/v2/_catalog"+query, token, nil)
		var list struct{ Repositories []string }
		if a.Status != 200 || json.Unmarshal(a.Body, &list) != nil {
			t.Fatalf("the catalogue is %d %s", a.Status, a.Body)
		}
		return list.Repositories, a.Header.Get("Link")
	}
	mine := []string{"acme/lamp", "acme/tide", "other/boat"}
	for range 2 { // one must not get what was made for the other
		if got, _ := catalog("", all); !slices.Equal(got, names) {
			t.Errorf("who may read all is shown %v", got)
		}
		if got, _ := catalog("", some); !slices.Equal(got, mine) {
			t.Errorf("who may read some is shown %v", got)
		}
	}
	if got, link := catalog("?n=2", some); !slices.Equal(got, mine[:2]) || !strings.Contains(link, "last=acme%2Ftide") {
		t.Errorf("the first page is %v, and then %s", got, link)
	}
	if got, link := catalog("?n=2&last=acme/tide", some); !slices.Equal(got, mine[2:]) || link != "" {
		t.Errorf("the last page is %v, and then %q", got, link)
	}
	ociStore(t, h.URL+"/v2/acme/wind", all, image, "v1")
	if got, _ := catalog("", some); !slices.Contains(got, "acme/wind") {
		t.Errorf("a new repository is not in %v", got)
	}
	for token, want := range map[string]int{writes: 403, "": 401} {
		if a := ociSend(t, http.MethodGet, h.URL+"/v2/_catalog", token, nil); a.Status != want {
			t.Errorf("who may read nothing is answered %d %s, want %d", a.Status, a.Body, want)
		}
	}
	challenged := func(a faultAnswer, more string) {
		t.Helper()
		want := `Bearer realm="` + h.URL + `/v2/_token",service="entrepot",scope="registry:catalog:*"` + more
		if got := a.Header.Get("WWW-Authenticate"); a.Status != 401 || got != want {
			t.Errorf("the catalogue is %d and asks for %s, want %s", a.Status, got, want)
		}
	}
	challenged(faultTry(t, http.MethodGet, h.URL+"/v2/_catalog"), "")
	challenged(ociSend(t, http.MethodGet, h.URL+"/v2/_catalog", ociIssued(t, h, some, ""), nil), `,error="insufficient_scope"`)

	// As clients ask: with a token that was issued for the catalogue, or for
	// something else.
	for scope, want := range map[string]int{"registry:catalog:*": 200, "repository:acme/tide:pull": 401} {
		a := ociSend(t, http.MethodGet, h.URL+"/v2/_catalog", ociIssued(t, h, some, scope), nil)
		if a.Status != want || want == 200 && (!strings.Contains(string(a.Body), "acme/tide") || strings.Contains(string(a.Body), "secret")) {
			t.Errorf("a token for %s gets %d %s", scope, a.Status, a.Body)
		}
	}
}
