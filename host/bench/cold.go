package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// nextCold is a package that nobody asked for yet.
var nextCold atomic.Int64

func freshCold() (kind, int) { return single, int(nextCold.Add(1)) - 1 }

// herd is 200 clients that ask for one cold file at the same time.
func herd(up *registry, all []*contestant) {
	fmt.Printf("%-24s %-18s %10s %12s %14s %10s\n", "herd", "", "s", "upstream", "above idle", "failures")
	for range min(*rounds, 3) {
		for _, c := range all {
			k, i := freshCold()
			if _, err := c.fetch(documentPath(k, i), false); err != nil {
				fail(err)
			}
			asked, before := up.asked.Load(), c.memory()
			peak, stop := watchMemory(c)
			began := time.Now()
			var failures atomic.Int64
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					if n, err := c.fetch(filePath(k, i), false); err != nil || n != int64(k.file) {
						failures.Add(1)
					}
				})
			}
			wg.Wait()
			took := time.Since(began)
			stop()
			fmt.Printf("%-24s %-18s %9.2fs %12d %11.0f MiB %10d\n", "200 clients, cold 64 MB", c.name, took.Seconds(), up.asked.Load()-asked, *peak-before, failures.Load())
		}
	}
	fmt.Println()
}

// askers are 64 clients that ask for one large cold document at the same time.
func askers(up *registry, all []*contestant) {
	fmt.Printf("%-24s %-18s %10s %12s %14s %10s\n", "askers", "", "s", "upstream", "above idle", "failures")
	k, next := broad, 0
	for range min(*rounds, 3) {
		for _, c := range all {
			path := documentPath(k, next)
			next++
			asked, before := up.asked.Load(), c.memory()
			peak, stop := watchMemory(c)
			began := time.Now()
			var failures atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					if _, err := c.fetch(path, true); err != nil {
						failures.Add(1)
					}
				})
			}
			wg.Wait()
			took := time.Since(began)
			stop()
			fmt.Printf("%-24s %-18s %9.2fs %12d %11.0f MiB %10d\n", "64 clients, cold 9 MB", c.name, took.Seconds(), up.asked.Load()-asked, *peak-before, failures.Load())
		}
	}
	fmt.Println()
}

func watchMemory(c *contestant) (*float64, func()) {
	peak, quit, done := new(float64), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			*peak = max(*peak, c.memory())
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(quit); <-done }
}

// cold is one client and one cold file from an upstream of 50 MB/s, beside the
// same without anything between.
func cold(up *registry, all []*contestant) {
	up.pace.Store(50 << 20)
	defer up.pace.Store(0)
	fmt.Printf("%-24s %-18s %10s %14s\n", "cold, 50 MB/s upstream", "", "s", "first byte")
	for range min(*rounds, 3) {
		for _, c := range append([]*contestant{{name: "direct", url: up.url}}, all...) {
			k, i := freshCold()
			up.prepare(k, i)
			if c.cmd != nil {
				if _, err := c.fetch(documentPath(k, i), false); err != nil {
					fail(err)
				}
			}
			began := time.Now()
			resp, err := client.Do(c.request(filePath(k, i), false))
			if err != nil {
				fail(err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
				fail(err)
			}
			first := time.Since(began)
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				fail(err)
			}
			resp.Body.Close()
			fmt.Printf("%-24s %-18s %9.2fs %12.1fms\n", "64 MB", c.name, time.Since(began).Seconds(), float64(first.Microseconds())/1000)
		}
	}
	fmt.Println()
}

// gzipHandler compresses documents for clients that ask for it.
type gzipHandler struct{ next http.Handler }

func (g gzipHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || strings.Contains(r.URL.Path, "/-/") || r.Header.Get("If-None-Match") != "" {
		g.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	zip := gzip.NewWriter(w)
	defer zip.Close()
	g.next.ServeHTTP(&gzipWriter{w, zip}, r)
}

type gzipWriter struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (g *gzipWriter) WriteHeader(status int) {
	g.Header().Del("Content-Length")
	g.ResponseWriter.WriteHeader(status)
}

func (g *gzipWriter) Write(p []byte) (int, error) { return g.zip.Write(p) }
