package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Packages that the archive has. Each tide needs the wreck of its age or older.
var (
	wreck10 = debPackage{name: "wreck", version: "1.0-1", age: 60 * day}
	tide10  = debPackage{name: "tide", version: "1:1.0-1", age: 30 * day, more: "Depends: wreck (>= 1.0)\n"}
	tide11  = debPackage{name: "tide", version: "1:1.1-1", age: 2 * time.Hour, more: "Depends: wreck (>= 1.0)\n"}
	kelp    = debPackage{name: "libkelp++1", version: "2.0~rc1+b1", age: 30 * day}
)

// stable is a state of the suite of that name with an older tide; newStable is
// what comes after.
var (
	stable    = suiteState{suite: "stable", packages: []debPackage{wreck10, tide10, kelp}, age: 10 * day}
	newStable = suiteState{suite: "stable", packages: []debPackage{wreck10, tide11, kelp}, age: time.Hour}
)

// debianConfig has an archive "sea".
func debianConfig(a *debArchive, cooldown string, settings ...string) string {
	return fmt.Sprintf("cooldown {\n  default = %q\n}\nrepository \"debian\" {\n  upstream \"sea\" {\n    url = %q\n  }\n%s\n}\n", cooldown, a.URL, strings.Join(settings, "\n"))
}

// always has upstream asked on every request for a root.
const always = `ttl = "1ms"`

// aptRoot is a private root that apt works in: nothing of the machine's is read
// or written.
type aptRoot struct {
	dir string
	env []string
}

// newApt makes a root whose only source is a suite at the host.
func newApt(t *testing.T, url string, a *debArchive, suites ...string) *aptRoot {
	t.Helper()
	needs(t, "apt-get")
	needs(t, "gpgv")
	r := &aptRoot{dir: t.TempDir()}
	for _, dir := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial", "var/log/apt", "tmp"} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var sources strings.Builder
	for _, suite := range suites {
		fmt.Fprintf(&sources, "deb [signed-by=%s] %s/debian/sea %s main\n", a.keyring, url, suite)
	}
	for file, text := range map[string]string{
		"var/lib/dpkg/status":  "",
		"etc/apt/sources.list": sources.String(),
		"apt.conf": fmt.Sprintf("Dir %q;\nAPT::Architecture \"amd64\";\nAPT::Architectures \"amd64\";\nAPT::Sandbox::User \"\";\nAcquire::Languages \"en\";\nAcquire::Retries \"0\";\nAcquire::http::Proxy \"DIRECT\";\nDebug::NoLocking \"true\";\n",
			r.dir),
	} {
		if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range os.Environ() {
		if !slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(strings.ToUpper(v), prefix) }) {
			r.env = append(r.env, v)
		}
	}
	r.env = append(r.env, "APT_CONFIG="+filepath.Join(r.dir, "apt.conf"), "HOME="+r.dir, "TMPDIR="+filepath.Join(r.dir, "tmp"), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return r
}

// configured is a copy of the root's configuration with more in it.
func (r *aptRoot) configured(t *testing.T, more string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "apt.conf"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "apt.conf")
	if err := os.WriteFile(file, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (r *aptRoot) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return runIn(t, r.dir, r.env, "apt-get", args...)
}

func runIn(t *testing.T, dir string, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// updates has the indexes fetched; a warning is as bad as an error.
func (r *aptRoot) updates(t *testing.T) string {
	t.Helper()
	out, err := r.run(t, "update", "-o", "APT::Update::Error-Mode=any")
	if err != nil || regexp.MustCompile(`(?m)^(W|E|Err):`).MatchString(out) {
		t.Fatalf("apt-get update: %v\n%s", err, out)
	}
	return out
}

// downloads has packages and what they need fetched, and checks that they are
// the very files wanted.
func (r *aptRoot) downloads(t *testing.T, name string, want ...debPackage) {
	t.Helper()
	if out, err := r.run(t, "install", "--yes", "--download-only", name); err != nil {
		t.Fatalf("apt-get install %s: %v\n%s", name, err, out)
	}
	for _, p := range want {
		pattern := filepath.Join(r.dir, "var/cache/apt/archives", p.name+"_*.deb")
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s was not fetched once: %q (%v)", p.name, found, err)
		}
		if body, err := os.ReadFile(found[0]); err != nil || !bytes.Equal(body, p.deb(t)) {
			t.Errorf("%s is not %s %s (%v)", filepath.Base(found[0]), p.name, p.version, err)
		}
	}
}

