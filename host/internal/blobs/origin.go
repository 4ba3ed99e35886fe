package blobs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// Of a body that several places may have, it can be remembered which gave it.
const (
	originSize = 16
	maxOrigins = 32 // of a body; those after that are not remembered
)

func originSum(origin string) []byte {
	sum := sha256.Sum256([]byte(origin))
	return sum[:originSize]
}

// From notes where the body comes from; it is remembered with Commit.
func (w *Writer) From(origin string) { w.origin = origin }

// CameFrom reports whether a body that is here came from somewhere, as
// [Writer.From] said.
func (s *Store) CameFrom(d Digest, origin string) (bool, error) {
	known, err := s.origins(d)
	return contains(known, originSum(origin)), err
}

// origins are the sums of a body's, one after another.
func (s *Store) origins(d Digest) ([]byte, error) {
	known, err := s.db.Get(originKey + d.String())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return known, err
}

func (s *Store) addOrigin(change store.Change, d Digest, origin string) error {
	if origin == "" {
		return nil
	}
	known, err := s.origins(d)
	sum := originSum(origin)
	if err == nil && !contains(known, sum) && len(known) < maxOrigins*originSize {
		change[originKey+d.String()] = append(bytes.Clone(known), sum...)
	}
	return err
}

func contains(sums, sum []byte) bool {
	for ; len(sums) >= originSize; sums = sums[originSize:] {
		if bytes.Equal(sums[:originSize], sum) {
			return true
		}
	}
	return false
}
