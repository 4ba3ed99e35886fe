package sdk

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a compiled Route.Match.
type pattern struct {
	method string
	path   *regexp.Regexp
	names  []string
}

var capture = regexp.MustCompile(`\{([a-z][a-z0-9_]*)(\.\.\.)?\}`)

func compile(match string) (*pattern, error) {
	method, path, ok := strings.Cut(match, " ")
	if !ok || method == "" || method != strings.ToUpper(method) {
		return nil, errors.New(`write a method and a path, as "GET /{name}"`)
	}
	if method == "HEAD" {
		return nil, errors.New("write GET: it answers HEAD too")
	}
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path must begin with a slash")
	}
	p := &pattern{method: method}
	var expr strings.Builder
	expr.WriteString("^")
	last := 0
	for _, m := range capture.FindAllStringSubmatchIndex(path, -1) {
		name := path[m[2]:m[3]]
		for _, other := range p.names {
			if other == name {
				return nil, fmt.Errorf("{%s} stands twice in it", name)
			}
		}
		p.names = append(p.names, name)
		expr.WriteString(regexp.QuoteMeta(path[last:m[0]]))
		if m[4] >= 0 {
			expr.WriteString("(.+?)")
		} else {
			expr.WriteString("([^/]+?)")
		}
		last = m[1]
	}
	rest := path[last:]
	if strings.ContainsAny(rest, "{}") || strings.Count(path, "{") != len(p.names) {
		return nil, errors.New("write captures as {name} or {name...}, lower-case letters, digits and _")
	}
	expr.WriteString(regexp.QuoteMeta(rest))
	expr.WriteString("$")
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, err
	}
	p.path = re
	return p, nil
}

// match returns what the pattern captures of a path, or nil.
func (p *pattern) match(path string) map[string]string {
	m := p.path.FindStringSubmatch(path)
	if m == nil {
		return nil
	}
	captures := make(map[string]string, len(p.names))
	for i, name := range p.names {
		captures[name] = m[i+1]
	}
	return captures
}

// router is an Ecosystem with its patterns compiled.
type router struct {
	Ecosystem
	patterns []*pattern
}

var ecosystemName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func newRouter(e Ecosystem) (*router, error) {
	if !ecosystemName.MatchString(e.Name) {
		return nil, fmt.Errorf("Ecosystem.Name is %q: write lower-case letters, digits and dashes", e.Name)
	}
	r := &router{Ecosystem: e}
	seen := map[string]bool{}
	for _, route := range e.Routes {
		p, err := compile(route.Match)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: route %q: %w", e.Name, route.Match, err)
		}
		if route.Plan == nil {
			return nil, fmt.Errorf("plugin %s: route %q has no Plan", e.Name, route.Match)
		}
		if seen[route.Match] {
			return nil, fmt.Errorf("plugin %s: route %q stands twice", e.Name, route.Match)
		}
		seen[route.Match] = true
		r.patterns = append(r.patterns, p)
	}
	mounts := map[string]bool{"/" + e.Name: true}
	for _, m := range e.Mounts {
		if !strings.HasPrefix(m, "/") {
			return nil, fmt.Errorf("plugin %s: mount %q must begin with a slash", e.Name, m)
		}
		at := strings.TrimRight(m, "/")
		if mounts[at] {
			return nil, fmt.Errorf("plugin %s: mount %q stands twice; /%s is always there", e.Name, m, e.Name)
		}
		mounts[at] = true
	}
	upstreams := map[[2]string]bool{}
	for _, u := range e.Upstreams {
		at := [2]string{or(u.Role, "main"), u.URL}
		if upstreams[at] {
			return nil, fmt.Errorf("plugin %s: two upstreams have the role %q", e.Name, at[0])
		}
		upstreams[at] = true
	}
	return r, nil
}

// plan finds the first route that matches and asks it.
func (r *router) plan(req Request) (Plan, Request) {
	if complaint := malformed(req.Path, req.Query); complaint != "" {
		return BadRequest(complaint), req
	}
	otherMethod := false
	for i, p := range r.patterns {
		captures := p.match(req.Path)
		if captures == nil {
			continue
		}
		if p.method != req.Method {
			otherMethod = true
			continue
		}
		req.captures = captures
		return r.Routes[i].Plan(req), req
	}
	if otherMethod {
		return Failure{Kind: KindMethod, Message: req.Method + " does not fit this address"}, req
	}
	return NotFound("no such address in a repository of " + r.Name + " packages"), req
}

// malformed says what is wrong with an address that no plugin needs to see:
// what it unescapes to could neither be a name nor safely be asked of upstream.
// Empty: nothing.
func malformed(path, query string) string {
	for _, escaped := range []string{path, query} {
		plain, err := url.PathUnescape(escaped)
		switch {
		case err != nil:
			return "the address has a malformed escape"
		case !utf8.ValidString(plain):
			return "the address is not UTF-8"
		case strings.ContainsFunc(plain, unicode.IsControl):
			return "the address has control characters"
		}
	}
	plain, _ := url.PathUnescape(path) // succeeded above
	for segment := range strings.SplitSeq(plain, "/") {
		if segment == "." || segment == ".." {
			return "the address has a dot segment"
		}
	}
	return ""
}
