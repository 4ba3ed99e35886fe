package blobs

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// flushEvery is how often last uses are written.
const flushEvery = time.Minute

// Run makes up for lost records, counts the bodies, and then writes last uses and evicts until the
// context ends. Nothing else waits for it.
func (s *Store) Run(ctx context.Context) {
	if err := s.recover(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("bodies of which the records were lost take space that is not counted", "error", err)
	}
	s.count()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush(true)
			return
		case <-tick.C:
			s.flush(false)
		case <-s.kick:
			s.evict()
		}
	}
}

// Evict has bodies evicted soon.
func (s *Store) Evict() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// recover makes up for records that were lost with their database: bodies without
// one are recorded where they are pinned, and removed where they are not, as
// nothing leads to them any more. It is done once, however often it breaks off.
func (s *Store) recover(ctx context.Context) error {
	if _, err := s.db.Get(lostKey); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		var d Digest
		raw, err := hex.DecodeString(filepath.Base(filepath.Dir(path)) + e.Name())
		if err != nil || copy(d[:], raw) != len(d) || len(raw) != len(d) {
			return nil // none of ours
		}
		return errors.Join(s.recoverBody(d), ctx.Err())
	})
	if err != nil {
		return err
	}
	return s.db.Apply(store.Change{lostKey: nil})
}

func (s *Store) recoverBody(d Digest) error {
	mu := s.lock(d)
	mu.Lock()
	defer mu.Unlock()
	if _, err := s.db.Get(blobKey + d.String()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.pinned != nil && s.pinned(d) || s.holds.has(d) {
		return s.record(d)
	}
	s.remove(d)
	return nil
}

func (s *Store) count() {
	var total int64
	before := s.used.Load()
	err := s.db.Each(blobKey, false, func(_ string, v []byte) bool {
		size, _ := decodeBlob(v)
		total += size
		return true
	})
	if err != nil {
		s.log.Error("cached bodies cannot be counted", "error", err)
		return
	}
	// Bodies stored while counting may be counted twice; eviction counts anew.
	if s.used.Add(total-before) > s.limit.Load() {
		s.Evict()
	}
}

// coarse is how exact the last uses in records are, in seconds.
const coarse = 3600

// flush writes last uses that the records do not know yet. Fresh ones wait, so
// that a body in use costs a write an hour at most.
func (s *Store) flush(all bool) {
	before := time.Now().Unix() - coarse
	if all {
		before = math.MaxInt64
	}
	touched := s.uses.take(before)
	change := store.Change{}
	for d, at := range touched {
		key := blobKey + d.String()
		if value, err := s.db.Get(key); err == nil {
			if size, used := decodeBlob(value); at > used {
				change[key] = encodeBlob(size, at)
			}
		}
	}
	if len(change) == 0 {
		return
	}
	if err := s.db.ApplyAll(change); err != nil {
		s.log.Warn("last uses of cached bodies cannot be written", "error", err)
	}
}

// futileFor is for how long nobody looks for space again after there was none to
// be had: that takes a look at all records, and each write would ask for it.
const futileFor = 10 * time.Second

// evict removes the least recently used bodies until they take nine tenths of
// their bound and the disk has its reserve.
func (s *Store) evict() {
	type blob struct {
		digest     Digest
		size, used int64
	}
	var all []blob
	var total int64
	err := s.db.Each(blobKey, false, func(key string, v []byte) bool {
		var b blob
		raw, err := hex.DecodeString(key[len(blobKey):])
		if err != nil || copy(b.digest[:], raw) != len(b.digest) {
			return true
		}
		b.size, b.used = decodeBlob(v)
		b.used = max(b.used, s.uses.last(b.digest))
		total += b.size
		all = append(all, b)
		return true
	})
	if err != nil {
		s.log.Error("cached bodies cannot be listed for eviction", "error", err)
		return
	}
	s.used.Store(total)
	limit, reserve := s.limit.Load(), s.reserve.Load()
	over := total - limit/10*9
	if total <= limit {
		over = 0
	}
	if free, err := store.FreeSpace(s.dir); err == nil && free < reserve {
		lacking := reserve + reserve/4 - free
		if lacking > total {
			// Something else fills the disk. What is cached can still be served.
			s.log.Warn("the disk lacks more space than all cached bodies take; none is evicted for it", "lacking", lacking, "cached", total)
			lacking = 0
			s.futile.Store(time.Now().Add(futileFor).Unix())
		}
		over = max(over, lacking)
	}
	if over <= 0 {
		return
	}
	slices.SortFunc(all, func(a, b blob) int { return cmp.Compare(a.used, b.used) })
	n, freed := 0, int64(0)
	for _, b := range all {
		if freed >= over {
			break
		}
		if !s.Discard(b.digest) {
			continue
		}
		s.evicted.Add(1)
		n++
		freed += b.size
	}
	if n == 0 {
		s.futile.Store(time.Now().Add(futileFor).Unix())
		return
	}
	s.log.Info("evicted the least recently used bodies", "bodies", n, "bytes", freed, "limit", limit)
}
