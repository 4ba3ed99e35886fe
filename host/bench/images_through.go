package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pull pulls an image as a client does: its manifest by tag, then by digest what
// it names. It returns how many bytes the blobs have.
func (c *contestant) pull(repo string) int64 {
	req, err := http.NewRequest(http.MethodGet, c.url+repo+"/manifests/1", nil)
	if err != nil {
		fail(err)
	}
	req.Header.Set("Accept", mediaType)
	resp, err := client.Do(req)
	if err != nil {
		fail(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		fail(fmt.Errorf("%s: the manifest of %s: %w", c.name, repo, err))
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(body, &manifest); err != nil {
		fail(err)
	}
	var total int64
	for _, digest := range []string{manifest.Config.Digest, manifest.Layers[0].Digest} {
		n, err := drain(c.url + repo + "/blobs/" + digest)
		if err != nil {
			fail(fmt.Errorf("%s: a blob of %s after %d bytes: %w", c.name, repo, n, err))
		}
		total += n
	}
	return total
}

// coldPulls has several clients pull an image at once that is not there yet.
func coldPulls(c *contestant, repo string, clients int) turn {
	var all sync.WaitGroup
	var bytes atomic.Int64
	began := time.Now()
	for range clients {
		all.Go(func() { bytes.Add(c.pull(repo)) })
	}
	all.Wait()
	took := time.Since(began)
	return turn{rate: float64(bytes.Load()) / 1e6 / took.Seconds(), p50: took, done: float64(clients)}
}

// imageUpstream is a registry that has the images that are offered, each with
// the tag 1.
type imageUpstream struct {
	url   string
	asked atomic.Int64 // GETs of large blobs

	mu     sync.Mutex
	images map[string]map[string]blob // name → manifest and blobs by reference
}

func newImageUpstream() *imageUpstream {
	up := &imageUpstream{images: map[string]map[string]blob{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	go http.Serve(l, up) //nolint:errcheck // ends with the program
	up.url = "http://" + l.Addr().String()
	return up
}

// offer makes an image with a layer of some size.
func (up *imageUpstream) offer(name string, size int) {
	config, layer := contentOf(name+" config", 133), contentOf(name, size)
	manifest := manifestOf(config, layer)
	up.mu.Lock()
	defer up.mu.Unlock()
	up.images[name] = map[string]blob{"1": manifest, manifest.digest: manifest, config.digest: config, layer.digest: layer}
}

func (up *imageUpstream) withdraw(name string) {
	up.mu.Lock()
	defer up.mu.Unlock()
	delete(up.images, name)
}

// ServeHTTP answers as far as pulling asks.
func (up *imageUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if path == "" {
		fmt.Fprint(w, "{}")
		return
	}
	kind := "/manifests/"
	name, reference, ok := strings.Cut(path, kind)
	if !ok {
		kind = "/blobs/"
		name, reference, ok = strings.Cut(path, kind)
	}
	up.mu.Lock()
	image := up.images[name]
	b, known := image[reference]
	up.mu.Unlock()
	switch {
	case !ok && image != nil && strings.HasSuffix(path, "/tags/list"):
		fmt.Fprintf(w, `{"name":%q,"tags":["1"]}`, name)
		return
	case !known:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if kind == "/manifests/" {
		w.Header().Set("Content-Type", mediaType)
	}
	w.Header().Set("Docker-Content-Digest", b.digest)
	if r.Method == http.MethodGet && len(b.body) >= 100<<20 {
		up.asked.Add(1)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.body))
}
