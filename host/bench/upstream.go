package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kind is a size of package: its document and its file.
type kind struct {
	name     string
	count    int // distinct packages
	versions int
	file     int // bytes of a file
}

var kinds = []kind{
	{"small", 10_000, 4, 10 << 10},
	{"middle", 300, 220, 1 << 20},
	{"huge", 1, 9_000, 64 << 20},
	{"cold", 64, 1, 64 << 20},      // asked for once each
	{"broad", 16, 11_000, 1 << 10}, // likewise
}

// registry is an npm registry whose packages are made up as they are asked for.
type registry struct {
	url   string
	asked atomic.Int64
	pace  atomic.Int64 // bytes a second of files; 0: as fast as it goes
	ready sync.Map     // bodies made before they are asked for, by path
}

// prepare makes a file's body, so that making it is not measured.
func (r *registry) prepare(k kind, i int) { r.ready.Store(filePath(k, i), content(k, i)) }

// body is a file's.
func (r *registry) body(k kind, i int) []byte {
	if b, ok := r.ready.Load(filePath(k, i)); ok {
		return b.([]byte)
	}
	return content(k, i)
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.asked.Add(1)
	name, file, isFile := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/-/")
	k, i, ok := parseName(name)
	if !ok {
		http.NotFound(w, req)
		return
	}
	if !isFile {
		body := packument(k, i, r.url)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"`+strconv.Itoa(len(body))+name+`"`)
		w.Header().Set("Cache-Control", "max-age=31536000")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
		return
	}
	if file != fileName(name, k.versions-1) {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+name+`"`)
	w.Header().Set("Cache-Control", "max-age=31536000")
	body := r.body(k, i)
	pace := r.pace.Load()
	if pace == 0 {
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	began := time.Now()
	for sent := 0; sent < len(body); {
		n := min(128<<10, len(body)-sent)
		if _, err := w.Write(body[sent : sent+n]); err != nil {
			return
		}
		sent += n
		time.Sleep(time.Duration(float64(sent)/float64(pace)*float64(time.Second)) - time.Since(began))
	}
}

func parseName(name string) (kind, int, bool) {
	prefix, number, _ := strings.Cut(name, "-")
	i, err := strconv.Atoi(number)
	for _, k := range kinds {
		if k.name == prefix && err == nil && i >= 0 && i < k.count {
			return k, i, true
		}
	}
	return kind{}, 0, false
}

func packageName(k kind, i int) string   { return k.name + "-" + strconv.Itoa(i) }
func fileName(name string, v int) string { return fmt.Sprintf("%s-1.%d.0.tgz", name, v) }
func filePath(k kind, i int) string {
	n := packageName(k, i)
	return "/" + n + "/-/" + fileName(n, k.versions-1)
}
func documentPath(k kind, i int) string { return "/" + packageName(k, i) }
func publishedAt(v, versions int) string {
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, v-versions).Format(time.RFC3339)
}

// content is a file's bytes, the same at each call.
func content(k kind, i int) []byte {
	b := make([]byte, k.file)
	rnd := rand.NewChaCha8([32]byte{byte(len(k.name)), k.name[0], byte(i), byte(i >> 8)})
	_, _ = rnd.Read(b) // never fails
	return b
}

// packument is a document shaped as npm's: of about 700 bytes a version.
func packument(k kind, i int, url string) []byte {
	name := packageName(k, i)
	versions, times := map[string]any{}, map[string]string{"created": publishedAt(0, k.versions), "modified": publishedAt(k.versions, k.versions)}
	for v := range k.versions {
		version := fmt.Sprintf("1.%d.0", v)
		sum := sha512.Sum512([]byte(name + version))
		if v == k.versions-1 {
			sum = sha512.Sum512(content(k, i))
		}
		versions[version] = map[string]any{
			"name": name, "version": version, "description": "A package made up for measuring", "license": "MIT",
			"main": "index.js", "_id": name + "@" + version, "gitHead": fmt.Sprintf("%x", sum[:20]),
			"scripts":      map[string]string{"test": "node test.js", "build": "tsc -p ."},
			"dependencies": map[string]string{"left": "^1.0.0", "right": "~2.3.4", "middle": ">=3"},
			"dist": map[string]any{
				"tarball": url + "/" + name + "/-/" + fileName(name, v), "shasum": fmt.Sprintf("%x", sum[:20]),
				"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]), "fileCount": 12, "unpackedSize": 34567,
			},
			"_npmUser": map[string]string{"name": "somebody", "email": "somebody@example.com"},
		}
		times[version] = publishedAt(v, k.versions)
	}
	body, err := json.Marshal(map[string]any{
		"_id": name, "_rev": "1-abc", "name": name, "description": "A package made up for measuring",
		"dist-tags": map[string]string{"latest": fmt.Sprintf("1.%d.0", k.versions-1)}, "versions": versions, "time": times, "license": "MIT",
	})
	if err != nil {
		panic(err)
	}
	return body
}