// TestDebianInstalls installs cold, warm, with upstream dead and after a
// restart, from archives that have indexes by their content and that do not.
func TestDebianInstalls(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"by hash": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startArchive(t)
			state := stable
			state.plain = plain
			a.publish(t, state)
			h := startHost(t, debianConfig(a, "3d"))
			cold := newApt(t, h.URL, a, "stable")
			cold.updates(t)
			cold.downloads(t, "tide", tide10, wreck10)
			cold.downloads(t, "libkelp++1", kelp)
			for _, file := range []string{"tide", "wreck", "libkelp"} {
				if n := a.askedFor("/pool/main/" + file[:1] + "/" + file); n != 1 {
					t.Errorf("upstream was asked %d times for %s, want 1", n, file)
				}
			}
			if n := a.askedFor("/by-hash/"); plain != (n == 0) {
				t.Errorf("upstream was asked %d times for indexes by their content", n)
			}
			before := a.Total()
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)
			if n := a.Total() - before; n != 0 {
				t.Errorf("upstream was asked %d times for what is kept: %v", n, a.Requests())
			}
			a.Close()
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)
			h.Stop()
			h = startHostIn(t, h.Dir, debianConfig(a, "3d", always))
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)
		})
	}
}

// installsTide updates and fetches a tide with the wreck that it needs.
func (r *aptRoot) installsTide(t *testing.T, want debPackage) {
	t.Helper()
	r.updates(t)
	r.downloads(t, "tide", want, wreck10)
}

func TestDebianUnchangedIndexesAreNotFetchedAgain(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	a.publish(t, stable)
	h := startHost(t, debianConfig(a, "0", always))
	r := newApt(t, h.URL, a, "stable")
	r.updates(t)
	if out := r.updates(t); !strings.Contains(out, "Hit:1") || strings.Contains(out, "Get:") {
		t.Errorf("apt fetched what had not changed:\n%s", out)
	}
	a.publish(t, newStable)
	r.installsTide(t, tide11)
}

// startStable plays an archive of stable and returns the state that follows, too.
// With plain, its indexes are there by their own names alone.
func startStable(t *testing.T, plain bool) (a *debArchive, after suiteState) {
	t.Helper()
	before, after := stable, newStable
	before.plain, after.plain = plain, plain
	a = startArchive(t)
	a.publish(t, before)
	return a, after
}

// TestDebianUpstreamChangesBetweenRequests publishes a new state, and takes the
// old one away, after a client got the old root and before it gets the rest.
func TestDebianUpstreamChangesBetweenRequests(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"by hash": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, after := startStable(t, plain)
			h := startHost(t, debianConfig(a, "0", always))
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)
			root := h.URL + "/debian/sea/dists/stable/"
			_, _, release := get(t, root+"InRelease")
			_, _, index := get(t, root+"main/binary-amd64/Packages.xz")

			a.remove("/dists/")
			a.publish(t, after)
			status, header, body := get(t, root+"main/binary-amd64/Packages.xz")
			if status != http.StatusOK || !bytes.Equal(body, index) || header.Get("Cache-Control") != "no-cache" {
				t.Errorf("after upstream changed, Packages.xz is answered with %d, %t, %s", status, bytes.Equal(body, index), header.Get("Cache-Control"))
			}
			late := newApt(t, h.URL, a, "stable")
			late.installsTide(t, tide11)
			if _, _, now := get(t, root+"InRelease"); bytes.Equal(now, release) {
				t.Error("the root did not change")
			}
			// By its content a reader under way still gets the older index.
			if status, _, body := get(t, root+"main/binary-amd64/by-hash/SHA256/"+sha256Hex(index)); status != http.StatusOK || !bytes.Equal(body, index) {
				t.Errorf("the older index is answered with %d", status)
			}
			a.Close()
			newApt(t, h.URL, a, "stable").installsTide(t, tide11)
		})
	}
}

