package cache

import (
	"context"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// coolsDown reports whether versions of a package can be held back at all.
func (c *Cache) coolsDown(repo *Repository, name string) bool {
	for _, r := range c.policy.For(repo.eco(), []string{name}, time.Now()).Rules {
		if r.Window > 0 {
			return true
		}
	}
	return false
}

// floorsElsewhere are the floors of facts of a document that the listing of its
// package judges. What the listing did not have when it was last looked at is
// new (see look.since); the first such look is what counts, so it is remembered
// for the document.
func (c *Cache) floorsElsewhere(repo *Repository, d *pb.Document, listing *sightings, facts []*pb.Fact, at time.Time, keep bool) (map[cooldown.Key]time.Time, error) {
	if !repo.Describe.GetCompleteListings() {
		return listing.floors(), nil // that it lacks a version says nothing
	}
	look := c.look(repo, at)
	look.elsewhere = true
	next, fresh := listing.observe(facts, look)
	floors := next.floors()
	if !fresh {
		return floors, nil
	}
	own, err := c.sightings(repo, d.GetPath())
	if err != nil {
		return nil, err
	}
	known := listing.floors()
	remembered := &sightings{First: at, Last: at}
	if own != nil {
		remembered.Floors = append(remembered.Floors, own.Floors...)
	}
	added := false
	for _, f := range next.Floors {
		k := cooldown.Key{Name: f.Name, Version: f.Version, Path: f.Path}
		if _, listed := known[k]; listed {
			continue
		}
		if first, ok := own.floors()[k]; ok {
			floors[k] = first
			continue
		}
		remembered.Floors, added = append(remembered.Floors, f), true
	}
	if !added || !keep {
		return floors, nil
	}
	return floors, c.putSightings(repo, d.GetPath(), remembered, true)
}

// floorsOfHits are the floors of versions that a search found, as far as their
// packages were seen before.
func (m *making) floorsOfHits(ctx context.Context, facts []*pb.Fact) (map[cooldown.Key]time.Time, error) {
	floors := map[cooldown.Key]time.Time{}
	seen := map[string]*sightings{}
	for _, f := range facts {
		s, ok := seen[f.GetName()]
		if !ok {
			d, err := m.c.about(ctx, m.repo, m.base, &pb.Version{Name: f.GetName()})
			if err != nil {
				return nil, err
			}
			if s, err = m.c.sightings(m.repo, d.GetPath()); err != nil {
				return nil, err
			}
			seen[f.GetName()] = s
		}
		if s == nil {
			continue
		}
		for _, known := range s.Floors {
			if known.Name == f.GetName() && known.Version == f.GetVersion() {
				floors[keyOf(f)] = known.At
			}
		}
	}
	return floors, nil
}

// observedPath is the document whose sightings judge this one: itself, or for
// an answer to a question about one package the document that lists it.
func (c *Cache) observedPath(ctx context.Context, repo *Repository, d *pb.Document, base string) string {
	if !d.GetQuery() {
		return d.GetPath()
	}
	if len(d.GetNames()) != 1 {
		return ""
	}
	about, err := c.about(ctx, repo, base, &pb.Version{Name: d.GetNames()[0]})
	if err != nil || about == nil {
		return ""
	}
	if seen, err := c.sightings(repo, about.GetPath()); err == nil && seen == nil && !about.GetQuery() && c.coolsDown(repo, d.GetNames()[0]) {
		// Nobody asked for the listing yet: without a look at it now, nothing
		// would tell later what was there at first.
		if _, _, _, err := c.rendering(ctx, repo, about, base); err != nil {
			c.log.Debug("the listing of a package cannot be looked at", "repository", repo.Name, "document", about.GetPath(), "error", err)
		}
		if seen, err := c.sightings(repo, about.GetPath()); err == nil && seen == nil {
			return d.GetPath() // there is no listing: what was seen of this counts
		}
	}
	return about.GetPath()
}
