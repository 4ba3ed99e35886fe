// Package blobs keeps bodies: files named by the sha256 of what they hold, so
// that the same bytes are stored once whoever they belong to.
//
// A body is written to a temporary file while it is hashed and becomes visible
// by a rename, so a crash leaves complete files and garbage, never half a
// body. An intent is recorded before the rename and taken back together with
// the record that makes the body reachable; [Open] sweeps what intents and
// temporary files are left, without looking at anything else.
//
// Bodies are evicted, least recently used first, when they take more than
// their bound; those that are pinned never are. Readers find that a body is
// gone by fs.ErrNotExist and get it again.
package blobs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/memory"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// Digest is a sha256.
type Digest [sha256.Size]byte

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// name is what it goes by in memory.
func (d Digest) name() string { return string(d[:]) }

// Zero reports whether there is no digest.
func (d Digest) Zero() bool { return d == Digest{} }

// ErrNoSpace says that a body cannot be stored because the disk is full.
var ErrNoSpace = store.ErrNoSpace

// Records of this package in the cache database.
const (
	blobKey   = "b/"   // digest → size, last use
	intentKey = "i/"   // digest → nothing
	originKey = "o/"   // digest → where the body came from
	lostKey   = "lost" // there while records were lost that are not made up for
)

// Store is a directory of bodies.
type Store struct {
	dir, tmp string
	db       *store.DB
	log      hclog.Logger
	limit    atomic.Int64
	reserve  atomic.Int64
	used     atomic.Int64
	evicted  atomic.Int64
	futile   atomic.Int64 // until when no look for space finds any, in Unix seconds
	pinned   func(Digest) bool
	kick     chan struct{}

	// Of one body, file and record change together.
	changing [64]sync.Mutex

	uses  uses
	holds holds
	// whole are those whose digest was seen to be right, and when their file had
	// last changed then, in Unix nanoseconds: it is written once and never again.
	whole *memory.Cache[int64]
	// synced are some that survive a power failure, likewise.
	synced *memory.Cache[int64]
	files  *filePool
}

// Options of a store.
type Options struct {
	// Limit is how many bytes bodies may take.
	Limit int64
	// Reserve is how many bytes of the disk stay free.
	Reserve int64
	// Pinned reports bodies that must not be evicted; nil: none.
	Pinned func(Digest) bool
}