// TestDebianHalfPublished shows the new root of a suite before the indexes that
// it lists are in place.
func TestDebianHalfPublished(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	before, half := stable, newStable
	before.plain, half.plain, half.until = true, true, "Packages.xz"
	a.publish(t, before)
	h := startHost(t, debianConfig(a, "0", always, `negative_ttl = "1ms"`))
	r := newApt(t, h.URL, a, "stable")
	r.installsTide(t, tide10)
	a.publish(t, half)
	r.updates(t)
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)

	half.until = ""
	a.publish(t, half)
	newApt(t, h.URL, a, "stable").installsTide(t, tide11)

	// Without an older state there is nothing to serve in its place: an error,
	// and no wrong bytes.
	half.packages, half.until, half.age = stable.packages, "Packages.xz", 0
	a.publish(t, half)
	fresh := startHost(t, debianConfig(a, "0", always))
	status, _, body := get(t, fresh.URL+"/debian/sea/dists/stable/main/binary-amd64/Packages.xz")
	if status != http.StatusBadGateway {
		t.Errorf("an index with another digest is answered with %d and %d bytes", status, len(body))
	}
}

// TestDebianCooldown publishes a new state while a cool-down holds it back.
func TestDebianCooldown(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	a.publish(t, stable)
	h := startHost(t, debianConfig(a, "3d", always))
	r := newApt(t, h.URL, a, "stable")
	r.updates(t)
	_, _, old := get(t, h.URL+"/debian/sea/dists/stable/InRelease")

	a.remove("/dists/")
	a.publish(t, newStable)
	r.installsTide(t, tide10)
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	if _, _, now := get(t, h.URL+"/debian/sea/dists/stable/InRelease"); !bytes.Equal(now, old) {
		t.Error("the root is not the older one")
	}
	held := a.files["/dists/stable/main/binary-amd64/Packages.xz"].body
	for path, want := range map[string]int{
		"dists/stable/main/binary-amd64/by-hash/SHA256/" + sha256Hex(held): http.StatusNotFound,
		tide11.path():  http.StatusForbidden,
		tide10.path():  http.StatusOK,
		"pool/x_1.deb": http.StatusNotFound,
	} {
		if status, _, body := get(t, h.URL+"/debian/sea/"+path); status != want {
			t.Errorf("%s is answered with %d, want %d: %.200s", path, status, want, body)
		}
	}
	// An old file that no index lists was uploaded long ago.
	stray := debPackage{name: "stray", version: "1", age: 90 * day}
	a.put("/"+stray.path(), stray.deb(t), fixtureNow.Add(-stray.age))
	if status, _, body := get(t, h.URL+"/debian/sea/"+stray.path()); status != http.StatusOK || !bytes.Equal(body, stray.deb(t)) {
		t.Errorf("an old file outside of the index is answered with %d", status)
	}

	// What is new here begins with the state that it finds.
	newApt(t, startHost(t, debianConfig(a, "3d")).URL, a, "stable").installsTide(t, tide11)

	// The rules may be loosened, and what is held is there then.
	a.Close()
	h.Configure(t, debianConfig(a, "0", always))
	newApt(t, h.URL, a, "stable").updates(t)
	if _, _, now := get(t, h.URL+"/debian/sea/dists/stable/InRelease"); bytes.Equal(now, old) {
		t.Error("without a cool-down the root is still the older one")
	}
	h.Configure(t, debianConfig(a, "3d", always))
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
}

