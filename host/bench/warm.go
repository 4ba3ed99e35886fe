package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// row is something that is measured warm.
type row struct {
	name string
	kind *kind
	path func(kind, int) string
	gzip bool
}

var rows = []row{
	{"document 3 KB, gzip", &small, documentPath, true},
	{"document 150 KB, gzip", &middle, documentPath, true},
	{"document 9 MB, gzip", &huge, documentPath, true},
	{"artifact 10 KB", &small, filePath, false},
	{"artifact 1 MB", &middle, filePath, false},
	{"artifact 64 MB", &huge, filePath, false},
}

// figures are a burst's: requests a second, CPU microseconds of a request, and
// latencies in milliseconds.
type figures struct{ requests, rate, cpu, p50, p99 float64 }

func warmHead() {
	fmt.Printf("%-26s %-18s %10s %9s %9s %8s %8s %8s %8s %9s\n", "warm", "", "req/s", "CPU µs", "p50", "p99", "req ×", "CPU ×", "memory", "upstream")
}

// compare alternates bursts between contestants and prints the medians, with
// the ratios to one of them, the most memory seen after a burst, and how often
// upstream was asked.
func compare(name string, up *registry, all []*contestant, base int, burst func(*contestant) figures) {
	got := make([][]figures, len(all))
	memory, asked := make([]float64, len(all)), make([]int64, len(all))
	for range *rounds {
		for i, c := range all {
			before := up.asked.Load()
			got[i] = append(got[i], burst(c))
			asked[i] += up.asked.Load() - before
			memory[i] = max(memory[i], c.memory())
		}
	}
	to := median(got[base])
	for i, c := range all {
		m := median(got[i])
		fmt.Printf("%-26s %-18s %10.0f %9.1f %7.2fms %6.2fms %7.2f× %7.2f× %4.0f MiB %9d\n",
			name, c.name, m.rate, m.cpu, m.p50, m.p99, m.rate/to.rate, m.cpu/to.cpu, memory[i], asked[i])
	}
	fmt.Println()
}

func measure(dir string, r row, up *registry, all []*contestant) {
	warm(r, all...)
	compare(r.name, up, all, 1, func(c *contestant) figures {
		return runWrk(c, wrkScript(dir, c, numbered(r.path(*r.kind, 0), *r.kind), r.kind.count, r.gzip))
	})
}

// warm asks for everything twice.
func warm(r row, all ...*contestant) {
	for _, c := range all {
		parallel(8, r.kind.count, func(i int) error {
			for range 2 {
				if _, err := c.fetch(r.path(*r.kind, i), r.gzip); err != nil {
					return fmt.Errorf("warming %s: %w", c.name, err)
				}
			}
			return nil
		})
	}
}

// parallel does a piece of work for each number below a bound.
func parallel(atOnce, count int, work func(int) error) {
	var all sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		all.Go(func() {
			for i := range next {
				if err := work(i); err != nil {
					fail(err)
				}
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	all.Wait()
}

// numbered is the path of a package's document or file with a format for Lua in
// the place of its number, 0.
func numbered(path string, k kind) string {
	format := "%d"
	if k.name == many.name {
		format = "%07d"
	}
	return strings.ReplaceAll(path, packageName(k, 0), k.name+"-"+format)
}

// wrkScript asks for one of many addresses each time.
func wrkScript(dir string, c *contestant, format string, count int, gzip bool) string {
	accept, auth := "identity", ""
	if gzip {
		accept = "gzip"
	}
	if c.token != "" {
		auth = fmt.Sprintf(`, ["Authorization"] = "Bearer %s"`, c.token)
	}
	return write(dir, "wrk.lua", fmt.Sprintf(`
local prefix = ""
function init(args)
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%%x+)"), 16) %% 100000)
  prefix = wrk.path:gsub("/$", "")
end
function request()
  local n = math.random(0, %d)
  return wrk.format("GET", prefix .. string.format(%q, n, n), {["Accept-Encoding"] = %q, ["Host"] = wrk.host .. ":" .. wrk.port%s})
end
function done(summary, latency)
  io.write(string.format("FIGURES %%d %%d %%d %%d %%d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.timeout))
end
`, count-1, format, accept, auth))
}

var wrkLine = regexp.MustCompile(`FIGURES (\d+) (\d+) (\d+) (\d+) (\d+)`)

// runWrk has wrk ask for a burst; no request may fail.
func runWrk(c *contestant, script string) figures {
	f, failed := burstOf(c, script)
	if failed > 0 {
		fail(fmt.Errorf("%s: %.0f requests failed", c.name, failed))
	}
	return f
}

// burstOf has wrk ask for a burst, and tells how many requests failed or had an
// answer of 400 or above.
func burstOf(c *contestant, script string) (figures, float64) {
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
	return figures{requests: v[0], rate: v[0] / v[1] * 1e6, cpu: float64(used.Microseconds()) / v[0], p50: v[2] / 1000, p99: v[3] / 1000}, v[4]
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

// timed turns how long something took, and the CPU it took, into figures of
// count requests.
func timed(took, cpu time.Duration, count int) figures {
	return figures{requests: float64(count), rate: float64(count) / took.Seconds(), cpu: float64(cpu.Microseconds()) / float64(count), p50: took.Seconds() * 1000, p99: took.Seconds() * 1000}
}
