package intake

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Parts gets members of a tar archive, in a file that stays where it is, or the
// files of a folder as if they were: their content, or what they come to when
// they are served.
type Parts struct {
	file   string
	folder bool // file is one
	blobs  *blobs.Store
	known  map[string]*Taken
}

// Taken is a part of an archive: a stretch of its file, or a copy.
type Taken struct {
	// Size in bytes.
	Size int64
	// Digests by algorithm; nil: there is no such member.
	Digests map[string][]byte
	// Content are the digests of what it holds; nil: it was compressed before.
	Content map[string][]byte
	// Offset is where it begins in the file, when it lies there as it is.
	Offset int64
	// Source is the file of a folder that it is, as it was at Modified; empty: it
	// is in an archive.
	Source   string
	Modified time.Time
	// Copy has its bytes when it does not; nil: it lies in the file.
	Copy *File
}

// NewParts begins with an archive.
func NewParts(file string, store *blobs.Store) *Parts {
	return &Parts{file: file, blobs: store, known: map[string]*Taken{}}
}

// NewFolder begins with a folder.
func NewFolder(folder string, store *blobs.Store) *Parts {
	return &Parts{file: folder, folder: true, blobs: store, known: map[string]*Taken{}}
}

// Abort drops the copies that were not committed.
func (p *Parts) Abort() {
	for _, t := range p.known {
		if t.Copy != nil {
			t.Copy.Writer.Abort()
		}
	}
}

func partKey(p *pb.Part) string { return p.GetEncoding() + " " + p.GetName() }

// Get is a part that was taken; nil: none was.
func (p *Parts) Get(part *pb.Part) *Taken { return p.known[partKey(part)] }

// Take goes through the archive for members and parts. Errors that wrap
// ErrArchive are the archive's.
func (p *Parts) Take(members []string, parts []*pb.Part) ([]wire.Member, []*pb.Measured, error) {
	w := &taking{Parts: p, bodies: map[string][]byte{}, wanted: map[string][]*pb.Part{}, links: map[string]string{}}
	for _, name := range members {
		w.bodies[name] = nil
	}
	for _, part := range parts {
		if part.GetEncoding() != "" && part.GetEncoding() != "gzip" {
			return nil, nil, fmt.Errorf("a part in the encoding %q cannot be made here; update entrepot", part.GetEncoding())
		}
		if p.Get(part) == nil {
			w.wanted[part.GetName()] = append(w.wanted[part.GetName()], part)
		}
	}
	look := w.walk
	if p.folder {
		look = w.look
	}
	if err := look(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err := w.follow(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	var out []wire.Member
	for _, name := range members {
		out = append(out, wire.Member{Name: name, Body: w.bodies[name]})
	}
	var measured []*pb.Measured
	for _, part := range parts {
		t := p.Get(part)
		if t == nil {
			t = &Taken{}
			p.known[partKey(part)] = t
		}
		measured = append(measured, &pb.Measured{Part: part, Size: t.Size, Digests: told(t.Digests), Content: told(t.Content)})
	}
	return out, measured, nil
}

func told(sums map[string][]byte) (digests []*pb.Digest) {
	for _, algorithm := range []string{"sha512", "sha256"} {
		if sum := sums[algorithm]; sum != nil {
			digests = append(digests, &pb.Digest{Algorithm: algorithm, Sum: sum})
		}
	}
	return digests
}

// compressed reports whether something begins as what is compressed by gzip or
// Zstandard (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
func compressed(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\x1f\x8b")) || bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd"))
}

// taking is one way through an archive.
type taking struct {
	*Parts
	bodies map[string][]byte     // wanted, and had
	wanted map[string][]*pb.Part // by member
	links  map[string]string     // members that stand for others
	peeked int64
}

func (w *taking) walk() error {
	f, err := os.Open(w.file)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	packed := kindOf(f) == "tar.gz"
	if packed {
		if in, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	archive := tar.NewReader(in)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeSymlink:
			w.links[name] = path.Join(path.Dir(name), h.Linkname)
			continue
		case tar.TypeLink:
			w.links[name] = clean(h.Linkname)
			continue
		default:
			continue
		}
		offset := int64(-1)
		if !packed {
			if offset, err = f.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
		}
		if err := w.member(name, h.Size, offset, archive); err != nil {
			return fmt.Errorf("its member %s: %w", name, err)
		}
	}
}

