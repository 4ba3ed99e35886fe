package main

import (
	"cmp"
	"compress/gzip"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	rounds   = flag.Int("rounds", 5, "bursts of each contestant in each row; the median counts")
	burst    = flag.Duration("burst", 3*time.Second, "length of a burst")
	distinct = flag.Int("distinct", 10_000, "distinct small packages")
	ofImages = flag.Bool("images", false, "measure registries of container images instead")
	only     = flag.String("only", "", "run the rows whose name contains this")
)

// row is something that is measured warm.
type row struct {
	name string
	kind int // index in kinds
	path func(kind, int) string
	gzip bool
}

var rows = []row{
	{"document 3 KB, gzip", 0, documentPath, true},
	{"document 150 KB, gzip", 1, documentPath, true},
	{"document 7 MB, gzip", 2, documentPath, true},
	{"artifact 10 KB", 0, filePath, false},
	{"artifact 1 MB", 1, filePath, false},
	{"artifact 64 MB", 2, filePath, false},
}

func main() {
	flag.Parse()
	kinds[0].count = *distinct
	for _, program := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			fail(fmt.Errorf("%s is not installed (Debian has it)", program))
		}
	}
	dir, err := os.MkdirTemp("", "entrepot-bench-")
	if err != nil {
		fail(err)
	}
	cleanup = append(cleanup, func() { os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755) // nginx's workers read it
	defer finish()
	if *ofImages {
		images(dir)
		return
	}

	up := &registry{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	up.url = "http://" + l.Addr().String()
	go http.Serve(l, gzipping(up)) //nolint:errcheck // ends with the program

	all := []*contestant{entrepot(dir, up.url), nginxProxy(dir, up.url)}
	idle := all[0].memory()
	writeStatic(dir, up.url)
	all = append(all, nginxStatic(dir))
	if v := verdaccio(dir, up.url); v != nil {
		all = append(all, v)
	}
	for _, c := range all {
		cleanup = append(cleanup, c.stop)
	}
	fmt.Printf("%s, %d CPUs, %d rounds of %s, %d distinct small packages; no TLS\n\n", runtime.Version(), runtime.NumCPU(), *rounds, *burst, *distinct)
	fmt.Printf("idle memory of entrepot with one plugin: %.0f MiB\n\n", idle)
	fmt.Printf("%-24s %-18s %10s %9s %9s %8s %8s %8s\n", "warm", "", "req/s", "CPU µs", "p50", "p99", "req ×", "CPU ×")
	for _, r := range rows {
		if strings.Contains(r.name, *only) {
			measure(dir, r, all)
		}
	}
	if strings.Contains("herd", *only) {
		herd(up, all[:2])
	}
	if strings.Contains("askers", *only) {
		askers(up, all[:2])
	}
	if strings.Contains("cold", *only) {
		cold(up, all[:2])
	}
}

// writeStatic writes what nginx serves from files.
func writeStatic(dir, url string) {
	save := func(path string, body []byte, zip bool) {
		path = filepath.Join(dir, "static", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			fail(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			fail(err)
		}
		if zip {
			f, err := os.Create(path + ".gz")
			if err != nil {
				fail(err)
			}
			w := gzip.NewWriter(f)
			_, err = w.Write(body)
			if err := cmp.Or(err, w.Close(), f.Close()); err != nil {
				fail(err)
			}
		}
	}
	for _, k := range kinds[:3] {
		for i := range k.count {
			save(documentPath(k, i)+".json", packument(k, i, url), true)
			save(filePath(k, i), content(k, i), false)
		}
	}
}

// figures are a burst's.
type figures struct{ rate, cpu, p50, p99 float64 }

func measure(dir string, r row, all []*contestant) {
	k := kinds[r.kind]
	script := wrkScript(dir, r, k)
	for _, c := range all {
		warm(c, r, k)
	}
	got := make([][]figures, len(all))
	for range *rounds {
		for i, c := range all {
			got[i] = append(got[i], runWrk(c, script))
		}
	}
	base := median(got[1])
	for i, c := range all {
		m := median(got[i])
		fmt.Printf("%-24s %-18s %10.0f %9.0f %8.2fms %6.2fms %7.2f× %7.2f×\n", r.name, c.name, m.rate, m.cpu, m.p50, m.p99, m.rate/base.rate, m.cpu/base.cpu)
	}
	fmt.Println()
}

func warm(c *contestant, r row, k kind) {
	var all sync.WaitGroup
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range next {
				for range 2 {
					if _, err := fetch(c.url+r.path(k, i), r.gzip); err != nil {
						fail(fmt.Errorf("warming %s: %w", c.name, err))
					}
				}
			}
		})
	}
	for i := range k.count {
		next <- i
	}
	close(next)
	all.Wait()
}

func wrkScript(dir string, r row, k kind) string {
	path := r.path(k, 0)
	accept := "identity"
	if r.gzip {
		accept = "gzip"
	}
	return write(dir, "wrk.lua", fmt.Sprintf(`
local prefix = ""
function init(args)
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%%x+)"), 16) %% 100000)
  prefix = wrk.path:gsub("/$", "")
end
function request()
  local n = math.random(0, %d)
  return wrk.format("GET", prefix .. string.gsub(%q, "%s%%-0", "%s-" .. n), {["Accept-Encoding"] = %q, ["Host"] = wrk.host .. ":" .. wrk.port})
end
function done(summary, latency)
  io.write(string.format("FIGURES %%d %%d %%d %%d %%d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.timeout))
end
`, k.count-1, path, k.name, k.name, accept))
}

var wrkLine = regexp.MustCompile(`FIGURES (\d+) (\d+) (\d+) (\d+) (\d+)`)

func runWrk(c *contestant, script string) figures {
	before := c.cpu()
	out, err := exec.Command("wrk", "-t2", "-c32", "-d"+burst.String(), "--timeout", "30s", "-s", script, c.url).CombinedOutput()
	if err != nil {
		fail(fmt.Errorf("wrk: %w\n%s", err, out))
	}
	used := c.cpu() - before
	m := wrkLine.FindStringSubmatch(string(out))
	if m == nil {
		fail(fmt.Errorf("wrk printed no figures:\n%s", out))
	}
	v := make([]float64, 5)
	for i := range v {
		v[i], _ = strconv.ParseFloat(m[i+1], 64)
	}
	if v[4] > 0 {
		fail(fmt.Errorf("%s: %.0f of %.0f requests failed", c.name, v[4], v[0]))
	}
	return figures{rate: v[0] / v[1] * 1e6, cpu: float64(used.Microseconds()) / v[0], p50: v[2] / 1000, p99: v[3] / 1000}
}

func median(all []figures) figures {
	pick := func(of func(figures) float64) float64 {
		var v []float64
		for _, f := range all {
			v = append(v, of(f))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return figures{
		rate: pick(func(f figures) float64 { return f.rate }),
		cpu:  pick(func(f figures) float64 { return f.cpu }),
		p50:  pick(func(f figures) float64 { return f.p50 }),
		p99:  pick(func(f figures) float64 { return f.p99 }),
	}
}

var (
	cleanup   []func()
	finishing sync.Once
)

func finish() {
	finishing.Do(func() {
		for _, f := range slices.Backward(cleanup) {
			f()
		}
	})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	finish()
	os.Exit(1)
}
