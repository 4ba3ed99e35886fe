package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Catalog is what is hosted.
func (c *Cache) Catalog() *catalog.Catalog { return c.catalog }

// Plain is a repository as plugins get it.
func (r *Repository) Plain(base string) *pb.Repository { return r.wire(base) }

// MayPublish says why packages of a name cannot be published in a repository;
// nil: they can.
func (r *Repository) MayPublish(name string) *Failure {
	return r.mayPublish(name, func(pattern string) bool { return r.Names.Match(pattern, name) })
}

// MayPublishSome says why no package can be published in a repository whose name
// fits one of several patterns; nil: some can.
func (r *Repository) MayPublishSome(patterns []string) *Failure {
	return r.mayPublish(strings.Join(patterns, " or "), func(pattern string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return r.Names.Overlap(pattern, p) })
	})
}

func (r *Repository) mayPublish(name string, fits func(pattern string) bool) *Failure {
	h := r.Hosted
	if h != nil && (h.Any || slices.ContainsFunc(h.Names, fits) || slices.ContainsFunc(h.Merge, fits)) {
		return nil
	}
	f := &Failure{Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Name: name}
	f.Message = fmt.Sprintf("repository %q takes no packages: its configuration has no hosted block", r.Name)
	if h != nil && len(h.Names)+len(h.Merge) > 0 {
		f.Message = fmt.Sprintf("%s cannot be published in repository %q: its names are %s (hosted { names = […] } in the configuration)",
			name, r.Name, strings.Join(append(slices.Clone(h.Names), h.Merge...), ", "))
	}
	return f
}

// upstreamHas reports whether upstream may be asked for a package: not for
// names that are ours, nor for what we host or did, unless the two are merged. A
// name that the ecosystem takes for the same is the same here.
func (c *Cache) upstreamHas(repo *Repository, name string) (bool, error) {
	h := repo.Hosted
	switch {
	case h == nil || name == "":
		return true, nil
	case repo.Names.Any(h.Merge, name):
		return true, nil
	case repo.Names.Any(h.Names, name):
		return false, nil
	}
	ours, err := c.catalog.Ours(repo.Name, name, repo.Names)
	return !ours, err
}

