package blobs

import "sync"

// buffers are lent to one reader of a body at a time.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// bufferSize is what is read at once: a read and a write of as much take several
// times as long as the calls by themselves.
const bufferSize = 128 << 10

// Buffer lends a buffer to read a body with; [GiveBack] gives it back.
func Buffer() *[bufferSize]byte { return buffers.Get().(*[bufferSize]byte) }

// GiveBack gives a buffer back, which must not be used after.
func GiveBack(b *[bufferSize]byte) { buffers.Put(b) }
