package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientsShowWhyTheyAreRefused has clients publish what they may not, and sees
// that their users are told why without asking for more.
func TestClientsShowWhyTheyAreRefused(t *testing.T) {
	t.Parallel()
	const reads = "may not publish"
	t.Run("twine", func(t *testing.T) {
		t.Parallel()
		f, h := hostingPyPI(t, "quota = \"300KB\"")
		token := h.token(t, "joe", "--allow", "publish:pypi")
		p := pipClient.project(t, mount(h, f))
		upload := func(token string, r release) string {
			file := filepath.Join(p.root, wheelName(r))
			if err := os.WriteFile(file, wheel(t, r), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := p.run(t, needs(t, "twine"), "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", p.url+"/legacy/", "-u", "__token__", "-p", token, file)
			if err == nil {
				return "it is uploaded"
			}
			return strings.Join(strings.Fields(out), " ") // it breaks lines
		}
		first := release{name: "acme_tide", version: "1.0.0"}
		if out := upload(token, first); out != "it is uploaded" {
			t.Fatal(out)
		}
		for says, out := range map[string]string{
			reads:                 upload(h.token(t, "jane", "--allow", "read:pypi"), first),
			"no token of this":    upload("ent_x", first),
			"has no room":         upload(token, release{name: "acme_tide", version: "2.0.0"}),
			"cannot be published": upload(token, release{name: "other", version: "1.0.0"}),
		} {
			if !strings.Contains(out, says) {
				t.Errorf("twine does not say that %q: %s", says, out)
			}
		}
	})
	t.Run("nuget", func(t *testing.T) {
		t.Parallel()
		each(t, nugetClients, func(t *testing.T, c *client) {
			f, h := hostingNuGet(t, "")
			p, r := c.project(t, mount(h, f)), release{name: "acme.tide", version: "1.0.0"}
			if out, err := hostingNuGetPush(t, p, h.token(t, "joe", "--allow", "publish:nuget"), r); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := hostingNuGetPush(t, p, h.token(t, "ci", "--allow", "publish:nuget"), r)
			c.fails(t, out, err, "pushes a version twice", "is there already")
			out, err = hostingNuGetPush(t, p, h.token(t, "jane", "--allow", "read:nuget"), r)
			c.fails(t, out, err, "pushes without a right to", reads)
		})
	})
	t.Run("maven", func(t *testing.T) {
		t.Parallel()
		deploysWith(t, func(t *testing.T, d deployer) {
			m, h := hostingMaven(t, "")
			out, err := d.deploy(t, d.project(t, mount(h, m.fixture)), h.token(t, "jane", "--allow", "read:maven"), "acme-tide", "1.0.0", mavenJar(t, release{name: "acme-tide", version: "1.0.0"}))
			d.fails(t, out, err, "deploys without a right to", reads)
		})
	})
	t.Run("npm", func(t *testing.T) {
		t.Parallel()
		each(t, npmClients, func(t *testing.T, c *client) {
			f, h := hostingNpm(t, "")
			out, err := hostingNpmPublish(t, hostingNpmProject(t, c, h, f, h.token(t, "jane", "--allow", "read:npm")), "@acme/boat", "1.0.0", nil)
			c.fails(t, out, err, "publishes without a right to", reads)
			out, err = hostingNpmPublish(t, hostingNpmProject(t, c, h, f, "ent_x"), "@acme/boat", "1.0.0", nil)
			c.fails(t, out, err, "publishes with a wrong token", "your authentication token seems to be invalid|no token of this entrepot")
		})
	})
}
