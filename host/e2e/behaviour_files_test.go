package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestExplainTellsOfEachFile is about a version of which files were added later:
// each has a cool-down of its own.
func TestExplainTellsOfEachFile(t *testing.T) {
	t.Parallel()
	pages := newShelf()
	index := startUpstream(t, pages)
	ages := map[string]time.Duration{"buoy-1.0.0-py3-none-any.whl": 20 * day, "buoy-1.0.0.tar.gz": day, "buoy-0.9.0.tar.gz": 30 * day, "buoy-2.0.0.tar.gz": day}
	var listed []any
	for name, age := range ages {
		pages.put("/f/"+name, "application/octet-stream", []byte(name))
		listed = append(listed, map[string]any{
			"filename": name, "url": index.URL + "/f/" + name, "hashes": map[string]string{"sha256": sha256Hex([]byte(name))},
			"upload-time": pypiTime(time.Now().UTC().Add(-age)),
		})
	}
	pages.put("/simple/buoy/", "application/vnd.pypi.simple.v1+json", marshal(t, map[string]any{
		"meta": map[string]any{"api-version": "1.1"}, "name": "buoy", "files": listed, "versions": []string{"0.9.0", "1.0.0", "2.0.0"},
	}))
	h := startHost(t, fmt.Sprintf("cooldown { default = \"3d\" }\nrepository \"pypi\" {\n  upstream \"main\" { url = %q }\n}\n", index.URL))
	for name, want := range map[string]int{"buoy-1.0.0-py3-none-any.whl": http.StatusOK, "buoy-1.0.0.tar.gz": http.StatusForbidden} {
		if status, _, body := get(t, h.URL+"/pypi/files/f/"+name); status != want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	tomorrow := time.Now().UTC().Add(2 * day).Format("2006-01-02T")
	for purl, want := range map[string][]string{
		"pkg:pypi/buoy@0.9.0": {"buoy 0.9.0 is served: published", "  file /files/f/buoy-0.9.0.tar.gz\n"},
		"pkg:pypi/buoy@2.0.0": {"buoy 2.0.0 is held: published", "  will be served from " + tomorrow, "  file /files/f/buoy-2.0.0.tar.gz\n"},
		"pkg:pypi/buoy@1.0": {
			"buoy 1.0.0 is held in part: 1 of its 2 files served so far; the last: published", "  will be served whole from " + tomorrow,
			"  file /files/f/buoy-1.0.0-py3-none-any.whl is served: published ", "  file /files/f/buoy-1.0.0.tar.gz is held: published ", "    will be served from " + tomorrow,
		},
	} {
		out, err := h.Run(t, "explain", purl)
		if err != nil {
			t.Errorf("explain %s: %v", purl, err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("explain %s does not say %q:\n%s", purl, w, out)
			}
		}
	}
	if out, err := h.Run(t, "exempt", "pkg:pypi/buoy@1.0", "--reason", "its sdist is wanted"); err != nil || !strings.Contains(out, "buoy 1.0.0 is exempt") || strings.Contains(out, "lists no such") {
		t.Errorf("a version that is held in part is not exempted: %v\n%s", err, out)
	}
	if out, err := h.Run(t, "explain", "pkg:pypi/buoy@1.0.0"); err != nil || !strings.Contains(out, "is served: an exemption serves it") {
		t.Errorf("explain after the exemption: %v\n%s", err, out)
	}
}
