package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// images measures registries of container images: entrepot, distribution's
// "registry" and "zot", as far as they are installed. Distribution and entrepot
// sync what is pushed to the disk before they answer; zot has commit off, which
// is its default, and so does not.
func images(dir string) {
	up, asked := imageUpstream()
	own := []*contestant{imagesOf(dir, "entrepot", ""), distribution(dir, ""), zot(dir, "")}
	proxies := []*contestant{imagesOf(dir, "entrepot proxy", up), distribution(dir, up), zot(dir, up)}
	own = slices.DeleteFunc(own, func(c *contestant) bool { return c == nil })
	proxies = slices.DeleteFunc(proxies, func(c *contestant) bool { return c == nil })
	for _, c := range append(slices.Clone(own), proxies...) {
		cleanup = append(cleanup, c.stop)
	}
	if len(own) < 2 {
		fail(fmt.Errorf("neither registry nor zot is installed"))
	}
	fmt.Printf("\n%-28s %-20s %10s %8s %8s\n", "images", "", "", "p50", "×")

	const repo = "bench/app"
	small, large := pseudo("133 bytes", 133), pseudo("100 MB", 100<<20)
	digests := map[*contestant]string{}
	for _, c := range own {
		push(c, repo, small)
		push(c, repo, large)
		digests[c] = pushManifest(c, repo, "1", small, large)
	}
	for _, r := range []struct {
		name string
		path func(*contestant) string
	}{
		{"manifest by tag", func(*contestant) string { return "/v2/" + repo + "/manifests/1" }},
		{"manifest by digest", func(c *contestant) string { return "/v2/" + repo + "/manifests/" + digests[c] }},
		{"blob 133 B", func(*contestant) string { return "/v2/" + repo + "/blobs/" + sum(small) }},
	} {
		compareImages(r.name, "req/s", own, func(c *contestant) (float64, time.Duration) {
			return wrkPlain(dir, c.url+r.path(c))
		})
	}
	compareImages("blob 100 MB, one stream", "MB/s", own, func(c *contestant) (float64, time.Duration) {
		began := time.Now()
		n, err := fetch(c.url+"/v2/"+repo+"/blobs/"+sum(large), false)
		if err != nil {
			fail(err)
		}
		return float64(n) / 1e6 / time.Since(began).Seconds(), time.Since(began)
	})
	for _, size := range []int{1 << 20, 10 << 20} {
		compareImages(fmt.Sprintf("push of %d MB, 4 at once", size>>20), "push/s", own, func(c *contestant) (float64, time.Duration) {
			return pushes(c, size, 4, 40)
		})
	}
	for _, c := range own {
		fmt.Printf("%-28s %-20s %6.0f MiB\n", "memory afterwards", c.name, c.memory())
	}
	fmt.Println()

	for _, c := range proxies {
		if _, err := fetch(c.url+"/v2/"+repo+"/manifests/1", false); err != nil {
			fail(err)
		}
	}
	compareImages("warm tag through a cache", "req/s", proxies, func(c *contestant) (float64, time.Duration) {
		return wrkPlain(dir, c.url+"/v2/"+repo+"/manifests/1")
	})
	for round := range *rounds {
		for _, c := range proxies {
			coldImage(c, fmt.Sprintf("%s-%d", c.name, round), asked)
		}
	}
	for _, c := range proxies {
		fmt.Printf("%-28s %-20s %6.0f MiB\n", "memory afterwards", c.name, c.memory())
	}
}

// compareImages prints the median of a figure of each contestant, and its ratio
// to the first one's, which is entrepot.
func compareImages(name, unit string, all []*contestant, once func(*contestant) (float64, time.Duration)) {
	got := make([][]float64, len(all))
	took := make([][]time.Duration, len(all))
	for range *rounds {
		for i, c := range all {
			figure, p50 := once(c)
			got[i], took[i] = append(got[i], figure), append(took[i], p50)
		}
	}
	base := 0.0
	for i, c := range all {
		slices.Sort(got[i])
		slices.Sort(took[i])
		m := got[i][len(got[i])/2]
		if i == 0 {
			base = m
		}
		fmt.Printf("%-28s %-20s %10.1f %7.2fms %7.2f×  %s\n", name, c.name, m, float64(took[i][len(took[i])/2].Microseconds())/1000, m/base, unit)
	}
	fmt.Println()
}

