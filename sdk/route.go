package sdk

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a compiled Route.Match.
type pattern struct {
	method string
	route  string // the path as it is written
	path   *regexp.Regexp
	names  []string
	atoms  []atom
}

var capture = regexp.MustCompile(`\{([a-z][a-z0-9_]*)(\.\.\.)?\}`)

// methods that a route can be for.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func compile(match string) (*pattern, error) {
	method, path, ok := strings.Cut(match, " ")
	if !ok || method == "" || method != strings.ToUpper(method) {
		return nil, errors.New(`write a method and a path, as "GET /{name}"`)
	}
	if method == "HEAD" {
		return nil, errors.New("write GET: it answers HEAD too")
	}
	if !slices.Contains(methods, method) {
		return nil, fmt.Errorf("%s is no method that is served: write one of %s", method, strings.Join(methods, ", "))
	}
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path must begin with a slash")
	}
	if strings.ContainsAny(path, "?#") {
		return nil, errors.New("a path has no query: Request.Param has its parameters")
	}
	p := &pattern{method: method, route: path}
	var expr strings.Builder
	expr.WriteString("^")
	last := 0
	for _, m := range capture.FindAllStringSubmatchIndex(path, -1) {
		name := path[m[2]:m[3]]
		if slices.Contains(p.names, name) {
			return nil, fmt.Errorf("{%s} stands twice in it", name)
		}
		if m[0] == last && last > 0 {
			return nil, fmt.Errorf("nothing stands between {%s} and {%s}, so that nobody knows where one ends: write a slash or another character there", p.names[len(p.names)-1], name)
		}
		p.names = append(p.names, name)
		p.literal(&expr, path[last:m[0]])
		if m[4] >= 0 {
			expr.WriteString("(.+?)")
			p.atoms = append(p.atoms, atom{kind: across})
		} else {
			expr.WriteString("([^/]+?)")
			p.atoms = append(p.atoms, atom{kind: within})
		}
		last = m[1]
	}
	rest := path[last:]
	if strings.ContainsAny(rest, "{}") || strings.Count(path, "{") != len(p.names) {
		return nil, errors.New("write captures as {name} or {name...}, lower-case letters, digits and _")
	}
	if text := capture.ReplaceAllString(path, ""); strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return nil, errors.New("no path has spaces or letters beyond ASCII: write them escaped, as %20")
	}
	if complaint := malformed(capture.ReplaceAllString(path, "a"), ""); complaint != "" {
		return nil, fmt.Errorf("no request gets to it: %s", complaint)
	}
	p.literal(&expr, rest)
	expr.WriteString("$")
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, err
	}
	p.path = re
	return p, nil
}

// literal adds text that stands for itself.
func (p *pattern) literal(expr *strings.Builder, text string) {
	expr.WriteString(regexp.QuoteMeta(text))
	for i := range len(text) {
		p.atoms = append(p.atoms, atom{kind: exactly, char: text[i]})
	}
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

// fill is a path in which something stands for each name.
func (p *pattern) fill(with func(name string, across bool) string) string {
	return capture.ReplaceAllStringFunc(p.route, func(braced string) string {
		m := capture.FindStringSubmatch(braced)
		return with(m[1], m[2] != "")
	})
}

// router is an Ecosystem with its patterns compiled.
type router struct {
	Ecosystem
	patterns []*pattern
}

var ecosystemName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func newRouter(e Ecosystem) (*router, error) {
	if !ecosystemName.MatchString(e.Name) {
		return nil, fmt.Errorf("plugin %q: Ecosystem.Name is no name: write lower-case letters, digits and dashes, a letter first", e.Name)
	}
	r := &router{Ecosystem: e}
	for _, check := range []func() error{r.compileRoutes, r.checkMounts, r.checkUpstreams, r.checkPackage, r.checkErrors, r.checkTexts, r.checkWatch} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("plugin %s: %w", e.Name, err)
		}
	}
	return r, nil
}

// plan finds the first route that matches and asks it.
func (r *router) plan(req Request) (Plan, Request) {
	if complaint := malformed(req.Path, req.Query); complaint != "" {
		return BadRequest(complaint), req
	}
	i, captures, others := r.find(req)
	switch {
	case i >= 0:
		req.captures = captures
		return r.Routes[i].Plan(req), req
	case len(others) > 0:
		return Failure{Kind: KindMethod, Message: req.Method + " does not fit this address", Allow: strings.Join(others, ", ")}, req
	}
	return NotFound("no such address in a repository of " + r.Name + " packages"), req
}

// leads reports whether a route plans a GET of an address.
func (r *router) leads(address string) bool {
	path, _ := splitQuery(address)
	i, _, _ := r.find(Request{Method: "GET", Path: path})
	return i >= 0
}

// find is the first route that matches, and what it captures; -1: none does, but
// others do of other methods, if there are some.
func (r *router) find(req Request) (i int, captures map[string]string, others []string) {
	for i, p := range r.patterns {
		captures := p.match(req.Path)
		if captures == nil {
			continue
		}
		if p.method == req.Method {
			return i, captures, nil
		}
		if slices.Contains(others, p.method) {
			continue
		}
		if others = append(others, p.method); p.method == "GET" {
			others = append(others, "HEAD") // the host answers it
		}
	}
	return -1, nil, others
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
