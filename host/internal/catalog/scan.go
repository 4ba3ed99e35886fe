package catalog

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// ScanError says why a file in a directory is not served.
type ScanError struct{ Reason string }

// Error is the reason.
func (e *ScanError) Error() string { return e.Reason }

// admit reports whether a file in a directory is put into its package: not where
// the same already is there. A [*ScanError] says why it is not served at all:
// what is published, or was, is not changed by what lies somewhere. Of what was
// deleted for good the same bytes may come back.
func (e *edit) admit(p *Package, f *File) (bool, error) {
	what := strings.TrimSpace(p.Name + " " + f.Version)
	graves, err := e.gravesOf(p.Name)
	if err != nil {
		return false, err
	}
	there, dug := graves[f.Path]
	dug = dug && there.Body == f.Body // it is what was deleted
	for _, grave := range graves {
		if grave.Version == f.Version && !dug {
			return false, &ScanError{what + " was published here and deleted, and does not come back from a directory"}
		}
	}
	for _, other := range p.versionOf(f.Version) {
		switch {
		case !other.published():
			if other.Path == f.Path && other.Archive == "" && f.Archive != "" {
				return false, nil // what lies there by itself comes before what another file holds
			}
		case f.Archive != "" && other.Body == f.Body:
			if other.Path == f.Path {
				return false, nil
			}
		default:
			return false, &ScanError{what + " is published here, and what is published gets no files from directories"}
		}
	}
	return true, nil
}

// unlike refuses a package that is new and is called like another.
func (e *edit) unlike(p *Package) error {
	if len(p.Files) > 0 {
		return nil
	}
	other, err := e.alike(p.Name)
	if err == nil && other != "" {
		err = &AlikeError{p.Name, other}
	}
	return err
}

// alike is a package whose name is the same as another to the ecosystem; empty:
// there is none.
func (e *edit) alike(name string) (string, error) {
	folded := e.Rules.Fold(name)
	for other, p := range e.packages {
		if other != name && len(p.Files) > 0 && e.Rules.Fold(other) == folded {
			return other, nil
		}
	}
	s, err := e.catalog.spellings(e.Repository, e.Rules)
	if err != nil {
		return "", err
	}
	for _, other := range append(s.spelled(folded), folded) {
		if other == name || e.packages[other] != nil {
			continue
		}
		// It is not loaded: its lock is not held.
		_, err := e.catalog.db.Get(key(packageKey+e.Repository, other))
		if err == nil {
			return other, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// spelled are the names of packages that a name stands for.
func (s *spellings) spelled(folded string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name := range s.of[folded] {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Placed is a file in a directory that a version is served from, other than what
// stands at a path or has a sha256; empty: none.
func (p *Package) Placed(version, path, sum string) string {
	for _, f := range p.versionOf(version) {
		if f.isBeside(path, sum) {
			return f.inDirectory()
		}
	}
	return ""
}

func (f *File) isBeside(path, sum string) bool {
	return !f.published() && f.Path != path && f.Body.String() != sum
}

// clear makes place for what is published in a version that is served from
// directories: what is published is of one hand.
func (e *edit) clear(p *Package, f *File) error {
	at := p.Placed(f.Version, f.Path, f.Body.String())
	if at != "" && !e.Overwrite {
		return &DirectoryError{strings.TrimSpace(p.Name + " " + f.Version), at}
	}
	if at != "" {
		p.drop(func(other *File) bool { return other.Version == f.Version && other.isBeside(f.Path, f.Body.String()) })
	}
	return nil
}

// published reports whether a version has a file that was published.
func (p *Package) published(version string) bool {
	return slices.ContainsFunc(p.versionOf(version), func(f *File) bool { return f.published() && !f.Loose })
}
