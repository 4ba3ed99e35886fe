package blobs

import (
	"sync"
	"time"
)

// uses remembers when bodies were last used. What it knows is written to the
// records now and then, coarsely; eviction looks here first.
type uses struct {
	shards [16]struct {
		mu sync.Mutex
		at map[Digest]int64 // Unix seconds
	}
}

func (u *uses) note(d Digest, at int64) {
	s := &u.shards[d[0]%16]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[Digest]int64{}
	}
	s.at[d] = at
}

// last is when a body was last used, as far as remembered; 0: it is not.
func (u *uses) last(d Digest) int64 {
	s := &u.shards[d[0]%16]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[d]
}

// take returns the uses before an instant and forgets them.
func (u *uses) take(before int64) map[Digest]int64 {
	taken := map[Digest]int64{}
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for d, at := range s.at {
			if at < before {
				taken[d] = at
				delete(s.at, d)
			}
		}
		s.mu.Unlock()
	}
	return taken
}

// Touch notes that a body was used.
func (s *Store) Touch(d Digest) { s.uses.note(d, time.Now().Unix()) }