// look takes what is wanted of the files of a folder. Links do not lead out of it.
func (w *taking) look() error {
	root, err := os.OpenRoot(w.file)
	if err != nil {
		return err
	}
	defer root.Close()
	names := slices.Collect(maps.Keys(w.bodies))
	for name := range w.wanted {
		if _, also := w.bodies[name]; !also {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := w.lookAt(root, name); err != nil {
			return fmt.Errorf("its file %s: %w", name, err)
		}
	}
	return nil
}

func (w *taking) lookAt(root *os.Root, name string) error {
	f, err := root.Open(filepath.FromSlash(clean(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	parts := w.wanted[name] // which member takes
	if err := w.member(name, info.Size(), 0, f); err != nil {
		return err
	}
	for _, part := range parts {
		if t := w.Get(part); t.Copy == nil {
			t.Source, t.Modified = filepath.Join(w.file, filepath.FromSlash(clean(name))), info.ModTime()
		}
	}
	return nil
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// member takes what is wanted of a member. What is wanted in several forms is
// gone through again for each.
func (w *taking) member(name string, size, offset int64, in io.Reader) error {
	if _, wanted := w.bodies[name]; wanted {
		if w.peeked += size; size > maxPeeked || w.peeked > maxPeekedTotal {
			return errors.New("it is too large to be read")
		}
		body, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		w.bodies[name] = body
		in = strings.NewReader(string(body))
	}
	parts := w.wanted[name]
	if len(parts) == 0 {
		return nil
	}
	delete(w.wanted, name)
	var sinks []io.Writer
	var ends []func() error
	start := bufio.NewReader(in)
	magic, _ := start.Peek(4) // which holds until something is read
	packed := compressed(magic)
	in = start
	for _, part := range parts {
		plain := part.GetEncoding() == "" || bytes.HasPrefix(magic, []byte("\x1f\x8b"))
		sink, end, err := w.take(part, plain, size, offset)
		if err != nil {
			return err
		}
		sinks, ends = append(sinks, sink), append(ends, end)
	}
	n, err := io.Copy(io.MultiWriter(sinks...), in)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	for _, end := range ends {
		err = errors.Join(err, end())
	}
	for _, part := range parts {
		if t := w.Get(part); t.Content == nil && !packed {
			t.Content = t.Digests
		}
	}
	return err
}

// take begins a part: what is written is hashed, and copied when the part does
// not lie in the file as it is. A plain one is served as it is.
func (w *taking) take(part *pb.Part, plain bool, size, offset int64) (io.Writer, func() error, error) {
	t := &Taken{Offset: offset, Size: size}
	w.known[partKey(part)] = t
	if plain && offset >= 0 {
		long, short := sha512.New(), sha256.New()
		return io.MultiWriter(long, short), func() error {
			t.Digests = map[string][]byte{"sha512": long.Sum(nil), "sha256": short.Sum(nil)}
			return nil
		}, nil
	}
	writer, err := w.blobs.Create()
	if err != nil {
		return nil, nil, err
	}
	t.Copy = &File{Writer: writer, hashes: newHashes([]string{"sha512"})}
	done := func() error { t.Size, t.Digests = writer.Size(), t.Copy.Digests(); return nil }
	into := sink(t.Copy.write)
	if plain {
		return into, done, nil
	}
	zip, err := kgzip.NewWriterLevel(into, kgzip.DefaultCompression)
	if err != nil {
		return nil, nil, err
	}
	content := sha256.New()
	return io.MultiWriter(content, zip), func() error {
		t.Content = map[string][]byte{"sha256": content.Sum(nil)}
		return errors.Join(zip.Close(), done())
	}, nil
}

// sink is a function that takes what is written.
type sink func([]byte) error

// Write calls it.
func (s sink) Write(b []byte) (int, error) { return len(b), s(b) }

// follow gives members that stand for others what those have. Old archives have
// layers twice so.
func (w *taking) follow() error {
	for name, parts := range w.wanted {
		target := name
		for range 10 {
			next, ok := w.links[target]
			if !ok {
				break
			}
			target = next
		}
		if target == name {
			continue // there is no such member
		}
		var of []*pb.Part
		for _, part := range parts {
			of = append(of, &pb.Part{Name: target, Encoding: part.GetEncoding()})
		}
		if _, _, err := w.Take(nil, of); err != nil {
			return err
		}
		for i, part := range parts {
			w.known[partKey(part)] = w.Get(of[i])
		}
	}
	return nil
}
