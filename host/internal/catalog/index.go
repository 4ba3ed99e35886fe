package catalog

import (
	"cmp"
	"math"
	"slices"

	"github.com/tidwall/btree"
)

// index finds files of a package. Its copies share what is the same in them, so
// that a change costs no more where there are many files.
type index struct {
	paths    *btree.BTreeG[*File] // of those that have one
	versions *btree.BTreeG[*File]
	forms    *btree.BTreeG[*File] // canonical ones of versions
}

func newIndex() index {
	by := func(what func(*File) string) *btree.BTreeG[*File] {
		return btree.NewBTreeG(func(a, b *File) bool {
			return cmp.Or(cmp.Compare(what(a), what(b)), cmp.Compare(a.Number, b.Number)) < 0
		})
	}
	return index{
		paths:    by(func(f *File) string { return f.Path }),
		versions: by(func(f *File) string { return f.Version }),
		forms:    by((*File).canonical),
	}
}

func (x index) copy() index {
	return index{x.paths.Copy(), x.versions.Copy(), x.forms.Copy()}
}

func (x index) add(f *File) {
	if f.Path != "" {
		x.paths.Set(f)
	}
	x.versions.Set(f)
	x.forms.Set(f)
}

func (x index) drop(f *File) {
	x.paths.Delete(f)
	x.versions.Delete(f)
	x.forms.Delete(f)
}

// newPackage is one without anything.
func newPackage(name string) *Package { return &Package{Name: name, index: newIndex()} }

// put adds a file, or puts it in the place of the one that has its number.
func (p *Package) put(f *File) {
	if i, there := numbered(p.Files, f.Number); there {
		p.index.drop(p.Files[i])
		p.Files[i] = f
	} else {
		p.Files = slices.Insert(p.Files, i, f)
	}
	p.index.add(f)
}

// drop removes files.
func (p *Package) drop(goes func(*File) bool) {
	p.Files = slices.DeleteFunc(p.Files, func(f *File) bool {
		if !goes(f) {
			return false
		}
		p.index.drop(f)
		return true
	})
}

// numbered is where a file of a number stands, or would stand, among files in
// order of theirs.
func numbered(files []*File, number uint64) (at int, there bool) {
	return slices.BinarySearchFunc(files, number, func(f *File, number uint64) int { return cmp.Compare(f.Number, number) })
}

// differ are the files that went and those that came, of a package before and
// after a change. One that was replaced went and came.
func differ(before, after []*File) (gone, fresh []*File) {
	for len(before) > 0 && len(after) > 0 {
		was, is := before[0], after[0]
		if was == is {
			before, after = before[1:], after[1:]
			continue
		}
		if was.Number <= is.Number {
			gone, before = append(gone, was), before[1:]
		}
		if is.Number <= was.Number {
			fresh, after = append(fresh, is), after[1:]
		}
	}
	return append(gone, before...), append(fresh, after...)
}

// At is the file at a path; nil: there is none.
func (p *Package) At(path string) (found *File) {
	if p == nil || len(p.Files) == 0 {
		return nil
	}
	p.index.paths.Descend(&File{Path: path, Number: math.MaxUint64}, func(f *File) bool {
		if f.Path == path {
			found = f
		}
		return false
	})
	return found
}

// versionOf are the files of a version.
func (p *Package) versionOf(version string) []*File {
	var all []*File
	if len(p.Files) == 0 {
		return nil
	}
	p.index.versions.Ascend(&File{Version: version}, func(f *File) bool {
		if f.Version != version {
			return false
		}
		all = append(all, f)
		return true
	})
	return all
}

// Spelled is a version that is the same as another, of which the canonical form is
// given as in a file, but spelled otherwise; empty: there is none.
func (p *Package) Spelled(version, canonical string) (other string) {
	if len(p.Files) == 0 {
		return ""
	}
	pivot := &File{Version: version, Canonical: canonical}
	p.index.forms.Ascend(pivot, func(f *File) bool {
		same := f.canonical() == pivot.canonical()
		if same && f.Version != version {
			other = f.Version
		}
		return same && other == ""
	})
	return other
}

// Has reports whether a version is there, however it is spelled; its canonical
// form is given as in a file. What has no version has none.
func (p *Package) Has(version, canonical string) bool {
	if p == nil || version == "" {
		return false
	}
	return len(p.versionOf(version)) > 0 || p.formed(version) || p.formed(cmp.Or(canonical, version)) || len(p.versionOf(cmp.Or(canonical, version))) > 0
}

// formed reports whether there is a version of a canonical form.
func (p *Package) formed(form string) (found bool) {
	if len(p.Files) == 0 {
		return false
	}
	p.index.forms.Ascend(&File{Version: form}, func(f *File) bool {
		found = f.canonical() == form
		return false
	})
	return found
}
