package sdk

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// probing bounds how long routes are tried, so that no start waits for a plugin
// that plans slowly.
const probing = time.Second

// probe tries each route, and About, with addresses that match, so that a
// mistake in plans is told at the start rather than to the first client. A
// route that plans one Document as it should is not accused of another, whose
// address may be one that no client asks for. A panic, a failure and no plan at
// all are matters of their one request.
func (r *router) probe() error {
	began := time.Now()
	for i, route := range r.Routes {
		var mistake error
		for _, path := range r.patterns[i].samples() {
			if time.Since(began) > probing {
				return nil
			}
			plan := r.tried(i, path)
			if plan == nil {
				continue
			}
			complaint := planComplaint(plan)
			if _, ok := plan.(Document); ok && complaint == "" {
				mistake = nil
				break
			}
			if complaint != "" && mistake == nil {
				mistake = fmt.Errorf("plugin %s: the route %q, asked for %s, %s", r.Name, route.Match, path, complaint)
			}
		}
		if mistake != nil {
			return mistake
		}
	}
	if r.About == nil {
		return nil
	}
	if d, ok := r.triedAbout(); ok {
		if complaint := planComplaint(d); complaint != "" {
			return fmt.Errorf("plugin %s: About %s", r.Name, complaint)
		}
	}
	return nil
}

// tried is what a route plans for a path; nil: nothing, it panics, or another
// route plans it.
func (r *router) tried(i int, path string) (plan Plan) {
	defer func() {
		if recover() != nil {
			plan = nil
		}
	}()
	req := Request{Method: r.patterns[i].method, Path: path, base: "http://127.0.0.1:8080/" + r.Name}
	at, captures, _ := r.find(req)
	if at != i {
		return nil
	}
	req.captures = captures
	return r.Routes[i].Plan(req)
}

// triedAbout is the document about a version; false: About panics.
func (r *router) triedAbout() (d Document, ok bool) {
	defer func() { _ = recover() }() // that name may be none
	return r.About(Version{Name: "example", Version: "1.0.0"}), true
}

// samples are paths that a pattern matches, as clients may ask for.
func (p *pattern) samples() []string {
	digest := "sha256:" + strings.Repeat("0", 64)
	likely := map[string]string{"version": "1.0.0", "file": "example-1.0.0.tar.gz", "filename": "example-1.0.0.tar.gz", "digest": digest, "tag": "1.0.0", "arch": "amd64"}
	always := func(text string) func(string, bool) string { return func(string, bool) string { return text } }
	var paths []string
	for _, fill := range []func(name string, across bool) string{
		func(name string, across bool) string {
			if across {
				return "org/example/lamp"
			}
			return or(likely[name], "example")
		},
		always("a"),
		always("1.0.0"),
		always("example-1.0.0.tar.gz"),
		always(digest),
	} {
		paths = append(paths, p.fill(fill))
	}
	return slices.Compact(paths) // of no names there is one
}
