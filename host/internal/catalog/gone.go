package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
)

const goneKey = "hosted/gone/" // repository, name → Graves

// Grave is what is known of a file that was deleted for good.
type Grave struct {
	// Version that it was of.
	Version string
	// Body is the sha256 of the bytes that may come back.
	Body blobs.Digest
}

// Graves are the files of a package that were deleted for good, by path.
type Graves map[string]Grave

// GoneError says that a file with other bytes was deleted for good.
type GoneError struct{ Name, Version, Path string }

// Error names it, and says what can be done.
func (e *GoneError) Error() string {
	return strings.TrimSpace(e.Name+" "+e.Version) + " was published with other bytes and deleted, and does not come back with these: publish another version (or set overwrite = true in the repository's hosted block)"
}

// Gone are the files of a package, or of one that was, which were deleted for
// good; nil: none were.
func (c *Catalog) Gone(repository, name string) (Graves, error) {
	value, err := c.db.Get(key(goneKey+repository, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var graves Graves
	if err := json.Unmarshal(value, &graves); err != nil {
		return nil, fmt.Errorf("what was deleted of %s in %s: %w", name, repository, err)
	}
	return graves, nil
}

// GoneNames are those of the packages of a repository of which files were
// deleted for good, sorted.
func (c *Catalog) GoneNames(repository string) ([]string, error) {
	return c.named(goneKey, repository, "*")
}

// gravesOf are those of a package as they are by now.
func (e *edit) gravesOf(name string) (Graves, error) {
	graves, known := e.graves[name]
	if known {
		return graves, nil
	}
	graves, err := e.catalog.Gone(e.Repository, name)
	e.graves[name] = graves
	return graves, err
}

// setGraves has those of a package written.
func (e *edit) setGraves(name string, graves Graves) error {
	e.graves[name] = graves
	id := key(goneKey+e.Repository, name)
	if len(graves) == 0 {
		e.records[id] = nil
		return nil
	}
	value, err := json.Marshal(graves)
	e.records[id] = value
	return err
}

// bury notes that a file goes for good. One that lies in a directory is its
// owner's to change.
func (e *edit) bury(p *Package, f *File) error {
	if f.Path == "" || f.inDirectory() != "" {
		return nil
	}
	graves, err := e.gravesOf(p.Name)
	if err != nil {
		return err
	}
	graves = maps.Clone(graves)
	if graves == nil {
		graves = Graves{}
	}
	graves[f.Path] = Grave{f.Version, f.Body}
	return e.setGraves(p.Name, graves)
}

// risen refuses a file with other bytes than the one that was deleted for good in
// its place, unless published files may be replaced.
func (e *edit) risen(p *Package, f *File) error {
	graves, err := e.gravesOf(p.Name)
	if err != nil {
		return err
	}
	grave, there := graves[f.Path]
	switch {
	case !there || grave.Body == f.Body:
		return nil
	case !e.Overwrite:
		return &GoneError{p.Name, f.Version, f.Path}
	}
	graves = maps.Clone(graves)
	delete(graves, f.Path)
	return e.setGraves(p.Name, graves)
}

// inherit adds what was deleted for good elsewhere, but for what is here.
func (e *edit) inherit() error {
	for name, more := range e.Gone {
		known, err := e.gravesOf(name)
		if err != nil {
			return err
		}
		p, err := e.catalog.load(e.Repository, name)
		if err != nil {
			return err
		}
		graves := maps.Clone(more)
		maps.DeleteFunc(graves, func(path string, _ Grave) bool {
			return p != nil && p.At(path) != nil || e.paths[path] != ""
		})
		maps.Copy(graves, known)
		if err := e.setGraves(name, graves); err != nil {
			return err
		}
		if len(graves) > 0 {
			e.bygone(name)
		}
	}
	return nil
}
