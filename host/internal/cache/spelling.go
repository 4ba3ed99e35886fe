package cache

import (
	"context"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// listed is what the document about a version tells of it.
type listed struct {
	// version as it is listed; as it was asked for where it is not.
	version string
	// facts of it; nil: it is not listed.
	facts []*pb.Fact
	// all are the facts of the document.
	all []*pb.Fact
}

// listed looks a version up in the document about it, by any spelling. Upstream is
// asked again, no more often than "not found" is believed, before it counts as not
// listed: it may be newer than what is kept.
func (c *Cache) listed(ctx context.Context, repo *Repository, d *pb.Document, base string, v *pb.Version) (l listed, err error) {
	again := time.Now().Add(-repo.NegativeTTL)
	for _, since := range []time.Time{{}, again} {
		set, err := c.factsOf(ctx, repo, d, base, since)
		if err != nil {
			if since.IsZero() {
				return l, err
			}
			return l, nil // what is kept has to do
		}
		l = listed{v.GetVersion(), versionIn(set.facts, v.GetName(), v.GetVersion(), d.GetHistory()), set.facts}
		if len(l.facts) > 0 {
			return l, nil
		}
		other, err := c.spelled(ctx, repo, base, v.GetName(), d.GetCanonical(), set.facts)
		if err != nil {
			return l, err
		}
		if other != "" {
			l.version, l.facts = other, versionIn(set.facts, v.GetName(), other, false)
			return l, nil
		}
	}
	return l, nil
}

// SameVersion is which of some versions of a package another is, that is spelled
// otherwise; empty: none is.
func (c *Cache) SameVersion(ctx context.Context, repo *Repository, name, version string, of []string) (string, error) {
	d, err := c.about(ctx, repo, "", &pb.Version{Name: name, Version: version})
	if err != nil {
		return "", err
	}
	var facts []*pb.Fact
	for _, v := range of {
		facts = append(facts, &pb.Fact{Name: name, Version: v})
	}
	return c.spelled(ctx, repo, "", name, d.GetCanonical(), facts)
}

// spelled is the version of a package among facts that has a canonical form;
// empty: none has.
func (c *Cache) spelled(ctx context.Context, repo *Repository, base, name, canonical string, facts []*pb.Fact) (string, error) {
	if canonical == "" {
		return "", nil
	}
	tried := map[string]bool{}
	for _, f := range facts {
		if f.GetName() != name || tried[f.GetVersion()] {
			continue
		}
		tried[f.GetVersion()] = true
		d, err := c.about(ctx, repo, base, &pb.Version{Name: name, Version: f.GetVersion()})
		if err != nil {
			return "", err
		}
		if d.GetCanonical() == canonical {
			return f.GetVersion(), nil
		}
	}
	return "", nil
}

// versionIn are the facts of a version in a document about it: those with its
// name, or, in a document with a history that has none, all, because the version
// stands for what is told there now.
func versionIn(facts []*pb.Fact, name, version string, history bool) []*pb.Fact {
	var named []*pb.Fact
	for _, f := range facts {
		if f.GetName() == name && f.GetVersion() == version {
			named = append(named, f)
		}
	}
	if len(named) == 0 && history {
		return facts
	}
	return named
}
