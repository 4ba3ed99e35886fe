package publish

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Rights are what the one who asks may do besides what the plan says.
type Rights struct {
	// Delete says why packages may not be deleted; nil: they may.
	Delete func(names []string) error
	// Administer reports whether a package may be administered.
	Administer func(name string) bool
	// Exists reports whether there is a user of a name.
	Exists func(user string) bool
}

// checkOwners holds what is to be changed against who owns it: a package that
// has owners is changed by them alone, and by administrators. Of one that has
// none, only these say who owns it, but for who publishes it first, and only
// these leave one without.
func (p *Publisher) checkOwners(r Request, operations []*pb.Operation) error {
	var deleted []string
	for _, name := range catalog.Names(operations) {
		known, err := p.cache.Catalog().Package(r.Repository.Name, name)
		if err != nil {
			return err
		}
		if known == nil {
			known = &catalog.Package{}
		}
		owned := slices.Contains(known.Owners, r.User)
		left := slices.Clone(known.Owners)
		if len(known.Owners) > 0 && !owned && !r.Rights.Administer(name) {
			return refusal(name, "%s is changed by its owners only, who are %s; one of them, or an administrator, can add others", name, strings.Join(known.Owners, ", "))
		}
		for _, o := range operations {
			if o.GetVersion().GetName() != name {
				continue
			}
			switch o.GetKind() {
			case pb.Operation_KIND_DELETE:
				deleted = append(deleted, name)
			case pb.Operation_KIND_OWN:
				if !r.Rights.Exists(o.GetValue()) {
					return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Name: name,
						Message: fmt.Sprintf("%s cannot own %s: no token has this name", o.GetValue(), name)}
				}
				left = append(left, o.GetValue())
				fallthrough
			case pb.Operation_KIND_DISOWN:
				if len(known.Owners) == 0 && known.Revision > 0 && !r.Rights.Administer(name) {
					return refusal(name, "%s has no owners, so an administrator says who they are", name)
				}
				if o.GetKind() == pb.Operation_KIND_DISOWN {
					left = slices.DeleteFunc(left, func(owner string) bool { return owner == o.GetValue() })
				}
			}
		}
		if len(left) == 0 && len(known.Owners) > 0 && !r.Rights.Administer(name) {
			return refusal(name, "without %s nobody would own %s, and anybody could change it; add another owner first", strings.Join(known.Owners, ", "), name)
		}
	}
	if len(deleted) > 0 {
		return r.Rights.Delete(slices.Compact(deleted))
	}
	return nil
}

func refusal(name, format string, a ...any) error {
	return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Name: name, Message: fmt.Sprintf(format, a...)}
}
