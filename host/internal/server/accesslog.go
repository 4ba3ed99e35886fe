package server

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/entrepot-registry/entrepot/host/internal/access"
)

// AccessLog writes a line of JSON a request. Lines are built by hand and
// buffered for a moment, because at full speed a logger would take longer than
// the request.
//
// Whatever else writes to the same place stands between lines, never in one:
// only whole lines are written.
type AccessLog struct {
	mu    sync.Mutex
	lines []byte // whole ones, not yet written
	to    io.Writer
	off   atomic.Bool // to is nil
	done  chan struct{}
	wg    sync.WaitGroup

	second atomic.Pointer[second] // that lines were of last; nil: none yet
}

// flushLog is how long lines may wait.
const flushLog = 500 * time.Millisecond

// maxLog is how many bytes of lines are written at once. A line is shorter.
const maxLog = 64 << 10

// NewAccessLog begins a log; it is closed with Close. With a nil writer it
// writes nothing until [AccessLog.Swap] gives it one.
func NewAccessLog(to io.Writer) *AccessLog {
	a := &AccessLog{lines: make([]byte, 0, maxLog), to: to, done: make(chan struct{})}
	a.off.Store(to == nil)
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		tick := time.NewTicker(flushLog)
		defer tick.Stop()
		for {
			select {
			case <-a.done:
				return
			case <-tick.C:
				a.flush()
			}
		}
	}()
	return a
}

func (a *AccessLog) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
}

func (a *AccessLog) flushLocked() {
	if len(a.lines) > 0 && a.to != nil {
		_, _ = a.to.Write(a.lines) // a log that cannot be written must not stop requests
	}
	a.lines = a.lines[:0]
}

// Swap writes what is left, and lines from now on to another writer; nil:
// nowhere. After it, the one before is not used any more.
func (a *AccessLog) Swap(to io.Writer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	a.to = to
	a.off.Store(to == nil)
}

// add takes a whole line.
func (a *AccessLog) add(line []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lines)+len(line) > maxLog {
		a.flushLocked()
	}
	a.lines = append(a.lines, line...)
}

// Close writes what is left.
func (a *AccessLog) Close() {
	close(a.done)
	a.wg.Wait()
	a.flush()
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

func (a *AccessLog) write(rec *recorder, r *http.Request, began time.Time) {
	if a.off.Load() {
		return
	}
	line := lines.Get().(*[]byte)
	b := append((*line)[:0], `{"time":"`...)
	b = a.appendTime(b, began)
	b = append(b, `","id":"`...)
	b = append(b, rec.id[0]...)
	b = append(b, `","client":`...)
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	b = appendJSON(b, host)
	b = append(b, `,"method":`...)
	b = appendJSON(b, r.Method)
	b = append(b, `,"path":`...)
	b = appendJSON(b, access.Redact(r.RequestURI))
	if rec.repo != nil {
		b = append(b, `,"repository":`...)
		b = appendJSON(b, rec.repo.Name)
	}
	if user := rec.identity.User(); user != "" {
		b = append(b, `,"user":`...)
		b = appendJSON(b, user)
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(rec.status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, rec.bytes, 10)
	b = append(b, `,"us":`...)
	b = strconv.AppendInt(b, time.Since(began).Microseconds(), 10)
	if rec.cached != nil {
		b = append(b, `,"cache":`...)
		b = appendJSON(b, strings.TrimPrefix(rec.cached[0], "entrepot; "))
	}
	b = append(b, `,"agent":`...)
	b = appendJSON(b, r.UserAgent())
	b = append(b, "}\n"...)
	a.add(b)
	*line = b
	lines.Put(line)
}

// second is an instant without its fraction, as lines begin with it.
type second struct {
	at   int64 // Unix seconds
	text string
}

// appendTime appends an instant in UTC with milliseconds. Most lines are of the
// same second as the one before.
func (a *AccessLog) appendTime(b []byte, t time.Time) []byte {
	now := a.second.Load()
	if now == nil || now.at != t.Unix() {
		now = &second{t.Unix(), t.UTC().Format("2006-01-02T15:04:05")}
		a.second.Store(now)
	}
	b = append(b, now.text...)
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

const hexDigits = "0123456789abcdef"

// appendJSON appends a string as JSON, cut to 2 KiB.
func appendJSON(b []byte, s string) []byte {
	if len(s) > 2048 {
		s = s[:2048]
	}
	b = append(b, '"')
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' {
		i++
	}
	b = append(b, s[:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}
