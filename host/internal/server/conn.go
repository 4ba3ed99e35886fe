package server

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

// conn is a connection on which an answer's head can be sent with its body.
// net/http writes what fits its buffer, and the rest by itself; each write is a
// packet that the kernel wakes the client for, which costs as much as all that
// the host does for a small body.
type conn struct {
	*net.TCPConn
	joining bool
	first   []byte // written while joining, not sent yet
	pieces  [2][]byte
	buffers net.Buffers

	near  bool          // the client is on this machine
	large *atomic.Int32 // how many connections are sent large files
}

// longestFirst is how large a first piece may be, in bytes: net/http's buffer.
const longestFirst = 4 << 10

// Write sends. While joining, the first piece waits for the second; if it cannot be
// sent then, the second's write fails.
func (c *conn) Write(p []byte) (int, error) {
	switch {
	case len(c.first) > 0:
		c.pieces = [2][]byte{c.first, p}
		c.buffers = c.pieces[:]
		n, err := c.buffers.WriteTo(c.TCPConn)
		n = max(0, n-int64(len(c.first)))
		c.pieces, c.first = [2][]byte{}, c.first[:0]
		return int(n), err
	case c.joining && len(p) <= longestFirst:
		c.first = append(c.first, p...)
		return len(p), nil
	}
	return c.TCPConn.Write(p)
}

// writeJoined writes a body whose length the header tells, in one piece with the
// head if the connection can. A client that left is no error.
func writeJoined(w *recorder, r *http.Request, body []byte) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		_, _ = w.Write(body)
		return
	}
	c.joining = true
	_, _ = w.Write(body)
	c.joining = false
	if len(c.first) > 0 {
		w.Flush() // what net/http still has
	}
	if len(c.first) > 0 {
		_, _ = c.TCPConn.Write(c.first)
		c.first = c.first[:0]
	}
}

type connKey struct{}

// Joining has a server's small answers sent in one piece: over the listener that it
// returns, which the server is to serve.
func Joining(s *http.Server, l net.Listener) net.Listener {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	return &joining{Listener: l}
}

type joining struct {
	net.Listener
	large atomic.Int32
}

// Accept waits for a connection.
func (l *joining) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		from, ok := tcp.RemoteAddr().(*net.TCPAddr)
		return &conn{TCPConn: tcp, near: ok && from.IP.IsLoopback(), large: &l.large}, err
	}
	return c, err
}
