package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// guard decides which addresses may be connected to.
type guard struct {
	named map[string]bool // hosts that may have private addresses
}

func newGuard(hosts []string) *guard {
	g := &guard{named: map[string]bool{}}
	for _, h := range hosts {
		g.named[strings.ToLower(h)] = true
	}
	// A proxy of the environment was named by whoever runs us.
	p := httpproxy.FromEnvironment()
	for _, raw := range []string{p.HTTPProxy, p.HTTPSProxy} {
		if !strings.Contains(raw, "://") {
			raw = "http://" + raw
		}
		if u, err := url.Parse(raw); err == nil && u.Hostname() != "" {
			g.named[strings.ToLower(u.Hostname())] = true
		}
	}
	return g
}

var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("192.0.0.192"),
}

// inside are addresses of no public registry, besides those that netip knows:
// shared (RFC 6598), for measurements (RFC 2544) and reserved (RFC 1112).
var inside = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// Networks whose addresses stand for an IPv4 address: for NAT64 (RFC 6052) and
// 6to4 (RFC 3056).
var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	sixTo = netip.MustParsePrefix("2002::/16")
)

// meant is the address that one stands for.
func meant(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	switch b := ip.As16(); {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixTo.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// checkName says why a host of an address may not be asked, as far as its
// spelling tells: whoever connects in our place may take numbers of any form for
// an IP address.
func (g *guard) checkName(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.check(host, ip)
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case g.named[name]:
		return nil
	case last == "localhost": // RFC 6761, section 6.3
		return fmt.Errorf("%w: %s is a private address that the configuration does not name", ErrBlocked, host)
	case last == "", number(last):
		return fmt.Errorf("%w: %q is no name of a registry", ErrBlocked, host)
	}
	return nil
}

// CheckHost says why a host is never asked, even where the configuration names
// it; nil: it is.
func CheckHost(host string) error {
	g := &guard{named: map[string]bool{strings.ToLower(host): true}}
	return g.checkName(host)
}

// number reports whether a label is a number, by which a host is an IP address.
func number(label string) bool {
	_, err := strconv.ParseUint(label, 10, 64)
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		_, err = strconv.ParseUint("0"+hex, 16, 64)
	}
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// check says why an address may not be asked; nil: it may.
func (g *guard) check(host string, ip netip.Addr) error {
	ip = meant(ip)
	for _, m := range metadata {
		if ip == m {
			return fmt.Errorf("%w: %s is a cloud's metadata service", ErrBlocked, ip)
		}
	}
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), ip.IsInterfaceLocalMulticast():
		return fmt.Errorf("%w: %s is no address of a registry", ErrBlocked, ip)
	case g.named[strings.ToLower(host)]:
		return nil
	case ip.IsPrivate(), ip.IsLoopback(), slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return fmt.Errorf("%w: %s is a private address that the configuration does not name", ErrBlocked, ip)
	}
	return nil
}

// dial connects after looking at the address that the name stands for, so that
// a name cannot point somewhere else a moment later.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return g.check(host, to.Addr())
		},
	}
	return d.DialContext(ctx, network, address)
}

// client asks one upstream, or all other hosts.
type client struct {
	*http.Client
	// stall is how long a body may make no progress.
	stall time.Duration
	// mark is that of its credentials, see markOf.
	mark string
}

// longestStall is less than clients wait, as pip does for 15 seconds: a body that
// is taken up again must get on before.
const longestStall = 10 * time.Second

func newClient(s *Set, g *guard, u *config.Upstream, agent string) (*client, error) {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            g.dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  u.Timeout,
		MaxResponseHeaderBytes: 1 << 20,
		ReadBufferSize:         64 << 10,
	}
	if u.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(u.CA)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", u.CA)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &client{
		Client: &http.Client{
			Transport:     &credentials{next: &watched{next: t, set: s}, upstream: u, agent: agent, guard: g, granted: newGrants()},
			CheckRedirect: checkRedirect,
		},
		stall: min(u.Timeout, longestStall),
		mark:  markOf(u),
	}, nil
}

var errRedirects = errors.New("too many redirects")

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 6 {
		return errRedirects
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: redirect from https to %s", ErrBlocked, req.URL.Scheme)
	}
	return nil
}

// markOf tells an upstream's credentials from others, and tells nothing of them;
// empty: there are none.
func markOf(u *config.Upstream) string {
	all := []string{u.Username, u.Password, u.Token, u.Header, u.Value}
	if strings.Join(all, "") == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(all, "\x00")))
	return fmt.Sprintf(" %x", sum[:2])
}

// credentials adds an upstream's credentials to requests below its base
// address, and to no other, also after redirects.
type credentials struct {
	next     http.RoundTripper
	upstream *config.Upstream
	agent    string
	guard    *guard
	granted  *grants
}

func (c *credentials) RoundTrip(req *http.Request) (*http.Response, error) {
	// A proxy connects in our place, so what is no name is checked here too.
	if err := c.guard.checkName(req.URL.Hostname()); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", c.agent)
	req.Header.Del("Referer")
	req.Header.Del("Authorization")
	req.Header.Del("Cookie")
	u := c.upstream
	if u.Header != "" {
		req.Header.Del(u.Header)
	}
	if u.URL != nil && below(u.URL, req.URL) {
		switch {
		case u.Token != "":
			req.Header.Set("Authorization", "Bearer "+u.Token)
		case u.Username != "" || u.Password != "":
			req.SetBasicAuth(u.Username, u.Password)
		case u.Header != "":
			req.Header.Set(u.Header, u.Value)
		}
		if u.Token == "" && u.Header == "" && req.Body == nil {
			return c.withGrant(req)
		}
	}
	return c.next.RoundTrip(req)
}