// hostedNames are the packages of ours that a document is about.
func (c *Cache) hostedNames(repo *Repository, d *pb.Document) ([]string, error) {
	if repo.Hosted == nil {
		return nil, nil
	}
	names := slices.Clone(d.GetNames())
	if d.GetHosted() != "" {
		more, err := c.catalog.Names(repo.Name, d.GetHosted())
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// hostedKey changes with what is hosted of a document.
func (c *Cache) hostedKey(repo *Repository, names []string, pattern string) (string, error) {
	if repo.Hosted == nil {
		return "", nil
	}
	var b strings.Builder
	switch {
	case pattern == "*" || pattern == "" && len(names) == 0: // whatever changed may be in it, or be left out
		fmt.Fprint(&b, c.catalog.Epoch(repo.Name), ";")
	case pattern != "":
		found, err := c.foundKey(repo, pattern)
		if err != nil {
			return "", err
		}
		b.WriteString(found)
	}
	for _, name := range names {
		p, err := c.catalog.Package(repo.Name, name)
		if err != nil {
			return "", err
		}
		if p != nil {
			fmt.Fprintf(&b, "%s %d ", name, p.Revision)
		}
		asked, err := c.upstreamHas(repo, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%t;", asked)
	}
	return b.String(), nil
}

// foundKey changes with the packages of ours whose names match a pattern.
func (c *Cache) foundKey(repo *Repository, pattern string) (string, error) {
	found, err := c.catalog.Names(repo.Name, pattern)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range found {
		p, err := c.catalog.Package(repo.Name, name)
		if err != nil {
			return "", err
		}
		if p != nil {
			fmt.Fprintf(h, "%s %d;", name, p.Revision)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]) + ";", nil
}

// hostedPackages are those that a document is about, as plugins get them.
func (c *Cache) hostedPackages(repo *Repository, d *pb.Document) ([]*pb.HostedPackage, error) {
	names, err := c.hostedNames(repo, d)
	if err != nil {
		return nil, err
	}
	var out []*pb.HostedPackage
	for _, name := range names {
		p, err := c.catalog.Package(repo.Name, name)
		if err != nil {
			return nil, err
		}
		switch {
		case p == nil:
		case d.GetNamesOnly() && !slices.Contains(d.GetNames(), name):
			out = append(out, &pb.HostedPackage{Name: name, Revision: p.Revision})
		default:
			if i := slices.IndexFunc(d.GetExcerpts(), func(x *pb.Excerpt) bool { return x.GetName() == name }); i >= 0 {
				out = append(out, p.Excerpt(d.GetExcerpts()[i]))
				continue
			}
			out = append(out, p.Wire())
		}
	}
	return out, nil
}

// Lists reports whether a document of a repository can be rendered for who may
// read only some of the packages that it is about: ours are there without
// upstream.
func Lists(repo *Repository, d *pb.Document) bool {
	return repo.Hosted != nil && d.GetHosted() != "" && len(d.GetNames()) == 0 && len(d.GetSources()) == 0 && !d.GetSnapshot()
}

// Below is a repository that is mounted below another, with what of its packages
// may be shown in a list of the other's.
type Below struct {
	Repository *Repository
	// Path is that of its mount below the other's.
	Path     string
	Readable func(name string) bool
}

// Listed answers a document that [Lists] for one who may read only some packages,
// as if there were no others, with those of repositories below. It is made for this
// one, and not kept.
func (c *Cache) Listed(ctx context.Context, repo *Repository, d *pb.Document, base string, readable func(name string) bool, below []Below) (*Answer, error) {
	if err := c.pass(ctx, repo, d.GetNames()...); err != nil {
		return nil, err
	}
	d = proto.CloneOf(d)
	d.Query = true // it tells nothing of what there is
	m := newMaking(c, repo, d, base, anyKept)
	m.own, m.readable = true, readable
	for _, b := range below {
		if err := c.pass(ctx, b.Repository); err != nil {
			return nil, err
		}
		names, err := c.hostedNames(b.Repository, d)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if b.Readable(name) {
				m.below = append(m.below, &pb.HostedPackage{Name: b.Path + "/" + name})
			}
		}
	}
	r, err := m.render(ctx)
	if err != nil {
		return nil, err
	}
	r.Passing = true
	c.Stats.Misses.Add(1)
	return r.answer(repo, d, false, false)
}

// hostedFile is a file of ours; nil: there is none at the path. A failure says
// that upstream must not be asked for it either.
func (c *Cache) hostedFile(ctx context.Context, repo *Repository, plan *pb.Artifact) (*File, error) {
	if repo.Hosted == nil {
		return nil, nil
	}
	if err := c.pass(ctx, repo, plan.GetVersion().GetName()); err != nil {
		return nil, err
	}
	p, f, err := c.catalog.At(repo.Name, plan.GetPath(), plan.GetVersion().GetName())
	if err != nil {
		return nil, err
	}
	if f != nil {
		content, err := c.OpenHosted(f)
		if lost(err) {
			if _, now, _ := c.catalog.At(repo.Name, plan.GetPath(), p.Name); now != f {
				return c.hostedFile(ctx, repo, plan) // it changed meanwhile
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the file %s is in the catalogue, but cannot be read: %w", plan.GetPath(), err)
		}
		c.Stats.Hits.Add(1)
		if f.Loose && time.Since(f.Published) > repo.Hosted.Unused/8 {
			c.relyOn(repo, p.Name, f)
		}
		return &File{Content: content, Type: typeOf(plan, f.Type), Size: f.Size}, nil
	}
	name := plan.GetVersion().GetName()
	asked, err := c.upstreamHas(repo, name)
	if err != nil {
		return nil, err
	}
	if asked {
		return nil, c.besideOurs(repo, plan.GetPath(), plan.GetVersion())
	}
	return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: name, Version: plan.GetVersion().GetVersion(),
		Message: fmt.Sprintf("%s is not published here, and upstream is not asked for %s", strings.TrimPrefix(plan.GetPath(), "/"), name)}
}

// besideOurs says why upstream's file of a version is not served: the version is
// published here, and its files do not come from two publishers. Nil: it is not.
func (c *Cache) besideOurs(repo *Repository, path string, v *pb.Version) error {
	if repo.Hosted == nil || v.GetName() == "" || v.GetVersion() == "" {
		return nil
	}
	p, err := c.catalog.Package(repo.Name, v.GetName())
	if err != nil || !p.Has(v.GetVersion(), v.GetCanonical()) {
		return err
	}
	return &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: v.GetName(), Version: v.GetVersion(),
		Message: fmt.Sprintf("%s is no file of %s %s as it is published here, and upstream's of that version are not served beside it", strings.TrimPrefix(path, "/"), v.GetName(), v.GetVersion())}
}

// relyOn notes that a client found a file which may go when nothing needs it: it
// may be about to publish what does.
func (c *Cache) relyOn(repo *Repository, name string, f *catalog.File) {
	if err := c.catalog.Use(repo.Name, name, f.Path, time.Now(), repo.Hosted.Unused/8); err != nil {
		c.log.Warn("the use of a file cannot be noted", "repository", repo.Name, "file", f.Path, "error", err)
	}
}

// OpenHosted opens a file of ours, which must be closed.
func (c *Cache) OpenHosted(f *catalog.File) (*Content, error) {
	if f.Source != "" {
		return openSource(f)
	}
	return c.Open(Body{Digest: f.Body, Size: f.Size})
}

// alone reports whether all names are ours, so that there is nothing to ask
// upstream for.
func (r *Repository) alone() bool {
	return r.Hosted != nil && len(r.Hosted.Merge) == 0 && slices.Contains(r.Hosted.Names, "*")
}

// anyRole reports whether the repository's upstreams may have any names.
func (r *Repository) anyRole() bool {
	return slices.ContainsFunc(r.Describe.GetUpstreams(), func(u *pb.Upstream) bool { return u.GetRole() == "*" })
}

// absent is a source of which upstream is not asked.
func absent() *source { return &source{Status: 404, Checked: time.Now()} }

// answersAlone reports whether a document can be rendered without what upstream
// does not have: from packages of ours, of which a list may also be empty.
func (m *making) answersAlone() bool {
	return len(m.hosted) > 0 || m.repo.Hosted != nil && m.d.GetHosted() != ""
}

// ownNames reports whether a document is only about packages that upstream is
// not asked for.
func (m *making) ownNames(ctx context.Context) (bool, error) {
	names := m.d.GetNames()
	if m.repo.alone() {
		return true, nil // also what a search is for is not told
	}
	for _, name := range names {
		asked, err := m.c.upstreamHas(m.repo, name)
		if err != nil || asked {
			return false, err
		}
	}
	return len(names) > 0 && m.repo.Hosted != nil, ctx.Err()
}
