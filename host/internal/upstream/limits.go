package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// How long what says 429 is left alone.
const (
	longestPause  = 5 * time.Minute
	defaultPause  = 5 * time.Second
	shortestPause = time.Second
)

// limits remembers what of a host said that it is asked too often. A kind of
// request that the host is known to count is left alone as a whole, and no other
// with it. An address of which nothing is known is left alone by itself: a search
// may have a limit of its own. That two of them say so, and none answers in
// between, is the host's saying.
type limits struct {
	mu sync.Mutex
	at map[limitedBy]limit
}

// limitedBy is what a request is limited by: its kind, else its address.
type limitedBy struct{ kind, address string }

// limit is what an answer said.
type limit struct {
	until time.Time
	// alone is whether something else answered since.
	alone bool
}

// limitedOf is what a request is limited by. Who counts what is got may not count
// what is only asked about, so that a HEAD is of a kind apart. The query is no part
// of the address: by it the same is asked about different things.
func limitedOf(r *http.Request) limitedBy {
	if kind := kindOf(r.Context()); kind != "" {
		if r.Method == http.MethodHead {
			kind = http.MethodHead + " " + kind
		}
		return limitedBy{kind: kind}
	}
	u := &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path, RawPath: r.URL.RawPath}
	return limitedBy{address: u.String()}
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

// left returns until when something is to be left alone, and whether it is.
func (l *limits) left(by limitedBy) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if own, ok := l.at[by]; ok || by.kind != "" {
		return own.until, ok
	}
	// Until fewer than two of them are in force.
	var last, before time.Time
	for what, other := range l.at {
		switch {
		case other.alone || what.kind != "":
		case other.until.After(last):
			last, before = other.until, last
		case other.until.After(before):
			before = other.until
		}
	}
	return before, !before.IsZero()
}

// forget drops what is no longer in force.
func (l *limits) forget() {
	now := time.Now()
	for by, limit := range l.at {
		if !now.Before(limit.until) {
			delete(l.at, by)
		}
	}
}

// add notes that something said 429, with a Retry-After header, and returns until
// when it is left alone.
func (l *limits) add(by limitedBy, header string) time.Time {
	after, told := retryAfter(header)
	if !told {
		after = defaultPause
	}
	until := time.Now().Add(min(max(after, shortestPause), longestPause))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[limitedBy]limit{}
	}
	l.at[by] = limit{until: until}
	return until
}

// answered notes that something answered, so that what does not is not the whole
// host.
func (l *limits) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for by, limit := range l.at {
		limit.alone = true
		l.at[by] = limit
	}
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
