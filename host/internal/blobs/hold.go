package blobs

import (
	"os"
	"sync"
)

// holds are those that are not over.
type holds struct {
	mu  sync.Mutex
	all map[*Hold]struct{}
}

// Hold keeps bodies from being evicted while somebody copies them.
type Hold struct {
	store *Store
	only  map[Digest]struct{} // nil: all
}

// Hold holds all bodies. Release must be called.
func (s *Store) Hold() *Hold {
	h := &Hold{store: s}
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	if s.holds.all == nil {
		s.holds.all = map[*Hold]struct{}{}
	}
	s.holds.all[h] = struct{}{}
	return h
}

// Only lets go of all bodies but some. The map must not be changed afterwards.
func (h *Hold) Only(some map[Digest]struct{}) {
	h.store.holds.mu.Lock()
	defer h.store.holds.mu.Unlock()
	h.only = some
}

// Release lets go of all bodies.
func (h *Hold) Release() {
	h.store.holds.mu.Lock()
	defer h.store.holds.mu.Unlock()
	delete(h.store.holds.all, h)
}

func (h *holds) has(d Digest) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hold := range h.all {
		if _, ok := hold.only[d]; ok || hold.only == nil {
			return true
		}
	}
	return false
}

// Raw opens a body's file as it is: its digest is not checked, and reading it
// is no use of it. fs.ErrNotExist: there is none.
func (s *Store) Raw(d Digest) (*os.File, error) { return os.Open(s.path(d)) }
