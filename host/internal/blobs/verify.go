package blobs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// VerifyAll reads every body and removes those that do not hold what their
// digest says, so that they are fetched again; damaged, unless nil, is called
// with each. Bodies that come or go meanwhile are not missed as damaged.
func (s *Store) VerifyAll(ctx context.Context, damaged func(digest string)) (checked, bad int, err error) {
	// By the first byte, so that never all digests are in memory.
	for first := range 256 {
		var batch []Digest
		err := s.db.Each(fmt.Sprintf("%s%02x", blobKey, first), true, func(key string, _ []byte) bool {
			var d Digest
			if raw, err := hex.DecodeString(key[len(blobKey):]); err == nil && copy(d[:], raw) == len(d) {
				batch = append(batch, d)
			}
			return true
		})
		if err != nil {
			return checked, bad, err
		}
		for _, d := range batch {
			if err := ctx.Err(); err != nil {
				return checked, bad, err
			}
			err := s.Verify(d)
			if err != nil && !s.recorded(d) {
				continue // evicted meanwhile
			}
			checked++
			if err == nil {
				continue
			}
			if again := s.Verify(d); again == nil {
				continue // stored again meanwhile
			} else if err = again; unreadable(err) {
				return checked, bad, err
			}
			s.log.Error("a cached body is damaged and is dropped", "digest", d.String(), "error", err)
			s.Remove(d)
			bad++
			if damaged != nil {
				damaged(d.String())
			}
		}
	}
	return checked, bad, nil
}

// recorded reports whether a body's record is there, once nobody changes it.
func (s *Store) recorded(d Digest) bool {
	mu := s.lock(d)
	mu.Lock()
	defer mu.Unlock()
	_, err := s.db.Get(blobKey + d.String())
	return !errors.Is(err, fs.ErrNotExist)
}

// unreadable reports whether an error says nothing about what a file holds:
// no permission, say, or too many open files.
func unreadable(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EIO)
}
