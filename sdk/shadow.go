package sdk

import "slices"

// atom is what a pattern has in one place.
type atom struct {
	kind int
	char byte // of kind exactly
}

// Kinds of atoms.
const (
	exactly = iota // one character
	within         // one or more that are no slash
	across         // one or more
)

// admits reports whether a character can stand at an atom.
func (a atom) admits(c byte) bool {
	return a.kind == across || a.kind == within && c != '/' || a.kind == exactly && c == a.char
}

// covers reports whether every path that other matches is also matched by p, so
// that behind it other is never asked. Places in both patterns are followed
// side by side, for every character that makes a difference.
func (p *pattern) covers(other *pattern) bool {
	type pair struct {
		at  int    // in other
		can string // where in p one can be, a byte a place
	}
	if p.method != other.method || len(p.atoms) > 250 {
		return false
	}
	start := pair{0, "\x00"}
	seen, open := map[pair]bool{start: true}, []pair{start}
	for len(open) > 0 {
		now := open[len(open)-1]
		open = open[:len(open)-1]
		if now.at == len(other.atoms) {
			if !slices.Contains([]byte(now.can), byte(len(p.atoms))) {
				return false
			}
			continue
		}
		for _, c := range append(characters(p.atoms, other.atoms), '/', 0) { // 0 stands for all others
			if !other.atoms[now.at].admits(c) {
				continue
			}
			can := p.advance(now.can, c)
			if can == "" {
				return false // whatever follows, other goes on
			}
			next := []pair{{now.at + 1, can}}
			if other.atoms[now.at].kind != exactly {
				next = append(next, pair{now.at, can})
			}
			for _, n := range next {
				if !seen[n] {
					seen[n] = true
					open = append(open, n)
				}
			}
		}
	}
	return true
}

// advance is where one can be after a character.
func (p *pattern) advance(can string, c byte) string {
	var next []byte
	for _, at := range []byte(can) {
		if int(at) == len(p.atoms) || !p.atoms[at].admits(c) {
			continue
		}
		if p.atoms[at].kind != exactly {
			next = append(next, at)
		}
		next = append(next, at+1)
	}
	slices.Sort(next)
	return string(slices.Compact(next))
}

// characters are those that stand in patterns for themselves.
func characters(all ...[]atom) []byte {
	var out []byte
	for _, a := range slices.Concat(all...) {
		if a.kind == exactly {
			out = append(out, a.char)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
