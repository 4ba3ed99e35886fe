package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func TestNPMClientsInstallScopedPackages(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f := startNPM(t)
		h := startHost(t, f.config("3d", ""))
		p := c.project(t, mount(h, f))
		p.installs(t, f, "@reef/tide", "", "1.0.0")
		for name, want := range map[string]int{"@reef/tide 1.0.0": 1, "@reef/tide 1.1.0": 0, "@reef/shell 1.0.0": 1} {
			if got := f.files[name].fetched(); got != want {
				t.Errorf("upstream was asked %d times for %s, want %d:\n%s", got, name, want, f.requests())
			}
		}
		for spelling, want := range map[string]int{"GET /@reef%2ftide": 1, "GET /@reef/tide": 0} {
			if got := f.servers[0].Asked(spelling); got != want {
				t.Errorf("upstream had %d × %s, want %d", got, spelling, want)
			}
		}
		out, err := h.Run(t, "explain", "pkg:npm/%40reef/tide@1.1.0")
		if err != nil || !strings.Contains(out, "@reef/tide 1.1.0 is held") {
			t.Errorf("explain: %v\n%s", err, out)
		}
	})
}

// TestNPMClientsKnowAges has the clients hold versions back themselves, for
// which they need times in the document that they ask for.
func TestNPMClientsKnowAges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		client *client
		set    func(t *testing.T, p *project)
	}{
		{npmClient, func(t *testing.T, p *project) {
			p.write(t, ".npmrc", p.read(t, ".npmrc")+"min-release-age=3\n")
		}},
		{pnpmClient, func(t *testing.T, p *project) {
			p.write(t, "pnpm-workspace.yaml", strings.Replace(p.read(t, "pnpm-workspace.yaml"), "minimumReleaseAge: 0", "minimumReleaseAge: 4320", 1))
		}},
	}
	for _, test := range tests {
		t.Run(test.client.name, func(t *testing.T) {
			t.Parallel()
			test.client.needed(t)
			f := startNPM(t)
			h := startHost(t, f.config("0", ""))
			p := test.client.project(t, mount(h, f))
			test.set(t, p)
			p.installs(t, f, "tide", "", "1.0.0")
			test.client.project(t, mount(h, f)).installs(t, f, "tide", "", "1.1.0")
		})
	}
}

func TestNPMCommands(t *testing.T) {
	t.Parallel()
	npmClient.needed(t)
	f := startNPM(t)
	h := startHost(t, f.config("3d", ""))
	p := npmClient.project(t, mount(h, f))

	out := p.must(t, "npm", "ping")
	if !strings.Contains(out, "PONG") {
		t.Errorf("npm ping:\n%s", out)
	}

	view := compact(p.must(t, "npm", "view", "tide", "dist-tags", "versions", "time", "dependencies", "dist.integrity", "dist.tarball", "--json"))
	for _, want := range []string{
		`"dist-tags":{"latest":"1.0.0","next":"1.0.0"}`, `"dependencies":{"shell":"^1.0.0"}`,
		`"dist.integrity":"` + f.file(t, "tide", "1.0.0").digest + `"`, `"dist.tarball":"` + mount(h, f) + `/tide/-/tide-1.0.0.tgz"`,
	} {
		if !strings.Contains(view, want) {
			t.Errorf("npm view lacks %s: %s", want, view)
		}
	}
	if strings.Contains(view, "1.1.0") {
		t.Errorf("npm view shows a version that is held: %s", view)
	}
	if got := compact(p.must(t, "npm", "dist-tag", "ls", "@reef/tide")); got != "latest:1.0.0next:1.0.0" {
		t.Errorf("npm dist-tag ls says %s", got)
	}

	if got := compact(p.must(t, "npm", "search", "tide", "--json")); !strings.Contains(got, `"version":"1.0.0"`) || strings.Contains(got, "1.1.0") {
		t.Errorf("npm search shows a version that is held, or none: %s", got)
	}

	p.must(t, "npm", "install", "wreck@1.1.0")
	asked := f.servers[0].Asked("POST /-/npm/v1/security/advisories/bulk")
	out, err := p.run(t, "npm", "audit")
	if err == nil || !strings.Contains(out, "wreck leaks") || !strings.Contains(out, "https://advisories.example.com/7") {
		t.Errorf("npm audit does not tell of the advisory: %v\n%s", err, out)
	}
	if got := f.servers[0].Asked("POST /-/npm/v1/security/advisories/bulk") - asked; got != 1 {
		t.Errorf("an audit was passed on %d times, want 1", got)
	}
	p.must(t, "npm", "uninstall", "wreck")
	p.must(t, "npm", "install", "shell")
	if out := p.must(t, "npm", "audit"); !strings.Contains(out, "found 0 vulnerabilities") {
		t.Errorf("npm audit:\n%s", out)
	}
}

// TestNPMTarballsAreGatedCold asks for tarballs as a lock file does: before
// anything else was asked for.
func TestNPMTarballsAreGatedCold(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"", "@reef/"} {
		f := startNPM(t)
		h := startHost(t, f.config("3d", ""))
		for version, want := range map[string]int{"1.0.0": http.StatusOK, "1.1.0": http.StatusForbidden} {
			file := f.file(t, scope+"tide", version)
			status, _, body := get(t, mount(h, f)+file.here)
			if status != want {
				t.Errorf("%s is answered with %d, want %d", file, status, want)
			}
			if want == http.StatusOK && sha256Hex(body) != sha256Hex(file.body) {
				t.Errorf("%s is answered with other bytes", file)
			}
		}
	}
}

// compact takes all white space out.
func compact(s string) string { return strings.Join(strings.Fields(s), "") }
