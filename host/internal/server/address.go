package server

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Bounds of a request's path and query, in bytes.
const (
	maxPath  = 8 << 10
	maxQuery = 8 << 10
)

// Address is how we are reached.
type Address struct {
	// Base is the configured external address; nil: taken from each request.
	Base *url.URL
	// Hosts are accepted besides loopback and Base's, with or without a port, in
	// lower case.
	Hosts []string
	// Port that we listen on; a listed host may be asked on it.
	Port string
	// Trusted proxies may say how they were asked: by which of our hosts, say.
	Trusted []netip.Prefix

	// near are those that clients on this machine reach us at, so that others leave
	// them their places.
	near, far unlisted
}

// maxUnlisted bounds how many addresses that nobody configured clients on this machine
// reach us at, and how many others.
const maxUnlisted = 16

// unlisted are the addresses that we were reached at though nobody configured them:
// a port that is forwarded, a path that a proxy says. Each has documents of its own,
// so that a client could multiply what is kept by asking under ever new ones.
type unlisted struct {
	mu    sync.RWMutex
	bases map[string]bool
}

// admits reports whether an address is one of the first.
func (u *unlisted) admits(base string) bool {
	u.mu.RLock()
	known := u.bases[base]
	u.mu.RUnlock()
	if known {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.bases) >= maxUnlisted {
		return u.bases[base]
	}
	if u.bases == nil {
		u.bases = map[string]bool{}
	}
	u.bases[base] = true
	return true
}

// rawTarget is a request's path and query as they were sent.
func rawTarget(r *http.Request) (path, query string) {
	target := r.RequestURI
	if strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://") {
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// withoutDots leaves out the segments of a path that are a single dot, as
// clients may (RFC 3986, section 5.2.4): addresses of flat archives have them.
func withoutDots(raw string) string {
	if !strings.Contains(raw, "/.") {
		return raw
	}
	var b strings.Builder
	for segment, rest := "", raw; rest != ""; {
		// A segment here begins with the slash before it.
		end := strings.IndexByte(rest[1:], '/') + 1
		if end == 0 {
			end = len(rest)
		}
		segment, rest = rest[:end], rest[end:]
		switch {
		case segment != "/.":
			b.WriteString(segment)
		case rest == "":
			b.WriteByte('/')
		}
	}
	return b.String()
}

// checkPath refuses paths that no registry client sends: those that climb,
// hide dots or control characters in escapes, or are no UTF-8.
func checkPath(raw string) *cache.Failure {
	bad := func(message string) *cache.Failure {
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: message}
	}
	if len(raw) > maxPath {
		return bad("the path is longer than 8 KiB")
	}
	if !strings.HasPrefix(raw, "/") {
		return bad("the path must begin with a slash")
	}
	plain := true
	for i := range len(raw) {
		if c := raw[i]; c == '%' || c == '.' || c < ' ' || c >= 0x7f || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return nil
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return bad("the path has a broken escape")
	}
	if !utf8.ValidString(decoded) {
		return bad("the path is no UTF-8")
	}
	for i := range len(decoded) {
		if c := decoded[i]; c < ' ' || c == 0x7f || c == '\\' {
			return bad("the path has a control character or a backslash")
		}
	}
	for segment := range strings.SplitSeq(decoded, "/") {
		if segment == "." || segment == ".." {
			return bad("the path has a dot segment")
		}
	}
	return nil
}

// of returns the external address that a request came to, without a slash at
// its end, and the request's path without the address's own.
func (a *Address) of(r *http.Request, raw string) (base, stripped string, failure *cache.Failure) {
	host, scheme, prefix := r.Host, "http", ""
	if r.TLS != nil {
		scheme = "https"
	}
	trusted := len(a.Trusted) > 0 && a.trusts(addressIn(r.RemoteAddr))
	if trusted {
		host = cmp.Or(lastOf(r.Header.Values("X-Forwarded-Host")), host)
	}
	host = strings.ToLower(host) // or each spelling would be another address
	listed, ok := a.accepts(host)
	if !ok {
		return "", "", &cache.Failure{Kind: misdirected, Message: "this host name is not ours: " + printableHost(host) + " (set base_url or hosts in config.hcl)"}
	}
	if a.Base != nil {
		return a.Base.String(), strip(raw, a.Base.EscapedPath()), nil
	}
	if trusted {
		if p := lastOf(r.Header.Values("X-Forwarded-Proto")); p == "http" || p == "https" {
			scheme = p
		}
		if p := strings.TrimRight(lastOf(r.Header.Values("X-Forwarded-Prefix")), "/"); strings.HasPrefix(p, "/") && checkPath(p) == nil {
			prefix = p
		}
	}
	base = scheme + "://" + host + prefix
	if (!listed || prefix != "") && !a.unlisted(r).admits(base) {
		return "", "", &cache.Failure{Kind: misdirected, Message: "we were reached at many addresses already that are not configured, and not at " + base + " (set base_url or hosts in config.hcl)"}
	}
	return base, strip(raw, prefix), nil
}

