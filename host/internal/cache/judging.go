package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// snapshot keeps what a snapshot's root was rendered to. It is judged as a
// whole, when it is served.
func (m *making) snapshot(ctx context.Context, done *pb.RenderDone, sink *outputs, p *cooldown.Policy, generation, hostedKey string) (*Rendering, error) {
	r := &Rendering{renderingRecord: renderingRecord{
		Plugin: generation, Policy: policy.Key(p), Names: m.d.GetNames(), Sources: m.order, Hosted: hostedKey, Pattern: m.d.GetHosted(),
	}}
	if done.GetFailure().GetKind() == pb.ErrorKind_ERROR_KIND_UPSTREAM {
		sink.abort()
		return nil, errors.Join(m.unreadable(done.GetFailure()), m.forget())
	}
	if err := m.keep(r, sink, done); err != nil || r.Failure != nil || m.stale != nil {
		return r, err
	}
	if err := m.steady(ctx, r.Outputs); err != nil {
		return nil, err
	}
	if err := m.observeState(r, done.GetState(), sink.facts); err != nil {
		return nil, err
	}
	seen, err := m.c.sightings(m.repo, m.d.GetPath())
	if err != nil {
		return nil, err
	}
	next, _ := seen.observe(nil, look{at: m.checked()})
	if err := m.c.putSightings(m.repo, m.d.GetPath(), next, false); err != nil {
		return nil, err
	}
	m.release()
	m.c.complete(ctx, m.repo, m.d.GetPath())
	return r, nil
}

// errMoved says that upstream changed while the documents of a state were got.
var errMoved = fmt.Errorf("%w: it changed while it was read", errUpstreamBody)

// steady fails where upstream no longer shows the documents that a state with such
// outputs was made of. They are got beside one another, so that those of a state
// not seen yet are asked for once more: all of them were there at once then.
func (m *making) steady(ctx context.Context, outputs map[string]*Output) error {
	s, err := m.c.snapshotAt(m.repo, m.d.GetPath())
	if err != nil || s.shows(outputs) {
		return err
	}
	made := slices.DeleteFunc(slices.Clone(m.order), func(u usedSource) bool { return u.Status != http.StatusOK || u.Here })
	if len(made) < 2 {
		return nil
	}
	m.release()
	since := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for _, u := range made {
		g.Go(func() error {
			now, stale, err := m.c.source(ctx, m.repo, u.wire(), func(kept *source) bool { return kept.Checked.After(since) })
			switch {
			case err != nil:
				return err
			case stale != nil:
				return stale
			case now.Status != u.Status || now.Digest != u.Digest:
				return fmt.Errorf("%w: %s", errMoved, u.URL)
			}
			return nil
		})
	}
	return g.Wait()
}

// judge adds the floors of files that are new to a policy and reports whether
// something was shown that must not be. If not, what was seen is noted, unless
// the document is no listing.
func (m *making) judge(ctx context.Context, p *cooldown.Policy, observed string, facts []*pb.Fact) (held bool, err error) {
	if observed == "" {
		p.Floors, err = m.floorsOfHits(ctx, facts)
		return shown(p, facts), err
	}
	mu := m.c.lockRecord(sightingsName(m.repo, observed))
	mu.Lock()
	defer mu.Unlock()
	seen, err := m.c.sightings(m.repo, observed)
	if err != nil {
		return false, fmt.Errorf("reading what was seen before: %w", err)
	}
	if observed != m.d.GetPath() && !m.tellsAllOf(observed) {
		if p.Floors, err = m.c.floorsElsewhere(m.repo, m.d, seen, facts, m.checked(), m.stale == nil); err != nil {
			return false, err
		}
		p.Floors, err = m.c.withLogs(m.repo, p.Floors, facts)
		return shown(p, facts), err
	}
	before := seen
	if seen.unseen() && !((isList(m.d) || m.tellsAllOf(observed)) && seen.unseenAt(m.repo, m.d)) {
		seen = nil
	}
	next, fresh := seen.observe(facts, m.c.look(m.repo, m.checked()))
	if m.d.GetHistory() {
		next.remember(seen, facts, m.checked())
		if m.hides && !slices.ContainsFunc(next.Earlier, func(e earlier) bool { return e.Gone }) {
			m.known = next // it is to be rendered with them
			return true, nil
		}
	}
	switch {
	case m.d.GetHistory() && seen == nil:
		beside, err := m.c.floorsBeside(m.repo, m.d, before, next, facts, m.checked())
		if err != nil {
			return false, err
		}
		fresh = fresh || beside
	case fresh:
		if err := m.c.floorsOfHistory(m.repo, seen, next); err != nil {
			return false, err
		}
	}
	if p.Floors, err = m.c.withLogs(m.repo, next.floors(), facts); err != nil {
		return false, err
	}
	if shown(p, facts) {
		return true, nil
	}
	// Names that do not exist are without end, and nothing is known of them.
	if m.stale != nil || m.without != nil || (before == nil || before.unseen()) && len(facts) == 0 {
		return false, nil
	}
	return false, m.c.putSightings(m.repo, observed, next, fresh)
}