// wrkPlain asks for one address for a burst.
func wrkPlain(dir, address string) (float64, time.Duration) {
	script := write(dir, "plain.lua", `
function done(summary, latency)
  io.write(string.format("FIGURES %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.timeout))
end
`)
	out, err := exec.Command("wrk", "-t2", "-c8", "-d"+burst.String(), "-s", script, "-H", "Accept: "+mediaType, address).CombinedOutput()
	m := wrkLine.FindStringSubmatch(string(out))
	if err != nil || m == nil || m[5] != "0" {
		fail(fmt.Errorf("wrk %s: %w\n%s", address, err, out))
	}
	var requests, micros, p50 float64
	for i, into := range []*float64{&requests, &micros, &p50} {
		if _, err := fmt.Sscan(m[i+1], into); err != nil {
			fail(err)
		}
	}
	return requests / micros * 1e6, time.Duration(p50) * time.Microsecond
}

const mediaType = "application/vnd.oci.image.manifest.v1+json"

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// pseudo is content that is the same in each run and does not compress.
func pseudo(seed string, size int) []byte {
	out := make([]byte, 0, size+sha256.Size)
	for h := sha256.Sum256([]byte(seed)); len(out) < size; h = sha256.Sum256(h[:]) {
		out = append(out, h[:]...)
	}
	return out[:size]
}

