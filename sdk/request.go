package sdk

import (
	"net/url"
	"slices"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Request is a client's request as a plan sees it.
type Request struct {
	// Method is GET also for HEAD.
	Method string
	// Path is relative to the repository's mount, begins with a slash, and has
	// its escapes as the client sent them.
	Path string
	// Query is as sent, without the question mark; empty: none was sent.
	Query string

	base     string
	hosts    []string
	login    bool
	headers  map[string]string
	captures map[string]string
}

func newRequest(repository *pb.Repository, r *pb.Request) Request {
	return Request{
		Method:  r.GetMethod(),
		Path:    r.GetPath(),
		Query:   r.GetQuery(),
		base:    repository.GetBaseUrl(),
		hosts:   repository.GetHosts(),
		login:   repository.GetLoginRequired(),
		headers: r.GetHeaders(),
	}
}

// Get returns what a name in the route's pattern captured, unescaped; empty
// when there is no such name.
func (r Request) Get(name string) string {
	raw := r.captures[name]
	if s, err := url.PathUnescape(raw); err == nil {
		return s
	}
	return raw
}

// Raw returns what a name in the route's pattern captured, as it was sent, for
// addresses; empty when there is no such name.
func (r Request) Raw(name string) string { return r.captures[name] }

// Param returns the first value of a query parameter, unescaped; empty when
// there is none. A part of the query that has a semicolon is none; a query with a
// malformed escape is answered with 400 before a plan is asked for.
func (r Request) Param(name string) string {
	values, _ := url.ParseQuery(r.Query)
	return values.Get(name)
}

// Header returns a request header that [Ecosystem.Vary] names; of several
// lines, all joined by commas. Empty: it was not sent, or is not named there.
func (r Request) Header(name string) string { return r.headers[strings.ToLower(name)] }

// URL returns the external address of a path of this repository, which begins
// with a slash and has its escapes. Nothing is put between: without the slash the
// address is wrong, and the empty path is the repository's own address.
func (r Request) URL(path string) string { return r.base + path }

// LoginRequired reports whether nothing is read from this repository without a
// token. A protocol whose clients send theirs only where they are told to, as
// cargo's with auth-required, tells them.
func (r Request) LoginRequired() bool { return r.login }

// Here reports whether a host, with a port or without, is this one: that of its
// external address, or another that the configuration says it is asked by, or
// loopback on the port that it listens on.
func (r Request) Here(host string) bool {
	own, err := url.Parse(r.base)
	return err == nil && strings.EqualFold(own.Host, host) || slices.Contains(r.hosts, strings.ToLower(host))
}
