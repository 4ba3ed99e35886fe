package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// startNPM plays an npm registry with the releases, each a second time in the
// scope @reef.
func startNPM(t testing.TB) *fixture {
	t.Helper()
	shelf := newShelf()
	mux := http.NewServeMux()
	mux.Handle("/", shelf)
	mux.HandleFunc("POST /-/npm/v1/security/advisories/bulk", npmAdvisories)
	mux.HandleFunc("GET /-/v1/search", npmSearch)
	up := startUpstream(t, mux)
	f := &fixture{
		repository: "npm",
		upstream:   fmt.Sprintf(`upstream "main" { url = %q }`, up.URL),
		servers:    []*Upstream{up},
		files:      map[string]*fixtureFile{},
	}
	for _, scope := range []string{"", "@reef/"} {
		grouped(releases, func(name string, of []release) {
			name = scope + name
			versions, times := map[string]any{}, map[string]string{}
			latest := ""
			for _, r := range of {
				r.name = name
				file := &fixtureFile{
					release: r,
					path:    fmt.Sprintf("/%s/-/%s-%s.tgz", name, strings.TrimPrefix(name, scope), r.version),
					on:      up,
					shelf:   shelf,
					body:    npmTarball(t, r, scope),
				}
				file.here, file.digest = file.path, integrity(file.body)
				f.files[r.String()] = file
				file.mend()
				versions[r.version] = npmManifest(r, scope, up.URL+file.path, file.body)
				times[r.version] = npmTime(r.published())
				latest = r.version
			}
			times["created"] = npmTime(of[0].published())
			times["modified"] = npmTime(of[len(of)-1].published())
			shelf.put("/"+strings.ReplaceAll(name, "/", "%2f"), "application/json", marshal(t, map[string]any{
				"_id": name, "_rev": "3-0f", "name": name, "readme": "# " + name,
				"dist-tags": map[string]string{"latest": latest, "next": latest},
				"versions":  versions, "time": times,
			}))
		})
	}
	return f
}

func npmTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

func npmDependencies(r release, scope string) map[string]string {
	if r.needs == "" {
		return map[string]string{}
	}
	return map[string]string{scope + r.needs: "^1.0.0"}
}

func npmManifest(r release, scope, tarball string, body []byte) map[string]any {
	sum := sha1.Sum(body)
	m := map[string]any{
		"_id": r.name + "@" + r.version, "name": r.name, "version": r.version, "main": "index.js",
		"dependencies": npmDependencies(r, scope),
		"dist": map[string]any{
			"tarball": tarball, "fileCount": 3,
			"shasum":    hex.EncodeToString(sum[:]),
			"integrity": integrity(body),
		},
	}
	if r.withdrawn != "" {
		m["deprecated"] = r.withdrawn
	}
	return m
}

// integrity is a digest as npm writes it (Subresource Integrity, section 3.5).
func integrity(body []byte) string {
	sum := sha512.Sum512(body)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func npmTarball(t testing.TB, r release, scope string) []byte {
	return tarball(t, map[string][]byte{
		"package/package.json": marshal(t, map[string]any{"name": r.name, "version": r.version, "main": "index.js", "dependencies": npmDependencies(r, scope)}),
		"package/index.js":     []byte(fmt.Sprintf("module.exports = %q\n", r.String())),
		"package/data.bin":     r.data(),
	})
}

// npmSearch finds the newest tide, whatever its age.
func npmSearch(w http.ResponseWriter, r *http.Request) {
	found := []any{}
	if r.FormValue("text") == newest.name {
		found = append(found, map[string]any{
			"package":     map[string]any{"name": newest.name, "version": newest.version, "date": npmTime(newest.published()), "description": "rises and falls", "keywords": []string{}, "maintainers": []any{}, "links": map[string]any{}},
			"score":       map[string]any{"final": 1, "detail": map[string]any{"quality": 1, "popularity": 1, "maintenance": 1}},
			"searchScore": 1,
		})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"objects": found, "total": len(found), "time": "Tue Jun 10 2025 10:00:00 GMT+0000"}) // the client left: nothing to do
}

// npmAdvisories answers an audit: there is something about wreck.
func npmAdvisories(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	var installed map[string][]string
	if err := json.NewDecoder(body).Decode(&installed); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := map[string]any{}
	if len(installed["wreck"]) > 0 {
		answer["wreck"] = []any{map[string]any{
			"id": 7, "url": "https://advisories.example.com/7", "title": "wreck leaks", "severity": "high",
			"vulnerable_versions": "<2.0.0", "cwe": []string{}, "cvss": map[string]any{"score": 7, "vectorString": nil},
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client left: nothing to do
}

// tarball packs files; the same files make the same bytes.
func tarball(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range sortedKeys(files) {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(1e9, 0), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
