package intake

import (
	"cmp"
	"slices"
	"strings"
)

// place is a name of an archive as a reader unpacks it.
type place struct {
	key    string // orders the names below a folder right behind it
	name   string
	folder bool
	chosen bool // a plugin looks at it
}

// checkCollisions refuses names that cannot all be unpacked, unless the archive
// is used as it is, and those that where case does not matter are one with what
// the plugin looks at. Others may differ in case alone: public packages have
// them.
func (u *unpacking) checkCollisions(packed bool) error {
	if !packed {
		all := u.places(strings.Clone)
		if a, b, found := collide(all, func(place, place) bool { return true }); found {
			return refused("its member %q is a file, and as a folder it has %q", a.name, b.name)
		}
	}
	if len(u.chosen) == 0 {
		return nil
	}
	if a, b, found := collide(u.places(fold), func(a, b place) bool { return a.chosen || b.chosen }); found {
		return refused("its members %q and %q are one where case does not matter, and one of them says which package it is", a.name, b.name)
	}
	return nil
}

// fold makes one of names that differ in case alone.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// places are all names in the archive.
func (u *unpacking) places(as func(string) string) []place {
	all := make([]place, 0, len(u.seen)+len(u.folders))
	key := func(name string) string { return strings.ReplaceAll(as(name), "/", "\x00") } // which no name has
	for name := range u.seen {
		all = append(all, place{key: key(name), name: name, chosen: u.chosen[name]})
	}
	for _, name := range u.folders {
		all = append(all, place{key: key(strings.TrimSuffix(name, "/")), name: name, folder: true})
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.name, b.name))
	})
	return all
}

// collide finds two places that readers take for one, of sorted ones and those
// that count: of one name, unless both are folders, or one below a file.
func collide(all []place, counts func(a, b place) bool) (place, place, bool) {
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		one := a.key == b.key && !(a.folder && b.folder)
		below := !a.folder && strings.HasPrefix(b.key, a.key+"\x00")
		if (one || below) && counts(a, b) {
			return a, b, true
		}
	}
	return place{}, place{}, false
}
