package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// grants are tokens that token services gave, for one upstream (RFC 6750;
// distribution, "Token Authentication Specification").
type grants struct {
	flight singleflight.Group

	mu    sync.Mutex
	known map[string]granted // by the folder that they were asked for
}

type granted struct {
	token string
	until time.Time
}

// Bounds of what is remembered, and of a service's answer.
const (
	maxGrants     = 4096
	maxGrantBody  = 1 << 20
	leastLifetime = time.Minute // what a service grants that does not say
	grantMargin   = 10 * time.Second
)

func newGrants() *grants { return &grants{known: map[string]granted{}} }

// folder is the part of an address that a token is remembered for: all but its
// last two segments, since what is asked for is named by kind and name.
func folder(u *url.URL) string { return path.Dir(path.Dir(u.EscapedPath())) }

func (g *grants) get(folder string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.known[folder]; time.Now().Before(t.until) {
		return t.token
	}
	return ""
}

func (g *grants) put(folder string, t granted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxGrants {
		g.known = map[string]granted{}
	}
	g.known[folder] = t
}

// withGrant asks with the token that a service granted for the same folder; when
// upstream wants another, it gets one and asks again.
func (c *credentials) withGrant(req *http.Request) (*http.Response, error) {
	at := folder(req.URL)
	again := req.Clone(req.Context())
	if token := c.granted.get(at); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	challenge, ok := bearer(resp.Header.Values("Www-Authenticate"))
	if !ok {
		return resp, nil
	}
	resp.Body.Close()
	got, err, _ := c.granted.flight.Do(at, func() (any, error) {
		return c.grant(context.WithoutCancel(req.Context()), challenge)
	})
	if err != nil {
		return nil, err
	}
	answer := got.(grantAnswer)
	if answer.status != http.StatusOK {
		// Whether an account is good is what the service judges; who has none is
		// told no of what does not exist as well.
		anonymous := c.upstream.Username == "" && c.upstream.Password == ""
		return refusedBy(req, resp, answer.status, anonymous), nil
	}
	c.granted.put(at, answer.granted)
	again.Header.Set("Authorization", "Bearer "+answer.token)
	resp, err = c.next.RoundTrip(again)
	if err == nil && no(resp.StatusCode) {
		resp.Body.Close()
		return refusedBy(again, resp, resp.StatusCode, true), nil
	}
	return resp, err
}

// no reports whether a status refuses what another account might get.
func no(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// refusal marks an answer as [Response.Closed]. No header that comes from a
// server is called so.
const refusal = "refused, not absent"

// refusedBy is the answer when a token service, or an upstream with its token,
// says no. Where that is also said of what does not exist, it is not found.
func refusedBy(req *http.Request, resp *http.Response, status int, absent bool) *http.Response {
	header := http.Header{"Retry-After": resp.Header.Values("Retry-After")}
	if absent && no(status) {
		status = http.StatusNotFound
		header[refusal] = []string{""}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: header, Body: http.NoBody, Request: req,
	}
}

// challenge is what a 401 says of how to get a token.
type challenge struct{ realm, service, scope string }

// bearer finds the challenge of a token service among those of an answer, of
// which one header may have several (RFC 9110, section 11.6.1).
func bearer(headers []string) (challenge, bool) {
	for _, h := range headers {
		for h = strings.TrimLeft(h, " ,"); h != ""; h = strings.TrimLeft(h, " ,") {
			end := strings.IndexAny(h, " ,")
			if end < 0 {
				break
			}
			scheme := h[:end]
			var p map[string]string
			if p, h = parameters(h[end:]); strings.EqualFold(scheme, "Bearer") && p["realm"] != "" {
				return challenge{p["realm"], p["service"], p["scope"]}, true
			}
		}
	}
	return challenge{}, false
}

// parameters reads those of a challenge (RFC 9110, section 11.2); rest are the
// challenges after it.
func parameters(s string) (all map[string]string, rest string) {
	all = map[string]string{}
	for {
		s = strings.TrimLeft(s, " ,")
		name, after, found := strings.Cut(s, "=")
		if name = strings.TrimSpace(name); !found || strings.ContainsAny(name, " ,") {
			return all, s // another scheme comes before the next sign
		}
		s = strings.TrimLeft(after, " ")
		value := ""
		if quoted, ok := strings.CutPrefix(s, `"`); ok {
			var b strings.Builder
			for s = quoted; s != "" && s[0] != '"'; s = s[1:] {
				if s[0] == '\\' && len(s) > 1 {
					s = s[1:]
				}
				b.WriteByte(s[0])
			}
			value, s = b.String(), strings.TrimPrefix(s, `"`)
		} else {
			value, s, _ = strings.Cut(s, ",")
		}
		all[strings.ToLower(name)] = strings.TrimSpace(value)
	}
}

type grantAnswer struct {
	granted
	status int
}

// grant asks a token service, with the upstream's credentials where the service
// is the upstream's own: it is reached over TLS, or is the same host.
func (c *credentials) grant(ctx context.Context, ch challenge) (grantAnswer, error) {
	realm, err := url.Parse(ch.realm)
	if err != nil || realm.Scheme != "https" && realm.Scheme != "http" || realm.Host == "" {
		return grantAnswer{}, fmt.Errorf("%w: the token service %q", ErrBlocked, ch.realm)
	}
	own := strings.EqualFold(realm.Hostname(), c.upstream.URL.Hostname())
	if realm.Scheme == "http" && c.upstream.URL.Scheme == "https" {
		return grantAnswer{}, fmt.Errorf("%w: the token service %s is not encrypted", ErrBlocked, realm.Host)
	}
	if ip, err := netip.ParseAddr(realm.Hostname()); err == nil {
		if err := c.guard.check(realm.Hostname(), ip); err != nil {
			return grantAnswer{}, err
		}
	}
	q := realm.Query()
	if ch.service != "" {
		q.Set("service", ch.service)
	}
	for scope := range strings.FieldsSeq(ch.scope) {
		q.Add("scope", scope)
	}
	realm.RawQuery = q.Encode()
	ctx, cancel := context.WithTimeout(ctx, c.upstream.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return grantAnswer{}, err
	}
	req.Header.Set("User-Agent", c.agent)
	if (c.upstream.Username != "" || c.upstream.Password != "") && (own || realm.Scheme == "https") {
		req.SetBasicAuth(c.upstream.Username, c.upstream.Password)
	}
	began := time.Now()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return grantAnswer{}, fmt.Errorf("its token service %s: %w", realm.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return grantAnswer{status: resp.StatusCode}, nil
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxGrantBody)).Decode(&answer); err != nil {
		return grantAnswer{}, fmt.Errorf("its token service %s: %w", realm.Host, err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	if answer.Token == "" {
		return grantAnswer{}, fmt.Errorf("its token service %s grants no token", realm.Host)
	}
	lifetime := time.Duration(min(answer.ExpiresIn, 24*60*60)) * time.Second
	lifetime = max(lifetime, leastLifetime) - grantMargin
	return grantAnswer{granted{answer.Token, began.Add(lifetime)}, http.StatusOK}, nil
}
