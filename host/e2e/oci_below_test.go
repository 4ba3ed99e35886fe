package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOCIRepositoriesBelowOthers serves one repository of images below another,
// as clients know it: by its whole path, where blobs are mounted and in the
// scopes of the token that one log-in gets for both.
func TestOCIRepositoriesBelowOthers(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	from := ociFrom("docker.io", g.URL)
	h := startHost(t, ociConfig("0", from, `hosted { names = ["acme/*"] }`, private)+
		"repository \"team\" {\n  plugin = \"oci\"\n  path = \"/v2/team\"\n  "+from+"\n  "+ociOurs+"\n  "+private+"\n}\n")
	image := ociImage(t, "tide", "amd64", 1000)
	all := h.token(t, "joe", "--allow", "read,publish")
	below := h.URL + "/v2/team"
	ociStore(t, below+"/acme/tide", all, image, "v1")
	ociStore(t, below+"/library/lamp", all, image, "v1")

	mount := below + "/boat/blobs/uploads/?mount=" + image.blobs[0].digest + "&from="
	for source, want := range map[string]int{"team/acme/tide": 201, "acme/tide": 201, "team/library/lamp": 201, "team/none": 202, "acme/none": 202, "NONE": 202} {
		if a := ociSend(t, http.MethodPost, mount+source, all, nil); a.Status != want {
			t.Errorf("mounted from %s: %d %s, want %d", source, a.Status, a.Body, want)
		}
	}

	// A token that some clients ask the service of the repository itself for: with the
	// scope that they were challenged for, and with their own.
	for scope, want := range map[string]int{
		"repository:new:pull repository:team/new:pull,push": 202, "repository:team/new:pull,push": 202, "repository:new:pull,push": 202,
		"repository:new:pull": 401, "repository:oci/new:pull,push": 401,
	} {
		if a := ociSend(t, http.MethodPost, below+"/new/blobs/uploads/", ociIssuedAt(t, below, all, scope), nil); a.Status != want {
			t.Errorf("an upload with a token for %s: %d %s, want %d", scope, a.Status, a.Body, want)
		}
	}

	lamp := h.token(t, "ann", "--allow", "read:team:library/lamp")
	for _, scope := range []string{"team/lamp", "team/library/lamp"} {
		token := ociIssued(t, h, lamp, "repository:"+scope+":pull")
		for path, want := range map[string]int{"/lamp": 200, "/library/lamp": 200, "/acme/tide": 403} {
			if a := ociSend(t, http.MethodGet, below+path+"/manifests/v1", token, nil); a.Status != want {
				t.Errorf("%s with a token for %s: %d %s, want %d", path, scope, a.Status, a.Body, want)
			}
		}
	}
}

// TestOCICatalogHasRepositoriesBelow lists what is mounted below another repository
// as it is asked for there, to those who may read it.
func TestOCICatalogHasRepositoriesBelow(t *testing.T) {
	t.Parallel()
	h := startHost(t, ociConfig("0", ociOurs, private)+
		"repository \"team\" {\n  plugin = \"oci\"\n  path = \"/v2/team\"\n  "+ociOurs+"\n  "+private+"\n}\n"+
		"repository \"deep\" {\n  plugin = \"oci\"\n  path = \"/v2/team/deep\"\n  "+ociOurs+"\n  "+private+"\n}\n"+
		"repository \"aside\" {\n  plugin = \"oci\"\n  path = \"/aside\"\n  "+ociOurs+"\n  "+private+"\n}\n")
	image := ociImage(t, "tide", "amd64", 1000)
	all := h.token(t, "joe", "--allow", "read,publish")
	for _, name := range []string{"acme/tide", "wind", "team/boat", "team/acme/lamp", "team/deep/sea"} {
		ociStore(t, h.URL+"/v2/"+name, all, image, "v1")
	}
	ociStore(t, h.URL+"/aside/rock", all, image, "v1")
	catalog := func(path, token string) ([]string, string) {
		t.Helper()
		a := ociSend(t, http.MethodGet, h.URL+path, token, nil)
		var list struct{ Repositories []string }
		if a.Status != 200 || json.Unmarshal(a.Body, &list) != nil {
			t.Fatalf("%s is %d %s", path, a.Status, a.Body)
		}
		return list.Repositories, a.Header.Get("Link")
	}
	is := func(path, token string, want ...string) {
		t.Helper()
		if got, _ := catalog(path, token); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	is("/v2/_catalog", all, "acme/tide", "team/acme/lamp", "team/boat", "team/deep/sea", "wind")
	is("/v2/team/_catalog", all, "acme/lamp", "boat", "deep/sea")
	is("/v2/team/deep/_catalog", all, "sea")
	is("/aside/_catalog", all, "rock")
	if got, link := catalog("/v2/_catalog?n=2", all); !slices.Equal(got, []string{"acme/tide", "team/acme/lamp"}) || !strings.Contains(link, "last=team%2Facme%2Flamp") {
		t.Errorf("the first page is %v, and then %s", got, link)
	}
	is("/v2/_catalog?n=2&last=team/acme/lamp", all, "team/boat", "team/deep/sea")
	is("/v2/_catalog", h.token(t, "ann", "--allow", "read:team:acme/*", "--allow", "read:oci:wind"), "team/acme/lamp", "wind")
	is("/v2/_catalog", h.token(t, "sue", "--allow", "read:deep"), "team/deep/sea")
	is("/v2/_catalog", ociIssued(t, h, all, "registry:catalog:*"), "acme/tide", "team/acme/lamp", "team/boat", "team/deep/sea", "wind")
	for token, want := range map[string]int{
		"": 401, h.token(t, "bob", "--allow", "publish:team"): 403, ociIssued(t, h, all, "repository:wind:pull"): 401,
	} {
		if a := ociSend(t, http.MethodGet, h.URL+"/v2/_catalog", token, nil); a.Status != want {
			t.Errorf("who may read nothing is answered %d %s, want %d", a.Status, a.Body, want)
		}
	}
	ociStore(t, h.URL+"/v2/team/new", all, image, "v1")
	is("/v2/_catalog", all, "acme/tide", "team/acme/lamp", "team/boat", "team/deep/sea", "team/new", "wind")
}
