package catalog

import (
	"sync"
	"sync/atomic"

	"github.com/entrepot-registry/entrepot/sdk/names"
)

// Ours reports whether there is, or was, a package of a name, or of one that the
// rules of names say is the same. It is asked by every request for what is not
// ours, so it takes no lock once it was asked.
func (c *Catalog) Ours(repository, name string, rules names.Rules) (bool, error) {
	p, err := c.Package(repository, name)
	if err != nil || p != nil {
		return p != nil, err
	}
	folded := rules.Fold(name)
	if folded != name {
		if p, err = c.Package(repository, folded); err != nil || p != nil {
			return p != nil, err
		}
	}
	s, err := c.spellings(repository, rules)
	if err != nil {
		return false, err
	}
	_, there := s.folded.Load(folded)
	if !there {
		_, there = s.former.Load(folded)
	}
	return there, nil
}

// spellings are those names of a repository's packages that are not the ones
// which stand for all that are the same, and names of those that were.
type spellings struct {
	rules  names.Rules
	known  atomic.Bool // whether all are in it
	folded sync.Map    // name that stands for some of them
	former sync.Map    // name that stands for some of those that were

	mu sync.Mutex
	of map[string]map[string]bool // those that it stands for
}

// spellings finds those of a repository, all of them.
func (c *Catalog) spellings(repository string, rules names.Rules) (*spellings, error) {
	var s *spellings
	for s == nil {
		known, ok := c.spelled.LoadOrStore(repository, &spellings{rules: rules, of: map[string]map[string]bool{}})
		if s = known.(*spellings); ok && s.rules != rules {
			c.spelled.CompareAndDelete(repository, s) // of an earlier plugin
			s = nil
		}
	}
	if s.known.Load() {
		return s, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := c.Names(repository, "*")
	for _, name := range all {
		s.note(name, true)
	}
	if err == nil {
		all, err = c.Former(repository)
	}
	for _, name := range all {
		s.former.Store(rules.Fold(name), true)
	}
	s.known.Store(err == nil)
	return s, err
}

// note takes down that there is a package, or no longer.
func (s *spellings) note(name string, there bool) {
	folded := s.rules.Fold(name)
	switch {
	case folded == name:
	case there:
		if s.of[folded] == nil {
			s.of[folded] = map[string]bool{}
		}
		s.of[folded][name] = true
		s.folded.Store(folded, true)
	default:
		if delete(s.of[folded], name); len(s.of[folded]) == 0 {
			delete(s.of, folded)
			s.folded.Delete(folded)
		}
	}
}

// respell takes packages down as they were written, and those that are no more.
func (c *Catalog) respell(repository string, packages map[string]*Package, former map[string]bool) {
	known, ok := c.spelled.Load(repository)
	if !ok {
		return // nobody has asked yet
	}
	s := known.(*spellings)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range former {
		s.former.Store(s.rules.Fold(name), true)
	}
	for _, p := range packages {
		s.note(p.Name, p.Revision > 0)
	}
}
