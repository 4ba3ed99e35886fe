package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nugetV3 is NuGet 5.8, from npm's package of it, and nugetV2 Debian's 2.8.
var (
	nugetV3 = &client{
		name: "nuget 5", program: "mono", start: startNuGet, purl: "pkg:nuget/", set: setNuGet,
		add: func(t *testing.T, p *project, name, version string) (string, error) {
			return p.nuget(t, append([]string{"install", name}, nugetVersion(version)...)...)
		},
	}
	nugetV2 = &client{
		name: "nuget 2", program: "nuget", start: startNuGet, purl: "pkg:nuget/", set: setNuGet,
		add: func(t *testing.T, p *project, name, version string) (string, error) {
			return p.nuget(t, append([]string{"install", name}, nugetVersion(version)...)...)
		},
	}
	nugetClients = []*client{nugetV3, nugetV2}
)

func nugetVersion(version string) []string {
	if version == "" {
		return nil
	}
	return []string{"-Version", version}
}

func setNuGet(t *testing.T, p *project) []string {
	source := p.url + "/v3/index.json"
	if p.program == "nuget" {
		source = p.url + "/v2/"
	}
	p.write(t, "NuGet.config", `<?xml version="1.0" encoding="utf-8"?><configuration><packageSources><clear /><add key="entrepot" value="`+source+`" /></packageSources><activePackageSource><add key="entrepot" value="`+source+`" /></activePackageSource></configuration>`)
	return []string{"NUGET_PACKAGES=" + filepath.Join(p.home, "packages"), "XDG_DATA_HOME=" + filepath.Join(p.home, "data"), "XDG_CONFIG_HOME=" + filepath.Join(p.home, "config"), "http_proxy=", "https_proxy=", "HTTP_PROXY=", "HTTPS_PROXY="}
}

// nuget runs the client, with the project's source only.
func (p *project) nuget(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if args[0] == "install" {
		args = append(args, "-OutputDirectory", "packages", "-NoCache")
	}
	args = append(args, "-NonInteractive", "-ConfigFile", filepath.Join(p.root, "NuGet.config"))
	if p.program == "nuget" {
		return p.run(t, "nuget", args...)
	}
	return p.run(t, "mono", append([]string{nugetExe(t)}, args...)...)
}

// nugetExe finds NuGet 5.8, which npm installs.
func nugetExe(t *testing.T) string {
	t.Helper()
	if root, err := exec.Command("npm", "root", "--global").Output(); err == nil {
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "nuget-exe", "nuget-5*.exe"))
		if err == nil && len(found) == 1 {
			return found[0]
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("npm's package nuget-exe is not installed, and CI must test with it")
	}
	t.Skip("SKIPPED: npm's package nuget-exe is not installed")
	return ""
}

// nugetInstalls has a client install a package and checks the bytes that it got,
// and that it got no other version.
func nugetInstalls(t *testing.T, c *client, url string, f *fixture, name, version, want string) {
	t.Helper()
	p := c.project(t, url)
	out, err := c.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s: %v\n%s", c.name, name, err, out)
	}
	for r, file := range f.files {
		if file.name != name {
			continue
		}
		got, err := os.ReadFile(filepath.Join(p.root, "packages", file.name+"."+file.version, "content", "data.bin"))
		there := err == nil
		if there != (file.version == want) || there && !bytes.Equal(got, file.data()) {
			t.Errorf("%s has %d bytes of %s, want %s %s:\n%s", c.name, len(got), r, name, want, out)
		}
	}
}

func TestNuGetInstallsWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		for cooldown, want := range map[string]string{"0": "1.1.0", "3d": "1.0.0"} {
			f := startNuGet(t)
			h := startHost(t, f.config(cooldown, ""))
			nugetInstalls(t, c, mount(h, f), f, "tide", "", want)
			for _, file := range []*fixtureFile{f.file(t, "tide", "1.0.0"), f.file(t, "tide", "1.1.0"), f.file(t, "shell", "1.0.0")} {
				asked := 0
				if file.version == want || file.name == "shell" {
					asked = 1
				}
				if got := file.fetched(); got != asked {
					t.Errorf("upstream was asked %d times for %s, want %d:\n%s", got, file, asked, f.requests())
				}
			}
			asked := f.asked()
			nugetInstalls(t, c, mount(h, f), f, "tide", "", want)
			if f.asked() != asked {
				t.Errorf("a second installation asks upstream again; all requests:\n%s", f.requests())
			}
			f.close()
			nugetInstalls(t, c, mount(h, f), f, "tide", "", want)
		}
	})
}

