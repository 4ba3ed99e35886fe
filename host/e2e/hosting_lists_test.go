package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestListsOutliveUpstream has searches and lists, in which packages of ours stand
// beside upstream's, asked for while upstream fails: they are of ours, and say so.
func TestListsOutliveUpstream(t *testing.T) {
	t.Parallel()
	for plugin, c := range map[string]struct {
		start func(*testing.T, string) (*fixture, *Host)
		// publish publishes a package of ours.
		publish func(*testing.T, string, string) (int, string)
		// lists are addresses that find it, others those that find nothing of ours.
		lists, others []string
		// ours and theirs stand in the lists.
		ours, theirs string
	}{
		"cargo": {hostingCargo, func(t *testing.T, url, token string) (int, string) {
			return hostingCargoPut(t, url, token, hostingCargoFrame(t, hostingCargoMetadata("acme-tide", "1.0.0"), crate(t, release{name: "acme-tide", version: "1.0.0"})))
		}, []string{"/api/v1/crates?q=tide&per_page=10"}, []string{"/api/v1/crates?q=wreck"}, `"acme-tide"`, `"tide"`},
		"npm": {hostingNpm, func(t *testing.T, url, token string) (int, string) {
			return hostingNpmPut(t, url, token, "@acme/tide", "1.0.0", hostingNpmArchive(t, "@acme/tide", "1.0.0", ""))
		}, []string{"/-/v1/search?text=tide"}, []string{"/-/v1/search?text=wreck"}, `"@acme/tide"`, `"tide"`},
		"nuget": {hostingNuGet, func(t *testing.T, url, token string) (int, string) {
			contentType, body := hostingNuGetForm(t, "package", nupkg(t, release{name: "acme.tide", version: "1.0.0"}))
			return hostingSend(t, http.MethodPut, url+"/v3/package/", "Bearer "+token, contentType, body)
		}, []string{"/v3/search?q=tide", "/v2/Search()?searchTerm='tide'", "/v2/Packages()?$filter=IsLatestVersion"}, []string{"/v3/search?q=wreck", "/v2/Search()?searchTerm='wreck'"}, "acme.tide", "shell"},
		"pypi": {hostingPyPI, func(t *testing.T, url, token string) (int, string) {
			r := release{name: "acme_tide", version: "1.0.0"}
			return hostingPyPIPost(t, url, "Bearer "+token, wheelName(r), wheel(t, r), "name", r.name, "version", r.version, "filetype", "bdist_wheel", "metadata_version", "2.1")
		}, []string{"/simple/"}, nil, ">acme-tide<", ">shell<"},
	} {
		t.Run(plugin, func(t *testing.T) {
			t.Parallel()
			f, h := c.start(t, "")
			url := mount(h, f)
			if status, answer := c.publish(t, url, h.token(t, "joe", "--allow", "publish:"+plugin)); status >= 300 {
				t.Fatalf("it is not published: %d %s", status, answer)
			}
			whole := map[*Upstream]http.Handler{}
			for _, s := range f.servers {
				whole[s] = s.handler
			}
			for reason, handler := range map[string]http.HandlerFunc{
				"is busy":            func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) },
				"answers with trash": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{<html>")) },
			} {
				for _, s := range f.servers {
					s.Serve(handler)
				}
				for _, address := range c.lists {
					status, header, body := get(t, url+address)
					if status != http.StatusOK || !strings.Contains(string(body), c.ours) {
						t.Errorf("upstream %s: %s is answered with %d %s", reason, address, status, body)
					}
					if w := header.Get("Warning"); !strings.HasPrefix(w, "299 - ") {
						t.Errorf("upstream %s: %s has the warning %q", reason, address, w)
					}
				}
				for _, address := range c.others {
					if status, _, body := get(t, url+address); status != http.StatusBadGateway {
						t.Errorf("upstream %s: %s, which finds nothing of ours, is answered with %d %s", reason, address, status, body)
					}
				}
			}
			for s, handler := range whole {
				s.Serve(handler)
			}
			for _, address := range c.lists {
				h.wait(t, "to list what upstream has again", func() bool {
					status, header, body := get(t, url+address)
					return status == http.StatusOK && header.Get("Warning") == "" && strings.Contains(string(body), c.theirs)
				})
			}
		})
	}
}