// TestDebianSupersededFiles has upstream drop a package's file that only a state
// to come lists, as a newer state has another.
func TestDebianSupersededFiles(t *testing.T) {
	t.Parallel()
	kelp11, kelp12 := debPackage{name: "kelp", version: "1.1", age: 2 * time.Hour}, debPackage{name: "kelp", version: "1.2", age: time.Hour}
	tide12 := debPackage{name: "tide", version: "1:1.2-1", age: time.Hour, more: tide11.more}
	second := suiteState{suite: "stable", packages: []debPackage{wreck10, tide11, kelp11}, age: 2 * time.Hour}
	third := suiteState{suite: "stable", packages: []debPackage{wreck10, tide12, kelp12}, age: time.Hour}
	a := startArchive(t)
	a.publish(t, stable)
	h := startHost(t, debianConfig(a, "3d", always))
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	root := h.URL + "/debian/sea/dists/stable/InRelease"
	for _, s := range []suiteState{second, third} {
		a.publish(t, s)
		asked := a.askedFor("by-hash")
		eventually(t, "to have the indexes of the new state", func() bool {
			get(t, root)
			return a.askedFor("by-hash") > asked
		})
	}
	eventually(t, "to fetch what upstream is about to drop", func() bool {
		get(t, root)
		return a.askedFor(tide11.file()) > 0
	})
	if status, _, body := get(t, h.URL+"/debian/sea/"+tide11.path()); status != http.StatusForbidden {
		t.Errorf("a file of a state to come is answered with %d: %.200s", status, body)
	}
	for _, p := range []debPackage{kelp11, kelp12, tide12} {
		if a.askedFor("/"+p.file()) > 0 {
			t.Errorf("%s was fetched, which nobody asked for, or which upstream keeps", p.file())
		}
	}
	a.remove(tide11.file())
	state := fixtureNow.Add(-second.age).UTC().Format("20060102T150405Z")
	if out, err := h.Run(t, "exempt", "pkg:deb/sea/dists/stable@"+state, "--reason", "as if it were old enough", "--expires", "1d"); err != nil {
		t.Fatalf("exempt: %v\n%s", err, out)
	}
	newApt(t, h.URL, a, "stable").installsTide(t, tide11)
}

// TestDebianPrefetch has upstream drop what nobody has used yet, while a state is
// in force that lists it: there is room for the smaller one of two.
func TestDebianPrefetch(t *testing.T) {
	t.Parallel()
	older := stable
	var ballast strings.Builder
	for i := range 200 {
		ballast.WriteString(sha256Hex([]byte{byte(i)}))
	}
	kelp10, whale10 := debPackage{name: "kelp", version: "1.0", age: 60 * day}, debPackage{name: "whale", version: "1.0", age: 60 * day, more: "Ballast: " + ballast.String() + "\n"}
	older.packages = append(slices.Clone(stable.packages), kelp10, whale10)
	a := startArchive(t)
	a.publish(t, older)
	room := len(whale10.deb(t)) - 1
	for _, p := range []debPackage{kelp10, tide10, wreck10} {
		if len(p.deb(t)) > len(whale10.deb(t)) {
			t.Fatalf("%s is larger than the large package", p.name)
		}
		room += len(p.deb(t))
	}
	h := startHost(t, debianConfig(a, "3d", always+fmt.Sprintf("\nprefetch = \"%dB\"", room)))
	client := newApt(t, h.URL, a, "stable")
	if out, err := client.run(t, "update"); err != nil {
		t.Fatalf("apt-get update: %v\n%s", err, out)
	}
	a.publish(t, suiteState{suite: "stable", packages: []debPackage{tide11}, age: time.Hour})
	eventually(t, "to fetch what upstream is about to drop", func() bool {
		get(t, h.URL+"/debian/sea/dists/stable/InRelease")
		return a.askedFor("/"+kelp10.file()) > 0
	})
	a.remove(kelp10.file())
	eventually(t, "to have what upstream dropped", func() bool {
		status, _, _ := get(t, h.URL+"/debian/sea/"+kelp10.path())
		return status == http.StatusOK
	})
	if a.askedFor("/"+whale10.file()) > 0 {
		t.Error("a file was fetched that there is no room for")
	}
}

// TestDebianLaggedCompressions has clients ask for an index of a lagged state in
// forms that nobody asked for while upstream had them.
func TestDebianLaggedCompressions(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"by hash": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, after := startStable(t, plain)
			h := startHost(t, debianConfig(a, "3d", always, `negative_ttl = "1ms"`))
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)
			packed := a.files["/dists/stable/main/binary-amd64/Packages.gz"].body
			a.remove("/dists/")
			a.remove(tide10.file())
			a.publish(t, after)
			newApt(t, h.URL, a, "stable").installsTide(t, tide10)

			root := h.URL + "/debian/sea/dists/stable/main/binary-amd64/"
			for _, file := range []string{"Packages", "Packages.gz", "by-hash/SHA256/" + sha256Hex(packed)} {
				if status, _, body := get(t, root+file); status != http.StatusNotFound || !strings.Contains(string(body), "gone upstream") {
					t.Errorf("%s, which nobody had, is answered with %d %s", file, status, body)
				}
			}
			other := newApt(t, h.URL, a, "stable")
			other.env = append(other.env, "APT_CONFIG="+other.configured(t, "Acquire::CompressionTypes::Order { \"gz\"; };\n"))
			if out, err := other.run(t, "update"); err != nil {
				t.Errorf("apt-get update that prefers gzip: %v\n%s", err, out)
			}
			other.downloads(t, "tide", tide10, wreck10)
		})
	}
}

