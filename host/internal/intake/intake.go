// Package intake takes request bodies apart: files go to disk while they are
// hashed, fields stay in memory, and nothing is larger than it may be.
package intake

import (
	"bufio"
	"crypto/md5"  //nolint:gosec // what some registries give
	"crypto/sha1" //nolint:gosec // what some registries give
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/blake2b"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
)

// ErrTooLarge says that a body, or a part of it, is larger than it may be.
var ErrTooLarge = errors.New("the body is too large")

// ErrMalformed says that a body is not what it should be.
var ErrMalformed = errors.New("the body is malformed")

// Bounds of a body, besides that of its files.
const (
	maxFields = 1000
	maxFiles  = 1000
)

// Limits of a body.
type Limits struct {
	// File bounds each file, and all of them together, in bytes.
	File int64
	// Fields bounds all fields together, in bytes.
	Fields int64
	// Digests are the algorithms that files are hashed with besides sha256; nil:
	// sha512, sha1 and md5.
	Digests []string
}

// File is a file put aside. It is in a temporary file until it is committed.
type File struct {
	// Name that the form gives it.
	Name string
	// Filename is the client's.
	Filename string
	// Writer has the bytes.
	Writer *blobs.Writer

	hashes hashes
}

// Digests by algorithm.
func (f *File) Digests() map[string][]byte {
	sum := f.Writer.Digest()
	all := map[string][]byte{"sha256": sum[:]}
	for algorithm, h := range f.hashes {
		all[algorithm] = h.Sum(nil)
	}
	return all
}

// hashes are those of a file besides its sha256, by algorithm.
type hashes map[string]hash.Hash

var algorithms = map[string]func() hash.Hash{"sha512": sha512.New, "sha384": sha512.New384, "sha1": sha1.New, "md5": md5.New, "blake2b-256": NewBLAKE2b}

// NewBLAKE2b is BLAKE2b (RFC 7693) with sums of 32 bytes.
func NewBLAKE2b() hash.Hash {
	h, _ := blake2b.New256(nil) // fails for keys that are too long alone
	return h
}

// newHashes makes hashes; nil: those that any ecosystem may ask for.
func newHashes(names []string) hashes {
	if names == nil {
		names = []string{"sha512", "sha1", "md5"}
	}
	all := hashes{}
	for _, name := range names {
		if make := algorithms[name]; make != nil {
			all[name] = make()
		}
	}
	return all
}

// Body is a request's body taken apart.
type Body struct {
	// Fields by name.
	Fields map[string][]byte
	// Files in their order.
	Files []*File

	blobs  *blobs.Store
	limits Limits
	fields int64
	bytes  int64
}

// Abort drops the files that were not committed.
func (b *Body) Abort() {
	for _, f := range b.Files {
		f.Writer.Abort()
	}
}

// Open takes a body apart by a form: see the contract's Upload message. Errors
// that are the client's wrap ErrTooLarge or ErrMalformed.
func Open(store *blobs.Store, form string, r *http.Request, limits Limits) (b *Body, err error) {
	b = &Body{Fields: map[string][]byte{}, blobs: store, limits: limits}
	defer func() {
		if err != nil {
			b.Abort()
			b = nil
		}
	}()
	kind, argument, _ := strings.Cut(form, ":")
	switch kind {
	case "none":
		return b, nil
	case "raw":
		return b, b.file("", "", r.Body)
	case "bytes":
		return b, b.bounded(r.Body, argument)
	case "form":
		return b, b.multipart(r)
	case "json":
		return b, b.json(r.Body, argument)
	case "u32le":
		return b, b.framed(r.Body, strings.Split(argument, ","))
	}
	return b, fmt.Errorf("body form %q is not known here; update entrepot", form)
}

// create begins a file.
func (b *Body) create(name, filename string) (*File, error) {
	if len(b.Files) >= maxFiles {
		return nil, fmt.Errorf("%w: more than %d files", ErrTooLarge, maxFiles)
	}
	w, err := b.blobs.Create()
	if err != nil {
		return nil, err
	}
	f := &File{Name: name, Filename: filename, Writer: w, hashes: newHashes(b.limits.Digests)}
	b.Files = append(b.Files, f)
	return f, nil
}

