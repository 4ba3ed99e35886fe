package upstream

import (
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

// limits remembers what of a host said that it is asked too often. An address is
// left alone by itself: a search may have a limit of its own. That two of them
// say so, and none answers in between, is the host's saying.
type limits struct {
	mu sync.Mutex
	at map[string]limit // by address
}

// limit is what an address said.
type limit struct {
	until time.Time
	// alone is whether another address answered since.
	alone bool
}

// addressOf is an address without its query, by which the same is asked about
// different things.
func addressOf(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// left returns until when an address is to be left alone, and whether it is.
func (l *limits) left(address string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if own, ok := l.at[address]; ok {
		return own.until, true
	}
	// Until fewer than two of them are in force.
	var last, before time.Time
	for _, other := range l.at {
		switch {
		case other.alone:
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
	for address, limit := range l.at {
		if !now.Before(limit.until) {
			delete(l.at, address)
		}
	}
}

// add notes that an address said 429, with a Retry-After header, and returns
// until when it is left alone.
func (l *limits) add(address, header string) time.Time {
	after, told := retryAfter(header)
	if !told {
		after = defaultPause
	}
	until := time.Now().Add(min(max(after, shortestPause), longestPause))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]limit{}
	}
	l.at[address] = limit{until: until}
	return until
}

// answered notes that some address answered, so that those that do not are not
// the whole host.
func (l *limits) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for address, limit := range l.at {
		limit.alone = true
		l.at[address] = limit
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