// TestDebianCooldownEndsBeforeTheStateExpires has an old state that clients
// stop believing in half an hour.
func TestDebianCooldownEndsBeforeTheStateExpires(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	expiring := stable
	expiring.valid = 30 * time.Minute
	a.publish(t, expiring)
	h := startHost(t, debianConfig(a, "3d", always))
	r := newApt(t, h.URL, a, "stable")
	r.installsTide(t, tide10)
	a.publish(t, newStable)
	newApt(t, h.URL, a, "stable").installsTide(t, tide11)
}

// TestDebianSecurityIsUrgent has a suite that is not held back, unless a rule
// names it.
func TestDebianSecurityIsUrgent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule string
		want debPackage
	}{
		"by default":      {"", tide11},
		"held by a rule":  {"pkg:deb/sea/dists/*-security", tide10},
		"held by another": {"pkg:deb/sea/dists/stable", tide11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startArchive(t)
			before, after := stable, newStable
			before.suite, after.suite = "stable-security", "stable-security"
			a.publish(t, before)
			config := debianConfig(a, "3d", always)
			if test.rule != "" {
				config = strings.Replace(config, "default = \"3d\"\n", fmt.Sprintf("default = \"3d\"\n  packages = { %q = \"2d\" }\n", test.rule), 1)
			}
			h := startHost(t, config)
			newApt(t, h.URL, a, "stable-security").installsTide(t, tide10)
			a.publish(t, after)
			newApt(t, h.URL, a, "stable-security").installsTide(t, test.want)
		})
	}
}

// TestDebianTampered has upstream serve other bytes than its index lists.
func TestDebianTampered(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	a.publish(t, stable)
	h := startHost(t, debianConfig(a, "3d"))
	r := newApt(t, h.URL, a, "stable")
	r.updates(t)
	bad := tide10.deb(t)
	bad[len(bad)/2] ^= 1
	a.put("/"+tide10.path(), bad, fixtureNow.Add(-30*day))
	if out, err := r.run(t, "install", "--yes", "--download-only", "tide"); err == nil {
		t.Errorf("apt took a package that was tampered with:\n%s", out)
	}
	a.put("/"+tide10.path(), tide10.deb(t), fixtureNow.Add(-30*day))
	r.downloads(t, "tide", tide10, wreck10)
}

// TestDebianKeys has suites verified at the host.
func TestDebianKeys(t *testing.T) {
	t.Parallel()
	a, other := startArchive(t), startArchive(t)
	a.publish(t, stable)
	keys := func(of *debArchive) string {
		return fmt.Sprintf("options {\n  keys = {\n    sea = <<-EOT\n%s\n    EOT\n  }\n}", of.armored)
	}
	h := startHost(t, debianConfig(a, "0", keys(a), always))
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	key := a.key
	a.key = other.key
	a.publish(t, newStable)
	a.key = key
	eventually(t, "to say why the new state is not served", func() bool {
		status, _, body := get(t, h.URL+"/debian/sea/dists/stable/InRelease")
		if status != http.StatusOK || bytes.Equal(body, a.files["/dists/stable/InRelease"].body) {
			t.Fatalf("after a state signed by another key, the suite is answered with %d: %s", status, body)
		}
		return strings.Contains(h.log.String(), "not signed by a key that is configured for its archive")
	})
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	a.publish(t, stable)
	h = startHost(t, debianConfig(a, "3d", keys(other)))
	if status, _, body := get(t, h.URL+"/debian/sea/dists/stable/InRelease"); status != http.StatusBadGateway || !strings.Contains(string(body), "not signed by a key") {
		t.Errorf("a suite signed by another key is answered with %d: %s", status, body)
	}
}

