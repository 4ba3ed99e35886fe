package catalog

import (
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// needed are the paths of loose files that others of the package need, directly
// or through another.
func (p *Package) needed() map[string]bool {
	needed := map[string]bool{}
	for _, f := range p.Files {
		if !f.Loose {
			p.reach(f, needed)
		}
	}
	return needed
}

// reach adds the paths of what a file needs, directly or through another.
func (p *Package) reach(f *File, needed map[string]bool) {
	for _, path := range f.Needs {
		if needed[path] {
			continue
		}
		needed[path] = true
		if other := p.At(path); other != nil {
			p.reach(other, needed)
		}
	}
}

// noteFreed notes that loose files were needed until now by files that were
// there before and are no more: they stay for as long as what is new.
func (p *Package) noteFreed(before *Package, now time.Time) {
	gone, _ := differ(before.Files, p.Files)
	if len(gone) == 0 {
		return
	}
	freed := map[string]bool{}
	for _, f := range gone {
		before.reach(f, freed)
	}
	for path := range freed {
		if f := p.At(path); f != nil && f.Loose && f.Published.Before(now) {
			p.put(f.usedAt(now))
		}
	}
}

func (f *File) usedAt(now time.Time) *File {
	used := *f
	used.Published = now
	return &used
}

// usedSince reports whether it is known that somebody relied on a file.
func (f *File) usedSince(at time.Time) bool { return f == nil || f.Published.After(at) }

// unused are loose files that nothing has needed since an instant.
func (p *Package) unused(since time.Time) []*File {
	var needed map[string]bool
	var out []*File
	for _, f := range p.Files {
		if !f.Loose || f.Published.After(since) {
			continue
		}
		if needed == nil {
			needed = p.needs()
		}
		if !needed[f.Path] {
			out = append(out, f)
		}
	}
	return out
}

// Sweep drops the loose files of a repository that nothing has needed since an
// instant, and tells how many files and bytes they were. What is published
// meanwhile is decided on anew, so nothing goes that is needed by then. Busy are
// packages that more is on its way to, since an instant: of what is there for it
// nothing goes that was in use for as long before that.
func (c *Catalog) Sweep(repository string, since, now time.Time, busy map[string]time.Time) (files int, bytes int64, err error) {
	names, err := c.Names(repository, "*")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		until := since
		if began, ok := busy[name]; ok {
			until = earlier(since, began.Add(since.Sub(now)))
		}
		n, size, err := c.sweep(repository, name, until, now)
		files, bytes = files+n, bytes+size
		if err != nil {
			return files, bytes, err
		}
	}
	return files, bytes, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// maxSwept is how many files go in one transaction.
const maxSwept = 1000

func (c *Catalog) sweep(repository, name string, since, now time.Time) (files int, bytes int64, err error) {
	p, err := c.Package(repository, name)
	if err != nil || p == nil || len(p.unused(since)) == 0 {
		return 0, 0, err
	}
	for {
		swept := 0
		err := c.rewrite(repository, name, now, func(p *Package) {
			drop := map[*File]bool{}
			for _, f := range p.unused(since) {
				if len(drop) < maxSwept {
					drop[f] = true
					bytes += f.Size
				}
			}
			swept = len(drop)
			p.drop(func(f *File) bool { return drop[f] })
		})
		files += swept
		if err != nil || swept < maxSwept {
			return files, bytes, err
		}
	}
}

// Use notes that somebody relies on a loose file that may go, so that it stays
// for a while, unless that was noted less than a time ago.
func (c *Catalog) Use(repository, name, path string, now time.Time, ago time.Duration) error {
	p, err := c.Package(repository, name)
	if err != nil || p == nil || p.needs()[path] || p.At(path).usedSince(now.Add(-ago)) {
		return err
	}
	return c.rewrite(repository, name, now, func(p *Package) {
		if f := p.At(path); f != nil && f.Loose {
			p.put(f.usedAt(now))
		}
	})
}

// rewrite changes the files of a package without changing what it means to
// anybody, so that it is not synced.
func (c *Catalog) rewrite(repository, name string, now time.Time, change func(*Package)) error {
	defer c.lock(repository, []string{name})()
	before, err := c.load(repository, name)
	if err != nil || before == nil {
		return err
	}
	p := before.clone()
	p.needs = before.needs // of what is still there
	change(p)
	e := edit{
		Change:   Change{Repository: repository, Now: now},
		catalog:  c,
		records:  store.Change{},
		packages: map[string]*Package{name: p},
		former:   map[string]bool{},
	}
	if err := e.finish(map[string]*Package{name: before}); err != nil {
		return err
	}
	return e.write()
}

// write makes the records of an edit true.
func (e *edit) write() error {
	c := e.catalog
	advanced := c.advance(e.Repository, e.Now, e.records)
	done, err := c.take(e.Repository, e.added, e.Quota, e.Underway)
	if err != nil {
		return err
	}
	err = c.db.Apply(e.records)
	done(err == nil)
	if err != nil {
		for name := range e.packages { // nobody knows what is written
			c.packages.Drop(key(packageKey+e.Repository, name))
		}
		return err
	}
	for _, p := range e.packages {
		c.remember(e.Repository, p)
	}
	c.respell(e.Repository, e.packages, e.former)
	advanced()
	if e.wake != nil {
		e.wake()
	}
	for _, d := range e.freed {
		if c.Freed != nil {
			c.Freed(d)
		}
	}
	return nil
}

// free notes a body that a package no longer has.
func (e *edit) free(f *File) {
	if f.Source == "" && f.Body != (blobs.Digest{}) {
		e.freed = append(e.freed, f.Body)
	}
}
