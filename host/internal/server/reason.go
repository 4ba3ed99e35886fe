package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Bounds of an answer with a reason in its status line: of the reason in bytes, and
// of how long what a client still sends is read.
const (
	maxReason  = 400
	reasonTime = 500 * time.Millisecond
)

// telling reports whether a failure's message is to stand in the status line: where
// somebody's change is refused, or what they ask for, not where programs find out
// whether there is something, or that they have to log in.
func telling(w *recorder, r *http.Request, f *cache.Failure, status int) bool {
	switch {
	case f.Message == "" || r.ProtoMajor != 1 || status == http.StatusUnauthorized && !w.given:
		return false
	case r.Method == http.MethodGet:
		return f.Kind == pb.ErrorKind_ERROR_KIND_HELD || f.Kind == pb.ErrorKind_ERROR_KIND_REFUSED
	}
	return r.Method != http.MethodHead
}

// writeTelling answers as writeBody does, with a reason in the place of the
// status line's usual phrase (RFC 9112, section 4): some clients show nothing else
// of an answer. It is sent when the request has been noted, and the connection
// ends with it. False: nothing was written, as this connection cannot be written to
// like that.
func writeTelling(w *recorder, status int, reason, body string) bool {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	_ = conn.SetDeadline(time.Now().Add(relayTime)) // an error is told by Flush
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.status, w.bytes = status, int64(len(body))
	fmt.Fprintf(buf, "HTTP/1.1 %d %s\r\n", status, phrase(reason))
	_ = h.Write(buf) // errors of a buffer are told by Flush
	fmt.Fprintf(buf, "\r\n%s", body)
	w.last = func() { go endTelling(conn, buf) }
	return true
}

// endTelling sends what is left of an answer and closes its connection: not while
// the client still sends, or the connection would be reset, and the answer lost.
func endTelling(conn net.Conn, buf *bufio.ReadWriter) {
	defer conn.Close()
	if buf.Flush() != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil && conn.SetDeadline(time.Now().Add(reasonTime)) == nil {
		_, _ = io.Copy(io.Discard, buf) // until it has read the answer, or the time is up
	}
}

// phrase is a text as it may stand in a status line.
func phrase(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, strings.TrimSpace(text))
	return text[:min(len(text), maxReason)]
}
