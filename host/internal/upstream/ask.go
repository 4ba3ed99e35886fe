package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retries of one question.
const (
	tries      = 3
	firstPause = 100 * time.Millisecond
)

// ask puts one question, again where that may help. The base is the upstream's,
// for metrics.
func (s *Set) ask(ctx context.Context, base string, client *client, u *url.URL, r Request) (*Response, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval = firstPause
	attempts := uint(tries)
	if r.Body != nil {
		attempts = 1 // a relay's body is read once
	}
	return backoff.Retry(ctx, func() (*Response, error) {
		resp, err := s.once(ctx, base, client, u, r)
		if err != nil && !worthRetrying(ctx, err) {
			return nil, backoff.Permanent(err)
		}
		return resp, err
	}, backoff.WithBackOff(policy), backoff.WithMaxTries(attempts))
}

// worthRetrying reports whether the same question may be answered in a moment.
// One that took as long as it may, or was sent on and on, is not asked again.
func worthRetrying(ctx context.Context, err error) bool {
	var failed *Error
	var slow net.Error
	return errors.As(err, &failed) && !failed.unasked && !failed.RateLimited() && ctx.Err() == nil && !errors.Is(err, errRedirects) && !(errors.As(err, &slow) && slow.Timeout())
}

func (s *Set) once(ctx context.Context, base string, client *client, u *url.URL, r Request) (*Response, error) {
	ctx, cancel := context.WithCancelCause(withKind(ctx, r.Source.GetCountsAs()))
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
		failed, known := errors.AsType[*Error](err)
		if !known { // redirects without end
			failed = &Error{Upstream: base, Err: unwrapURL(err)}
		}
		switch {
		case failed.unasked:
		case failed.Status != 0:
			s.observe(base, time.Since(began), failed.Status, nil)
		default:
			s.observe(base, time.Since(began), 0, err)
		}
		return nil, failed
	}
	s.observe(base, time.Since(began), resp.StatusCode, nil)
	answer := &Response{
		Status: resp.StatusCode,
		Header: resp.Header,
		Body:   &guardedBody{body: resp.Body, cancel: cancel, timer: time.AfterFunc(client.stall, func() { cancel(ErrStalled) }), after: client.stall, ctx: ctx},
		Length: resp.ContentLength,
		Framed: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2 || resp.Uncompressed,
		URL:    resp.Request.URL.String(),
		Closed: resp.Header[refusal] != nil,
	}
	return answer, answer.decode(r, u)
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
	if r.Length > 0 {
		req.ContentLength = r.Length
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

func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// ErrStalled is why a body ends that made no progress for as long as it may.
var ErrStalled = errors.New("the body stalled")

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
	if err != nil && err != io.EOF && errors.Is(context.Cause(g.ctx), ErrStalled) {
		err = ErrStalled
	}
	return n, err
}

func (g *guardedBody) Close() error {
	g.timer.Stop()
	err := g.body.Close()
	g.cancel(nil)
	return err
}