// tellsAllOf reports whether the document, a query, tells all facts of the
// listing that judges it.
func (m *making) tellsAllOf(observed string) bool {
	return m.d.GetQuery() && m.d.GetListing() == observed && m.d.GetListed() == ""
}

func (m *making) start(p *cooldown.Policy) *pb.RenderStart {
	start := &pb.RenderStart{Repository: m.repo.wire(m.base), Path: m.d.GetPath(), Policy: policy.Wire(p), ServeRemoved: m.repo.ServeRemoved && !m.own}
	if m.d.GetHistory() {
		start.Known = m.history()
	}
	if m.repo.Hosted != nil {
		start.Ours = slices.Concat(m.repo.Hosted.Names, m.ours)
	}
	return start
}

// foundOurs reports whether a list of upstream's has names that are ours without
// the configuration saying so, which were not known before: it is to be rendered
// without them.
func (m *making) foundOurs(facts []*pb.Fact) (bool, error) {
	if m.repo.Hosted == nil || len(m.d.GetNames()) > 0 {
		return false, nil
	}
	known := len(m.ours)
	for _, f := range facts {
		if slices.Contains(m.ours, f.GetName()) {
			continue
		}
		asked, err := m.c.upstreamHas(m.repo, f.GetName())
		if err != nil {
			return false, err
		}
		if !asked {
			m.ours = append(m.ours, f.GetName())
		}
	}
	return len(m.ours) > known, nil
}

// history is what was seen before and not withdrawn, with the sha256 of those files
// that are kept here, which upstream may never have told.
func (m *making) history() []*pb.Known {
	hidden := m.hidden()
	m.hides = len(hidden) > 0
	var known []*pb.Known
	for i, k := range m.known.known() {
		if !hidden[i] {
			known = append(known, k)
		}
	}
	for _, k := range known {
		f := k.GetFact()
		if f.GetPath() == "" || slices.ContainsFunc(f.GetDigests(), func(d *pb.Digest) bool { return d.GetAlgorithm() == "sha256" }) {
			continue
		}
		if a := m.c.knownArtifact(m.repo, artifactName(m.repo, f.GetPath())); a != nil {
			f.Digests = append(f.Digests, &pb.Digest{Algorithm: "sha256", Sum: a.Digest[:]})
		}
	}
	return known
}

// shown reports whether a rendering shows a file that policy holds.
func shown(p *cooldown.Policy, facts []*pb.Fact) bool {
	for _, f := range facts {
		if f.GetKept() && p.Judge(keyOf(f), publishedOf(f)).Held {
			return true
		}
	}
	return false
}

// nextChange is when the first held file comes free; zero: none is held.
func nextChange(p *cooldown.Policy, facts []*pb.Fact) time.Time {
	var next time.Time
	for _, f := range facts {
		v := p.Judge(keyOf(f), publishedOf(f))
		if v.Held && (next.IsZero() || v.Until.Before(next)) {
			next = v.Until
		}
	}
	return next
}
