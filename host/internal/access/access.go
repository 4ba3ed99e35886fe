// Package access decides who may do what: tokens with permissions, and what
// anybody may do without one.
//
// A [Keeper] knows the tokens. [Credential] takes one out of a request's
// headers, [Keeper.Identify] turns it into an [Identity], without a lock and
// without reading the store, and [Identity.May] decides, for every
// repository, address and alias. [Limiter] bounds failures, [Audit] notes who
// was refused and what was changed.
package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

// Action is what somebody wants to do.
type Action string

// Actions. None includes another.
const (
	// Read documents and files.
	Read Action = "read"
	// Publish versions, tags and messages.
	Publish Action = "publish"
	// Delete or yank what is published.
	Delete Action = "delete"
	// Admin changes who owns packages.
	Admin Action = "admin"
	// Some is any of them: who may do something may enter.
	Some Action = ""
)

// Actions are all that can be allowed.
var Actions = []Action{Read, Publish, Delete, Admin}

// ParseAction reads an action's name.
func ParseAction(s string) (Action, error) {
	if a := Action(s); slices.Contains(Actions, a) {
		return a, nil
	}
	var names []string
	for _, a := range Actions {
		names = append(names, string(a))
	}
	return "", fmt.Errorf("%q is no action: write one of %s", s, strings.Join(names, ", "))
}

// Everything stands for all packages of a repository. Who may touch only some
// gets no document that is about all of them.
const Everything = "*"

// NoToken is the text of a token that stands for nobody in particular: clients
// that must send one get it.
const NoToken = "ent_nobody"

// Permission allows actions on packages of repositories. In the patterns *
// stands for any run of characters and ? for one.
type Permission struct {
	// Actions that are allowed; empty: none.
	Actions []Action `json:"actions"`
	// Repository is a pattern of names of repositories.
	Repository string `json:"repository"`
	// Package is a pattern of canonical names of packages.
	Package string `json:"package"`
}

// ParsePermission reads ACTIONS[:REPOSITORY[:PACKAGE]], where actions are
// separated by commas and a part that is missing stands for any.
func ParsePermission(s string) (Permission, error) {
	p := Permission{Repository: Everything, Package: Everything}
	actions, rest, more := strings.Cut(s, ":")
	for name := range strings.SplitSeq(actions, ",") {
		a, err := ParseAction(name)
		if err != nil {
			return p, err
		}
		p.Actions = append(p.Actions, a)
	}
	if more {
		if p.Repository, p.Package, more = strings.Cut(rest, ":"); !more {
			p.Package = Everything
		}
	}
	return p, p.check()
}

func (p Permission) check() error {
	for _, a := range p.Actions {
		if _, err := ParseAction(string(a)); err != nil {
			return err
		}
	}
	if p.Repository == "" || p.Package == "" {
		return fmt.Errorf("permission %q: write ACTIONS:REPOSITORY:PACKAGE, or leave parts at the end out", p)
	}
	return nil
}

// String is the permission as [ParsePermission] reads it.
func (p Permission) String() string {
	var actions []string
	for _, a := range p.Actions {
		actions = append(actions, string(a))
	}
	return strings.Join(actions, ",") + ":" + p.Repository + ":" + p.Package
}

// allows reports whether the action is allowed on some package of a repository.
func (p Permission) allows(action Action, repository string) bool {
	if action == Some && len(p.Actions) == 0 || action != Some && !slices.Contains(p.Actions, action) {
		return false
	}
	return cooldown.Match(p.Repository, repository)
}

func (p Permission) covers(name string, rules names.Rules) bool {
	if name == Everything {
		return p.Package == Everything
	}
	return rules.Exact().Match(p.Package, name)
}

// Identity is who asks; nil: nobody in particular.
type Identity struct {
	id, user    string
	permissions []Permission
	limit       *limit // of a token that was issued; nil: none
}

// User is the name of the token; empty: nobody in particular.
func (id *Identity) User() string {
	if id == nil {
		return ""
	}
	return id.user
}

// Token is the id of the token; empty: nobody in particular.
func (id *Identity) Token() string {
	if id == nil {
		return ""
	}
	return id.id
}

// Denied says why something is not allowed.
type Denied struct {
	// Reason for people.
	Reason string
	// LogIn says that another token, or one at all, would help.
	LogIn bool
	// Lapsed says that the token is one, or was, but is not good now, or from here: it
	// is no guess.
	Lapsed bool
}

// Error is the reason.
func (d *Denied) Error() string { return d.Reason }

