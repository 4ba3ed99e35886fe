package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestVersionIsMeantInAnySpelling has tide 1.1.0 explained, exempted, purged and
// held back again as people and advisories write it.
func TestVersionIsMeantInAnySpelling(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name, purl string
		start      func(testing.TB) *fixture
		spellings  []string
	}{
		{"npm", "pkg:npm/tide", startNPM, []string{"v1.1.0", "1.1.0+build.5"}},
		{"pypi", "pkg:pypi/tide", startPyPI, []string{"1.1", "v1.1.0.0"}},
		{"cargo", "pkg:cargo/tide", startCargo, []string{"1.1.0+build.5"}},
		{"nuget", "pkg:nuget/Tide", startNuGet, []string{"1.1", "1.1.0.0"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			f := r.start(t)
			h := startHost(t, f.config("3d", ""))
			address := mount(h, f) + f.file(t, "tide", "1.1.0").here
			says := func(want string, args ...string) {
				t.Helper()
				out, err := h.Run(t, args...)
				if err != nil || !strings.Contains(strings.ToLower(out), want) {
					t.Errorf("entrepot %s does not say %q: %v\n%s", strings.Join(args, " "), want, err, out)
				}
			}
			answers := func(want int) {
				t.Helper()
				if status, _, body := get(t, address); status != want {
					t.Errorf("%s: %d %s", address, status, body)
				}
			}
			for _, version := range r.spellings {
				purl := r.purl + "@" + version
				says("tide 1.1.0 is held: ", "explain", purl)
				answers(http.StatusForbidden)
				says("tide 1.1.0 is exempt until ", "exempt", purl, "--reason", "it mends a leak", "--expires", "1d")
				answers(http.StatusOK)
				fetched := f.file(t, "tide", "1.1.0").fetched()
				says("records dropped", "purge", purl)
				answers(http.StatusOK)
				if f.file(t, "tide", "1.1.0").fetched() == fetched {
					t.Errorf("purge %s leaves the file", purl)
				}
				says("revoked", "exempt", purl, "--revoke")
				answers(http.StatusForbidden)
			}
			purl := r.purl + "@9.9.9"
			says("upstream lists no such version", "exempt", purl, "--reason", "to be released")
			says("revoked", "exempt", purl, "--revoke")
		})
	}
}
