package upstream

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How long an upstream is left alone that says 429.
const (
	longestPause  = 5 * time.Minute
	defaultPause  = 5 * time.Second
	shortestPause = time.Second
)

// health is what is known of how an upstream, or a host that it sends us to, is
// doing.
type health struct {
	name    string // address, for people
	breaker *breaker
	limited pauses
}

func newHealth(base *url.URL) *health {
	return &health{name: base.String(), breaker: newBreaker(base.String())}
}

// pauses remember until when a host asked us to stay away, with each kind of
// request that it counts apart.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (p *pauses) left(kind string) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.until[kind]
	return until, time.Now().Before(until)
}

func (p *pauses) begin(kind string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.until, func(_ string, until time.Time) bool { return until.Before(now) })
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	p.until[kind] = until
}

// kindKey finds in a context what upstream counts a request as.
type kindKey struct{}

func withKind(ctx context.Context, kind string) context.Context {
	return context.WithValue(ctx, kindKey{}, kind)
}

func kindOf(ctx context.Context) string {
	kind, _ := ctx.Value(kindKey{}).(string)
	return kind
}

// maxForeign bounds how many hosts are remembered that nobody configured.
const maxForeign = 1024

// health is that of the upstream which an address lies below, else of its host:
// each hop of a redirect, and each token service, answers for itself.
func (s *Set) health(u *url.URL) *health {
	var nearest *registry
	for _, reg := range s.registries {
		if below(reg.base, u) && (nearest == nil || len(reg.base.Path) > len(nearest.base.Path)) {
			nearest = reg
		}
	}
	if nearest != nil {
		return nearest.health
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hosts[base.String()]
	if !ok {
		h = newHealth(base)
		if s.hosts == nil || len(s.hosts) >= maxForeign {
			s.hosts = map[string]*health{}
		}
		s.hosts[base.String()] = h
	}
	return h
}

// watched asks hosts that work, and notes how each is doing. A host that fails
// is an [Error], as one that cannot be reached is.
type watched struct {
	next http.RoundTripper
	set  *Set
}

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	h := w.set.health(req.URL)
	kind := kindOf(req.Context())
	if until, ok := h.limited.left(kind); ok {
		return nil, &Error{Upstream: h.name, Status: http.StatusTooManyRequests, RetryAfter: until, Err: errors.New("still waiting"), unasked: true}
	}
	done, err := h.breaker.allow(req.URL.String())
	if err != nil {
		return nil, &Error{Upstream: h.name, RetryAfter: time.Now().Add(breakerPause), Err: err, unasked: true}
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := w.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	switch {
	case err == nil:
		failed := h.fault(resp, kind)
		if failed == nil {
			done(fine, nil)
			return resp, nil
		}
		done(outcomeOf(resp.StatusCode), failed)
		resp.Body.Close()
		return nil, failed
	case errors.Is(err, ErrBlocked), context.Cause(req.Context()) != nil:
		done(ours, nil)
		return nil, err
	}
	failed := &Error{Upstream: h.name, Err: err}
	if connected.Load() {
		done(down, failed)
	} else {
		done(unreachable, failed)
	}
	return nil, failed
}

// fault says whether the answer to a request of a kind is a failure of the host;
// nil: it is none.
func (h *health) fault(resp *http.Response, kind string) *Error {
	if !isFault(resp.StatusCode) {
		return nil
	}
	e := &Error{Upstream: h.name, Status: resp.StatusCode, Err: errors.New(resp.Status)}
	if resp.StatusCode == http.StatusTooManyRequests {
		after, told := retryAfter(resp.Header.Get("Retry-After"))
		if !told {
			after = defaultPause
		}
		after = min(max(after, shortestPause), longestPause)
		e.RetryAfter = time.Now().Add(after)
		h.limited.begin(kind, e.RetryAfter)
	}
	return e
}

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3).
func retryAfter(h string) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(h); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second, true
	}
	if at, err := http.ParseTime(h); err == nil {
		return time.Until(at), true
	}
	return 0, false
}
