package sdk

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// probing bounds how long routes are tried, so that no start waits for a
	// plugin that plans slowly.
	probing = time.Second
	// answering is how long a plan may take: the host waits no longer for one.
	answering = 5 * time.Second
)

// probe tries each route, and About, with addresses that match, so that a
// mistake in plans is told at the start rather than to the first client. A
// route that plans one Document as it should is not accused of another, whose
// address may be one that no client asks for; a panic is a matter of its one
// request, and of the tests. What spoils only the request that it is planned for
// is a warning.
func (r *router) probe(warn func(mistake string)) error {
	if len(r.Routes) == 0 {
		return fmt.Errorf("plugin %s: Ecosystem has no Routes: write one at least, as {Match: \"GET /{name}\", Plan: …}", r.Name)
	}
	var asking atomic.Pointer[string]
	done := make(chan error, 1)
	go func() { done <- r.probeAll(warn, func(what string) { asking.Store(&what) }) }()
	// One that does not answer is left behind: whoever asked ends the plugin.
	limit := time.NewTimer(probing + answering)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return fmt.Errorf("plugin %s: %s has not answered within %s: look for a loop that does not end, a sleep, or a lock that nobody opens", r.Name, *asking.Load(), answering)
	}
}

// probeAll tries routes and About as long as there is time, and tells of each
// question before it is asked.
func (r *router) probeAll(warn, asking func(text string)) error {
	began := time.Now()
	for i, route := range r.Routes {
		warned := false
		for _, query := range queries() {
			mistake, grave := r.probeRoute(i, query, func(path string) bool {
				asking(fmt.Sprintf("the route %q, asked for %s,", route.Match, path))
				return time.Since(began) <= probing
			})
			if grave {
				return fmt.Errorf("plugin %s: the route %q, %s", r.Name, route.Match, mistake)
			}
			if mistake != "" && !warned {
				warn(fmt.Sprintf("the route %q, %s", route.Match, mistake))
				warned = true
			}
		}
	}
	if r.About == nil {
		return nil
	}
	for _, name := range exampleNames() {
		asking("About")
		d, ok := r.triedAbout(name)
		if !ok {
			continue
		}
		complaint := r.complaint(d)
		if complaint == "" && !r.leads(d.Path) {
			complaint = fmt.Sprintf("returned a Document with the Path %q, which no route plans: write the Path of one that lists a package", d.Path)
		}
		if complaint != "" {
			return fmt.Errorf("plugin %s: About %s", r.Name, complaint)
		}
		return nil
	}
	return nil
}

// probeRoute tries a route with one query, as long as there is time for a path,
// and says what is wrong with what it plans, grave or not; empty: nothing that
// shows.
func (r *router) probeRoute(i int, query string, time func(path string) bool) (mistake string, grave bool) {
	for _, path := range r.patterns[i].samples() {
		address := path
		if query != "" {
			address += "?" + query
		}
		if !time(address) {
			return mistake, grave
		}
		plan, ok := r.tried(i, path, query)
		if !ok {
			continue
		}
		complaint := or(r.complaint(plan), r.deadEnd(i, plan))
		if _, ok := plan.(Document); ok && complaint == "" {
			return "", false
		}
		if complaint != "" && (mistake == "" || !grave && isGrave(plan)) {
			mistake, grave = fmt.Sprintf("asked for %s, %s", address, complaint), isGrave(plan)
		}
	}
	return mistake, grave
}

// isGrave reports whether a mistake in a plan may harm more than the request that
// it is planned for: documents and uploads decide what is asked of upstream and
// what is kept, and what is no plan at all never works.
func isGrave(plan Plan) bool {
	switch plan.(type) {
	case nil, Artifact, Reply, Relay, Identity, Failure:
		return false
	}
	return true
}

// deadEnd is the complaint about an artifact that refers to what the plugin does
// not have.
func (r *router) deadEnd(i int, plan Plan) string {
	a, ok := plan.(Artifact)
	if !ok {
		return ""
	}
	if a.Ungated && !slices.ContainsFunc(r.Ecosystem.Ungated, func(u Ungated) bool { return u.Route == r.Routes[i].Match }) {
		return fmt.Sprintf("returned an Artifact that is Ungated: say so in Ecosystem.Ungated, as {Route: %q, Reason: \"…\"}, so that people know", r.Routes[i].Match)
	}
	for _, facts := range a.Facts {
		if !strings.HasSuffix(facts, "/*") && !r.leads(facts) {
			return fmt.Sprintf("returned an Artifact whose Facts have %q, which no route plans: write the Path of the Document that lists it", facts)
		}
	}
	return ""
}

// tried is what a route plans for an address, unless another route plans that or
// it panics.
func (r *router) tried(i int, path, query string) (plan Plan, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	req := Request{Method: r.patterns[i].method, Path: path, Query: query, base: "http://127.0.0.1:8080/" + r.Name}
	at, captures, _ := r.find(req)
	if at != i {
		return nil, false
	}
	req.captures = captures
	return r.Routes[i].Plan(req), true
}

// triedAbout is the document about a version, unless About panics.
func (r *router) triedAbout(name string) (d Document, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return r.About(Version{Name: name, Version: "1.0.0"}), true
}

// exampleNames are names of packages, of which one at least should be one to an
// ecosystem.
func exampleNames() []string {
	return []string{"example", "org/example", "org.example:example", "@org/example", "example.com/org/example"}
}

// queries are none, and one with the parameters that plugins like to read.
func queries() []string {
	return []string{"", "q=example&query=example&search=example&text=example&name=example&id=example&version=1.0.0&page=1&n=1"}
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
