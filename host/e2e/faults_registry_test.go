package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// faultVersion is a version that a faultRegistry has.
type faultVersion struct {
	Name, Version string
	Body          []byte
	Published     time.Time // zero: long ago
	Tarball       string    // its address; empty: the registry's own
	Undigested    bool      // its listing gives no digest
}

// file is the name of the tarball.
func (v faultVersion) file() string { return path.Base(v.Name) + "-" + v.Version + ".tgz" }

// path is the address of the tarball below a repository.
func (v faultVersion) path() string { return "/" + v.Name + "/-/" + v.file() }

// faultRegistry is an npm registry on loopback whose answers can be broken: a
// hook answers in the place of what it would say itself.
type faultRegistry struct {
	*Upstream

	mu       sync.Mutex
	versions map[string][]faultVersion
	document http.HandlerFunc
	tarball  func(w http.ResponseWriter, r *http.Request, v faultVersion)
}

// startFaultRegistry starts a registry that has some versions.
func startFaultRegistry(t testing.TB, versions ...faultVersion) *faultRegistry {
	t.Helper()
	f := &faultRegistry{versions: map[string][]faultVersion{}}
	f.Upstream = startUpstream(t, f)
	f.Publish(versions...)
	return f
}

// Publish adds versions.
func (f *faultRegistry) Publish(versions ...faultVersion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range versions {
		f.versions[v.Name] = append(f.versions[v.Name], v)
	}
}

// Withdraw takes all versions of a package away and puts others in their place.
func (f *faultRegistry) Withdraw(name string, left ...faultVersion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[name] = left
}

// BreakDocuments has documents answered by a hook; nil: as they are.
func (f *faultRegistry) BreakDocuments(hook http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.document = hook
}

// BreakTarballs has tarballs answered by a hook; nil: as they are.
func (f *faultRegistry) BreakTarballs(hook func(http.ResponseWriter, *http.Request, faultVersion)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tarball = hook
}

// Fetched is how often a version's tarball was downloaded, in whole or in part.
func (f *faultRegistry) Fetched(v faultVersion) int { return f.Asked("GET " + v.path()) }

// Documents is how often a package's document was asked for.
func (f *faultRegistry) Documents(name string) int {
	return f.Asked("GET /" + strings.ReplaceAll(name, "/", "%2f"))
}

func (f *faultRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	document, tarball, all := f.document, f.tarball, maps.Clone(f.versions)
	f.mu.Unlock()
	if name, file, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/"); ok && name != "" {
		for _, v := range all[name] {
			if v.file() != file {
				continue
			}
			if tarball != nil {
				tarball(w, r, v)
			} else {
				faultServeWhole(w, r, v)
			}
			return
		}
		http.NotFound(w, r)
		return
	}
	if document != nil {
		document(w, r)
		return
	}
	f.serveDocument(w, r)
}

// serveDocument answers with a package's document, conditionally.
func (f *faultRegistry) serveDocument(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	f.mu.Lock()
	versions := f.versions[name]
	f.mu.Unlock()
	if len(versions) == 0 {
		http.NotFound(w, r)
		return
	}
	doc := faultDocument(f.URL, name, versions...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", faultETag(doc))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(doc))
}

// faultServeWhole sends a tarball as a well-behaved registry does: with ETag,
// ranges and HEAD.
func faultServeWhole(w http.ResponseWriter, r *http.Request, v faultVersion) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", faultETag(v.Body))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(v.Body))
}

func faultETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// faultDocument writes a packument.
func faultDocument(base, name string, versions ...faultVersion) []byte {
	type object map[string]any
	manifests, times := object{}, object{"created": "2015-01-01T00:00:00.000Z", "modified": "2016-01-01T00:00:00.000Z"}
	latest := ""
	for _, v := range versions {
		published := v.Published
		if published.IsZero() {
			published = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		times[v.Version] = published.UTC().Format("2006-01-02T15:04:05.000Z")
		tarball := v.Tarball
		if tarball == "" {
			tarball = base + v.path()
		}
		dist := object{"tarball": tarball}
		if !v.Undigested {
			sum := sha512.Sum512(v.Body)
			dist["integrity"] = "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
		}
		manifests[v.Version] = object{"name": name, "version": v.Version, "dist": dist}
		latest = v.Version
	}
	doc, err := json.Marshal(object{
		"_id": name, "name": name, "description": strings.Repeat("A package that only tests have. ", 20),
		"dist-tags": object{"latest": latest}, "versions": manifests, "time": times,
	})
	if err != nil {
		panic(err)
	}
	return doc
}

// faultBytes makes bytes that do not compress and differ by seed.
func faultBytes(seed uint64, size int) []byte {
	body := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(body)
	return body
}

// faultConfig is a host with one npm repository, without cool-down, and with
// further lines for the repository.
func faultConfig(upstream string, lines ...string) string {
	return fmt.Sprintf(`
cooldown { default = "0" }
repository "npm" {
  upstream "main" { url = %q }
  %s
}
`, upstream, strings.Join(lines, "\n  "))
}

// faultAnswer is what a client got, complete or not.
type faultAnswer struct {
	Status int
	Header http.Header
	Body   []byte
	// Err says that there was no answer, or that its body broke off.
	Err error
}

// whole reports whether a client would take the answer for a complete file.
func (a faultAnswer) whole() bool { return a.Err == nil && a.Status == http.StatusOK }

// faultTry asks once and takes whatever comes.
func faultTry(t testing.TB, method, address string, headers ...string) faultAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return faultAnswer{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return faultAnswer{resp.StatusCode, resp.Header, body, err}
}

// faultGet wants a complete body.
func faultGet(t testing.TB, address string, want []byte) http.Header {
	t.Helper()
	a := faultTry(t, http.MethodGet, address)
	if a.Err != nil || a.Status != http.StatusOK || !bytes.Equal(a.Body, want) {
		t.Fatalf("GET %s answers %d with %d bytes (sha256 %s, error %v), not the %d bytes wanted: %s",
			address, a.Status, len(a.Body), faultSum(a.Body), a.Err, len(want), a.Body[:min(len(a.Body), 300)])
	}
	return a.Header
}

func faultSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// faultFiles lists the regular files below a directory with their sizes.
func faultFiles(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files[p] = info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// faultBlob is where a host keeps a body.
func faultBlob(h *Host, body []byte) string {
	sum := faultSum(body)
	return filepath.Join(h.Dir, "data", "blobs", sum[:2], sum[2:])
}

// faultKept reports whether a host keeps a body.
func faultKept(h *Host, body []byte) bool {
	_, err := os.Stat(faultBlob(h, body))
	return err == nil
}

// faultGate holds an upstream back until the test lets it go on; it opens at
// the end of the test, so that nothing hangs.
type faultGate struct {
	once sync.Once
	c    chan struct{}
}

func newFaultGate(t testing.TB) *faultGate {
	g := &faultGate{c: make(chan struct{})}
	t.Cleanup(g.Open)
	return g
}

// Open lets everybody pass.
func (g *faultGate) Open() { g.once.Do(func() { close(g.c) }) }

// Wait waits for the gate, or for the one who asked to leave.
func (g *faultGate) Wait(r *http.Request) {
	select {
	case <-g.c:
	case <-r.Context().Done():
	}
}

// gated sends the first bytes of a tarball and the rest when the gate opens.
func (g *faultGate) gated(first int) func(http.ResponseWriter, *http.Request, faultVersion) {
	return func(w http.ResponseWriter, r *http.Request, v faultVersion) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(v.Body)))
		if r.Method == http.MethodHead {
			return
		}
		w.Write(v.Body[:first])
		w.(http.Flusher).Flush()
		g.Wait(r)
		w.Write(v.Body[first:])
	}
}

// faultRaw sends bytes as they are over a connection of its own and returns the
// status line's code and everything that came back; 0: the connection was
// closed without an answer.
func faultRaw(t testing.TB, base, request string) (status int, answer string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	all, _ := io.ReadAll(io.LimitReader(c, 1<<20)) // a connection that is reset has answered too
	if fields := strings.Fields(string(all)); len(fields) > 1 && strings.HasPrefix(fields[0], "HTTP/") {
		status, _ = strconv.Atoi(fields[1])
	}
	return status, string(all)
}