// write adds to a file, within the bounds.
func (b *Body) write(f *File, p []byte) error {
	if b.bytes += int64(len(p)); b.bytes > b.limits.File {
		return fmt.Errorf("%w: its files have more than %d bytes (max_artifact)", ErrTooLarge, b.limits.File)
	}
	return f.write(p)
}

func (f *File) write(p []byte) error {
	for _, h := range f.hashes {
		h.Write(p)
	}
	_, err := f.Writer.Write(p)
	return err
}

// Add puts one more file aside, which did not come with the body.
func (b *Body) Add(content []byte) error {
	f, err := b.create("", "")
	if err != nil {
		return err
	}
	return f.write(content)
}

// Copy puts one more file aside, which did not come with the body, to its end.
func (b *Body) Copy(from io.Reader) error { return b.file("", "", from) }

// file puts a whole reader aside.
func (b *Body) file(name, filename string, from io.Reader) error {
	f, err := b.create(name, filename)
	if err != nil {
		return err
	}
	buf := blobs.Buffer()
	defer blobs.GiveBack(buf)
	for {
		n, err := from.Read(buf[:])
		if err := b.write(f, buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: it broke off: %w", ErrMalformed, err)
		}
	}
}

// bounded puts a whole body of bounded size aside, which is a field as well.
func (b *Body) bounded(r io.Reader, most string) error {
	limit, err := strconv.ParseInt(most, 10, 64)
	if err != nil || limit <= 0 {
		return fmt.Errorf("body form \"bytes:%s\" has no size", most)
	}
	if err := b.field("body", io.LimitReader(r, limit+1)); err != nil {
		return err
	}
	if int64(len(b.Fields["body"])) > limit {
		return fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit)
	}
	return b.Add(b.Fields["body"])
}

// field reads a field.
func (b *Body) field(name string, from io.Reader) error {
	if len(b.Fields) >= maxFields {
		return fmt.Errorf("%w: more than %d fields", ErrTooLarge, maxFields)
	}
	value, err := io.ReadAll(io.LimitReader(from, b.limits.Fields-b.fields+1))
	if err != nil {
		return fmt.Errorf("%w: it broke off: %w", ErrMalformed, err)
	}
	return b.setField(name, value)
}

func (b *Body) setField(name string, value []byte) error {
	if b.fields += int64(len(value)); b.fields > b.limits.Fields {
		return fmt.Errorf("%w: its fields have more than %d bytes", ErrTooLarge, b.limits.Fields)
	}
	if _, twice := b.Fields[name]; twice {
		value = append(append(b.Fields[name], '\n'), value...) // a list, as forms write it
	}
	b.Fields[name] = value
	return nil
}

// multipart reads form data (RFC 7578).
func (b *Body) multipart(r *http.Request) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return fmt.Errorf("%w: it is no multipart form", ErrMalformed)
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if part.FileName() != "" || part.FormName() == "" {
			err = b.file(part.FormName(), part.FileName(), part)
		} else {
			err = b.field(part.FormName(), part)
		}
		if err != nil {
			return err
		}
	}
}

// framed reads parts with their length before them.
func (b *Body) framed(r io.Reader, names []string) error {
	in := bufio.NewReader(r)
	for _, name := range names {
		var length uint32
		if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
			return fmt.Errorf("%w: it ends before its part %q", ErrMalformed, name)
		}
		part := &io.LimitedReader{R: in, N: int64(length)}
		var err error
		if file, ok := strings.CutPrefix(name, "@"); ok {
			err = b.file(file, "", part)
		} else {
			err = b.field(name, part)
		}
		if err == nil && part.N > 0 {
			err = fmt.Errorf("%w: its part %q has %d bytes less than it says", ErrMalformed, name, part.N)
		}
		if err != nil {
			return err
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return fmt.Errorf("%w: it goes on after its last part", ErrMalformed)
	}
	return nil
}
