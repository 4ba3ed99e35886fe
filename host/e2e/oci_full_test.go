package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOCIOursAreServedBelowTheReserve has less space on the disk than is to stay
// free: what is published here is served, also lists that nobody asked for before.
func TestOCIOursAreServedBelowTheReserve(t *testing.T) {
	t.Parallel()
	config := ociConfig("3d", `hosted { names = ["*"] }`, `anonymous = ["read"]`)
	h := startHost(t, config)
	image := ociImage(t, "tide", "amd64", 1000)
	token := h.token(t, "joe", "--allow", "read,publish")
	ociStore(t, h.URL+"/v2/acme/tide", token, image, "v1")
	answered(t, 200, h.URL+"/v2/acme/tide/tags/list?n=5")
	h.Stop()
	h = startHostIn(t, h.Dir, "reserve_space = \"1000TB\"\n"+config)
	repository := h.URL + "/v2/acme/tide"
	for range 2 { // none of it is kept
		if tags := ociTags(t, repository+"/tags/list", "Accept-Encoding", "gzip"); !slices.Equal(tags, []string{"v1"}) {
			t.Errorf("the tags are %v", tags)
		}
		if a := answered(t, 200, h.URL+"/v2/_catalog"); !strings.Contains(string(a.Body), "acme/tide") {
			t.Errorf("the catalogue is %s", a.Body)
		}
		answered(t, 200, repository+"/referrers/"+image.digest)
		answered(t, 200, repository+"/manifests/v1")
	}
	image.served(t, repository)
	if a := ociSend(t, http.MethodPost, repository+"/blobs/uploads/", token, nil); a.Status != http.StatusServiceUnavailable && a.Status != http.StatusInsufficientStorage {
		t.Errorf("an upload is answered %d %s", a.Status, a.Body)
	}
}
