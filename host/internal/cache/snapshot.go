package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// snapshot is what is kept of a signed index and everything listed there: the
// states that it was seen in. It cannot be fetched again, so it is in the store
// and its bodies are pinned. It is immutable; a change makes a new one.
type snapshot struct {
	// Path is the canonical address of its root, Name what policy calls it.
	Path, Name string
	// Role is the upstream that it comes from, Dir the folder of the root there.
	Role, Dir string
	// States from the oldest to the newest; there is at least one.
	States []*state
	// Wanted are the parts that clients ask for, sorted by path.
	Wanted []wanted

	parts map[blobs.Digest][]*pb.Fact // of each state, by the digest of its list, sorted by path
	// lost are states whose list of parts is gone, so that nobody can be served
	// them.
	lost []*state
}

// wanted is a part that clients ask for.
type wanted struct {
	Path string
	// Asked is when one last did, to the day.
	Asked time.Time
	// Vain says that no client got it yet, and that it is kept of no state.
	Vain bool `json:",omitzero"`
	// Since is when a state first had it that was not in force, after clients had
	// asked in vain; zero: a state in force had it.
	Since time.Time `json:",omitzero"`
}

// state is one state of a snapshot.
type state struct {
	Version            string
	Published, Expires time.Time `json:",omitzero"`
	// Seen is when it was first seen.
	Seen time.Time
	// Floor is when it was known not to be there yet; zero: it is the first that
	// was seen.
	Floor time.Time `json:",omitzero"`
	// Outputs are the root documents.
	Outputs map[string]*Output
	// Parts is the list of its parts.
	Parts Body
	// Confirmed says that a later look showed the same outputs.
	Confirmed bool `json:",omitzero"`
	// Forsaken says that clients could not get of it what they asked for, so that
	// any newer state is better.
	Forsaken bool `json:",omitzero"`
}

const (
	snapshotKey = "snap/"
	// olderStates are kept for readers under way.
	olderStates = 3
	// expiryMargin is how long before its end a state is no longer served while
	// there is a newer one.
	expiryMargin = time.Hour
	// completion is how long a new state waits for the parts that clients ask
	// for: upstream may show its root before all else.
	completion = time.Hour
	// wantedFor is how long a part is fetched of new states after a client last
	// asked for it, and wantedAgain how often that is noted.
	wantedFor   = 30 * 24 * time.Hour
	wantedAgain = 24 * time.Hour
	// completing is how many parts are fetched at once.
	completing = 4
)

// dropRenderings has a document rendered anew at all of its addresses.
func (c *Cache) dropRenderings(repo *Repository, path string) error {
	var drop []string
	err := c.dir.Cache.Each(renderingName(repo, path, ""), true, func(k string, _ []byte) bool {
		drop = append(drop, k)
		return true
	})
	return errors.Join(err, c.dropAll(drop))
}

// inForce is the index of the state that is served now: the newest that policy
// serves and that is whole, or the first one seen, but none that is about to
// expire or that is forsaken while there is a newer one. The newest is served after a while though it
// lacks parts, which upstream may have; those that upstream has left are not.
func (s *snapshot) inForce(p *cooldown.Policy, whole func(at int) bool) int {
	last := len(s.States) - 1
	at := last
	for ; at > 0; at-- {
		st := s.States[at]
		k := cooldown.Key{Name: s.Name, Version: st.Version}
		p.Floors = map[cooldown.Key]time.Time{k: st.Floor}
		if !p.Judge(k, st.Published).Held && (whole(at) || at == last && p.Now.Sub(st.Seen) > completion) {
			break
		}
	}
	for at < last && (s.States[at].Forsaken || s.States[at].expired(p.Now)) {
		at++
	}
	return at
}

// expired reports whether a state is about to expire, or has.
func (st *state) expired(now time.Time) bool {
	return !st.Expires.IsZero() && now.After(st.Expires.Add(-expiryMargin))
}

func (c *Cache) stateInForce(repo *Repository, s *snapshot) int {
	shown := c.lastShown(repo, s)
	return s.inForce(c.policy.For(repo.eco(), []string{s.Name}, time.Now()), func(at int) bool {
		return at <= shown || c.whole(s, s.States[at])
	})
}

