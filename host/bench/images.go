package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// images measures registries of container images: entrepot, distribution's
// "registry" and "zot", as far as they are installed. Distribution and entrepot
// sync what is pushed to the disk before they answer; zot does so with commit on
// and does not by default, so that it takes part twice.
func images(dir string) {
	fmt.Printf("%s, %d rounds of %s; no TLS; CPU is that of the server\n", cpus(), *rounds, *burst)
	hosting(dir)
	pullingThrough(dir)
}

// lineUp are the contestants that are installed.
func lineUp(all ...*contestant) []*contestant {
	all = slices.DeleteFunc(all, func(c *contestant) bool { return c == nil })
	for _, c := range all {
		cleanup = append(cleanup, c.stop)
	}
	if len(all) < 2 {
		fail(fmt.Errorf("neither registry nor zot is on the PATH"))
	}
	return all
}

// hosting measures pulls and pushes of what is pushed to the contestants.
func hosting(dir string) {
	own := lineUp(imagesOf(dir, "entrepot", ""), distribution(dir, ""), zot(dir, "zot", "", false), zot(dir, "zot, commit", "", true))
	const repo = "/v2/bench/app"
	small, large := contentOf("133 bytes", 133), contentOf("100 MB", 100<<20)
	manifest := manifestOf(small, large)
	for _, c := range own {
		c.push(repo, small)
		c.push(repo, large)
		c.pushManifest(repo, "1", manifest)
	}
	for _, r := range []struct{ name, path string }{
		{"manifest by tag", "/manifests/1"},
		{"manifest by digest", "/manifests/" + manifest.digest},
		{"blob of 133 B", "/blobs/" + small.digest},
	} {
		compareImages(r.name, "req/s", own, func(c *contestant) turn { return wrkPlain(dir, c.url+repo+r.path) })
	}
	compareImages("blob of 100 MB, one stream", "MB/s", own, func(c *contestant) turn { return streams(c.url+repo+"/blobs/"+large.digest, 8) })
	for _, size := range []int{1 << 20, 10 << 20} {
		compareImages(fmt.Sprintf("push of %d MB, 4 at once", size>>20), "push/s", own, func(c *contestant) turn { return pushes(c, size, 4, 40) })
	}
	remembered(own)
	for _, c := range own {
		c.stop()
	}
}

// pullingThrough measures pulls of what an upstream has.
func pullingThrough(dir string) {
	up := newImageUpstream()
	proxies := lineUp(imagesOf(dir, "entrepot", up.url), distribution(dir, up.url), zot(dir, "zot", up.url, false))
	up.offer("bench/app", 1<<20)
	for _, c := range proxies {
		c.pull("/v2/bench/app")
	}
	compareImages("warm tag through a cache", "req/s", proxies, func(c *contestant) turn { return wrkPlain(dir, c.url+"/v2/bench/app/manifests/1") })
	asked := map[*contestant][]int64{}
	round := 0
	compareImages("cold 100 MB, 8 clients", "MB/s", proxies, func(c *contestant) turn {
		round++
		name := fmt.Sprintf("bench/cold-%d", round)
		up.offer(name, 100<<20)
		defer up.withdraw(name)
		before := up.asked.Load()
		t := coldPulls(c, "/v2/"+name, 8)
		asked[c] = append(asked[c], up.asked.Load()-before)
		return t
	})
	if len(asked) > 0 {
		for _, c := range proxies {
			fmt.Printf("%-28s %-20s %v\n", "upstream requests for it", c.name, asked[c])
		}
		fmt.Println()
	}
	remembered(proxies)
}

// remembered prints the most memory that contestants had after a turn of theirs,
// and what they have when they have rested.
func remembered(all []*contestant) {
	for _, c := range all {
		fmt.Printf("%-28s %-20s %10.0f MiB\n", "memory, most after a turn", c.name, c.most)
	}
	fmt.Println()
	time.Sleep(rest)
	for _, c := range all {
		fmt.Printf("%-28s %-20s %10.0f MiB\n", "memory at rest", c.name, c.memory())
	}
	fmt.Println()
}

// rest is longer than a plugin may be idle.
const rest = 20 * time.Second

// turn is what one contestant did in one round.
type turn struct {
	rate float64       // in the unit of the row
	p50  time.Duration // of one request, pull or push
	done float64       // what the server's CPU time is divided by
}

