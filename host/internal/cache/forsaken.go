package cache

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Upstream may change between our look at a root and the first client's request
// for a part, and need not have the parts of its older states any more. A state
// of which clients get nothing for that is of no use to anybody, and has nothing
// to lag behind: it is forsaken for the next one that is known.

// missed is why a part cannot be had, as upstream said when it was last asked.
func (c *Cache) missed(repo *Repository, s *snapshot, f *pb.Fact) (*missed, bool) {
	plan, err := s.artifact(f)
	if err != nil {
		return nil, false
	}
	return c.missing.Get(artifactName(repo, plan.GetPath()))
}

// settle notes which parts that clients asked for in vain are kept by now, and
// which states are forsaken, and returns the snapshot as it is then; nil: it is
// lost.
func (c *Cache) settle(repo *Repository, root string) (*snapshot, error) {
	mu := c.lockRecord(snapshotName(repo, root))
	mu.Lock()
	defer mu.Unlock()
	s, err := c.snapshotAt(repo, root)
	if err != nil || s == nil {
		return nil, err
	}
	next := *s
	next.lost = nil
	next.parts = maps.Clone(s.parts)
	next.Wanted = slices.Clone(s.Wanted)
	next.States = slices.Clone(s.States)
	at := c.stateInForce(repo, s)
	changed := false
	for i := range next.Wanted {
		w := &next.Wanted[i]
		has := func(st *state) bool {
			f := s.part(st, w.Path)
			return f != nil && c.there(f)
		}
		if !w.Vain || !slices.ContainsFunc(s.States, has) {
			continue
		}
		w.Vain, changed = false, true
		if !has(s.States[at]) {
			w.Since = time.Now()
		}
	}
	for ; at < len(next.States)-1 && c.useless(repo, s, at); at++ {
		forsaken := *next.States[at]
		forsaken.Forsaken, changed = true, true
		next.States[at] = &forsaken
		c.log.Warn("a state of a snapshot is given up: upstream changed before clients got its parts", "repository", repo.Name, "document", root, "state", forsaken.Version)
	}
	if !changed {
		return s, nil
	}
	return &next, c.putSnapshot(repo, s, &next)
}

// useless reports whether upstream no longer has anything of a state that clients
// ask for; or, of the first that was seen and for a while, whether it lacks
// something that the newest state has besides all that is kept of this one.
func (c *Cache) useless(repo *Repository, s *snapshot, at int) bool {
	st, newest := s.States[at], s.States[len(s.States)-1]
	kept, gone := c.had(repo, s, st)
	if len(gone) == 0 {
		return false
	}
	if len(kept) == 0 {
		return true
	}
	if !st.Floor.IsZero() || time.Since(st.Seen) > completion {
		return false
	}
	now, _ := c.had(repo, s, newest)
	more := false
	for form := range gone {
		more = more || now[form]
	}
	for form := range kept {
		if !now[form] {
			return false
		}
	}
	return more
}

// had are the parts of a state that clients ask for and that are kept, and those
// that upstream does not have in any form that was asked for. Parts in one folder
// whose names differ after the first dot are forms of one another.
func (c *Cache) had(repo *Repository, s *snapshot, st *state) (kept, gone map[string]bool) {
	kept, gone = map[string]bool{}, map[string]bool{}
	open := map[string]bool{} // upstream may have it
	for _, f := range s.wanted(st) {
		dir, file := path.Split(f.GetPath())
		stem, _, _ := strings.Cut(file, ".")
		form := dir + stem
		_, missed := c.missed(repo, s, f)
		switch {
		case c.there(f):
			kept[form] = true
		case missed:
			gone[form] = true
		default:
			open[form] = true
		}
	}
	maps.DeleteFunc(gone, func(form string, _ bool) bool { return kept[form] || open[form] })
	if len(open) > 0 && len(kept) == 0 {
		clear(gone)
	}
	return kept, gone
}

// lookPast compares a snapshot with upstream, if upstream did not have a part of
// its newest state at the last attempt and was not looked at since: its root may
// be another by then.
func (c *Cache) lookPast(ctx context.Context, repo *Repository, root string) {
	s, err := c.snapshotAt(repo, root)
	if err != nil || s == nil {
		return
	}
	seen, err := c.sightings(repo, root)
	if err != nil || seen == nil {
		return
	}
	since := seen.Last
	for _, f := range s.wanted(s.States[len(s.States)-1]) {
		if m, ok := c.missed(repo, s, f); ok && !c.there(f) && m.at.After(since) {
			since = m.at
		}
	}
	if since.Equal(seen.Last) {
		return
	}
	d, err := c.factsDocument(ctx, repo, root, "")
	if err == nil {
		_, err = c.remake(ctx, repo, d, "", renderingName(repo, root, ""), func(kept *source) bool { return kept.Checked.After(since) })
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn("a snapshot of which a part is missing cannot be compared with upstream", "repository", repo.Name, "document", root, "error", err)
	}
}
