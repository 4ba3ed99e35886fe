package main

import (
	"cmp"
	"slices"
	"strings"
)

// compare orders versions as Maven does (POM reference, version order).
func compare(a, b string) int { return compareLists(parseVersion(a), parseVersion(b)) }

// item is a part of a version: a number, a word or a list of parts.
type item struct {
	kind kind
	// text is a number without zeros before it, empty for zero, or a word.
	text string
	list []item
}

// kind is the kind of an item; those that come later are higher.
type kind int

const (
	word kind = iota
	list
	number
)

// words are the qualifiers with an order of their own, of which the empty one is
// a release; all others come after them in the order of the alphabet.
var words = []string{"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"}

const release = 5

// parseVersion takes a version apart: at dots, and with a list of what follows
// at hyphens and between digits and letters.
func parseVersion(version string) []item {
	p := parsing{lists: [][]item{nil}}
	start, digits := 0, false
	version = strings.ToLower(version)
	for i := range len(version) {
		digit := '0' <= version[i] && version[i] <= '9'
		switch c := version[i]; {
		case c == '.' || c == '-':
			if i == start {
				p.add(item{kind: number})
			} else {
				p.add(itemOf(version[start:i], digits, false))
			}
			if start = i + 1; c == '-' {
				p.descend()
			}
		case digit && !digits && i > start:
			p.word(itemOf(version[start:i], false, true))
			start = i
			p.descend()
		case !digit && digits && i > start:
			p.add(itemOf(version[start:i], true, false))
			start = i
			p.descend()
		}
		digits = digit
	}
	if rest := version[start:]; rest != "" && digits {
		p.add(itemOf(rest, true, false))
	} else if rest != "" {
		p.word(itemOf(rest, false, false))
	}
	return p.end()
}

// parsing is the lists that are open, each the last item of the one before.
type parsing struct{ lists [][]item }

func (p *parsing) add(i item) {
	last := len(p.lists) - 1
	p.lists[last] = append(p.lists[last], i)
}

// descend begins a list.
func (p *parsing) descend() { p.lists = append(p.lists, nil) }

// word adds a word before which a dot is as good as a hyphen.
func (p *parsing) word(i item) {
	if len(p.lists[len(p.lists)-1]) > 0 {
		p.descend()
	}
	p.add(i)
}

// end closes all lists.
func (p *parsing) end() []item {
	for last := len(p.lists) - 1; last > 0; last-- {
		closed := normalized(p.lists[last])
		p.lists = p.lists[:last]
		p.add(item{kind: list, list: closed})
	}
	return normalized(p.lists[0])
}

// itemOf is a part without separators. Single letters before digits stand for
// words.
func itemOf(text string, digits, beforeDigits bool) item {
	if digits {
		return item{kind: number, text: strings.TrimLeft(text, "0")}
	}
	if beforeDigits {
		switch text {
		case "a":
			text = "alpha"
		case "b":
			text = "beta"
		case "m":
			text = "milestone"
		}
	}
	switch text {
	case "ga", "final", "release":
		text = ""
	case "cr":
		text = "rc"
	}
	return item{kind: word, text: text}
}

// normalized is a list without what makes no difference: zeros, empty words and
// empty lists at its end, or with only lists after them.
func normalized(all []item) []item {
	for i := len(all) - 1; i >= 0; i-- {
		switch {
		case all[i].null():
			all = slices.Delete(all, i, i+1)
		case all[i].kind != list:
			return all
		}
	}
	return all
}

// null reports whether an item says nothing: 0, a release, or an empty list.
func (i item) null() bool { return i.text == "" && len(i.list) == 0 }

// rank is the place of a word among qualifiers.
func (i item) rank() int {
	if at := slices.Index(words, i.text); at >= 0 {
		return at
	}
	return len(words)
}

// sign compares an item with none.
func (i item) sign() int {
	switch i.kind {
	case number:
		return cmp.Compare(len(i.text), 0)
	case word:
		return cmp.Compare(i.rank(), release)
	}
	for _, inner := range i.list {
		if s := inner.sign(); s != 0 {
			return s
		}
	}
	return 0
}

func compareItems(a, b item) int {
	switch {
	case a.kind != b.kind:
		return cmp.Compare(a.kind, b.kind)
	case a.kind == number:
		return cmp.Or(cmp.Compare(len(a.text), len(b.text)), strings.Compare(a.text, b.text))
	case a.kind == word:
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), strings.Compare(a.text, b.text))
	}
	return compareLists(a.list, b.list)
}

func compareLists(a, b []item) int {
	for i := range max(len(a), len(b)) {
		c := 0
		switch {
		case i >= len(a):
			c = -b[i].sign()
		case i >= len(b):
			c = a[i].sign()
		default:
			c = compareItems(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
