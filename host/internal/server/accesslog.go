package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// AccessLog writes a line of JSON a request. Lines are built by hand and
// buffered for a moment, because at full speed a logger would take longer than
// the request.
type AccessLog struct {
	mu   sync.Mutex
	w    *bufio.Writer
	to   io.Writer
	done chan struct{}
	wg   sync.WaitGroup
}

// flushLog is how long lines may wait.
const flushLog = 500 * time.Millisecond

// NewAccessLog begins a log; it is closed with Close.
func NewAccessLog(to io.Writer) *AccessLog {
	a := &AccessLog{w: bufio.NewWriterSize(to, 64<<10), to: to, done: make(chan struct{})}
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
	_ = a.w.Flush() // a log that cannot be written must not stop requests
}

// Close writes what is left.
func (a *AccessLog) Close() {
	close(a.done)
	a.wg.Wait()
	a.flush()
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

func (a *AccessLog) write(rec *recorder, r *http.Request, began time.Time) {
	line := lines.Get().(*[]byte)
	b := append((*line)[:0], `{"time":"`...)
	b = began.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","id":"`...)
	b = append(b, rec.id...)
	b = append(b, `","client":`...)
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	b = appendJSON(b, host)
	b = append(b, `,"method":`...)
	b = appendJSON(b, r.Method)
	b = append(b, `,"path":`...)
	b = appendJSON(b, r.RequestURI)
	if rec.repo != nil {
		b = append(b, `,"repository":`...)
		b = appendJSON(b, rec.repo.Name)
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
	a.mu.Lock()
	_, _ = a.w.Write(b) // a log that cannot be written must not stop requests
	a.mu.Unlock()
	*line = b
	lines.Put(line)
}

const hexDigits = "0123456789abcdef"

// appendJSON appends a string as JSON, cut to 2 KiB.
func appendJSON(b []byte, s string) []byte {
	if len(s) > 2048 {
		s = s[:2048]
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
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
