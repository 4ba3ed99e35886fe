package server

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// recorder is a ResponseWriter that knows what was answered. It hides nothing:
// ReadFrom is the one of the connection, so that files go through sendfile.
type recorder struct {
	http.ResponseWriter
	status   int
	bytes    int64
	id       [1]string // as a header has it
	repo     *cache.Repository
	counters *counters // of repo; nil: of none
	base     string    // external address of the host
	prefix   string    // where repo was asked at
	asker
	cached []string // Cache-Status
	last   func()   // what is done once the request has been noted; nil: nothing
}

var recorders = sync.Pool{New: func() any { return &recorder{} }}

func borrow(w http.ResponseWriter) *recorder {
	r := recorders.Get().(*recorder)
	*r = recorder{ResponseWriter: w}
	return r
}

// giveBack has the recorder used again. One that nothing was answered with is not:
// its header is yet to be sent.
func (r *recorder) giveBack() {
	if r.status == 0 {
		return
	}
	*r = recorder{}
	recorders.Put(r)
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	if r.private {
		setPrivate(r.Header())
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom lets the connection read a file by itself.
func (r *recorder) ReadFrom(from io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, from)
	r.bytes += n
	return n, err
}

// Flush sends what is buffered.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// requestIDs are unique in a process and unlikely to be met in another.
type requestIDs struct {
	prefix string
	count  atomic.Uint64
}

func newRequestIDs() *requestIDs {
	var b [4]byte
	rand.Read(b[:])
	return &requestIDs{prefix: hex.EncodeToString(b[:]) + "-"}
}

func (ids *requestIDs) next() string {
	var buf [32]byte
	return string(strconv.AppendUint(append(buf[:0], ids.prefix...), ids.count.Add(1), 36))
}
