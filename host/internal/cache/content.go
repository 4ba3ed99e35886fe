package cache

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync/atomic"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Content is a kept body open for one client.
type Content struct {
	// Digest of the bytes.
	Digest blobs.Digest
	// Size in bytes.
	Size int64

	small []byte
	file  *blobs.File
	plain *directoryFile // in a directory
}

// smallContent is a body in memory.
type smallContent struct {
	data []byte
	used atomic.Int64 // when it was noted last, in Unix seconds
}

// noteUseAgain is how long the use of a body in memory is not noted again, in
// seconds: eviction looks at whole minutes.
const noteUseAgain = 5

// Reader reads the body and can seek. For a file it is an *os.File, so that
// the kernel can send it, unless it lies in a directory.
func (c *Content) Reader() io.ReadSeeker {
	if c.file != nil {
		return c.file.File
	}
	if c.plain != nil {
		return c.plain
	}
	return bytes.NewReader(c.small)
}

// Small is the body if it is kept in memory; nil: it is a file. It must not be
// changed.
func (c *Content) Small() []byte { return c.small }

// Close gives the body back. Closing nothing is no error.
func (c *Content) Close() {
	if c != nil && c.file != nil {
		c.file.Release()
		c.file = nil
	}
	if c != nil && c.plain != nil {
		c.plain.file.Close()
		c.plain = nil
	}
}

// Open opens a kept body; fs.ErrNotExist: it was evicted.
func (c *Cache) Open(b Body) (*Content, error) {
	if b.Size <= smallBody {
		key := string(b.Digest[:])
		small, ok := c.small.Get(key)
		if !ok {
			data, err := c.blobs.Read(b.Digest, b.Size)
			if err != nil {
				return nil, err
			}
			small = &smallContent{data: data}
			c.small.Set(key, small)
		}
		if now := time.Now().Unix(); now-small.used.Load() >= noteUseAgain {
			small.used.Store(now)
			c.blobs.Touch(b.Digest)
		}
		return &Content{Digest: b.Digest, Size: b.Size, small: small.data}, nil
	}
	f, err := c.blobs.Open(b.Digest, b.Size)
	if err != nil {
		return nil, err
	}
	return &Content{Digest: b.Digest, Size: b.Size, file: f}, nil
}

// Encodings of documents. A document smaller than worthEncoding is sent as it
// is.
const (
	Gzip          = "gzip"
	Zstd          = "zstd"
	worthEncoding = 256
)

// OpenOutput opens an answer's output in an encoding, which is made when it is
// first asked for and kept. An empty encoding, or one that is not worth it, is
// the plain body; the encoding returned says which it is. fs.ErrNotExist says
// that the rendering was evicted and forgotten: ask for the document again.
func (c *Cache) OpenOutput(repo *Repository, d *pb.Document, base string, a *Answer, encoding string) (*Content, string, error) {
	if unkept := a.Output.unkept; unkept != nil {
		return &Content{Digest: a.Output.Plain.Digest, Size: a.Output.Plain.Size, small: unkept}, "", nil
	}
	if encoding != "" && !a.Verbatim && a.Output.Plain.Size >= worthEncoding {
		content, err := c.openEncoded(repo, d, base, a, encoding)
		if !lost(err) && !errors.Is(err, blobs.ErrNoSpace) { // without room, the plain body will do
			return content, encoding, err
		}
	}
	content, err := c.Open(a.Output.Plain)
	if lost(err) {
		c.dropRendering(renderingName(repo, d.GetPath(), base))
	}
	return content, "", err
}

func (c *Cache) openEncoded(repo *Repository, d *pb.Document, base string, a *Answer, encoding string) (*Content, error) {
	kept := &a.Output.Gzip
	if encoding == Zstd {
		kept = &a.Output.Zstd
	}
	was := kept.Load()
	if was != nil {
		if content, err := c.Open(*was); !lost(err) {
			return content, err
		}
	}
	a.encode.Lock()
	defer a.encode.Unlock()
	if now := kept.Load(); now != was { // made meanwhile
		return c.Open(*now)
	}
	b, err := c.encode(a.Output.Plain, encoding)
	if err != nil {
		return nil, err
	}
	kept.Store(&b)
	if !a.Passing {
		if err := c.rewriteRendering(renderingName(repo, d.GetPath(), base), a.Rendering); err != nil {
			return nil, err
		}
	}
	return c.Open(b)
}

// rewriteRendering writes the record of a rendering again, unless another one has
// taken its place.
func (c *Cache) rewriteRendering(name string, r *Rendering) error {
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	if c.knownRendering(name) != r {
		return nil
	}
	return c.putRendering(name, r)
}

func (c *Cache) encode(plain Body, encoding string) (Body, error) {
	in, err := c.blobs.Open(plain.Digest, plain.Size)
	if err != nil {
		return Body{}, err
	}
	defer in.Release()
	w, err := c.blobs.Create()
	if err != nil {
		return Body{}, err
	}
	defer w.Abort()
	var enc io.WriteCloser
	switch encoding {
	case Gzip:
		enc, err = kgzip.NewWriterLevel(w, gzip.DefaultCompression)
	case Zstd:
		enc, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	default:
		err = errors.New("no such encoding: " + encoding)
	}
	if err != nil {
		return Body{}, err
	}
	if _, err := io.Copy(enc, in); err != nil {
		return Body{}, err
	}
	if err := enc.Close(); err != nil {
		return Body{}, err
	}
	size := w.Size()
	digest, err := w.Commit(nil, false)
	return Body{Digest: digest, Size: size}, err
}