// Open opens the bodies below a data directory and sweeps what a crash left.
func Open(d *store.Dir, o Options, log hclog.Logger) (*Store, error) {
	s := &Store{
		dir:    filepath.Join(d.Path, "blobs"),
		tmp:    filepath.Join(d.Path, "tmp"),
		db:     d.Cache,
		log:    log,
		pinned: o.Pinned,
		kick:   make(chan struct{}, 1),
		files:  newFilePool(512),
		whole:  memory.New(memory.Options[int64]{Size: 200_000}),
		synced: memory.New(memory.Options[int64]{Size: 10_000}),
	}
	s.SetLimits(o.Limit, o.Reserve)
	if err := os.RemoveAll(s.tmp); err != nil {
		return nil, fmt.Errorf("sweeping temporary files: %w", err)
	}
	for _, dir := range []string{s.dir, s.tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if d.Anew {
		if err := s.db.Apply(store.Change{lostKey: {}}); err != nil {
			return nil, err
		}
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("sweeping unfinished bodies: %w", err)
	}
	return s, nil
}

// SetLimits changes how many bytes bodies may take and how many of the disk
// stay free; what is over is evicted soon.
func (s *Store) SetLimits(limit, reserve int64) {
	s.limit.Store(limit)
	s.reserve.Store(reserve)
	s.Evict()
}

// sweep removes bodies that were renamed but whose record was never written.
// Those that are pinned cannot be fetched again: the record is made up for, as
// a power failure may have taken it, which is never synced.
func (s *Store) sweep() error {
	done := store.Change{}
	err := s.db.Each(intentKey, true, func(key string, _ []byte) bool {
		done[key] = nil
		var d Digest
		if raw, err := hex.DecodeString(key[len(intentKey):]); err != nil || copy(d[:], raw) != len(d) {
			return true
		}
		if _, err := s.db.Get(blobKey + d.String()); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if s.pinned == nil || !s.pinned(d) {
			os.Remove(s.path(d))
		} else if err := s.record(d); err != nil {
			s.log.Error("a pinned body is not recorded, so that its space is not counted", "digest", d.String(), "error", err)
			delete(done, key) // at the next start
		}
		return true
	})
	if err != nil {
		return err
	}
	return s.db.ApplyAll(done)
}

// record writes the record of a body whose file is there; without one there is
// nothing to record.
func (s *Store) record(d Digest) error {
	info, err := os.Stat(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.db.Apply(store.Change{blobKey + d.String(): encodeBlob(info.Size(), info.ModTime().Unix())})
}

func (s *Store) path(d Digest) string {
	name := d.String()
	return filepath.Join(s.dir, name[:2], name[2:])
}

// Used is how many bytes the bodies take, as far as counted.
func (s *Store) Used() int64 { return s.used.Load() }

// Evicted is how many bodies were evicted since the start.
func (s *Store) Evicted() int64 { return s.evicted.Load() }

// Open opens a body for one reader, which must Release it. A file whose size
// is not the one expected, or which holds other bytes since it has changed, is
// damaged: it is removed, and fs.ErrNotExist is returned as if it had never been
// there.
func (s *Store) Open(d Digest, size int64) (*File, error) {
	if f := s.files.take(d); f != nil {
		// Its file may have been damaged while it was idle.
		if info, err := f.Stat(); err == nil && info.Size() == size && info.ModTime().UnixNano() == f.changed {
			if _, err := f.Seek(0, io.SeekStart); err == nil {
				s.Touch(d)
				return f, nil
			}
		}
		f.File.Close()
	}
	drops := s.files.opening(d)
	f, err := os.Open(s.path(d))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.Size() != size {
		f.Close()
		return nil, s.damaged(d, "size", info.Size(), "expected", size)
	}
	changed := info.ModTime().UnixNano()
	if err := s.check(d, f, changed); err != nil {
		f.Close()
		return nil, err
	}
	s.Touch(d)
	return &File{File: f, digest: d, pool: s.files, drops: drops, changed: changed}, nil
}

// check compares a body's digest when it is opened for the first time since the
// start or since its file has changed, so that what rotted on the disk is fetched
// again.
func (s *Store) check(d Digest, f *os.File, changed int64) error {
	if at, ok := s.whole.Get(d.name()); ok && at == changed {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if Digest(h.Sum(nil)) != d {
		return s.damaged(d)
	}
	s.whole.Set(d.name(), changed)
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// Has reports whether a body is there.
func (s *Store) Has(d Digest) bool {
	_, there := s.Size(d)
	return there
}

// Size is that of a body, in bytes, and whether it is here.
func (s *Store) Size(d Digest) (int64, bool) {
	info, err := os.Stat(s.path(d))
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// Read returns a whole body that is known to be small; what [Store.Open] says of
// damaged ones holds here. Its file is not kept open: who reads all of it keeps
// what was read.
func (s *Store) Read(d Digest, size int64) ([]byte, error) {
	f, err := os.Open(s.path(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	body := make([]byte, size+1) // one byte more tells a file that has grown
	n, err := io.ReadFull(f, body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return nil, err
	}
	body = body[:n:n]
	changed := info.ModTime().UnixNano()
	at, known := s.whole.Get(d.name())
	known = known && at == changed
	if int64(n) != size || !known && sha256.Sum256(body) != d {
		return nil, s.damaged(d, "size", n, "expected", size)
	}
	if !known {
		s.whole.Set(d.name(), changed)
	}
	s.Touch(d)
	return body, nil
}

// damaged drops a body that is not what it should be.
func (s *Store) damaged(d Digest, how ...any) error {
	s.log.Error("a cached body is damaged and is dropped", append([]any{"digest", d.String()}, how...)...)
	s.Remove(d)
	return fmt.Errorf("body %s: %w", d, fs.ErrNotExist)
}

// Remove deletes a body; readers under way finish.
func (s *Store) Remove(d Digest) {
	mu := s.lock(d)
	mu.Lock()
	defer mu.Unlock()
	s.remove(d)
}

// Discard deletes a body that nobody needs: one that is pinned or held stays.
func (s *Store) Discard(d Digest) (gone bool) {
	mu := s.lock(d)
	mu.Lock()
	defer mu.Unlock()
	// Under the lock: whoever pins it meanwhile and then stores it again finds
	// that it is gone.
	if s.pinned != nil && s.pinned(d) || s.holds.has(d) {
		return false
	}
	s.remove(d)
	return true
}

func (s *Store) lock(d Digest) *sync.Mutex { return &s.changing[int(d[0])%len(s.changing)] }

func (s *Store) remove(d Digest) {
	err := os.Remove(s.path(d))
	s.files.drop(d)
	s.synced.Drop(d.name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("cached body cannot be removed", "digest", d.String(), "error", err)
		return
	}
	key := blobKey + d.String()
	if value, err := s.db.Get(key); err == nil {
		size, _ := decodeBlob(value)
		s.used.Add(-size)
		if err := s.db.Apply(store.Change{key: nil, originKey + d.String(): nil}); err != nil {
			s.log.Error("record of a cached body cannot be removed", "digest", d.String(), "error", err)
		}
	}
}

// Verify reads a body and compares its digest.
func (s *Store) Verify(d Digest) error {
	f, err := os.Open(s.path(d))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if Digest(h.Sum(nil)) != d {
		return fmt.Errorf("body %s holds other bytes", d)
	}
	return nil
}

func encodeBlob(size, used int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(size)), uint64(used))
}

func decodeBlob(v []byte) (size, used int64) {
	if len(v) != 16 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:]))
}
