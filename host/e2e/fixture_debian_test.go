package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ulikunitz/xz"
)

// debArchive is an archive of Debian packages on loopback.
type debArchive struct {
	*Upstream
	// key signs its suites; keyring is a file with its public half, armored is
	// that as text.
	key              *openpgp.Entity
	keyring, armored string

	mu    sync.Mutex
	files map[string]debFile // by unescaped path
}

// debFile is a file of an archive.
type debFile struct {
	body     []byte
	modified time.Time
}

// debPackage is a binary package.
type debPackage struct {
	name, version string
	age           time.Duration
	// more are fields of its control file, with their line feeds.
	more string
}

// suiteState is one state of a suite.
type suiteState struct {
	suite    string
	packages []debPackage
	age      time.Duration
	// valid is for how long from now on clients believe it; 0: for good.
	valid time.Duration
	// plain is whether upstream does not have indexes by their content.
	plain bool
	// also are architectures besides amd64, with the same packages.
	also []string
	// detached is whether its signature is a file of its own.
	detached bool
	// until stops before a file whose path ends in it is put in place; empty:
	// all are.
	until string
}

// startArchive serves an archive without suites.
func startArchive(t testing.TB) *debArchive {
	t.Helper()
	a := &debArchive{files: map[string]debFile{}}
	a.Upstream = startUpstream(t, a)
	config := &packet.Config{Time: func() time.Time { return fixtureNow.Add(-400 * day) }}
	var err error
	if a.key, err = openpgp.NewEntity("Harbour", "", "harbour@example.com", config); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := a.key.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	a.keyring = filepath.Join(t.TempDir(), "harbour.gpg")
	if err := os.WriteFile(a.keyring, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	w, err := armor.Encode(&text, openpgp.PublicKeyType, nil)
	if err == nil {
		_, err = w.Write(b.Bytes())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	a.armored = text.String()
	return a
}

func (a *debArchive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	f, ok := a.files[r.URL.Path]
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", f.modified, bytes.NewReader(f.body))
}

func (a *debArchive) put(file string, body []byte, modified time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[file] = debFile{body, modified}
}

// remove takes away what has a text in its path.
func (a *debArchive) remove(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for file := range a.files {
		if strings.Contains(file, text) {
			delete(a.files, file)
		}
	}
}

// askedFor is how often files with a text in their path were asked for.
func (a *debArchive) askedFor(text string) int {
	n := 0
	for request, times := range a.Requests() {
		if strings.Contains(request, text) {
			n += times
		}
	}
	return n
}

// publish puts a state of a suite, and its packages, in the place of what there
// is. What there was by its content stays, as it does upstream for a while.
func (a *debArchive) publish(t testing.TB, s suiteState) {
	t.Helper()
	var index bytes.Buffer
	for _, p := range s.packages {
		body := p.deb(t)
		a.put("/"+p.path(), body, fixtureNow.Add(-p.age))
		fmt.Fprintf(&index, "%sFilename: %s\nSize: %d\nSHA256: %s\n\n", p.control(), p.path(), len(body), sha256Hex(body))
	}
	indexes := map[string][]byte{"": index.Bytes(), ".gz": gzipped(t, index.Bytes()), ".xz": xzipped(t, index.Bytes())}
	translation := gzipped(t, []byte("Package: none\n\n"))
	date := fixtureNow.Add(-s.age)
	release := fmt.Sprintf("Origin: Harbour\nSuite: %s\nCodename: %s\nDate: %s\nArchitectures: %s\nComponents: main\n",
		s.suite, s.suite, date.Format("Mon, 02 Jan 2006 15:04:05 UTC"), strings.Join(append([]string{"amd64"}, s.also...), " "))
	if s.valid != 0 {
		release += fmt.Sprintf("Valid-Until: %s\n", time.Now().Add(s.valid).UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	}
	if !s.plain {
		release += "Acquire-By-Hash: yes\n"
	}
	release += "SHA256:\n"
	parts := map[string][]byte{"main/i18n/Translation-en.gz": translation}
	for extension, body := range indexes {
		for _, arch := range append([]string{"amd64"}, s.also...) {
			if arch != "amd64" { // another index, as far as its bytes go
				body = append(slices.Clone(body), arch...)
			}
			parts["main/binary-"+arch+"/Packages"+extension] = body
		}
	}
	for _, name := range sortedKeys(parts) {
		release += fmt.Sprintf(" %s %d %s\n", sha256Hex(parts[name]), len(parts[name]), name)
	}
	for _, arch := range append([]string{"amd64"}, s.also...) {
		delete(parts, "main/binary-"+arch+"/Packages") // listed, but not there
	}
	roots := map[string][]byte{}
	if s.detached {
		roots["Release"], roots["Release.gpg"] = []byte(release), a.signature(t, release, date)
	} else {
		roots["InRelease"] = a.sign(t, release, date)
	}
	maps.Copy(parts, roots)
	root := "/dists/" + s.suite + "/"
	for _, name := range sortedKeys(parts) { // InRelease first
		if s.until != "" && strings.HasSuffix(name, s.until) {
			continue
		}
		a.put(root+name, parts[name], date)
		if !s.plain && roots[name] == nil {
			a.put(root+path.Dir(name)+"/by-hash/SHA256/"+sha256Hex(parts[name]), parts[name], date)
		}
	}
}

// sign makes an InRelease.
func (a *debArchive) sign(t testing.TB, text string, at time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, a.key.PrivateKey, &packet.Config{Time: func() time.Time { return at }})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// signature makes a Release.gpg.
func (a *debArchive) signature(t testing.TB, text string, at time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	config := &packet.Config{Time: func() time.Time { return at }}
	if err := openpgp.ArmoredDetachSign(&b, a.key, strings.NewReader(text), config); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// changesAt puts a state in the place of all that there is as soon as a file with
// a text in its path is asked for, before that is answered.
func (a *debArchive) changesAt(t testing.TB, text string, s suiteState) {
	t.Helper()
	next := &debArchive{key: a.key, files: map[string]debFile{}}
	next.publish(t, s)
	var once sync.Once
	a.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, text) {
			once.Do(func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.files = next.files
			})
		}
		a.ServeHTTP(w, r)
	}))
}

// path is where the package's file is in an archive.
func (p debPackage) path() string {
	return fmt.Sprintf("pool/main/%c/%s/%s", p.name[0], p.name, p.file())
}

// file is the name of its file, which has no epoch.
func (p debPackage) file() string {
	version := p.version
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	return p.name + "_" + version + "_amd64.deb"
}

func (p debPackage) control() string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Harbour <harbour@example.com>\n%sDescription: %s\n", p.name, p.version, p.more, p.name)
}

// deb is the package's file: an ar archive of two tarballs (deb(5)).
func (p debPackage) deb(t testing.TB) []byte {
	t.Helper()
	data := make([]byte, 100<<10)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(p.name + p.version))).Read(data) // never fails
	b := bytes.NewBufferString("!<arch>\n")
	for _, member := range []struct {
		name string
		body []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar.gz", tarball(t, map[string][]byte{"./control": []byte(p.control())})},
		{"data.tar.gz", tarball(t, map[string][]byte{"./usr/share/" + p.name + "/data.bin": data})},
	} {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", member.name, 1_000_000_000, 0, 0, "100644", len(member.body))
		b.Write(member.body)
		if len(member.body)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func gzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