// unlisted are those among which the address of a request may be.
func (a *Address) unlisted(r *http.Request) *unlisted {
	if addressIn(r.RemoteAddr).IsLoopback() {
		return &a.near
	}
	return &a.far
}

func strip(path, prefix string) string {
	if prefix == "" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
		return rest
	}
	return path
}

// lastOf is the last value of a header's lists: that of the proxy before us. Those
// before it may be a client's own.
func lastOf(lists []string) string {
	if len(lists) == 0 {
		return ""
	}
	last := lists[len(lists)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

func (a *Address) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.Trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// client is the address that a request comes from: the last one that no
// trusted proxy has. It is no address when it cannot be known.
func (a *Address) client(r *http.Request) netip.Addr {
	at := addressIn(r.RemoteAddr)
	if len(a.Trusted) == 0 {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !a.trusts(at) {
			break
		}
		next := addressIn(strings.TrimSpace(hop))
		if !next.IsValid() {
			break
		}
		at = next
	}
	return at
}

// addressIn reads an address with a port or without.
func addressIn(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// accepts reports whether a Host header, in lower case, names us: loopback on any
// port (it may be forwarded), the configured address, or a host that the
// configuration lists, on a port that it lists or on a usual one. Listed are those
// that are known beforehand.
func (a *Address) accepts(hostport string) (listed, ok bool) {
	host, port, ok := splitHost(hostport)
	if !ok || host == "" {
		return false, false
	}
	usual := port == "" || port == "80" || port == "443" || port == a.Port
	switch {
	case slices.Contains(loopback, host):
		return usual, true
	case isLoopback(host):
		return false, true
	case a.Base != nil && hostport == strings.ToLower(a.Base.Host), slices.Contains(a.Hosts, hostport):
		return true, true
	}
	ours := usual && (a.Base != nil && host == strings.ToLower(a.Base.Hostname()) || slices.Contains(a.Hosts, host))
	return ours, ours
}

// loopback is how this machine calls itself.
var loopback = []string{"localhost", "127.0.0.1", "[::1]"}

// Names are those that Host headers name us by, but for loopback on other ports
// than ours.
func (a *Address) Names() []string {
	hosts := slices.Concat(loopback, a.Hosts)
	if a.Base != nil {
		hosts = append(hosts, strings.ToLower(a.Base.Host), strings.ToLower(a.Base.Hostname()))
	}
	var names []string
	for _, host := range hosts {
		_, port, _ := splitHost(host)
		switch {
		case port != "":
			names = append(names, host)
		case isLoopback(host):
			names = append(names, host+":"+a.Port)
		default:
			names = append(names, host, host+":80", host+":443", host+":"+a.Port)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// splitHost splits a Host header; false: its port is no number.
func splitHost(hostport string) (host, port string, ok bool) {
	i := strings.LastIndexByte(hostport, ':')
	if i < 0 || strings.HasSuffix(hostport, "]") {
		return hostport, "", true
	}
	return hostport[:i], hostport[i+1:], digits(hostport[i+1:])
}

// isLoopback reports whether a host is this machine for itself.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback() || slices.Contains(loopback, host)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 5
}

func validHost(s string) bool {
	u, err := url.Parse("http://" + s + "/")
	return err == nil && u.Host == s && s != "" && !strings.ContainsAny(s, "\"'<> \\@")
}

func printableHost(s string) string {
	if validHost(s) && len(s) < 256 {
		return s
	}
	return "(unreadable)"
}

// mountsOf lists where repositories are served, longest prefix first.
func mountsOf(repos []*cache.Repository) []mount {
	var out []mount
	for _, repo := range repos {
		out = append(out, mount{prefix: repo.Path, repo: repo})
		for _, extra := range repo.Describe.GetMounts() {
			prefix := strings.TrimRight(extra, "/")
			if !slices.ContainsFunc(out, func(m mount) bool { return m.prefix == prefix }) {
				out = append(out, mount{prefix: prefix, repo: repo})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b mount) int { return -cmp.Compare(len(a.prefix), len(b.prefix)) })
	return out
}

// find returns the mount that a path belongs to.
func (s *Site) find(path string) *mount {
	for i := range s.mounts {
		m := &s.mounts[i]
		if strings.HasPrefix(path, m.prefix) && (len(path) == len(m.prefix) || path[len(m.prefix)] == '/') {
			return m
		}
	}
	return nil
}