// TestDebianSeveralArchives has two archives behind one mount.
func TestDebianSeveralArchives(t *testing.T) {
	t.Parallel()
	a, b := startArchive(t), startArchive(t)
	a.publish(t, stable)
	b.publish(t, newStable)
	h := startHost(t, debianConfig(a, "3d", fmt.Sprintf("upstream \"lake\" {\n  url = %q\n}", b.URL)))
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	r := newApt(t, h.URL, b, "stable")
	list := filepath.Join(r.dir, "etc/apt/sources.list")
	if err := os.WriteFile(list, fmt.Appendf(nil, "deb [signed-by=%s] %s/debian/lake stable main\n", b.keyring, h.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	r.installsTide(t, tide11)
	if status, _, body := get(t, h.URL+"/debian/pond/dists/stable/InRelease"); status != http.StatusNotFound || !strings.Contains(string(body), "no upstream is configured") {
		t.Errorf("an archive that nobody configured is answered with %d: %s", status, body)
	}
}

// debootstrap makes a tree of what a suite needs at least, fetched only.
func debootstrap(t *testing.T, keyring, suite, mirror string) string {
	t.Helper()
	program := needs(t, "debootstrap")
	needs(t, "gpgv")
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: debootstrap must be run by root")
	}
	tree := filepath.Join(t.TempDir(), "tree")
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=" + t.TempDir(), "no_proxy=127.0.0.1"}
	out, err := runIn(t, "/", env, program, "--variant=minbase", "--download-only", "--arch=amd64", "--keyring="+keyring, suite, tree, mirror)
	if err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	return tree
}

func TestDebianBootstraps(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	required := []debPackage{
		{name: "keel", version: "1.0-1", age: 60 * day, more: "Priority: required\nEssential: yes\n"},
		{name: "apt", version: "1.0-1", age: 60 * day, more: "Priority: important\nDepends: wreck\n"},
		wreck10,
	}
	a.publish(t, suiteState{suite: "stable", packages: required, age: 10 * day})
	h := startHost(t, debianConfig(a, "3d", always))
	for _, upstream := range []string{"alive", "moved on", "dead"} {
		switch upstream {
		case "moved on":
			newer := slices.Clone(required)
			newer[0].version, newer[0].age = "1.1-1", time.Hour
			a.remove("/dists/")
			a.remove(required[0].file())
			a.publish(t, suiteState{suite: "stable", packages: newer, age: time.Hour})
		case "dead":
			a.Close()
		}
		tree := debootstrap(t, a.keyring, "stable", h.URL+"/debian/sea")
		for _, p := range required {
			body, err := os.ReadFile(filepath.Join(tree, "var/cache/apt/archives", p.file()))
			if err != nil || !bytes.Equal(body, p.deb(t)) {
				t.Errorf("with upstream %s, %s is not what was published (%v)", upstream, p.file(), err)
			}
		}
	}
}

// TestDebianBootstrapsFromTheDefaultArchive fetches a minimal tree from the
// archive that this machine itself uses.
func TestDebianBootstrapsFromTheDefaultArchive(t *testing.T) {
	t.Parallel()
	needs(t, "debootstrap")
	mirror, suite, keyring := defaultArchive(t)
	reach(t, mirror+"/dists/"+suite+"/InRelease")
	config := fmt.Sprintf("repository \"debian\" {\n  upstream \"debian\" {\n    url = %q\n  }\n}\n", mirror)
	h := startHost(t, config)
	tree := debootstrap(t, keyring, suite, h.URL+"/debian/debian")
	files, err := filepath.Glob(filepath.Join(tree, "var/cache/apt/archives/*.deb"))
	if err != nil || len(files) < 20 {
		t.Errorf("debootstrap fetched %d packages (%v)", len(files), err)
	}
}

// defaultArchive is the archive of this machine's own sources, one of its
// suites and the keys that sign it. The test is skipped where there is none.
func defaultArchive(t *testing.T) (mirror, suite, keyring string) {
	t.Helper()
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	fields := regexp.MustCompile(`(?ms)^Types: deb$.*?^URIs: (\S+?)/?$.*?^Suites: (\S+).*?^Signed-By: (\S+)$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if m := fields.FindSubmatch(text); m != nil && strings.HasPrefix(string(m[1]), "http") {
			return string(m[1]), string(m[2]), string(m[3])
		}
	}
	t.Skip("SKIPPED: this machine has no archive in /etc/apt/sources.list.d")
	return "", "", ""
}