// May decides whether an action is allowed on packages of a repository where
// anybody may take the anonymous ones; nil: it is, else a [*Denied]. Without
// packages a permission for any of them is enough; [Everything], or an empty
// name, takes one for all. Of a token that was issued, the one that it was issued
// for must allow it, and, but for [Some], a grant where the repository is
// mounted. The rules say which names are the same. It is the only function that
// decides this, but for [Identity.MaySome] and [Identity.List].
func (id *Identity) May(action Action, repository, mounted string, packages []string, anonymous []Action, rules names.Rules) error {
	if slices.Contains(anonymous, action) || action == Some && len(anonymous) > 0 {
		return nil
	}
	if id == nil {
		return &Denied{LogIn: true, Reason: fmt.Sprintf("a token is needed to %s repository %s", verb(action), repository)}
	}
	if len(packages) == 0 && !id.holds(action, repository, nil, rules) {
		return &Denied{Reason: fmt.Sprintf("token %s (%s) may not %s repository %s", id.user, id.id, verb(action), repository)}
	}
	if len(packages) == 0 && !id.granted(action, mounted, nil, rules) {
		return &Denied{LogIn: true, Reason: fmt.Sprintf("the token was not issued to %s anything of repository %s: ask for one with this scope", verb(action), repository)}
	}
	for _, name := range packages {
		if name == "" {
			name = Everything
		}
		if id.holds(action, repository, &name, rules) {
			if id.granted(action, mounted, &name, rules) {
				continue
			}
			return &Denied{LogIn: true, Reason: fmt.Sprintf("the token was not issued to %s %s: ask for one with this scope", verb(action), name)}
		}
		if name == Everything {
			return &Denied{Reason: fmt.Sprintf("token %s (%s) may not %s all packages of repository %s, which this address is about", id.user, id.id, verb(action), repository)}
		}
		return &Denied{Reason: fmt.Sprintf("token %s (%s) may not %s %s in repository %s", id.user, id.id, verb(action), name, repository)}
	}
	return nil
}

// MaySome decides as [Identity.May] about a request that is for some package with
// a name that fits one of several patterns, nobody knows which: who may do it to
// none of them may not.
func (id *Identity) MaySome(action Action, repository, mounted string, patterns []string, anonymous []Action, rules names.Rules) error {
	if err := id.May(action, repository, mounted, nil, anonymous, rules); err != nil || id == nil || slices.Contains(anonymous, action) {
		return err
	}
	for i := range id.permissions {
		p := &id.permissions[i]
		if p.allows(action, repository) && slices.ContainsFunc(patterns, func(pattern string) bool { return rules.Exact().Overlap(p.Package, pattern) }) {
			return nil
		}
	}
	return &Denied{Reason: fmt.Sprintf("token %s (%s) may not %s %s in repository %s", id.user, id.id, verb(action), strings.Join(patterns, " or "), repository)}
}

// List tells which packages of a repository one may see in a list of all of them
// who may not read them all; an error, as [Identity.May] has it, says that there
// are none. A token that was issued must have been issued for the list.
func (id *Identity) List(repository, mounted string, rules names.Rules) (readable func(name string) bool, err error) {
	if err := id.May(Read, repository, mounted, nil, nil, rules); err != nil {
		return nil, err
	}
	if all := Everything; !id.granted(Read, mounted, &all, rules) {
		return nil, &Denied{LogIn: true, Reason: fmt.Sprintf("the token was not issued to list repository %s: ask for one with this scope", repository)}
	}
	return func(name string) bool { return id.holds(Read, repository, &name, rules) }, nil
}

// holds reports whether a permission allows the action on a package; nil: on
// any.
func (id *Identity) holds(action Action, repository string, name *string, rules names.Rules) bool {
	for i := range id.permissions {
		p := &id.permissions[i]
		if p.allows(action, repository) && (name == nil || p.covers(*name, rules)) {
			return true
		}
	}
	return false
}

// granted reports whether an issued token was issued for the action; others are
// for any.
func (id *Identity) granted(action Action, mounted string, name *string, rules names.Rules) bool {
	return id.limit == nil || action == Some || id.limit.covers(action, mounted, name, rules)
}

// Issued reports whether the token was issued for an action on a package of what
// is mounted at an address: whoever asked for it says that this is what it is for.
func (id *Identity) Issued(action Action, mounted, name string, rules names.Rules) bool {
	return id != nil && id.limit != nil && id.limit.covers(action, mounted, &name, rules)
}

// Oversees reports whether everything in all repositories may be read.
func (id *Identity) Oversees() bool {
	return id != nil && id.limit == nil && slices.ContainsFunc(id.permissions, func(p Permission) bool {
		return slices.Contains(p.Actions, Read) && p.Repository == Everything && p.Package == Everything
	})
}

func verb(a Action) string {
	switch a {
	case Some:
		return "use"
	case Admin:
		return "administer"
	case Publish:
		return "publish to"
	case Delete:
		return "delete from"
	}
	return string(a)
}
