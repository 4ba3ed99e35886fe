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
	// Alike are ASCII characters that are the same, as "-_."; empty: none.
	Alike string
	// Runs says that several of Alike in a row are the same as one.
	Runs bool
	// Prefix may stand before a name without making it another, as the host of
	// the default registry with its slash does; empty: nothing may.
	Prefix string
}

// Fold brings a name, or a pattern of names, to the spelling that stands for all
// that are the same.
func (r Rules) Fold(name string) string {
	if r.IgnoreCase {
		name = strings.ToLower(name)
	}
	if r.Prefix != "" {
		name = strings.TrimPrefix(name, r.Prefix)
	}
	if r.Alike == "" || !strings.ContainsAny(name, r.Alike) {
		return name
	}
	return r.join(name)
}

// join writes those of Alike as the first of them.
func (r Rules) join(name string) string {
	changed, run := false, false
	at := func(i int) (alike bool) { return strings.IndexByte(r.Alike, name[i]) >= 0 }
	for i := range len(name) {
		alike := at(i)
		changed = changed || alike && (name[i] != r.Alike[0] || run && r.Runs)
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
		case !run || !r.Runs:
			out = append(out, r.Alike[0])
		}
		run = alike
	}
	return string(out)
}

// Match reports whether a name fits a pattern, as [Match] does, however both are
// spelled.
func (r Rules) Match(pattern, name string) bool {
	return pattern == "*" || Match(r.Fold(pattern), r.Fold(name))
}

// Any reports whether a name fits one of several patterns.
func (r Rules) Any(patterns []string, name string) bool {
	for _, p := range patterns {
		if r.Match(p, name) {
			return true
		}
	}
	return false
}

// Match reports whether a name fits a pattern in which * stands for any run of
// characters (also none, also slashes) and ? for one byte.
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
