package blobs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// Writer takes a body that is being stored.
type Writer struct {
	store *Store
	file  *os.File
	hash  hash.Hash
	size  int64
	done  bool

	origin string // empty: it need not be known
}

// Create begins a body.
func (s *Store) Create() (*Writer, error) {
	if err := s.room(0); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.tmp, "")
	if err != nil {
		return nil, noSpace(err)
	}
	return &Writer{store: s, file: f, hash: sha256.New()}, nil
}

// Resume goes on with a body in a file of the caller's, which is made if need
// be. What is there already is hashed, and told to also.
func (s *Store) Resume(path string, also func([]byte)) (*Writer, error) {
	if err := s.room(0); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, noSpace(err)
	}
	w := &Writer{store: s, file: f, hash: sha256.New()}
	buf := Buffer()
	defer GiveBack(buf)
	for {
		n, err := f.Read(buf[:])
		w.hash.Write(buf[:n])
		also(buf[:n])
		w.size += int64(n)
		if err == io.EOF {
			return w, nil
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
}

// Rest closes the file of a body that is not written to for a while; [Writer.Wake]
// opens it again.
func (w *Writer) Rest() {
	if !w.done {
		w.file.Close()
	}
}

// Wake opens the file of a body again, which must be as long as it was.
func (w *Writer) Wake() error {
	f, err := os.OpenFile(w.file.Name(), os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != w.size {
		err = fmt.Errorf("%s has %d bytes instead of %d", w.file.Name(), info.Size(), w.size)
	}
	if err != nil {
		f.Close()
		return err
	}
	w.file = f
	return nil
}

// room checks that a body of some size leaves the reserve free.
func (s *Store) room(size int64) error {
	free, err := store.FreeSpace(s.dir)
	reserve := s.reserve.Load()
	if err != nil || free-size >= reserve {
		return nil // where free space is unknown, writing tells
	}
	if time.Now().Unix() >= s.futile.Load() {
		s.Evict()
	}
	return fmt.Errorf("%w: %d bytes free on the disk of %s, %d are reserved", ErrNoSpace, free, filepath.Dir(s.dir), reserve)
}

// Fits reports, as [ErrNoSpace], that a body of some size could not be stored even
// if all that may be evicted were.
func (s *Store) Fits(size int64) error {
	free, err := store.FreeSpace(s.dir)
	most := free + s.used.Load() - s.reserve.Load()
	if err != nil || size <= most {
		return nil // where free space is unknown, writing tells
	}
	return fmt.Errorf("%w: %d bytes do not fit the disk of %s, which has room for %d", ErrNoSpace, size, filepath.Dir(s.dir), max(0, most))
}

func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// spaceEvery is how many bytes are written between looks at the free space, each
// of which sees to it that there is room until the next.
const spaceEvery = 16 << 20

// Write appends to the body.
func (w *Writer) Write(p []byte) (int, error) {
	if w.size/spaceEvery != (w.size+int64(len(p)))/spaceEvery {
		if err := w.store.room(max(spaceEvery, int64(len(p)))); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, noSpace(err)
	}
	return n, nil
}

// Path of the temporary file, for readers who follow its growth.
func (w *Writer) Path() string { return w.file.Name() }

// Size is how much was written.
func (w *Writer) Size() int64 { return w.size }

// Digest is the sha256 of what was written.
func (w *Writer) Digest() Digest { return Digest(w.hash.Sum(nil)) }

// Abort drops the body. After Commit it does nothing.
func (w *Writer) Abort() {
	if !w.done {
		w.done = true
		w.file.Close()
		os.Remove(w.file.Name())
	}
}

// Commit makes the body visible and writes the records that make it
// reachable, together. With durable, file and folder are synced first, for
// bodies that cannot be fetched again.
func (w *Writer) Commit(records store.Change, durable bool) (Digest, error) {
	defer w.Abort()
	d := w.Digest()
	s := w.store
	change := store.Change{}
	for k, v := range records {
		change[k] = v
	}
	mu := s.lock(d)
	mu.Lock()
	defer mu.Unlock()
	if err := s.addOrigin(change, d, w.origin); err != nil {
		return d, err
	}
	// What is there without a record may be what a failed commit left, and what is
	// there with one was perhaps never synced, or has rotted: then it may be one that
	// must survive, and what takes its place is synced.
	info, err := os.Stat(s.path(d))
	there := err == nil
	at, known := s.whole.Get(d.name())
	rotten := there && (info.Size() != w.size || known && info.ModTime().UnixNano() != at)
	_, synced := s.synced.Get(d.name())
	_, err = s.db.Get(blobKey + d.String())
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		change[intentKey+d.String()] = nil
		change[blobKey+d.String()] = encodeBlob(w.size, time.Now().Unix())
		err = s.db.Apply(store.Change{intentKey + d.String(): {}})
	}
	if err == nil && (fresh || !there || rotten || durable && !synced) {
		err = w.publish(d, durable || rotten)
		s.files.drop(d)
	}
	if err == nil {
		err = s.db.Apply(change)
	}
	if err != nil {
		if fresh && !there {
			os.Remove(s.path(d)) // without a record nobody would ever count it
			s.synced.Drop(d.name())
		}
		return d, noSpace(err)
	}
	if fresh {
		if s.used.Add(w.size) > s.limit.Load() {
			s.Evict()
		}
	}
	return d, nil
}

// publish gives a body its name. With durable it is synced after that: file
// systems with a journal then write both down at once, and what a crash leaves in
// between has no record, so that nobody believes it.
func (w *Writer) publish(d Digest, durable bool) error {
	path := w.store.path(d)
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), path); err != nil {
		return err
	}
	w.done = true
	info, err := w.file.Stat()
	if err == nil && durable {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err == nil && durable {
		err = store.SyncFolder(folder)
	}
	if err != nil {
		return err
	}
	changed := info.ModTime().UnixNano()
	w.store.whole.Set(d.name(), changed)
	if durable {
		w.store.synced.Set(d.name(), changed)
	}
	return nil
}

