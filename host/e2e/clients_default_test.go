package e2e

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/git-pkgs/purl"
)

// TestClientsInstallFromDefaultUpstreams installs one small package from each
// public registry, as a configuration has it that names no upstream.
func TestClientsInstallFromDefaultUpstreams(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		client *client
		name   string
		// probe is an address at the public registry that answers when the
		// registry can be reached.
		probe string
		// locked finds the file's path at the host, or its version, and its
		// digest in the lock file.
		locked *regexp.Regexp
		// file is the path, with the version in the place of %.
		file string
	}{
		{npmClient, "is-number", defaultUpstream("npm", "") + "/is-number/latest", regexp.MustCompile(`"node_modules/is-number": \{\s+"version": "([^"]+)",\s+"resolved": "[^"]+",\s+"integrity": "(sha512-[^"]+)"`), "/is-number/-/is-number-%.tgz"},
		{cargoClient, "itoa", defaultUpstream("cargo", "index.") + "/config.json", regexp.MustCompile(`name = "itoa"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]+)"`), "/crates/itoa/%/download"},
		{pipClient, "six", defaultUpstream("pypi", "") + "/simple/six/", regexp.MustCompile(`six @ \S+/pypi(/files/\S+) --hash=sha256:([0-9a-f]+)`), "%"},
	} {
		t.Run(test.client.name, func(t *testing.T) {
			t.Parallel()
			test.client.needed(t)
			reach(t, test.probe)
			repository := strings.TrimPrefix(strings.TrimSuffix(test.client.purl, "/"), "pkg:")
			h := startHost(t, "repository \""+repository+"\" {}\n")
			at := h.URL + "/" + repository
			p := test.client.project(t, at)
			if out, err := test.client.add(t, p, test.name, ""); err != nil {
				t.Fatalf("%s does not install %s: %v\n%s", test.client.name, test.name, err, out)
			}
			if found, err := filepath.Glob(filepath.Join(p.root, test.client.dir(test.name))); test.client != pipClient && (err != nil || len(found) != 1) {
				t.Errorf("%s is not installed: %v %v", test.name, found, err)
			}
			lock := p.read(t, p.locks[len(p.locks)-1])
			found := test.locked.FindStringSubmatch(lock)
			if found == nil {
				t.Fatalf("the lock file does not match %s:\n%s", test.locked, lock)
			}
			status, _, body := get(t, at+strings.Replace(test.file, "%", found[1], 1))
			long, short := sha512.Sum512(body), sha256.Sum256(body)
			if digest := found[2]; status != http.StatusOK || digest != hex.EncodeToString(short[:]) && digest != "sha512-"+base64.StdEncoding.EncodeToString(long[:]) {
				t.Errorf("the file is answered with %d and %d bytes, not those that the lock file has a digest of (%s)", status, len(body), digest)
			}
			again := p.again(t)
			if out, err := test.client.locked(t, again); err != nil {
				t.Errorf("%s does not install what it locked: %v\n%s", test.client.name, err, out)
			}
		})
	}
}

// defaultUpstream is the address of an ecosystem's public registry, with a
// prefix before its host.
func defaultUpstream(ecosystem, prefix string) string {
	u, err := url.Parse(purl.DefaultRegistry(ecosystem))
	if err != nil {
		return ""
	}
	u.Host = prefix + u.Host
	return strings.TrimSuffix(u.String(), "/")
}

// reach skips the test where a public registry does not answer.
func reach(t *testing.T, address string) {
	t.Helper()
	client := &http.Client{Timeout: 15 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "entrepot-e2e")
	resp, err := client.Do(req)
	if err != nil {
		t.Skipf("SKIPPED: the default upstream cannot be reached: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Skipf("SKIPPED: the default upstream cannot be reached: it answers %s", resp.Status)
	}
}
