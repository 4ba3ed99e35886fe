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
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	rounds   = flag.Int("rounds", 5, "bursts of each contestant in each row; the median counts")
	burst    = flag.Duration("burst", 3*time.Second, "length of a burst")
	distinct = flag.Int("distinct", 10_000, "distinct small packages")
	stored   = flag.Int("stored", 1_000_000, "artifacts in the large store")
	ofImages = flag.Bool("images", false, "measure registries of container images instead")
	only     = flag.String("only", "", "run the rows whose name contains one of these, with commas between them")
)

func main() {
	flag.Parse()
	small.count, many.count = *distinct, *stored
	for _, program := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			fail(fmt.Errorf("%s is not installed (Debian has it)", program))
		}
	}
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil { // README builds so
		fail(err)
	}
	dir, err := os.MkdirTemp("", "entrepot-bench-")
	if err != nil {
		fail(err)
	}
	cleanup = append(cleanup, func() { os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755) // nginx's workers read it
	defer finish()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { fail(fmt.Errorf("ended by the signal %s", <-interrupted)) }()
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
	build(dir)
	certificate(dir)
	all := []*contestant{entrepot(dir, "entrepot", up.url, "", lasting), nginxProxy(dir, up.url, false)}
	fmt.Printf("%s, %d CPUs, %d rounds of %s, %d distinct small packages; a token, a cool-down and the access log are on; no TLS but where it is said\n\n",
		runtime.Version(), runtime.NumCPU(), *rounds, *burst, *distinct)
	beside := slices.Clone(all)
	if selected("static") || slices.ContainsFunc(rows, func(r row) bool { return selected(r.name) }) {
		writeStatic(dir, up.url)
		beside = append(beside, nginxStatic(dir))
	}
	if v := verdaccio(dir, up.url); v != nil {
		beside = append(beside, v)
	}
	warmHead()
	for _, r := range rows {
		if selected(r.name) {
			measure(dir, r, up, beside)
		}
	}
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"404 storm", func() { storm(dir, up, all) }},
		{"secure", func() { secure(dir, up) }},
		{"replay", func() { replay(dir, up, beside[0], all) }},
		{"npm ci", func() { npmCI(dir, up, all) }},
		{"stored", func() { largeStore(dir, up) }},
		{"herd", func() { herd(up, all) }},
		{"askers", func() { askers(up, all) }},
		{"cold", func() { cold(up, all) }},
		{"slow readers", func() { slowReaders(all) }},
		{"revalidation", func() { revalidation(dir, up) }},
		{"idle", func() { idle(dir, up) }},
	} {
		if selected(part.name) {
			part.run()
		}
	}
}

// selected reports whether a part is to be run.
func selected(name string) bool {
	return *only == "" || slices.ContainsFunc(strings.Split(*only, ","), func(part string) bool { return strings.Contains(name, part) })
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
	for _, k := range []kind{small, middle, huge} {
		for i := range k.count {
			save(documentPath(k, i)+".json", packument(k, i, url, false), true)
			save(filePath(k, i), content(k, i), false)
		}
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
