package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// pipRequirements pins what pip has just installed by address and digest.
func pipRequirements(t *testing.T, p *project) string {
	t.Helper()
	var report struct {
		Install []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Download struct {
				URL     string `json:"url"`
				Archive struct {
					Hashes struct {
						SHA256 string `json:"sha256"`
					} `json:"hashes"`
				} `json:"archive_info"`
			} `json:"download_info"`
		} `json:"install"`
	}
	if err := json.Unmarshal([]byte(p.read(t, "report.json")), &report); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, i := range report.Install {
		fmt.Fprintf(&b, "%s @ %s --hash=sha256:%s\n", i.Metadata.Name, i.Download.URL, i.Download.Archive.Hashes.SHA256)
	}
	return b.String()
}

// into is a command line that installs requirements into the folder site.
func (p *project) into(args ...string) []string {
	line := []string{"python3", "-m", "pip", "install"}
	if p.client == uvClient {
		line = []string{"uv", "pip", "install", "--python", "python3"}
	}
	return append(append(line, "--target", "site", "--index-url", p.url+"/simple/"), args...)
}

// hasInSite fails unless a release is installed in the folder site.
func (p *project) hasInSite(t *testing.T, f *fixture, name, version string) {
	t.Helper()
	if got, want := p.read(t, "site/"+name+"/data.bin"), f.file(t, name, version); got != string(want.data()) {
		t.Fatalf("what is installed is not %s", want)
	}
}

func TestPythonClientsCheckHashes(t *testing.T) {
	t.Parallel()
	each(t, pythonClients, func(t *testing.T, c *client) {
		f := startPyPI(t)
		h := startHost(t, f.config("3d", ""))
		pin := func(version string) *project {
			p := c.project(t, mount(h, f))
			p.write(t, "requirements.txt", fmt.Sprintf("tide==%s --hash=sha256:%s\nshell==1.0.0 --hash=sha256:%s\n", version, f.file(t, "tide", version).digest, f.file(t, "shell", "1.0.0").digest))
			return p
		}
		p := pin("1.0.0")
		line := p.into("--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt")
		p.must(t, line[0], line[1:]...)
		p.hasInSite(t, f, "tide", "1.0.0")
		p.hasInSite(t, f, "shell", "1.0.0")
		for _, name := range []string{"tide", "shell"} {
			if file := f.file(t, name, "1.0.0"); file.fetched() != 1 {
				t.Errorf("upstream was asked %d times for %s, want 1:\n%s", file.fetched(), file, f.requests())
			}
		}
		out, err := pin("1.1.0").run(t, line[0], line[1:]...)
		c.fails(t, out, err, "installs a version that is held back", c.says.unlisted)
		if n := f.file(t, "tide", "1.1.0").fetched(); n != 0 {
			t.Errorf("upstream was asked %d times for a held file", n)
		}
	})
}

// TestPythonAgesComeFromTheJSONAPI installs a package whose page has no times.
func TestPythonAgesComeFromTheJSONAPI(t *testing.T) {
	t.Parallel()
	each(t, pythonClients, func(t *testing.T, c *client) {
		f := startPyPI(t)
		h := startHost(t, f.config("3d", ""))
		p := c.project(t, mount(h, f))
		p.installs(t, f, "kelp", "", "1.0.0")
		if got := f.servers[0].Asked("GET /pypi/kelp/json"); got != 1 {
			t.Errorf("the JSON API was asked %d times, want 1:\n%s", got, f.requests())
		}
		h.Configure(t, f.config("0", ""))
		c.project(t, mount(h, f)).installs(t, f, "kelp", "", "1.1.0")
	})
}

func TestPythonClientsBuildSourceDistributions(t *testing.T) {
	t.Parallel()
	each(t, pythonClients, func(t *testing.T, c *client) {
		f := startPyPI(t)
		h := startHost(t, f.config("3d", ""))
		p := c.project(t, mount(h, f))
		line := p.into("brine")
		p.must(t, line[0], line[1:]...)
		p.hasInSite(t, f, "brine", "1.0.0")
		if n := f.file(t, "brine", "1.0.0").fetched(); n != 1 {
			t.Errorf("upstream was asked %d times for the source distribution, want 1:\n%s", n, f.requests())
		}
	})
}

// TestPythonFilesOnAnotherHost has the files on a private host, which the
// configuration must name.
func TestPythonFilesOnAnotherHost(t *testing.T) {
	t.Parallel()
	each(t, pythonClients, func(t *testing.T, c *client) {
		f := startPyPI(t)
		onAnotherHost(t, f)
		tide := f.file(t, "tide", "1.0.0")
		h := startHost(t, f.config("3d", ""))
		out, err := c.add(t, c.project(t, mount(h, f)), "tide", "")
		c.fails(t, out, err, "gets a file from a host that is not allowed", `50[0-9]`)
		if n := f.servers[1].Total(); n != 0 {
			t.Errorf("a host that is not allowed was asked %d times:\n%s", n, f.requests())
		}
		h.Configure(t, f.config("3d", `allow_hosts = ["localhost"]`))
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
		if tide.fetched() != 1 {
			t.Errorf("upstream was asked %d times for %s, want 1:\n%s", tide.fetched(), tide, f.requests())
		}
	})
}

// TestPythonMetadataStandsBesideWheels has clients resolve without wheels.
func TestPythonMetadataStandsBesideWheels(t *testing.T) {
	t.Parallel()
	each(t, pythonClients, func(t *testing.T, c *client) {
		f := startPyPI(t)
		h := startHost(t, f.config("3d", ""))
		p := c.project(t, mount(h, f))
		line := p.into("--dry-run", "tide")
		p.must(t, line[0], line[1:]...)
		tide := f.file(t, "tide", "1.0.0")
		if n := tide.on.Asked("GET " + tide.path + ".metadata"); n != 1 {
			t.Errorf("upstream was asked %d times for the metadata, want 1:\n%s", n, f.requests())
		}
		if c == uvClient && tide.fetched() != 0 {
			t.Errorf("uv needed the wheel of tide to resolve:\n%s", f.requests())
		}
	})
}