// compareImages prints the median of a figure of each contestant, and the ratios
// of entrepot, which is the first one, to the others.
func compareImages(name, unit string, all []*contestant, once func(*contestant) turn) {
	if !strings.Contains(name, *only) {
		return
	}
	type figures struct{ rate, p50, cpu []float64 }
	got := make([]figures, len(all))
	for range *rounds {
		for i, c := range all {
			// What another left unwritten must not be written in this one's turn.
			if err := exec.Command("sync").Run(); err != nil {
				fail(err)
			}
			before := c.cpu()
			t := once(c)
			used := c.cpu() - before
			c.most = max(c.most, c.memory())
			g := &got[i]
			g.rate = append(g.rate, t.rate)
			g.p50 = append(g.p50, float64(t.p50.Microseconds())/1000)
			g.cpu = append(g.cpu, float64(used.Microseconds())/t.done)
		}
	}
	middle := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	var rate, cpu float64
	for i, c := range all {
		r, u := middle(got[i].rate), middle(got[i].cpu)
		if i == 0 {
			rate, cpu = r, u
		}
		fmt.Printf("%-28s %-20s %10.1f %-6s %8.2fms %7.2f× %9.0fµs %7.2f×\n", name, c.name, r, unit, middle(got[i].p50), rate/r, u, cpu/u)
	}
	fmt.Println()
}

// wrkPlain asks for one address for a burst.
func wrkPlain(dir, address string) turn {
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
	return turn{rate: requests / micros * 1e6, p50: time.Duration(p50) * time.Microsecond, done: requests}
}

const mediaType = "application/vnd.oci.image.manifest.v1+json"

// blob is content with its digest, which takes a client as long as a server.
type blob struct {
	body   []byte
	digest string
}

func newBlob(body []byte) blob {
	return blob{body, fmt.Sprintf("sha256:%x", sha256.Sum256(body))}
}

// contentOf is content that is the same in each run and does not compress.
func contentOf(seed string, size int) blob {
	body := make([]byte, size)
	source := mathrand.NewChaCha8(sha256.Sum256([]byte(seed)))
	_, _ = source.Read(body) // never fails
	return newBlob(body)
}

func manifestOf(config, layer blob) blob {
	return newBlob(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}]}`,
		mediaType, config.digest, len(config.body), layer.digest, len(layer.body)))
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
func (c *contestant) push(repo string, b blob) {
	resp := send(http.MethodPost, c.url+repo+"/blobs/uploads/", "", nil, http.StatusAccepted)
	at, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		fail(err)
	}
	q := at.Query()
	q.Set("digest", b.digest)
	at.RawQuery = q.Encode()
	send(http.MethodPut, at.String(), "application/octet-stream", b.body, http.StatusCreated)
}

func (c *contestant) pushManifest(repo, tag string, manifest blob) {
	send(http.MethodPut, c.url+repo+"/manifests/"+tag, mediaType, manifest.body, http.StatusCreated)
}

// pushes uploads images that differ in their only layer, several at once, each
// to a repository of its own.
func pushes(c *contestant, size, atOnce, count int) turn {
	config := contentOf("133 bytes", 133)
	content := make([]byte, size)
	if _, err := rand.Read(content); err != nil {
		fail(err)
	}
	layers := make(chan blob, count)
	for i := range count {
		body := bytes.Clone(content)
		copy(body, fmt.Sprintf("%s %d", rand.Text(), i))
		layers <- newBlob(body)
	}
	close(layers)
	var all sync.WaitGroup
	var mu sync.Mutex
	var each []time.Duration
	began := time.Now()
	for range atOnce {
		all.Go(func() {
			for layer := range layers {
				began := time.Now()
				repo := "/v2/bench/" + strings.ToLower(rand.Text()[:8])
				c.push(repo, config)
				c.push(repo, layer)
				c.pushManifest(repo, "1", manifestOf(config, layer))
				mu.Lock()
				each = append(each, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	elapsed := time.Since(began)
	slices.Sort(each)
	return turn{rate: float64(count) / elapsed.Seconds(), p50: each[len(each)/2], done: float64(count)}
}

// streams pulls a blob several times in a row.
func streams(address string, count int) turn {
	began := time.Now()
	var bytes int64
	for range count {
		n, err := drain(address)
		if err != nil {
			fail(err)
		}
		bytes += n
	}
	took := time.Since(began)
	return turn{rate: float64(bytes) / 1e6 / took.Seconds(), p50: took / time.Duration(count), done: float64(count)}
}

// drain reads an address to its end, in pieces large enough for the client not
// to be what is measured.
func drain(address string) (int64, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", mediaType)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", address, resp.Status)
	}
	buf := make([]byte, 256<<10)
	for total := int64(0); ; {
		n, err := resp.Body.Read(buf)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
