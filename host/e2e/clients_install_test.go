package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// each runs a test with every client.
func each(t *testing.T, test func(t *testing.T, c *client)) {
	t.Helper()
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.program)
			test(t, c)
		})
	}
}

// mount is the address of a fixture's repository.
func mount(h *Host, f *fixture) string { return h.URL + "/" + f.repository }

func TestClientsInstallWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *client) {
		for cooldown, want := range map[string]string{"0": "1.1.0", "3d": "1.0.0"} {
			t.Run("cooldown "+cooldown, func(t *testing.T) {
				t.Parallel()
				f := c.start(t)
				h := startHost(t, f.config(cooldown, ""))
				p := c.project(t, mount(h, f))
				p.installs(t, f, "tide", "", want)
				for _, file := range []*fixtureFile{f.file(t, "tide", "1.0.0"), f.file(t, "tide", "1.1.0"), f.file(t, "shell", "1.0.0")} {
					asked := 0
					if file.version == want || file.name == "shell" {
						asked = 1
					}
					if got := file.fetched(); got != asked {
						t.Errorf("upstream was asked %d times for %s, want %d:\n%s", got, file, asked, f.requests())
					}
				}
			})
		}
	})
}

func TestClientsAreRefusedHeldVersions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *client) {
		f := c.start(t)
		h := startHost(t, f.config("0", ""))
		lock := c.project(t, mount(h, f))
		lock.installs(t, f, "tide", "", "1.1.0")

		h.Configure(t, f.config("3d", ""))
		if out, err := h.Run(t, "purge", "--repository", f.repository); err != nil {
			t.Fatalf("purge: %v\n%s", err, out)
		}
		before := f.file(t, "tide", "1.1.0").fetched()
		fresh := c.project(t, mount(h, f))
		fresh.installs(t, f, "tide", "", "1.0.0")
		if out, err := c.add(t, c.project(t, mount(h, f)), "tide", "1.1.0"); err == nil {
			t.Fatalf("%s installs a version that is held back:\n%s", c.name, out)
		}
		if out, err := c.add(t, c.project(t, mount(h, f)), "spray", ""); err == nil {
			t.Fatalf("%s installs a package of which all is held back:\n%s", c.name, out)
		}
		out, err := c.locked(t, lock.again(t))
		if err == nil {
			t.Fatalf("%s installs a version that is held back from a lock file:\n%s", c.name, out)
		}
		if c.prints && !strings.Contains(out, "tide 1.1.0 is held back until") {
			t.Errorf("%s does not say why it got nothing:\n%s", c.name, out)
		}
		status, _, body := get(t, mount(h, f)+f.file(t, "tide", "1.1.0").here)
		if status != http.StatusForbidden || !strings.Contains(string(body), "tide 1.1.0 is held back until") {
			t.Errorf("the held file is answered with %d %s", status, body)
		}
		if got := f.file(t, "tide", "1.1.0").fetched(); got != before {
			t.Errorf("upstream was asked for a held file")
		}
		explains(t, h, c, "held")

		if out, err := h.Run(t, "exempt", c.purl+"tide@1.1.0", "--reason", "it mends a leak", "--expires", "1d"); err != nil {
			t.Fatalf("exempt: %v\n%s", err, out)
		}
		explains(t, h, c, "served")
		exempted := lock.again(t)
		if out, err := c.locked(t, exempted); err != nil {
			t.Fatalf("%s does not install the exempted version: %v\n%s", c.name, err, out)
		}
		exempted.has(t, f, "tide", "1.1.0")
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.1.0")
	})
}

// explains fails unless entrepot explains the verdict on tide 1.1.0.
func explains(t *testing.T, h *Host, c *client, verdict string) {
	t.Helper()
	out, err := h.Run(t, "explain", c.purl+"tide@1.1.0")
	if err != nil {
		t.Fatalf("explain: %v\n%s", err, out)
	}
	want := []string{"tide 1.1.0 is " + verdict + ": "}
	if verdict == "held" {
		want = append(want, "published "+fixtureNow.Add(-releases[2].age).Format("2006-01-02T15:04:05Z"), "will be served from "+fixtureNow.Add(3*day-releases[2].age).Format("2006-01-02T15:04:05Z"))
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("explain does not say %q:\n%s", text, out)
		}
	}
}

func TestClientsInstallFromTheCache(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *client) {
		f := c.start(t)
		h := startHost(t, f.config("3d", ""))
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")

		asked := f.asked()
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
		if f.asked() != asked {
			t.Errorf("a second installation asks upstream again; all requests:\n%s", f.requests())
		}

		tide, shell := f.file(t, "tide", "1.0.0"), f.file(t, "shell", "1.0.0")
		if out, err := h.Run(t, "purge", c.purl+"tide"); err != nil {
			t.Fatalf("purge: %v\n%s", err, out)
		}
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
		if tide.fetched() != 2 || shell.fetched() != 1 {
			t.Errorf("after tide was purged, upstream was asked for it %d times and for shell %d times, want 2 and 1:\n%s", tide.fetched(), shell.fetched(), f.requests())
		}

		// Documents are to be confirmed, which nobody does.
		h.Stop()
		f.close()
		h = startHostIn(t, h.Dir, f.config("3d", `ttl = "1ms"`))
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
	})
}

func TestClientsGetNothingTamperedWith(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *client) {
		f := c.start(t)
		tide := f.file(t, "tide", "1.0.0")
		tide.tamper()
		h := startHost(t, f.config("3d", ""))
		out, err := c.add(t, c.project(t, mount(h, f)), "tide", "")
		if err == nil {
			t.Fatalf("%s installs a file that was tampered with:\n%s", c.name, out)
		}
		if tide.fetched() == 0 {
			t.Fatalf("%s failed before the file:\n%s", c.name, out)
		}
		if whole(mount(h, f) + tide.here) {
			t.Error("the whole file is sent although its digest is wrong")
		}
		tide.mend()
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
		status, _, body := get(t, mount(h, f)+tide.here)
		if status != http.StatusOK || sha256Hex(body) != sha256Hex(tide.body) {
			t.Errorf("the mended file is answered with %d and sha256 %s, want %s", status, sha256Hex(body), sha256Hex(tide.body))
		}
	})
}

func TestClientsHeedWithdrawals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *client) {
		f := c.start(t)
		h := startHost(t, f.config("3d", ""))
		switch f.repository {
		case "npm": // deprecated versions are installed, with a warning
			out := c.project(t, mount(h, f)).installs(t, f, "wreck", "", "1.1.0")
			if c.name == "npm" && !strings.Contains(out, "it sank") {
				t.Errorf("npm does not warn:\n%s", out)
			}
		default: // yanked ones only where nothing else will do
			c.project(t, mount(h, f)).installs(t, f, "wreck", "", "1.0.0")
		}
	})
}

// whole reports whether an address is answered with success and a whole body.
func whole(address string) bool {
	resp, err := http.Get(address)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}