func send(method, address, contentType string, body []byte, want int) *http.Response {
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		fail(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := client.Do(req)
	if err != nil {
		fail(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != want {
		fail(fmt.Errorf("%s %s answers %s: %s", method, address, resp.Status, text))
	}
	return resp
}

// push uploads a blob as clients do: POST, then PUT.
func push(c *contestant, repo string, blob []byte) {
	resp := send(http.MethodPost, c.url+"/v2/"+repo+"/blobs/uploads/", "", nil, http.StatusAccepted)
	at, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		fail(err)
	}
	q := at.Query()
	q.Set("digest", sum(blob))
	at.RawQuery = q.Encode()
	send(http.MethodPut, at.String(), "application/octet-stream", blob, http.StatusCreated)
}

func pushManifest(c *contestant, repo, tag string, config, layer []byte) string {
	body := manifestOf(config, layer)
	send(http.MethodPut, c.url+"/v2/"+repo+"/manifests/"+url.PathEscape(tag), mediaType, body, http.StatusCreated)
	return sum(body)
}

func manifestOf(config, layer []byte) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}]}`,
		mediaType, sum(config), len(config), sum(layer), len(layer))
}

// pushes uploads blobs that differ, several at once, each to a repository of its
// own with a manifest.
func pushes(c *contestant, size, atOnce, count int) (float64, time.Duration) {
	blobs := make(chan []byte)
	took := make(chan time.Duration, count)
	var all sync.WaitGroup
	config := pseudo("133 bytes", 133)
	for range atOnce {
		all.Go(func() {
			for blob := range blobs {
				began := time.Now()
				repo := "bench/" + rand.Text()[:8]
				repo = strings.ToLower(repo)
				push(c, repo, config)
				push(c, repo, blob)
				pushManifest(c, repo, "1", config, blob)
				took <- time.Since(began)
			}
		})
	}
	content := make([]byte, size)
	if _, err := rand.Read(content); err != nil {
		fail(err)
	}
	began := time.Now()
	for i := range count {
		blob := bytes.Clone(content)
		copy(blob, fmt.Sprintf("%s %d", rand.Text(), i))
		blobs <- blob
	}
	close(blobs)
	all.Wait()
	elapsed := time.Since(began)
	close(took)
	var each []time.Duration
	for t := range took {
		each = append(each, t)
	}
	slices.Sort(each)
	return float64(count) / elapsed.Seconds(), each[len(each)/2]
}

// coldImage has 8 clients pull a blob at once that is not there yet.
func coldImage(c *contestant, name string, asked *atomic.Int64) {
	const clients = 8
	blob := "/v2/bench/app/blobs/" + sum(pseudo(name, coldSize))
	before := asked.Load()
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			if n, err := fetch(c.url+blob, false); err != nil || n != coldSize {
				fmt.Printf("%s: a cold pull ends after %d bytes: %v\n", c.name, n, err)
			}
		})
	}
	all.Wait()
	fmt.Printf("%-28s %-20s %8.2f s, %d upstream requests\n", "cold 100 MB, 8 clients", c.name, time.Since(began).Seconds(), asked.Load()-before)
}

const coldSize = 100 << 20

// imageUpstream is a registry that has every blob that is asked for by name
// before, at 200 MB/s, and counts requests for blobs.
func imageUpstream() (address string, asked *atomic.Int64) {
	asked = &atomic.Int64{}
	config := pseudo("133 bytes", 133)
	layer := pseudo("layer", 1<<20)
	manifest := manifestOf(config, layer)
	var mu sync.Mutex
	blobs := map[string][]byte{sum(config): config, sum(layer): layer}
	for _, name := range []string{"entrepot proxy", "distribution proxy", "zot proxy"} {
		for round := range *rounds {
			b := pseudo(fmt.Sprintf("%s-%d", name, round), coldSize)
			blobs[sum(b)] = b
		}
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, digest, isBlob := strings.Cut(r.URL.Path, "/blobs/")
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Docker-Content-Digest", sum(manifest))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(manifest))
		case isBlob:
			mu.Lock()
			b := blobs[digest]
			mu.Unlock()
			if b == nil {
				http.NotFound(w, r)
				return
			}
			if r.Method == http.MethodGet {
				asked.Add(1)
			}
			w.Header().Set("Docker-Content-Digest", digest)
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			fmt.Fprint(w, `{"name":"bench/app","tags":["1"]}`)
		default:
			fmt.Fprint(w, "{}")
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	go http.Serve(l, h) //nolint:errcheck // ends with the program
	return "http://" + l.Addr().String(), asked
}

// imagesOf is entrepot with the plugin for images.
func imagesOf(dir, name, upstream string) *contestant {
	for target, pkg := range map[string]string{dir + "/bin/": "./host/cmd/entrepot", dir + "/oci/": "./plugins/oci"} {
		if out, err := exec.Command("go", "build", "-o", target, pkg).CombinedOutput(); err != nil {
			fail(fmt.Errorf("go build %s: %w\n%s", pkg, err, out))
		}
	}
	port := freePort()
	block := `hosted { names = ["*"] }`
	if upstream != "" {
		block = fmt.Sprintf("upstream \"main\" { url = %q }\nttl = \"1h\"", upstream)
	}
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, dir+"/bin/entrepot", "serve", "--config", write(dir, name+".hcl", fmt.Sprintf(`
listen     = "127.0.0.1:%d"
data_dir   = %q
plugin_dir = %q
access_log = %q
repository "oci" {
  anonymous = ["read", "publish"]
  %s
}`, port, dir+"/data of "+name, dir+"/oci", dir+"/"+name+".access", block)))
	return c
}

// distribution is its registry, where it is installed.
func distribution(dir, upstream string) *contestant {
	if _, err := exec.LookPath("registry"); err != nil {
		return nil
	}
	name, proxy := "distribution", ""
	if upstream != "" {
		name, proxy = "distribution proxy", "proxy: { remoteurl: "+upstream+" }\n"
	}
	port := freePort()
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if err := os.Setenv("OTEL_TRACES_EXPORTER", "none"); err != nil {
		fail(err)
	}
	c.start(dir, "registry", "serve", write(dir, name+".yml", fmt.Sprintf(`version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: %q }, delete: { enabled: true } }
http: { addr: "127.0.0.1:%d" }
%s`, dir+"/data of "+name, port, proxy)))
	return c
}

// zot, where it is installed.
func zot(dir, upstream string) *contestant {
	if _, err := exec.LookPath("zot"); err != nil {
		return nil
	}
	name, sync := "zot", ""
	if upstream != "" {
		name, sync = "zot proxy", fmt.Sprintf(`,"extensions":{"sync":{"enable":true,"registries":[{"urls":[%q],"onDemand":true,"tlsVerify":false}]}}`, upstream)
	}
	port := freePort()
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, "zot", "serve", write(dir, name+".json", fmt.Sprintf(
		`{"storage":{"rootDirectory":%q},"http":{"address":"127.0.0.1","port":"%d"},"log":{"level":"error"}%s}`, dir+"/data of "+name, port, sync)))
	return c
}
