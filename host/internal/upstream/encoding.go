package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// decode undoes a content encoding that was not asked for: what is kept and
// served must be the bytes themselves. Many servers label files that are gzip with it though
// they send them as they are.
func (r *Response) decode(asked Request, u *url.URL) error {
	encoding := strings.ToLower(r.Header.Get("Content-Encoding"))
	if encoding == "" || encoding == "identity" || !r.Found() {
		return nil
	}
	r.Header.Del("Content-Encoding")
	gzipped := encoding == "gzip" || encoding == "x-gzip"
	if gzipped && asked.Exact && isGzip(u, r.Header) && (asked.Method == http.MethodHead || r.packedOnce()) {
		return nil
	}
	if !gzipped || r.Status == http.StatusPartialContent {
		r.Body.Close()
		return &Error{Upstream: r.URL, Err: fmt.Errorf("it sends a content encoding that was not asked for: %q", encoding)}
	}
	r.Header.Del("ETag")
	r.Header.Del("Content-Length")
	if asked.Method == http.MethodHead {
		r.Length = -1
		return nil
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
	return nil
}

// packedOnce reports whether a body holds no gzip file within its gzip encoding.
func (r *Response) packedOnce() bool {
	ahead := bufio.NewReaderSize(r.Body, peeked)
	r.Body = struct {
		io.Reader
		io.Closer
	}{ahead, r.Body}
	start, _ := ahead.Peek(peeked) // what fails will fail when it is read
	zip, err := gzip.NewReader(bytes.NewReader(start))
	if err != nil {
		return true
	}
	var magic [2]byte
	_, err = io.ReadFull(zip, magic[:])
	return err != nil || magic != [2]byte{0x1f, 0x8b}
}

// peeked is how much of a body shows how it is packed, in bytes.
const peeked = 4 << 10

// isGzip reports whether a file is gzip itself, by its name or its type.
func isGzip(u *url.URL, h http.Header) bool {
	media, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	switch strings.TrimSpace(media) {
	case "application/gzip", "application/x-gzip", "application/x-tgz", "application/x-gtar-compressed":
		return true
	}
	name := strings.ToLower(u.Path)
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".svgz")
}
