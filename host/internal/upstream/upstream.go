// Package upstream asks public and private registries on behalf of clients.
//
// A [Set] is the upstreams of one repository. It tries them in order, retries
// what may pass, keeps a circuit breaker for each, and one for each host that it
// is led to, which counts nothing but what is wrong there, sends an upstream's
// credentials to nothing but what lies below its base address, and refuses
// addresses inside our own network that nobody configured.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Error is a failure that is upstream's, or of the way to it.
type Error struct {
	// Upstream is the base address asked, or the host that it led to.
	Upstream string
	// Status that it answered; 0: none.
	Status int
	// RetryAfter is when it may be asked again, where it says so.
	RetryAfter time.Time
	// Err is the reason.
	Err error

	// unasked says that it was left alone.
	unasked bool
}

// Error says which upstream failed and how.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("upstream %s answers %d %s", e.Upstream, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("upstream %s cannot be reached: %s", e.Upstream, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// RateLimited reports whether upstream says that it is asked too often.
func (e *Error) RateLimited() bool { return e.Status == http.StatusTooManyRequests }

// ErrBlocked says that an address may not be asked.
var ErrBlocked = errors.New("address is not allowed")

// ErrNone says that no upstream is configured for what is asked.
var ErrNone = errors.New("no upstream is configured")

// Request is a question to upstream.
type Request struct {
	// Source is where to.
	Source *pb.Source
	// ETag and LastModified make it conditional; empty: not. Of several upstreams
	// only the one that gave them is sent them: From, as the response said.
	ETag, LastModified, From string
	// Exact asks for the stored bytes: no content encoding.
	Exact bool
	// Offset asks for the rest of a body from a byte on; IfRange is the ETag
	// that it must still have.
	Offset  int64
	IfRange string
	// Method and Body, for relays; empty: GET. Header is sent along. Length is
	// the body's; 0: unknown, unless the body tells.
	Method string
	Body   io.Reader
	Length int64
	Header http.Header
}

// Response is a definite answer: success, not modified, or a refusal such as
// 404. Everything else is an [Error].
type Response struct {
	Status int
	Header http.Header
	// Body must be closed. It fails when it breaks off or stalls.
	Body io.ReadCloser
	// Length of the body; -1: unknown.
	Length int64
	// Framed is whether a broken body would be noticed.
	Framed bool
	// URL that answered, after redirects.
	URL string
	// Closed says that this is a refusal in place of an answer: it may be there,
	// for others or at another time.
	Closed bool
	// From is the base address of the upstream asked; empty: it was asked for an
	// absolute address.
	From string
}

// Found reports whether there is a body of what was asked for.
func (r *Response) Found() bool {
	return r.Status == http.StatusOK || r.Status == http.StatusPartialContent
}

// Missing reports whether upstream says that it has no such thing.
func (r *Response) Missing() bool {
	switch r.Status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return true
	}
	return false
}

// elsewhere stands for hosts that documents name.
const elsewhere = "elsewhere"

// Observer is told of every request made, for metrics; of an upstream by its base
// address, of all other hosts together as "elsewhere".
type Observer func(upstream string, took time.Duration, status int, err error)

// registry is one upstream.
type registry struct {
	name     string
	role     string
	base     *url.URL
	failover bool
	client   *client
	health   *health
}

// Set is the upstreams of a repository, in order.
type Set struct {
	registries []*registry
	main       string // role of sources that name none
	roles      []string
	other      *client
	observe    Observer

	mu    sync.Mutex
	hosts map[string]*health // of what is below no upstream
}

// Options of a set.
type Options struct {
	// Upstreams configured; empty: Defaults are used.
	Upstreams []*config.Upstream
	// Defaults are the plugin's.
	Defaults []*pb.Upstream
	// Allow names hosts with private addresses that documents may point at.
	Allow []string
	// UserAgent is sent with every request.
	UserAgent string
	// Observe is told of requests; nil: nobody.
	Observe Observer
}

// roleOf is the role of an upstream: the one that it says, or its name where a
// plugin's defaults have such a role, or else the first of those.
func roleOf(u *config.Upstream, defaults []*pb.Upstream) string {
	switch {
	case u.Role != "":
		return u.Role
	case len(defaults) == 0:
		return "main"
	case slices.ContainsFunc(defaults, func(d *pb.Upstream) bool { return d.GetRole() == u.Name || d.GetRole() == "*" }):
		return u.Name
	}
	return defaults[0].GetRole()
}

