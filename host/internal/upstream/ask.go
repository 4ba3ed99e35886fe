package upstream

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
)

// Retries of one question, and what a breaker tolerates.
const (
	tries         = 3
	firstPause    = 100 * time.Millisecond
	faultsToTrip  = 5
	breakerPause  = 10 * time.Second
	longestPause  = 5 * time.Minute
	defaultPause  = 5 * time.Second
	shortestPause = time.Second
)

// breaker stops questions to an upstream that fails, and lets one try again
// after a while. That it cannot be reached or says itself that it is down
// counts always; that it stumbles over an address (500) counts once for that
// address, so that one that is broken does not take the rest along. Our own
// cancellations count for nothing.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[any]

	mu     sync.Mutex
	failed string // address that answered with an error last
	reason error  // of the last failure
}

func newBreaker(name string) *breaker {
	return &breaker{circuit: gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name:        name,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= faultsToTrip },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotCounted) },
	})}
}

// errNotCounted is what is neither a success nor a failure of upstream.
var errNotCounted = errors.New("not counted")

// allow asks whether a question may be put; done must be called with how it
// ended.
func (b *breaker) allow(address string) (done func(error), err error) {
	report, err := b.circuit.Allow()
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		return nil, fmt.Errorf("it failed %d times in a row and is left alone for a moment; last: %w", faultsToTrip, b.reason)
	}
	return func(err error) { report(b.count(address, err)) }, nil
}

// down reports statuses by which an upstream, or what stands before it, says
// that it does not work at all.
func down(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// count is what a question's end counts for.
func (b *breaker) count(address string, err error) error {
	var failed *Error
	switch {
	case err == nil:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.failed = ""
		return nil
	case !errors.As(err, &failed) || failed.RateLimited():
		return errNotCounted
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason = err
	if failed.Status != 0 && !down(failed.Status) {
		if b.failed == address {
			return errNotCounted
		}
		b.failed = address
	}
	return err
}

// pause remembers until when an upstream asked us to stay away.
type pause struct{ until atomic.Int64 }

func (p *pause) left() (time.Time, bool) {
	until := time.UnixMilli(p.until.Load())
	return until, time.Now().Before(until)
}

// ask puts one question to one upstream, again where that may help.
func (s *Set) ask(ctx context.Context, reg *registry, client *http.Client, u *url.URL, r Request) (*Response, error) {
	if until, ok := reg.limited.left(); ok {
		return nil, &Error{Upstream: reg.base.String(), Status: http.StatusTooManyRequests, RetryAfter: until, Err: errors.New("still waiting")}
	}
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval = firstPause
	attempts := uint(tries)
	if r.Body != nil {
		attempts = 1 // a relay's body is read once
	}
	return backoff.Retry(ctx, func() (*Response, error) {
		done, err := reg.breaker.allow(u.String())
		if err != nil {
			return nil, backoff.Permanent(&Error{Upstream: reg.base.String(), RetryAfter: time.Now().Add(breakerPause), Err: err})
		}
		resp, err := s.once(ctx, reg, client, u, r)
		done(err)
		if err != nil && !worthRetrying(ctx, err) {
			return nil, backoff.Permanent(err)
		}
		return resp, err
	}, backoff.WithBackOff(policy), backoff.WithMaxTries(attempts))
}

// worthRetrying reports whether the same question may be answered in a moment.
// One that took as long as it may is not asked again.
func worthRetrying(ctx context.Context, err error) bool {
	var failed *Error
	var slow net.Error
	return errors.As(err, &failed) && !failed.RateLimited() && ctx.Err() == nil && !(errors.As(err, &slow) && slow.Timeout())
}

func (s *Set) once(ctx context.Context, reg *registry, client *http.Client, u *url.URL, r Request) (*Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := newRequest(ctx, u, r)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		left := context.Cause(ctx) // before our own cancel
		cancel(nil)
		if errors.Is(err, ErrBlocked) {
			return nil, err
		}
		if left != nil {
			return nil, left
		}
		s.observe(reg.base.String(), time.Since(began), 0, err)
		return nil, &Error{Upstream: reg.base.String(), Err: unwrapURL(err)}
	}
	s.observe(reg.base.String(), time.Since(began), resp.StatusCode, nil)
	if failed := fault(reg, resp); failed != nil {
		resp.Body.Close()
		cancel(nil)
		return nil, failed
	}
	answer := &Response{
		Status: resp.StatusCode,
		Header: resp.Header,
		Body:   &guardedBody{body: resp.Body, cancel: cancel, timer: time.AfterFunc(s.stall, func() { cancel(errStalled) }), after: s.stall, ctx: ctx},
		Length: resp.ContentLength,
		Framed: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2 || resp.Uncompressed,
		URL:    resp.Request.URL.String(),
	}
	return answer, answer.decode()
}

// decode undoes a content encoding that was not asked for: what is kept and
// served must be the bytes themselves.
func (r *Response) decode() error {
	encoding := strings.ToLower(r.Header.Get("Content-Encoding"))
	if encoding == "" || encoding == "identity" || !r.Found() {
		return nil
	}
	if encoding != "gzip" && encoding != "x-gzip" || r.Status == http.StatusPartialContent {
		r.Body.Close()
		return &Error{Upstream: r.URL, Err: fmt.Errorf("it sends a content encoding that was not asked for: %q", encoding)}
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		r.Body.Close()
		return &Error{Upstream: r.URL, Err: fmt.Errorf("its gzip encoding is broken: %w", err)}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{zip, r.Body}
	// The end of a gzip body is checked, so a broken one is noticed; where to
	// take one up again is not known.
	r.Length, r.Framed = -1, true
	r.Header.Del("Content-Encoding")
	r.Header.Del("ETag")
	return nil
}

func newRequest(ctx context.Context, u *url.URL, r Request) (*http.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r.Body)
	if err != nil {
		return nil, err
	}
	if u.RawPath != "" {
		req.URL.Path, req.URL.RawPath = u.Path, u.RawPath
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Source.GetAccept() != "" {
		req.Header.Set("Accept", r.Source.GetAccept())
	}
	if r.Exact {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.LastModified)
	}
	if r.Offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(r.Offset, 10)+"-")
		if r.IfRange != "" {
			req.Header.Set("If-Range", r.IfRange)
		}
	}
	return req, nil
}

// fault says whether an answer is upstream's own failure.
func fault(reg *registry, resp *http.Response) *Error {
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout {
		return nil
	}
	e := &Error{Upstream: reg.base.String(), Status: resp.StatusCode, Err: errors.New(resp.Status)}
	after, told := retryAfter(resp.Header.Get("Retry-After"))
	if resp.StatusCode == http.StatusTooManyRequests {
		if !told {
			after = defaultPause
		}
		after = min(max(after, shortestPause), longestPause)
		e.RetryAfter = time.Now().Add(after)
		reg.limited.until.Store(e.RetryAfter.UnixMilli())
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

func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

var errStalled = errors.New("the body stalled")

// guardedBody ends a body that makes no progress.
type guardedBody struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
	ctx    context.Context
}

func (g *guardedBody) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	if n > 0 {
		g.timer.Reset(g.after)
	}
	if err != nil && err != io.EOF && errors.Is(context.Cause(g.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (g *guardedBody) Close() error {
	g.timer.Stop()
	err := g.body.Close()
	g.cancel(nil)
	return err
}
