package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// release is a version of a package that a fixture publishes.
type release struct {
	name, version string
	// age is how long ago it was published.
	age time.Duration
	// needs is a package of which it wants ^1.0.0; empty: none.
	needs string
	// withdrawn says why it was yanked, or deprecated; empty: it was not.
	withdrawn string
	// undated is whether the index does not say when it was published, where
	// another document of the registry does.
	undated bool
}

const day = 24 * time.Hour

// releases are what every fixture publishes, in the order of publication
// within a package.
var releases = []release{
	{name: "shell", version: "1.0.0", age: 365 * day},
	// The newest tide is too young for a cool-down of days.
	{name: "tide", version: "1.0.0", age: 30 * day, needs: "shell"},
	{name: "tide", version: "1.1.0", age: 2 * time.Hour, needs: "shell"},
	// All of spray is.
	{name: "spray", version: "1.0.0", age: 2 * time.Hour},
	{name: "wreck", version: "1.0.0", age: 60 * day},
	{name: "wreck", version: "1.1.0", age: 50 * day, withdrawn: "it sank"},
	{name: "kelp", version: "1.0.0", age: 60 * day, undated: true},
	{name: "kelp", version: "1.1.0", age: 2 * time.Hour, undated: true},
}

// newest is the tide that a cool-down holds back.
var newest = releases[2]

func (r release) String() string { return r.name + " " + r.version }

// data is the content of the file data.bin that each package has: large enough
// that no archive of it fits a buffer, and never twice the same.
func (r release) data() []byte {
	rng := rand.NewChaCha8(sha256.Sum256([]byte(r.String())))
	b := make([]byte, 200<<10)
	_, _ = rng.Read(b) // never fails
	return b
}

// published is when it was.
func (r release) published() time.Time {
	return fixtureNow.Add(-r.age)
}

// fixtureNow is one instant for all documents of a run, so that a document
// does not change when it is made twice.
var fixtureNow = time.Now().UTC().Truncate(time.Second)

// grouped calls a function with all releases of each package.
func grouped(all []release, visit func(name string, of []release)) {
	var names []string
	groups := map[string][]release{}
	for _, r := range all {
		if groups[r.name] == nil {
			names = append(names, r.name)
		}
		groups[r.name] = append(groups[r.name], r)
	}
	for _, name := range names {
		visit(name, groups[name])
	}
}

// fixture is an upstream registry on loopback with the releases.
type fixture struct {
	// repository is the name of its repository in the host's configuration, and
	// of its plugin.
	repository string
	// upstream is what stands in the repository's block.
	upstream string
	// servers are all that the host may ask.
	servers []*Upstream
	// files by release.
	files map[string]*fixtureFile
}

// fixtureFile is a package file.
type fixtureFile struct {
	release
	// here is its path at the host, below the repository's.
	here string
	// on and path are where upstream has it.
	on    *Upstream
	shelf *shelf
	path  string
	body  []byte
	// digest of the body as the registry gives it.
	digest string
}

// config is a configuration of the host with this registry; settings stand in
// the repository's block.
func (f *fixture) config(cooldown, settings string) string {
	return fmt.Sprintf("cooldown {\n  default = %q\n}\nrepository %q {\n%s\n%s\n}\n", cooldown, f.repository, f.upstream, settings)
}

// asked is how many requests all servers had.
func (f *fixture) asked() int {
	n := 0
	for _, s := range f.servers {
		n += s.Total()
	}
	return n
}

// requests are all requests, for a message.
func (f *fixture) requests() string {
	var b strings.Builder
	for _, s := range f.servers {
		for request, n := range s.Requests() {
			fmt.Fprintf(&b, "%d × %s %s\n", n, s.URL, request)
		}
	}
	return b.String()
}

// close has upstream refuse connections.
func (f *fixture) close() {
	for _, s := range f.servers {
		s.Close()
	}
}

// file is the package file of a release.
func (f *fixture) file(t testing.TB, name, version string) *fixtureFile {
	t.Helper()
	file := f.files[name+" "+version]
	if file == nil {
		t.Fatalf("the fixture has no %s %s", name, version)
	}
	return file
}

// fetched is how often upstream was asked for the file.
func (f *fixtureFile) fetched() int { return f.on.Asked("GET " + f.path) }

// tamper changes a byte of what upstream serves, and nothing else.
func (f *fixtureFile) tamper() {
	bad := bytes.Clone(f.body)
	bad[len(bad)/2] ^= 1
	f.shelf.put(f.path, "application/octet-stream", bad)
}

// mend undoes tamper.
func (f *fixtureFile) mend() { f.shelf.put(f.path, "application/octet-stream", f.body) }

// shelf is what an upstream serves: bodies by their escaped path and query,
// each with an ETag, in ranges and conditionally as registries do.
type shelf struct {
	mu    sync.Mutex
	items map[string]shelved
}

type shelved struct {
	contentType string
	body        []byte
}

func newShelf() *shelf { return &shelf{items: map[string]shelved{}} }

func (s *shelf) put(path, contentType string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[path] = shelved{contentType, body}
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	item, ok := s.items[r.URL.RequestURI()]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(item.body)
	w.Header().Set("Content-Type", item.contentType)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(item.body))
}
