package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// each runs a test with several clients.
func each(t *testing.T, clients []*client, test func(t *testing.T, c *client)) {
	t.Helper()
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needed(t)
			test(t, c)
		})
	}
}

// mount is the address of a fixture's repository.
func mount(h *Host, f *fixture) string { return h.URL + "/" + f.repository }

func TestClientsInstallWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	each(t, clients, func(t *testing.T, c *client) {
		for cooldown, want := range map[string]string{"0": "1.1.0", "3d": "1.0.0"} {
			t.Run("cooldown "+cooldown, func(t *testing.T) {
				t.Parallel()
				f := c.start(t)
				h := startHost(t, f.config(cooldown, ""))
				p := c.project(t, mount(h, f))
				p.installs(t, f, "tide", "", want)
				// Berry has digests of its own in its lock file.
				if lock := c.locks[len(c.locks)-1]; (c != yarnClient || yarnMajor() == "1") && !strings.Contains(p.read(t, lock), f.file(t, "tide", want).digest) {
					t.Errorf("%s lacks the digest of tide %s:\n%s", lock, want, p.read(t, lock))
				}
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
	each(t, clients, func(t *testing.T, c *client) {
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
		out, err := c.add(t, c.project(t, mount(h, f)), "tide", "1.1.0")
		c.fails(t, out, err, "installs a version that is held back", c.says.unlisted)
		out, err = c.add(t, c.project(t, mount(h, f)), "spray", "")
		c.fails(t, out, err, "installs a package of which all is held back", c.says.empty)
		out, err = c.locked(t, lock.again(t))
		c.fails(t, out, err, "installs a version that is held back from a lock file", c.says.refused)
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
		want = append(want, "published "+newest.published().Format("2006-01-02T15:04:05Z"), "will be served from "+newest.published().Add(3*day).Format("2006-01-02T15:04:05Z"))
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("explain does not say %q:\n%s", text, out)
		}
	}
}

func TestClientsInstallFromTheCache(t *testing.T) {
	t.Parallel()
	each(t, clients, func(t *testing.T, c *client) {
		f := c.start(t)
		h := startHost(t, f.config("3d", ""))
		first := c.project(t, mount(h, f))
		first.installs(t, f, "tide", "", "1.0.0")

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

		f.close()
		locked := first.again(t)
		if out, err := c.locked(t, locked); err != nil {
			t.Fatalf("%s does not install from a lock file while upstream is dead: %v\n%s", c.name, err, out)
		}
		locked.has(t, f, "tide", "1.0.0")

		// Documents are to be confirmed, which nobody does.
		h.Stop()
		h = startHostIn(t, h.Dir, f.config("3d", `ttl = "1ms"`))
		c.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
	})
}

func TestClientsGetNothingTamperedWith(t *testing.T) {
	t.Parallel()
	each(t, clients, func(t *testing.T, c *client) {
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
	each(t, clients, func(t *testing.T, c *client) {
		f := c.start(t)
		h := startHost(t, f.config("3d", ""))
		old := c.project(t, mount(h, f))
		if f.repository != "npm" { // whose clients differ in what deprecation means
			old.installs(t, f, "wreck", "", "1.0.0")
		}
		if c == cargoClient { // which takes yanked versions from lock files alone
			lock := old.read(t, "Cargo.lock")
			for _, change := range [][2]string{
				{"name = \"wreck\"\nversion = \"1.0.0\"", "name = \"wreck\"\nversion = \"1.1.0\""},
				{f.file(t, "wreck", "1.0.0").digest, f.file(t, "wreck", "1.1.0").digest},
			} {
				if !strings.Contains(lock, change[0]) {
					t.Fatalf("Cargo.lock lacks %q:\n%s", change[0], lock)
				}
				lock = strings.Replace(lock, change[0], change[1], 1)
			}
			old.write(t, "Cargo.lock", lock)
			locked := old.again(t)
			if out, err := c.locked(t, locked); err != nil {
				t.Fatalf("cargo does not install a yanked version from a lock file: %v\n%s", err, out)
			}
			locked.has(t, f, "wreck", "1.1.0")
			return
		}
		out := c.project(t, mount(h, f)).installs(t, f, "wreck", "1.1.0", "1.1.0")
		if !regexp.MustCompile(c.says.withdrawn).MatchString(out) {
			t.Errorf("%s does not warn:\n%s", c.name, out)
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
