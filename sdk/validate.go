package sdk

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// compileRoutes compiles the routes' patterns. A route that can never be asked
// is a mistake.
func (r *router) compileRoutes() error {
	for _, route := range r.Routes {
		p, err := compile(route.Match)
		if err != nil {
			return fmt.Errorf("route %q: %w", route.Match, err)
		}
		if route.Plan == nil {
			return fmt.Errorf("route %q has no Plan", route.Match)
		}
		for j, earlier := range r.patterns {
			if first := r.Routes[j].Match; first == route.Match {
				return fmt.Errorf("route %q stands twice", route.Match)
			} else if earlier.covers(p) {
				return fmt.Errorf("route %q is never asked, because %q stands before it and matches all that it matches: put it first, or make one of them narrower", route.Match, first)
			}
		}
		r.patterns = append(r.patterns, p)
	}
	for _, u := range r.Ungated {
		if !slices.ContainsFunc(r.Routes, func(route Route) bool { return route.Match == u.Route }) {
			return fmt.Errorf("Ungated names the route %q, which is none: write a Match of Routes as it stands there", u.Route)
		}
		if u.Reason == "" {
			return fmt.Errorf("Ungated names the route %q without a Reason: say why its answers cannot be judged", u.Route)
		}
	}
	return nil
}

// checkWatch checks that each document to look at is one of ours.
func (r *router) checkWatch() error {
	for _, address := range r.Watch {
		if !r.leads(address) {
			return fmt.Errorf("its Watch has %q, which no route plans: write the Path of a Document", address)
		}
	}
	return nil
}

func (r *router) checkMounts() error {
	mounts := map[string]bool{"/" + r.Name: true}
	for _, m := range r.Mounts {
		if !strings.HasPrefix(m, "/") {
			return fmt.Errorf("mount %q must begin with a slash", m)
		}
		at := strings.TrimRight(m, "/")
		if mounts[at] {
			return fmt.Errorf("mount %q stands twice; /%s is always there", m, r.Name)
		}
		mounts[at] = true
	}
	return nil
}

func (r *router) checkUpstreams() error {
	seen := map[[2]string]bool{}
	for _, u := range r.Upstreams {
		role := or(u.Role, "main")
		if u.URL != "" {
			at, err := url.Parse(u.URL)
			if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
				return fmt.Errorf("the upstream of role %q has the URL %q: write a whole address, as \"https://registry.example.com\", or leave it empty so that it must be configured", role, u.URL)
			}
			if role == "*" {
				return fmt.Errorf("the upstream of role %q has an URL: that role stands for upstreams that the configuration names", role)
			}
		}
		if seen[[2]string{role, u.URL}] {
			return fmt.Errorf("two upstreams have the role %q and the same address %q: write another address or another Role, or drop one", role, u.URL)
		}
		seen[[2]string{role, u.URL}] = true
	}
	return nil
}

// largestHead is how much of a file's beginning can be looked at.
const largestHead = 16 << 20

func (r *router) checkPackage() error {
	if r.Package == nil {
		return nil
	}
	if r.Package.Inspect == nil {
		return fmt.Errorf("Package has no Inspect: write the function that says what a file is, or leave Package nil")
	}
	for _, peek := range r.Package.Peek {
		kind, pattern, _ := strings.Cut(peek, ":")
		switch kind {
		case "tar", "tar.gz", "zip":
			if pattern == "" {
				return fmt.Errorf("Package.Peek has %q: write which members, as %q", peek, kind+":*/metadata.json")
			}
		case "head":
			if n, err := strconv.Atoi(pattern); err != nil || n <= 0 || n > largestHead {
				return fmt.Errorf("Package.Peek has %q: write a number of bytes up to %d, as \"head:65536\"", peek, largestHead)
			}
		case "names":
			if pattern != "zip" {
				return fmt.Errorf("Package.Peek has %q: the names are those of a zip archive, as \"names:zip\"", peek)
			}
		case "folder":
			if r.Package.Unpack == nil || pattern == "" || strings.ContainsAny(pattern, "/*") {
				return fmt.Errorf("Package.Peek has %q: write the name of a file, as \"folder:index.json\", and an Unpack", peek)
			}
		default:
			return fmt.Errorf("Package.Peek has %q: begin with tar:, tar.gz:, zip: or head:, as \"tar.gz:*/metadata.json\"", peek)
		}
	}
	return nil
}

// placeholder is what the host replaces in an error's body.
var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

var placeholders = []string{"{message}", "{name}", "{version}", "{until}", "{kind}", "{code}"}

func (r *router) checkErrors() error {
	e := r.Errors
	if _, _, err := mime.ParseMediaType(e.Type); e.Type != "" && (err != nil || !strings.Contains(e.Type, "/")) {
		return fmt.Errorf("Errors.Type is %q: write a content type, as \"application/json\"", e.Type)
	}
	for _, found := range placeholder.FindAllString(e.Body, -1) {
		if !slices.Contains(placeholders, found) {
			return fmt.Errorf("Errors.Body has %s, which stands for nothing: write some of %s", found, strings.Join(placeholders, ", "))
		}
	}
	if strings.Contains(e.Type, "json") {
		for _, p := range placeholders {
			if strings.Contains(e.Body, `"`+p+`"`) {
				return fmt.Errorf("Errors.Body has %s in quotes: leave them out, it is replaced by a JSON string with its quotes", p)
			}
		}
		if filled := placeholder.ReplaceAllString(or(e.Body, "{message}"), `""`); !json.Valid([]byte(filled)) {
			return fmt.Errorf("its Errors.Body is no JSON once its placeholders are replaced by strings: write it as `{\"error\":{message}}`")
		}
	}
	for kind, status := range e.Status {
		if status < 400 || status > 599 {
			return fmt.Errorf("Errors.Status has %d for kind %d: write a status from 400 to 599", status, kind)
		}
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)

func (r *router) checkTexts() error {
	for i, s := range r.Setup {
		if s.Client == "" || s.Text == "" {
			return fmt.Errorf("entry %d of Setup has no Client or no Text: write the program's name, and what its user writes or runs", i)
		}
	}
	for field, names := range map[string][]string{"Vary": r.Vary, "Learns": r.Learns} {
		for _, name := range names {
			if !headerName.MatchString(name) {
				return fmt.Errorf("%s has %q: write the name of a header, as \"Accept\"", field, name)
			}
		}
	}
	return nil
}
