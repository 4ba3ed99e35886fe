// Package names says which spellings of a package's name mean the same.
//
// A plugin declares the [Rules] of its ecosystem. The host and the SDK compare
// with them wherever a name meets a pattern, or another name, that somebody
// wrote: names that are ours, rules of cool-down, permissions of tokens. What
// an ecosystem's clients take for one package is then one package to all of
// them, and nobody asks upstream for the other spelling of a name that is ours.
package names

import "strings"

// Rules say which spellings of a name are the same. Zero: none but its own.
type Rules struct {
	// IgnoreCase says that upper and lower case are the same.
	IgnoreCase bool
	// CaseApart says, with IgnoreCase, that names which differ in case are packages of
	// their own all the same, as old ones of npm are. One that is ours keeps all of
	// them from upstream; what is allowed to one is allowed to no other. See Exact.
	CaseApart bool
	// Alike are ASCII characters that are the same, as "-_.", of which Fold writes
	// the first; empty: none.
	Alike string
	// Runs says that several of Alike in a row are the same as one; without Alike
	// it says nothing.
	Runs bool
	// Loose are ASCII characters that a pattern may have in each other's place, as
	// "/." where com.acme.* means all of the group com.acme as well. Names that
	// differ in them stay different names. Empty: none.
	Loose string
	// Prefix may stand before a name without making it another, as the host of
	// the default registry with its slash does, in lower case where IgnoreCase is
	// set; a space is between several; empty: nothing may. A pattern with it fits no
	// name that begins with another host.
	Prefix string
	// Home is a folder whose last part may be left out of what lies in it and in
	// no folder below, as library/ of an image's name, or example.com/library/. It
	// ends in a slash, is in lower case where IgnoreCase is set, and is written
	// without Prefix. Empty: none may.
	Home string
}

// Exact are the rules for what is allowed to a package, by a rule of cool-down or a
// permission, rather than kept from it.
func (r Rules) Exact() Rules {
	if r.CaseApart {
		r.IgnoreCase = false
	}
	return r
}

// Fold brings a name, or a pattern of names, to the spelling that stands for all
// that are the same.
func (r Rules) Fold(name string) string {
	if r.IgnoreCase {
		name = strings.ToLower(name)
	}
	name, _ = r.bare(name)
	// What a pattern with wildcards means below it is left to Match: they may also
	// stand for folders.
	if short, ok := r.home(name); ok && !strings.ContainsAny(short, "/*?") {
		name = r.above() + short
	}
	return join(name, r.Alike, r.Runs)
}

// bare is a name without Prefix, and whether it had one.
func (r Rules) bare(name string) (string, bool) {
	for prefix := range strings.FieldsSeq(r.Prefix) {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest, true
		}
	}
	return name, false
}

// home is what is left of a name below Home.
func (r Rules) home(name string) (string, bool) {
	if r.Home == "" {
		return "", false
	}
	return strings.CutPrefix(name, r.Home)
}

// above is the folder that Home is in, with its slash.
func (r Rules) above() string {
	return r.Home[:strings.LastIndexByte(strings.TrimSuffix(r.Home, "/"), '/')+1]
}

// join writes characters that are the same as the first of them, and with runs
// several in a row as one.
func join(name, same string, runs bool) string {
	if same == "" || !strings.ContainsAny(name, same) {
		return name
	}
	changed, run := false, false
	at := func(i int) (alike bool) { return strings.IndexByte(same, name[i]) >= 0 }
	for i := range len(name) {
		alike := at(i)
		changed = changed || alike && (name[i] != same[0] || run && runs)
		run = alike
	}
	if !changed {
		return name
	}
	out := make([]byte, 0, len(name))
	run = false
	for i := range len(name) {
		alike := at(i)
		switch {
		case !alike:
			out = append(out, name[i])
		case !run || !runs:
			out = append(out, same[0])
		}
		run = alike
	}
	return string(out)
}

// Match reports whether a name fits a pattern, as [Match] does, however both are
// spelled.
func (r Rules) Match(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	if r.prefixed(pattern) && elsewhere(r.Fold(name)) {
		return false
	}
	pattern, name = r.Fold(pattern), r.Fold(name)
	if Match(join(pattern, r.Loose, false), join(name, r.Loose, false)) {
		return true
	}
	below, ok := r.home(pattern)
	if !ok {
		return false
	}
	short, ok := strings.CutPrefix(name, r.above())
	return ok && !strings.Contains(short, "/") && Match(below, short)
}

// prefixed reports whether Prefix stands before a pattern.
func (r Rules) prefixed(pattern string) bool {
	if r.IgnoreCase {
		pattern = strings.ToLower(pattern)
	}
	_, ok := r.bare(pattern)
	return ok
}

// elsewhere reports whether a name begins with a host, as references of images
// tell it: by a dot or a port.
func elsewhere(name string) bool {
	first, _, below := strings.Cut(name, "/")
	return below && (first == "localhost" || strings.ContainsAny(first, ".:"))
}

// Any reports whether a name fits one of several patterns; nil: it does not.
func (r Rules) Any(patterns []string, name string) bool {
	for _, p := range patterns {
		if r.Match(p, name) {
			return true
		}
	}
	return false
}

// Overlap reports whether a name can fit two patterns, however they are spelled.
// What Home has left out of it is not looked at.
func (r Rules) Overlap(a, b string) bool {
	return Overlap(join(r.Fold(a), r.Loose, false), join(r.Fold(b), r.Loose, false))
}

// Match reports whether a name fits a pattern in which * stands for any run of
// characters (also none, also slashes) and ? for one byte. An empty pattern
// matches the empty name alone.
func Match(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Overlap reports whether a name can fit two patterns of [Match].
func Overlap(a, b string) bool {
	// row[j] is whether what is left of a and b[j:] overlap.
	row := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		below := row
		row = make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			inA, inB := i < len(a), j < len(b)
			switch {
			case !inA && !inB:
				row[j] = true
			case inA && a[i] == '*':
				row[j] = below[j] || inB && row[j+1]
			case inB && b[j] == '*':
				row[j] = row[j+1] || inA && below[j]
			case inA && inB && (a[i] == b[j] || a[i] == '?' || b[j] == '?'):
				row[j] = below[j+1]
			}
		}
	}
	return row[0]
}
