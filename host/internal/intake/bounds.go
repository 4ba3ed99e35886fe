package intake

import (
	"fmt"
	"time"
)

// Bounds are how much uploads may have, in bytes.
type Bounds struct {
	// File is how much one may have.
	File int64
	// All is how much those of a repository that are under way may have together.
	All int64
}

// grow notes that an upload gets some bytes more, or says why it may not. Uploads of
// clients that seem to be gone make place for it.
func (s *Session) grow(n int64, b Bounds) error {
	if s.Size()+n > b.File {
		return fmt.Errorf("%w: the file has more than %d bytes (max_artifact)", ErrTooLarge, b.File)
	}
	err := s.count(n, b)
	if err != nil && s.all.MakeRoom(s.About.Repository) {
		err = s.count(n, b)
	}
	return err
}

// MakeRoom ends uploads of a repository to which nothing was added for a while,
// and reports whether there were any.
func (s *Sessions) MakeRoom(repository string) bool {
	return s.sweep(time.Now(), roomIdle, func(other *Session) bool { return other.About.Repository == repository }) > 0
}

// Underway is how many bytes uploads of a repository have that are under way.
func (s *Sessions) Underway(repository string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[repository]
}

func (s *Session) count(n int64, b Bounds) error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	together := s.all.bytes[s.About.Repository] + n
	if n > 0 && together > b.All {
		return fmt.Errorf("%w: with other uploads under way it has more than the %d bytes that are left (quota)", ErrTooLarge, b.All)
	}
	s.all.bytes[s.About.Repository] = together
	s.counted += n
	return nil
}

// Settle has an upload count no more among those that are under way, as what is
// published counts elsewhere.
func (s *Session) Settle() {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.settle()
}

// settle is Settle where the uploads are locked.
func (s *Session) settle() {
	s.all.bytes[s.About.Repository] -= s.counted
	if s.all.bytes[s.About.Repository] == 0 {
		delete(s.all.bytes, s.About.Repository)
	}
	s.counted = 0
}
