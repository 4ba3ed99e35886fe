package catalog

import (
	"encoding/json"
	"fmt"
	"sync"
)

// room is how many bytes what is published in a repository takes. It is counted
// once and then kept up with every change.
type room struct {
	mu      sync.Mutex
	counted bool
	used    int64
}

// QuotaError says that a repository has no room for a publication.
type QuotaError struct {
	// Repository that is full.
	Repository string
	// Used is how many bytes it has, with uploads under way, Added how many there would be besides, and
	// Quota how many it may have.
	Used, Added, Quota int64
}

// Error says by how much.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("repository %q has no room: this takes %d bytes more, %d are used, and its quota is %d", e.Repository, e.Added, e.Used, e.Quota)
}

// Size is how many bytes what is published in a repository takes. Files that
// lie in directories take none: they are kept elsewhere.
func (c *Catalog) Size(repository string) (int64, error) {
	r := c.room(repository)
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.count(c, repository)
	return r.used, err
}

func (c *Catalog) room(repository string) *room {
	r, _ := c.rooms.LoadOrStore(repository, &room{})
	return r.(*room)
}

// count counts what is there at the first use, before which nothing is changed.
func (r *room) count(c *Catalog, repository string) error {
	if r.counted {
		return nil
	}
	var total int64
	var broken error
	err := c.db.Each(key(fileKey+repository, ""), false, func(_ string, value []byte) bool {
		f := &File{}
		broken = json.Unmarshal(value, f)
		total += f.room()
		return broken == nil
	})
	if err == nil {
		err = broken
	}
	r.used, r.counted = total, err == nil
	return err
}

// room is how many bytes a file takes.
func (f *File) room() int64 {
	if f.inDirectory() != "" {
		return 0
	}
	return f.Size
}

// Room is how many bytes a package takes; nil: none.
func (p *Package) Room() (n int64) {
	if p == nil {
		return 0
	}
	for _, f := range p.Files {
		n += f.room()
	}
	return n
}

// take takes room for a change before it is written, so that two of them cannot
// share what is left. What a change gives back is given once it is written: done
// is called with whether it was. Underway are bytes that others have taken.
func (c *Catalog) take(repository string, added, quota, underway int64) (done func(written bool), err error) {
	r := c.room(repository)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.count(c, repository); err != nil {
		return nil, err
	}
	if quota > 0 && added > 0 && r.used+underway+added > quota {
		return nil, &QuotaError{repository, r.used + underway, added, quota}
	}
	if added > 0 {
		r.used += added
	}
	return func(written bool) {
		if written == (added > 0) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if written {
			r.used += added
		} else {
			r.used -= max(added, 0)
		}
	}, nil
}
