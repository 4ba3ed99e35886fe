package publish

import (
	"bytes"
	"io"
	"mime"
	"net/http"
)

// mendForm mends the end of multipart form data that some clients on Unix send:
// the line break before the last boundary, which is part of the boundary and not
// of the file (RFC 2046, section 5.1.1), lacks its carriage return there.
func mendForm(r *http.Request) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if boundary := params["boundary"]; err == nil && boundary != "" {
		r.Body = &mended{ReadCloser: r.Body, end: []byte("\n--" + boundary + "--")}
	}
}

// mended is a body of which the end is held back until it is known to be that.
type mended struct {
	io.ReadCloser
	end    []byte // the last boundary, with a line feed before it
	buffer []byte
	err    error
}

func (m *mended) Read(p []byte) (int, error) {
	held := len(m.end) + 3 // with what stands around it
	for m.err == nil && len(m.buffer) <= held {
		n := len(m.buffer)
		m.buffer = append(m.buffer, make([]byte, 32<<10)...)
		var read int
		read, m.err = m.ReadCloser.Read(m.buffer[n:])
		m.buffer = m.buffer[:n+read]
		if m.err == io.EOF {
			m.mend()
		}
	}
	ready := m.buffer
	if m.err == nil {
		ready = ready[:len(ready)-held]
	}
	n := copy(p, ready)
	m.buffer = m.buffer[n:]
	if len(m.buffer) == 0 {
		return n, m.err
	}
	return n, nil
}

// mend puts the carriage return in.
func (m *mended) mend() {
	trimmed := bytes.TrimRight(m.buffer, "\r\n")
	before, ok := bytes.CutSuffix(trimmed, m.end)
	if !ok || bytes.HasSuffix(before, []byte("\r")) {
		return
	}
	m.buffer = append(append(bytes.Clone(before), '\r'), m.end...)
}
