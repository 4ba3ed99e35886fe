package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func TestStartPageListsEveryMountWithItsSetUp(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, http.NotFoundHandler())
	h := startHost(t, `
repository "npm" {
  upstream "main" { url = "`+up.URL+`" }
}
repository "second" {
  plugin = "npm"
  path   = "/other/npm"
  upstream "main" { url = "`+up.URL+`" }
}
`)
	status, header, page := get(t, h.URL+"/")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Fatalf("GET / answers %d %s", status, header.Get("Content-Type"))
	}
	for _, want := range []string{h.URL + "/npm", h.URL + "/other/npm", "registry"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the start page lacks %q", want)
		}
	}
}
