package main

import (
	"net/url"
	"strings"
)

// canonical returns the form of a crate's name under which it is kept and
// judged: lower-case. Dashes and underscores stay apart, as in the index.
func canonical(name string) string { return strings.ToLower(name) }

// validName reports whether a name can be a crate's: ASCII letters, digits,
// dashes and underscores (Cargo book, "Index Format", name restrictions).
func validName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return name != ""
}

// shard returns the folder of the index that a crate's file stands in, in the
// case of the name (Cargo book, "Index Format", index files). A name without
// characters has none.
func shard(name string) string {
	switch len(name) {
	case 0:
		return ""
	case 1, 2:
		return string(rune('0' + len(name)))
	case 3:
		return "3/" + name[:1]
	}
	return name[:2] + "/" + name[2:4]
}

// indexPath returns the address of a crate's index file, here and upstream.
func indexPath(name string) string {
	name = canonical(name)
	return "/" + shard(name) + "/" + name
}

// cratePath returns the canonical address here of a crate file.
func cratePath(name, version string) string {
	return "/crates/" + canonical(name) + "/" + url.PathEscape(version) + "/download"
}