func TestNuGetRefusesHeldVersions(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		f := startNuGet(t)
		h := startHost(t, f.config("3d", ""))
		for _, wanted := range [][2]string{{"tide", "1.1.0"}, {"spray", ""}} {
			out, err := c.add(t, c.project(t, mount(h, f)), wanted[0], wanted[1])
			c.fails(t, out, err, "installs "+wanted[0]+" "+wanted[1], `403|Unable to find|not found`)
		}
		for _, path := range []string{f.file(t, "tide", "1.1.0").here, "/v2/package/Tide/1.1.0", "/v3/registration/tide/1.1.0.json"} {
			status, _, body := get(t, mount(h, f)+path)
			if status != http.StatusForbidden || !strings.Contains(string(body), "tide 1.1.0 is held back until") {
				t.Errorf("%s is answered with %d %s", path, status, body)
			}
		}
		if f.file(t, "tide", "1.1.0").fetched() != 0 {
			t.Error("upstream was asked for a held file")
		}
		nugetInstalls(t, c, mount(h, f), f, "kelp", "1.0.0", "1.0.0")
		if out, err := h.Run(t, "exempt", "pkg:nuget/Tide@1.1.0", "--reason", "it mends a leak", "--expires", "1d"); err != nil {
			t.Fatalf("exempt: %v\n%s", err, out)
		}
		nugetInstalls(t, c, mount(h, f), f, "tide", "1.1.0", "1.1.0")
	})
}

func TestNuGetPackagesAreVerified(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		f := startNuGet(t)
		h := startHost(t, f.config("3d", ""))
		tide := f.file(t, "tide", "1.0.0")
		tide.tamper()
		if out, err := c.add(t, c.project(t, mount(h, f)), "tide", "1.0.0"); err == nil {
			t.Fatalf("%s installs a file that was tampered with:\n%s", c.name, out)
		}
		if tide.fetched() == 0 {
			t.Fatalf("%s failed before the file:\n%s", c.name, f.requests())
		}
		tide.mend()
		nugetInstalls(t, c, mount(h, f), f, "tide", "1.0.0", "1.0.0")
	})
}

// TestNuGetSearches lists packages with what is left of their versions.
func TestNuGetSearches(t *testing.T) {
	t.Parallel()
	nugetV3.needed(t)
	f := startNuGet(t)
	h := startHost(t, f.config("3d", ""))
	out, err := nugetV3.project(t, mount(h, f)).nuget(t, "list", "i")
	if err != nil {
		t.Fatalf("nuget list: %v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^tide 1\.0\.0`).MatchString(out) || strings.Contains(out, "1.1.0") || strings.Contains(out, "spray") {
		t.Errorf("nuget list prints\n%s\nrequests:\n%s", out, f.requests())
	}
	// NuGet 2.8 cannot print a list where there is no terminal; this is what it
	// asks.
	status, _, body := get(t, mount(h, f)+"/v2/Search()?$filter=IsLatestVersion&$orderby=Id&$skip=0&$top=30&searchTerm='i'&targetFramework=''&includePrerelease=false")
	if text := string(body); status != http.StatusOK || !strings.Contains(text, "Packages(Id=&#39;tide&#39;,Version=&#39;1.0.0&#39;)") || strings.Contains(text, "1.1.0") || strings.Contains(text, "spray") {
		t.Errorf("the search of v2 is answered with %d %s", status, body)
	}
}

// TestNuGetRestores restores what a packages.config has.
func TestNuGetRestores(t *testing.T) {
	t.Parallel()
	each(t, nugetClients, func(t *testing.T, c *client) {
		f := startNuGet(t)
		h := startHost(t, f.config("3d", ""))
		for version, status := range map[string]bool{"1.0.0": true, "1.1.0": false} {
			p := c.project(t, mount(h, f))
			p.write(t, "packages.config", `<?xml version="1.0" encoding="utf-8"?><packages><package id="tide" version="`+version+`" /></packages>`)
			out, err := p.nuget(t, "restore", "packages.config", "-PackagesDirectory", "packages", "-NoCache")
			if (err == nil) != status {
				t.Errorf("%s restores tide %s: %v\n%s", c.name, version, err, out)
			}
		}
	})
}
