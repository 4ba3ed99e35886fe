package catalog

import (
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// partedKey is where files are noted that were published and went: repository,
// name, path, when.
const partedKey = "hosted/parted/"

// Follow has it noted from now on which files of a repository that were published
// go, and wakes who follows when some did. Nil: nobody follows any more.
func (c *Catalog) Follow(repository string, wake func()) {
	if wake == nil {
		c.followers.Delete(repository)
		return
	}
	c.followers.Store(repository, wake)
}

// Parted are files that were published and went, for who follows a repository.
type Parted struct {
	Files []PartedFile

	records store.Change
}

// PartedFile is a file that was published and went.
type PartedFile struct {
	// Name of its package.
	Name string
	// Path that it had; empty: none.
	Path string
}

// Parted are the files of a repository that were published and went, since those
// before were [Catalog.Settle]d.
func (c *Catalog) Parted(repository string) (Parted, error) {
	p := Parted{records: store.Change{}}
	prefix := key(partedKey+repository, "")
	err := c.db.Each(prefix, true, func(k string, _ []byte) bool {
		p.records[k] = nil
		if parts := strings.Split(strings.TrimPrefix(k, prefix), "\x00"); len(parts) == 3 {
			p.Files = append(p.Files, PartedFile{parts[0], parts[1]})
		}
		return true
	})
	return p, err
}

// Settle forgets files that went.
func (c *Catalog) Settle(p Parted) error { return c.db.ApplyAll(p.records) }

// depart notes a file that goes, if it was published and somebody follows.
func (e *edit) depart(p *Package, f *File) {
	wake, followed := e.catalog.followers.Load(e.Repository)
	if !followed || e.Scan || !f.published() {
		return
	}
	e.records[key(partedKey+e.Repository, p.Name, f.Path, number(uint64(e.Now.UnixNano())))] = []byte{}
	e.wake = wake.(func())
}