// whole reports whether the parts that a state needs are there.
func (c *Cache) whole(s *snapshot, st *state) bool {
	for _, f := range s.needed(st) {
		if _, ok := partDigest(f); ok && !c.there(f) {
			return false
		}
	}
	return true
}

// there reports whether a part is kept.
func (c *Cache) there(f *pb.Fact) bool {
	d, ok := partDigest(f)
	return ok && c.blobs.Has(d)
}

// wanted are the parts of a state that clients ask for.
func (s *snapshot) wanted(st *state) []*pb.Fact {
	return s.partsOf(st, func(wanted) bool { return true })
}

// needed are those parts of a state that clients could do without no longer:
// none that upstream lists and never had, and none that they had to do without
// when the state was new.
func (s *snapshot) needed(st *state) []*pb.Fact {
	return s.partsOf(st, func(w wanted) bool { return !w.Vain && !st.Seen.Before(w.Since) })
}

func (s *snapshot) partsOf(st *state, which func(wanted) bool) []*pb.Fact {
	var parts []*pb.Fact
	for _, w := range s.Wanted {
		if f := s.part(st, w.Path); f != nil && which(w) {
			parts = append(parts, f)
		}
	}
	return parts
}

// part is a part of a state; nil: there is no such.
func (s *snapshot) part(st *state, path string) *pb.Fact {
	return (&factSet{facts: s.parts[st.Parts.Digest]}).path(path)
}

// lastShown is the index of the state whose root clients got last; -1: none
// since the host was started.
func (c *Cache) lastShown(repo *Repository, s *snapshot) int {
	list, ok := c.shown.Load(snapshotName(repo, s.Path))
	if !ok {
		return -1
	}
	return slices.IndexFunc(s.States, func(st *state) bool { return st.Parts.Digest == list })
}

// snapshotDocument answers a document plan of a snapshot's root.
func (c *Cache) snapshotDocument(ctx context.Context, repo *Repository, d *pb.Document, base string) (*Answer, error) {
	// What is lost of it is to be known before it is rendered.
	if _, err := c.snapshotAt(repo, d.GetPath()); err != nil {
		return nil, err
	}
	r, stale, hit, err := c.rendering(ctx, repo, d, base)
	s, failed := c.snapshotAt(repo, d.GetPath())
	switch {
	case failed != nil:
		return nil, failed
	case err == nil && r.Failure != nil && (s == nil || r.missing() && !repo.ServeRemoved):
		return nil, r.Failure
	case s == nil && err == nil:
		return nil, fmt.Errorf("what plugin %s says of the state of %s is not confirmed by upstream", repo.Plugin, d.GetPath())
	case s == nil:
		c.Stats.Misses.Add(1)
		return nil, err
	case err != nil:
		c.log.Warn("a snapshot is served as it was: upstream's state cannot be had", "repository", repo.Name, "document", d.GetPath(), "error", err)
	}
	at := c.stateInForce(repo, s)
	st := s.States[at]
	out := st.Outputs[d.GetOutput()]
	if out == nil {
		return nil, notFound("upstream has no %s of %s", cmp.Or(d.GetOutput(), "such form"), strings.TrimPrefix(d.GetPath(), "/"))
	}
	c.shown.Store(snapshotName(repo, s.Path), st.Parts.Digest)
	if hit {
		c.Stats.Hits.Add(1)
	} else {
		c.Stats.Misses.Add(1)
	}
	answer := &Answer{Rendering: r, Output: out, Verbatim: true, Stale: stale || err != nil, Hit: hit}
	if at == 0 || !s.States[at-1].Published.Equal(st.Published) {
		answer.Modified = st.Published
	}
	return answer, nil
}

