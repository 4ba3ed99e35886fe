package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// health is what is known of how an upstream, or a host that it sends us to, is
// doing.
type health struct {
	name    string // address, for people
	breaker *breaker
	limits  limits
}

func newHealth(base *url.URL) *health {
	return &health{name: base.String(), breaker: newBreaker(base.String())}
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
	limited := limitedOf(req)
	if until, ok := h.limits.left(limited); ok {
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
		failed := h.fault(limited, resp)
		if failed == nil {
			h.limits.answered()
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

// fault says whether an answer is a failure of the host; nil: it is none. Limited
// is what a limit would be of.
func (h *health) fault(limited limitedBy, resp *http.Response) *Error {
	if !isFault(resp.StatusCode) {
		return nil
	}
	e := &Error{Upstream: h.name, Status: resp.StatusCode, Err: errors.New(resp.Status)}
	if resp.StatusCode == http.StatusTooManyRequests {
		e.RetryAfter = h.limits.add(limited, resp.Header.Get("Retry-After"))
	}
	return e
}