// File is a body open for one reader.
type File struct {
	*os.File
	digest Digest
	pool   *filePool
	drops  uint64 // of its shard, before it was opened
	// changed is when the file had last changed when its digest was right, in Unix
	// nanoseconds.
	changed int64
}

// Release gives the file back; it is kept open for the next reader for a while.
func (f *File) Release() { f.pool.give(f) }

// filePool keeps files open between readers. Each is lent to one reader at a
// time, because sendfile moves a descriptor's own offset.
type filePool struct {
	mu   sync.Mutex
	idle map[Digest][]*File
	size int
	max  int
	// drops counts bodies dropped, by the first byte of their digests: a file lent
	// while one was may be that of a body that is gone.
	drops [256]uint64
}

func newFilePool(max int) *filePool {
	return &filePool{idle: map[Digest][]*File{}, max: max}
}

func (p *filePool) take(d Digest) *File {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[d]
	if len(list) == 0 {
		return nil
	}
	f := list[len(list)-1]
	if len(list) == 1 {
		delete(p.idle, d)
	} else {
		p.idle[d] = list[:len(list)-1]
	}
	p.size--
	f.drops = p.drops[d[0]] // what is idle is not gone
	return f
}

// opening is to be asked before a file is opened that will be given.
func (p *filePool) opening(d Digest) (drops uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drops[d[0]]
}

func (p *filePool) give(f *File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.drops != p.drops[f.digest[0]] {
		f.File.Close()
		return
	}
	if p.size >= p.max {
		for d, list := range p.idle { // any will do
			list[0].File.Close()
			p.size--
			if len(list) == 1 {
				delete(p.idle, d)
			} else {
				p.idle[d] = list[1:]
			}
			break
		}
	}
	p.idle[f.digest] = append(p.idle[f.digest], f)
	p.size++
}

// drop closes the idle files of a body that was removed or replaced, and has
// those that are lent closed when they are given back, so that its space is free
// and nobody else gets it.
func (p *filePool) drop(d Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops[d[0]]++
	for _, f := range p.idle[d] {
		f.File.Close()
		p.size--
	}
	delete(p.idle, d)
}