// observeState adds what was rendered to a snapshot, if it is a state that was
// not seen before. What upstream shows after something newer, as mirrors do
// that lag behind, is left alone.
func (m *making) observeState(r *Rendering, told *pb.State, facts []*pb.Fact) error {
	if told == nil {
		return fmt.Errorf("plugin %s says nothing of the state of %s", m.repo.Plugin, m.d.GetPath())
	}
	name := snapshotName(m.repo, m.d.GetPath())
	mu := m.c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	old, err := m.c.keptSnapshot(m.repo, m.d.GetPath())
	if err != nil {
		return err
	}
	fresh := &state{Version: told.GetVersion(), Published: instantOf(told.GetPublishedMs()), Expires: instantOf(told.GetExpiresMs()), Seen: time.Now(), Outputs: r.Outputs}
	next := m.emptySnapshot()
	if old != nil {
		next.Wanted = old.Wanted
		fresh.Floor = m.looked(time.Time{})
	}
	if old != nil && len(old.States) > 0 {
		last := len(old.States) - 1
		newest := old.States[last]
		next.States = slices.Clone(old.States)
		maps.Copy(next.parts, old.parts)
		again := *newest
		next.States[last] = &again
		switch {
		case sameOutputs(newest.Outputs, fresh.Outputs):
			if newest.Confirmed {
				return nil
			}
			again.Confirmed = true
			return m.c.putSnapshot(m.repo, old, next)
		case sameRoot(newest.Outputs, fresh.Outputs), !newest.Confirmed && newest.Version == fresh.Version && sameParts(old.parts[newest.Parts.Digest], facts):
			// What was shown once only may have been a signature of another state.
			again.Outputs, again.Expires = fresh.Outputs, fresh.Expires
			return m.c.putSnapshot(m.repo, old, next)
		case fresh.Published.Before(newest.Published) && !fresh.Published.IsZero():
			m.c.log.Warn("upstream shows an older state of a snapshot than before, which does not count", "repository", m.repo.Name, "document", m.d.GetPath(), "state", fresh.Version, "newest", newest.Version)
			return nil
		}
		fresh.Floor = m.looked(newest.Floor)
		if last > 0 && !newest.Confirmed && newest.Parts == old.States[last-1].Parts {
			next.States = next.States[:last] // a signature that did not last
		}
	}
	if fresh.Parts, err = m.c.putParts(name, facts); err != nil {
		return err
	}
	next.States = append(next.States, fresh)
	next.parts[fresh.Parts.Digest] = facts
	return m.c.putSnapshot(m.repo, old, next)
}

func (m *making) emptySnapshot() *snapshot {
	root := m.d.GetSources()[0]
	s := &snapshot{Path: m.d.GetPath(), Role: root.GetRole(), Dir: path.Dir(root.GetUrl()), parts: map[blobs.Digest][]*pb.Fact{}}
	if names := m.d.GetNames(); len(names) == 1 {
		s.Name = names[0]
	}
	return s
}

func instantOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// looked is when upstream last showed the newest state: the one after it cannot
// be older. Unless that is known, it is as given.
func (m *making) looked(otherwise time.Time) time.Time {
	if seen, err := m.c.sightings(m.repo, m.d.GetPath()); err == nil && seen != nil {
		return seen.Last
	}
	return otherwise
}

// sameRoot reports whether the main outputs are there and the same: what
// differs is only which other forms upstream has of them.
func sameRoot(a, b map[string]*Output) bool {
	return a[""] != nil && b[""] != nil && a[""].Plain == b[""].Plain
}

// sameParts reports whether two lists, the first one sorted, are of the same parts.
func sameParts(sorted, parts []*pb.Fact) bool {
	sortFacts(parts)
	return slices.EqualFunc(sorted, parts, func(a, b *pb.Fact) bool { return proto.Equal(a, b) })
}

func sameOutputs(a, b map[string]*Output) bool {
	return maps.EqualFunc(a, b, func(x, y *Output) bool { return x.Plain == y.Plain })
}

// shows reports whether the newest state has the same outputs.
func (s *snapshot) shows(outputs map[string]*Output) bool {
	return s != nil && sameOutputs(s.States[len(s.States)-1].Outputs, outputs)
}

// Look has the snapshots of a repository compared with upstream, so that what
// they were while nobody asked is known later.
func (c *Cache) Look(ctx context.Context, repo *Repository) {
	err := c.eachSnapshot(repo, "/", func(s *snapshot) {
		d, err := c.factsDocument(ctx, repo, s.Path, "")
		if err == nil {
			_, _, _, err = c.rendering(ctx, repo, d, "") // which completes it, too
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("a snapshot cannot be compared with upstream", "repository", repo.Name, "document", s.Path, "error", err)
		}
	})
	if err != nil {
		c.log.Error("snapshots cannot be read", "repository", repo.Name, "error", err)
	}
}
