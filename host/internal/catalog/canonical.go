package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// formsKey marks repositories whose versions all have their canonical form.
const formsKey = "hosted/forms/" // repository → by which plugin binary

// Complete gives the versions of a repository that were stored without their
// canonical form the one that a plugin's binary says: they were stored before it
// did. It is done once for each binary. Form tells of the version of the file at a
// path; false: the plugin knows no such forms.
func (c *Catalog) Complete(repository, binary string, form func(path string) (string, bool, error)) error {
	done, err := c.db.Get(formsKey + repository)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && string(done) == binary {
		return nil
	}
	all, err := c.Names(repository, "*")
	if err != nil {
		return err
	}
	for _, name := range all {
		p, err := c.Package(repository, name)
		if err != nil {
			return err
		}
		forms, some, err := p.forms(form)
		if err != nil {
			return fmt.Errorf("the canonical forms of the versions of %s: %w", name, err)
		}
		if !some {
			break
		}
		if len(forms) == 0 {
			continue
		}
		err = c.rewrite(repository, name, time.Now(), func(p *Package) {
			for _, f := range p.Files {
				if given := forms[f.Version]; given != "" && f.Canonical == "" {
					formed := *f
					formed.Canonical = given
					p.put(&formed)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return c.db.Apply(store.Change{formsKey + repository: []byte(binary)})
}

// forms are the canonical forms of those versions that have none; false: the
// plugin knows none.
func (p *Package) forms(form func(path string) (string, bool, error)) (map[string]string, bool, error) {
	if p == nil {
		return nil, true, nil
	}
	all := map[string]string{}
	for _, f := range p.Files {
		if f.Canonical != "" || f.Version == "" || f.Path == "" || all[f.Version] != "" {
			continue
		}
		given, some, err := form(f.Path)
		if err != nil || !some {
			return nil, false, err
		}
		if given != "" {
			all[f.Version] = given
		}
	}
	return all, true, nil
}
