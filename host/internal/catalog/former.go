package catalog

import (
	"errors"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

// formerKey is where names are remembered of packages that were here: repository,
// name. Who relied on them must not get what others publish by these names.
const formerKey = "hosted/former/"

// lasts reports whether a package has something that does not go by itself.
func (p *Package) lasts() bool {
	for _, f := range p.Files {
		if !f.Loose {
			return true
		}
	}
	return false
}

// part remembers the name of a package that has nothing more.
func (e *edit) part(before, p *Package) {
	if before.lasts() && !p.lasts() {
		e.bygone(p.Name)
	}
}

// bygone remembers a name.
func (e *edit) bygone(name string) {
	e.records[key(formerKey+e.Repository, name)] = []byte{}
	e.former[name] = true
}

// Former are the names of packages that a repository had at some time and has
// no more, or has again, sorted.
func (c *Catalog) Former(repository string) ([]string, error) {
	return c.named(formerKey, repository, "*")
}

// GiveUp forgets packages that a repository had, whose names fit a pattern as the
// rules have it, and returns their names. Those that it has stay ours.
func (c *Catalog) GiveUp(repository, pattern string, rules names.Rules, now time.Time) ([]string, error) {
	all, err := c.Former(repository)
	if err != nil {
		return nil, err
	}
	s, err := c.spellings(repository, rules)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var given []string
	change := store.Change{}
	for _, name := range all {
		if rules.Match(pattern, name) {
			given = append(given, name)
			change[key(formerKey+repository, name)] = nil
		}
	}
	advanced := c.advance(repository, now, change)
	if err := errors.Join(c.db.ApplyAll(change), c.db.Sync()); err != nil {
		return nil, err
	}
	for _, name := range given {
		s.former.Delete(rules.Fold(name))
	}
	advanced()
	return given, nil
}

// Any reports whether a repository has packages of its own, or had some.
func (c *Catalog) Any(repository string) (found bool, err error) {
	for _, prefix := range []string{packageKey, formerKey} {
		err := c.db.Each(key(prefix+repository, ""), true, func(string, []byte) bool {
			found = true
			return false
		})
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// named are the names in keys of a repository that match a pattern, sorted.
func (c *Catalog) named(prefix, repository, pattern string) ([]string, error) {
	var all []string
	prefix = key(prefix+repository, "")
	beginning := pattern
	if wild := strings.IndexAny(pattern, "*?"); wild >= 0 {
		beginning = pattern[:wild]
	}
	err := c.db.Each(prefix+beginning, true, func(k string, _ []byte) bool {
		if name := strings.TrimPrefix(k, prefix); names.Match(pattern, name) {
			all = append(all, name)
		}
		return true
	})
	return all, err
}
