package e2e

import (
	"net/http"
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
