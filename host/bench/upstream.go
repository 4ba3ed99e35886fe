package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
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

var (
	small  = kind{"small", 10_000, 4, 10 << 10}
	middle = kind{"middle", 300, 220, 1 << 20}
	huge   = kind{"huge", 1, 11_000, 64 << 20}
	single = kind{"cold", 64, 1, 64 << 20}      // asked for once each
	broad  = kind{"broad", 16, 11_000, 1 << 10} // likewise
	dated  = kind{"dated", 32, 220, 1 << 10}    // asked for again after their time
	tree   = kind{"tree", 241, 0, 0}            // what a project depends on; they differ
	many   = kind{"many", 1_000_000, 1, 2 << 10}

	kinds = []*kind{&small, &middle, &huge, &single, &broad, &dated, &tree, &many}
)

// versionsOf is how many versions a package has.
func (k kind) versionsOf(i int) int {
	if k.name == tree.name {
		return []int{5, 12, 30, 60, 120, 250}[i%6]
	}
	return k.versions
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
		abbreviated := strings.Contains(req.Header.Get("Accept"), abbreviatedType)
		body := packument(k, i, r.url, abbreviated)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Vary", "Accept")
		if abbreviated {
			w.Header().Set("Content-Type", abbreviatedType)
		}
		w.Header().Set("ETag", `"`+strconv.Itoa(len(body))+name+`"`)
		w.Header().Set("Cache-Control", "max-age=31536000")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
		return
	}
	if file != fileName(name, k.versionsOf(i)-1) {
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
			return *k, i, true
		}
	}
	return kind{}, 0, false
}

// abbreviatedType is the media type of what npm installs by.
const abbreviatedType = "application/vnd.npm.install-v1+json"

// packageName is the same length for all of a kind of which there are many, so
// that records of one can be made from those of another.
func packageName(k kind, i int) string {
	if k.name == many.name {
		return fmt.Sprintf("%s-%07d", k.name, i)
	}
	return k.name + "-" + strconv.Itoa(i)
}
func fileName(name string, v int) string { return fmt.Sprintf("%s-1.%d.0.tgz", name, v) }
func filePath(k kind, i int) string {
	n := packageName(k, i)
	return "/" + n + "/-/" + fileName(n, k.versionsOf(i)-1)
}
func documentPath(k kind, i int) string { return "/" + packageName(k, i) }
func publishedAt(v, versions int) string {
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, v-versions).Format(time.RFC3339)
}

// content is a file's bytes, the same at each call.
func content(k kind, i int) []byte {
	rnd := rand.NewChaCha8([32]byte{byte(len(k.name)), k.name[0], byte(i), byte(i >> 8), byte(i >> 16)})
	if k.name == tree.name {
		return archive(packageName(k, i), k.versionsOf(i)-1, []int{2, 6, 15, 40, 120}[i%5]<<10, rnd)
	}
	b := make([]byte, k.file)
	_, _ = rnd.Read(b) // never fails
	return b
}

// archive is a package that npm can install, with some bytes that do not
// compress.
func archive(name string, version, size int, from io.Reader) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	write := func(file string, body []byte) {
		// Writing to memory does not fail.
		_ = w.WriteHeader(&tar.Header{Name: "package/" + file, Mode: 0o644, Size: int64(len(body))})
		_, _ = w.Write(body)
	}
	write("package.json", fmt.Appendf(nil, `{"name":%q,"version":"1.%d.0","main":"index.js"}`, name, version))
	write("index.js", []byte("module.exports = 1\n"))
	data := make([]byte, size)
	_, _ = io.ReadFull(from, data)
	write("data.bin", data)
	_, _ = w.Close(), zip.Close()
	return out.Bytes()
}

// packument is a document shaped as npm's: of about 700 bytes a version, or of
// 400 without what installing needs not.
func packument(k kind, i int, url string, abbreviated bool) []byte {
	name, count := packageName(k, i), k.versionsOf(i)
	versions, times := map[string]any{}, map[string]string{"created": publishedAt(0, count), "modified": publishedAt(count, count)}
	for v := range count {
		version := fmt.Sprintf("1.%d.0", v)
		sum := sha512.Sum512([]byte(name + version))
		shasum := sha1.Sum([]byte(name + version))
		if v == count-1 {
			body := content(k, i)
			sum, shasum = sha512.Sum512(body), sha1.Sum(body)
		}
		one := map[string]any{
			"name": name, "version": version,
			"dependencies": map[string]string{"left": "^1.0.0", "right": "~2.3.4", "middle": ">=3"},
			"dist": map[string]any{
				"tarball": url + "/" + name + "/-/" + fileName(name, v), "shasum": fmt.Sprintf("%x", shasum),
				"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]), "fileCount": 12, "unpackedSize": 34567,
			},
		}
		if k.name == tree.name {
			delete(one, "dependencies")
		}
		versions[version] = one
		times[version] = publishedAt(v, count)
		if abbreviated {
			continue
		}
		for field, value := range map[string]any{
			"description": "A package made up for measuring", "license": "MIT",
			"main": "index.js", "_id": name + "@" + version, "gitHead": fmt.Sprintf("%x", sum[:20]),
			"scripts":  map[string]string{"test": "node test.js", "build": "tsc -p ."},
			"_npmUser": map[string]string{"name": "somebody", "email": "somebody@example.com"},
		} {
			one[field] = value
		}
	}
	document := map[string]any{
		"name": name, "dist-tags": map[string]string{"latest": fmt.Sprintf("1.%d.0", count-1)}, "versions": versions,
		"modified": publishedAt(count, count),
	}
	if !abbreviated {
		delete(document, "modified")
		document["_id"], document["_rev"], document["license"] = name, "1-abc", "MIT"
		document["description"], document["time"] = "A package made up for measuring", times
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return body
}