// Roles are those of upstreams that are configured, in order, or of a plugin's
// defaults where none is.
func Roles(configured []*config.Upstream, defaults []*pb.Upstream) []string {
	var roles []string
	add := func(role string) {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	for _, u := range configured {
		add(roleOf(u, defaults))
	}
	for _, d := range defaults {
		if len(configured) == 0 && d.GetUrl() != "" {
			add(d.GetRole())
		}
	}
	return roles
}

// New makes a set. It connects to nothing.
func New(o Options) (*Set, error) {
	s := &Set{main: "main", observe: o.Observe}
	if s.observe == nil {
		s.observe = func(string, time.Duration, int, error) {}
	}
	told := s.observe
	s.observe = func(base string, took time.Duration, status int, err error) {
		if !slices.Contains(s.Bases(), base) {
			base = elsewhere // hosts that documents name are without end
		}
		told(base, took, status, err)
	}
	s.roles = Roles(o.Upstreams, o.Defaults)
	if len(o.Defaults) > 0 {
		s.main = o.Defaults[0].GetRole()
	}
	configured := o.Upstreams
	if len(configured) == 0 {
		for _, d := range o.Defaults {
			if d.GetUrl() == "" {
				continue
			}
			base, err := url.Parse(d.GetUrl())
			if err != nil {
				return nil, fmt.Errorf("default upstream %s: %w", d.GetUrl(), err)
			}
			configured = append(configured, &config.Upstream{Name: d.GetRole(), Role: d.GetRole(), URL: base, Failover: d.GetFailover(), Timeout: config.DefaultTimeout})
		}
	} else {
		for _, u := range configured {
			o.Allow = append(o.Allow, u.URL.Hostname())
		}
	}
	guard := newGuard(o.Allow)
	for _, u := range configured {
		role := roleOf(u, o.Defaults)
		client, err := newClient(s, guard, u, o.UserAgent)
		if err != nil {
			return nil, fmt.Errorf("upstream %q: %w", u.Name, err)
		}
		s.registries = append(s.registries, &registry{
			name:     u.Name,
			role:     role,
			base:     u.URL,
			failover: u.Failover,
			client:   client,
			health:   newHealth(u.URL),
		})
	}
	if len(s.registries) > 0 && !s.Role(s.main) {
		s.main = s.registries[0].role
	}
	var err error
	s.other, err = newClient(s, guard, &config.Upstream{Timeout: config.DefaultTimeout}, o.UserAgent)
	return s, err
}

// Get asks for a source. Of several upstreams of its role, the next is asked
// when one has nothing, or fails and is a failover.
func (s *Set) Get(ctx context.Context, r Request) (*Response, error) {
	source := r.Source.GetUrl()
	if Absolute(source) {
		return s.getAbsolute(ctx, r)
	}
	role := r.Source.GetRole()
	if role == "" {
		role = s.main
	}
	var last *Response
	lastErr := fmt.Errorf("%w (role %q)", ErrNone, role)
	for _, u := range s.registries {
		if u.role != role {
			continue
		}
		if last != nil {
			last.Body.Close()
		}
		asked := r
		if r.From != u.base.String() {
			asked.ETag, asked.LastModified = "", ""
		}
		last, lastErr = s.ask(ctx, u.base.String(), u.client, join(u.base, source), asked)
		if last != nil {
			last.From = u.base.String()
		}
		var failed *Error
		switch {
		case lastErr == nil && !last.Missing():
			return last, nil
		case errors.As(lastErr, &failed) && !u.failover, lastErr != nil && failed == nil:
			return nil, lastErr
		}
	}
	return last, lastErr
}

// getAbsolute asks for an address out of a document, with credentials only
// where it lies below an upstream's base.
func (s *Set) getAbsolute(ctx context.Context, r Request) (*Response, error) {
	u, err := url.Parse(r.Source.GetUrl())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	for _, reg := range s.registries {
		if below(reg.base, u) {
			return s.ask(ctx, reg.base.String(), reg.client, u, r)
		}
	}
	host := &url.URL{Scheme: u.Scheme, Host: u.Host}
	return s.ask(ctx, host.String(), s.other, u, r)
}

// Role reports whether an upstream of a role is configured.
func (s *Set) Role(role string) bool {
	for _, u := range s.registries {
		if u.role == role || role == "" && u.role == s.main {
			return true
		}
	}
	return false
}

// Roles are those that there is an upstream of, in order.
func (s *Set) Roles() []string { return s.roles }

// Of are the upstreams that a source of a role is asked of, in order: their
// addresses, with a mark of the credentials that they are asked with. What they do
// not show to others they may have.
func (s *Set) Of(role string) []string {
	if role == "" {
		role = s.main
	}
	var out []string
	for _, u := range s.registries {
		if u.role == role {
			out = append(out, u.base.String()+u.client.mark)
		}
	}
	return out
}

// Bases are the addresses of the upstreams, in order, for people.
func (s *Set) Bases() []string {
	var out []string
	for _, u := range s.registries {
		out = append(out, u.base.String())
	}
	return out
}

// Absolute reports whether a source's address names its host.
func Absolute(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// join puts a relative address below a base, keeping its escapes and query.
func join(base *url.URL, source string) *url.URL {
	path, query, _ := strings.Cut(source, "?")
	raw := strings.TrimRight(base.EscapedPath(), "/") + "/" + strings.TrimLeft(path, "/")
	u := *base
	u.RawQuery = query
	u.Path, u.RawPath = raw, ""
	if decoded, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath = decoded, raw
	}
	return &u
}

// below reports whether an address lies below a base: same scheme, host and
// port, and path prefix. What climbs is below nothing.
func below(base, u *url.URL) bool {
	if base.Scheme != u.Scheme || !strings.EqualFold(base.Host, u.Host) || slices.Contains(strings.Split(u.Path, "/"), "..") {
		return false
	}
	prefix := strings.TrimRight(base.Path, "/") + "/"
	return strings.HasPrefix(u.Path, prefix) || u.Path+"/" == prefix
}
