package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// heldByNow judges a kept file without a time by its facts again: none may have
// been needed under the rules that it was fetched under, or a listing that is no
// longer in force had it. Nil: it is not held, as far as anybody knows.
func (c *Cache) heldByNow(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, a *artifact) *Failure {
	rule := c.policy.For(repo.eco(), []string{a.Name}, time.Now()).Rule(a.Name, a.Version)
	if !a.Since.IsZero() || a.Withdrawn || rule == nil || rule.Window <= 0 || len(plan.GetFacts()) == 0 {
		return nil
	}
	_, err := c.judgeKnown(ctx, repo, plan, base, c.toldOf)
	if f := (*Failure)(nil); errors.As(err, &f) && f.Kind == pb.ErrorKind_ERROR_KIND_HELD {
		return f
	}
	return nil
}

// refusal says why a file is not served; nil: it is.
func (c *Cache) refusal(repo *Repository, name, version, path string, since time.Time, floored, withdrawn bool) *Failure {
	if withdrawn && !repo.ServeRemoved {
		c.Stats.Refused.Add(1)
		return &Failure{
			Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Name: name, Version: version,
			Message: fmt.Sprintf("%s %s is refused: it was withdrawn upstream (removed = \"serve\" in repository %q would serve it)", name, version, repo.Name),
		}
	}
	v := c.verdict(repo, name, version, path, since, floored)
	if !v.Held {
		c.Stats.Served.Add(1)
		return nil
	}
	c.Stats.Held.Add(1)
	return heldFailure(name, version, v)
}

// verdict is what policy says of a file of an age.
func (c *Cache) verdict(repo *Repository, name, version, path string, since time.Time, floored bool) cooldown.Verdict {
	p := c.policy.For(repo.eco(), []string{name}, time.Now())
	k := cooldown.Key{Name: name, Version: version, Path: path}
	if floored {
		p.Floors = map[cooldown.Key]time.Time{k: since}
		since = time.Time{}
	}
	return p.Judge(k, since)
}

func heldFailure(name, version string, v cooldown.Verdict) *Failure {
	return &Failure{
		Kind: pb.ErrorKind_ERROR_KIND_HELD, Name: name, Version: version, Until: v.Until,
		Message: v.Message(name, version),
	}
}

// factsDocument is the document at an address that a plan names for its facts.
func (c *Cache) factsDocument(ctx context.Context, repo *Repository, path, base string) (*pb.Document, error) {
	p, query, _ := strings.Cut(path, "?")
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: "GET", Path: p, Query: query})
	if err != nil {
		return nil, err
	}
	if plan.GetDocument() == nil {
		return nil, fmt.Errorf("plugin %s: %s is no document, so it holds no facts", repo.Plugin, path)
	}
	return plan.GetDocument(), nil
}

// factsOf returns the facts of a document, rendering it if need be. With since,
// upstream has confirmed them since then.
func (c *Cache) factsOf(ctx context.Context, repo *Repository, d *pb.Document, base string, since time.Time) (*factSet, error) {
	if since.IsZero() {
		r, _, _, err := c.rendering(ctx, repo, d, base)
		if err != nil {
			return nil, err
		}
		if f := c.knownFacts(repo, d.GetPath()); f != nil {
			return f, nil
		}
		if r.Failure != nil && r.Failure.Kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND {
			return &factSet{absent: true}, nil
		}
	}
	// Asked again, or the facts are gone while the rendering is there.
	if since.IsZero() {
		c.dropRendering(renderingName(repo, d.GetPath(), base))
	}
	accept := func(s *source) bool { return !since.IsZero() && !s.Checked.Before(since) }
	if since.IsZero() {
		accept = anyKept
	}
	r, err := c.remake(ctx, repo, d, base, renderingName(repo, d.GetPath(), base), accept)
	if err != nil {
		return nil, err
	}
	if f := c.knownFacts(repo, d.GetPath()); f != nil && (r.Failure == nil || r.Failure.Kind != pb.ErrorKind_ERROR_KIND_NOT_FOUND) {
		return f, nil
	}
	return &factSet{absent: true}, nil
}

// factsPaths are the documents that may hold a file's facts: those that the
// plan names, and indexes of snapshots.
func (c *Cache) factsPaths(repo *Repository, plan *pb.Artifact) ([]string, error) {
	var all []string
	for _, path := range plan.GetFacts() {
		if !ofSnapshots(path) {
			all = append(all, path)
			continue
		}
		indexes, err := c.indexes(repo, strings.TrimSuffix(path, "*"))
		if err != nil {
			return nil, err
		}
		all = append(all, indexes...)
	}
	return all, nil
}

// findFact looks a file up in the documents that its plan names, and asks
// upstream again before it gives up. Nil: nobody knows it.
func (c *Cache) findFact(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*found, error) {
	began := time.Now()
	var failed error
	paths, err := c.factsPaths(repo, plan)
	if err != nil {
		return nil, err
	}
	absent := slices.ContainsFunc(plan.GetFacts(), func(path string) bool { return !ofSnapshots(path) })
	// Each is asked again, no more often than "not found" is believed, before the
	// next: what it would tell by now counts for more.
	for _, path := range paths {
		for _, since := range []time.Time{{}, began.Add(-repo.NegativeTTL)} {
			d, err := c.factsDocument(ctx, repo, path, base)
			if err != nil {
				return nil, err
			}
			set, err := c.factsOf(ctx, repo, d, base, since)
			if err != nil {
				failed, absent = err, false
				continue
			}
			named := slices.Contains(plan.GetFacts(), path)
			absent = absent && (set.absent || !named)
			f := &found{fact: set.path(plan.GetPath()), exact: true}
			if f.fact == nil && named { // a snapshot's index says nothing of what it does not list
				f.fact, f.exact = set.version(plan.GetVersion()), false
			}
			if f.fact == nil {
				continue
			}
			seen, err := c.sightings(repo, c.observedPath(ctx, repo, d, base))
			if err != nil {
				return nil, err
			}
			floors := seen.floors()
			if d.GetQuery() && seen != nil { // the listing may not have it yet
				if floors, err = c.floorsElsewhere(repo, d, seen, []*pb.Fact{f.fact}, began, true); err != nil {
					return nil, err
				}
			}
			if floors, err = c.withLogs(repo, floors, []*pb.Fact{f.fact}); err != nil {
				return nil, err
			}
			f.since, f.floored = sinceOf(f.fact, floors)
			f.document = d.GetPath()
			return f, nil
		}
	}
	if absent {
		v := plan.GetVersion()
		return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: v.GetName(), Version: v.GetVersion(),
			Message: "upstream has no " + strings.TrimPrefix(plan.GetPath(), "/")}
	}
	if failed == nil {
		return nil, nil
	}
	held, err := c.heldAsListed(ctx, repo, plan, base)
	if held != nil {
		return nil, held
	}
	return nil, errors.Join(failed, err)
}

// heldAsListed judges a file whose own documents cannot be had by what is known
// without asking upstream: the listing of its version, and states of snapshots
// that are still to come. Nil: nothing known holds it back.
func (c *Cache) heldAsListed(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*Failure, error) {
	for _, path := range plan.GetFacts() {
		if ofSnapshots(path) {
			if f, err := c.heldToCome(ctx, repo, strings.TrimSuffix(path, "*"), plan); f != nil || err != nil {
				return f, err
			}
		}
	}
	v := plan.GetVersion()
	d, err := c.about(ctx, repo, base, &pb.Version{Name: v.GetName()})
	if d == nil || err != nil {
		return nil, err
	}
	listed := c.knownFacts(repo, d.GetPath())
	if listed == nil {
		return nil, nil
	}
	fact := listed.path(plan.GetPath())
	if fact == nil {
		fact = listed.version(v)
	}
	if fact == nil {
		return nil, nil
	}
	seen, err := c.sightings(repo, d.GetPath())
	if err != nil {
		return nil, err
	}
	floors, err := c.withLogs(repo, seen.floors(), []*pb.Fact{fact})
	if err != nil {
		return nil, err
	}
	since, floored := sinceOf(fact, floors)
	return c.refusal(repo, fact.GetName(), fact.GetVersion(), plan.GetPath(), since, floored, false), nil
}

// historyOf is what documents with a history told of a file; nil: nothing. What
// one of them had when it was first looked at is as old as can be.
func (c *Cache) historyOf(repo *Repository, plan *pb.Artifact) (*found, error) {
	var oldest *found
	for _, path := range plan.GetFacts() {
		if !ofSnapshots(path) {
			continue
		}
		f, err := c.historyBelow(repo, strings.TrimSuffix(path, "*"), plan.GetPath())
		if err != nil {
			return nil, err
		}
		if f != nil && (oldest == nil || f.since.Before(oldest.since)) {
			oldest = f
		}
	}
	return oldest, nil
}

// historyBelow is what documents with a history below a folder told of a file;
// nil: nothing.
func (c *Cache) historyBelow(repo *Repository, folder, path string) (oldest *found, err error) {
	var broken error
	moved := false
	err = c.dir.Keep.Each(sightingsName(repo, folder), false, func(_ string, value []byte) bool {
		s := &sightings{}
		if broken = json.Unmarshal(value, s); broken != nil {
			return false
		}
		for i, k := range s.known() {
			if k.GetFact().GetPath() != path {
				continue
			}
			f := &found{fact: k.GetFact(), exact: true}
			f.since, f.floored = sinceOf(k.GetFact(), s.floors())
			moved = moved || f.floored && i > 0
			if oldest == nil || f.since.Before(oldest.since) {
				oldest = f
			}
		}
		return true
	})
	if oldest != nil {
		oldest.moved = moved
	}
	return oldest, errors.Join(err, broken)
}

// told is a version that some document with a history told of.
type told struct {
	found
	seen time.Time // first
}

// historyOfVersion is what documents with a history told of a version; nil:
// nothing. It looks at all of them.
func (c *Cache) historyOfVersion(repo *Repository, name, version string) (oldest *told, err error) {
	var broken error
	err = c.dir.Keep.Each(sightingsName(repo, ""), false, func(_ string, value []byte) bool {
		s := &sightings{}
		if broken = json.Unmarshal(value, s); broken != nil {
			return false
		}
		for i, k := range s.known() {
			if k.GetFact().GetName() != name || k.GetFact().GetVersion() != version {
				continue
			}
			f := &told{found: found{fact: k.GetFact(), exact: true}, seen: s.Earlier[i].First}
			f.since, f.floored = sinceOf(k.GetFact(), s.floors())
			if oldest == nil || f.since.Before(oldest.since) {
				oldest = f
			}
		}
		return true
	})
	return oldest, errors.Join(err, broken)
}

// floorsBeside adds to the first look at a document with a history the floors of
// files that documents beside it told of: what is held back there is not old
// here, unless it is only because those documents are new themselves and this one
// is not. What nothing tells of begins its cool-down where the document was once
// seen to be missing. Before is what was seen of it then.
func (c *Cache) floorsBeside(repo *Repository, d *pb.Document, before, first *sightings, facts []*pb.Fact, at time.Time) (added bool, err error) {
	path, _, _ := strings.Cut(d.GetPath(), "?")
	folder := folderOf(path)
	appeared, listed, err := c.sinceUnseen(repo, d, before, at)
	if err != nil {
		return false, err
	}
	for _, f := range facts {
		known, err := c.historyBelow(repo, folder, f.GetPath())
		if err != nil {
			return added, err
		}
		since := appeared
		if known != nil {
			since = time.Time{}
			if known.floored && (known.moved || !listed) {
				since = known.since
			}
		}
		if since.IsZero() {
			continue
		}
		k := keyOf(f)
		first.Floors, added = append(first.Floors, floor{k.Name, k.Version, k.Path, since}), true
	}
	return added, nil
}

// floorsOfHistory corrects the floors that are new with a look at a document: a
// file of which documents with a history told before is as old as it is there.
func (c *Cache) floorsOfHistory(repo *Repository, before, now *sightings) error {
	old := before.floors()
	var floors []floor
	for _, f := range now.Floors {
		if _, there := old[cooldown.Key{Name: f.Name, Version: f.Version, Path: f.Path}]; !there && f.Path != "" {
			known, err := c.historyBelow(repo, folderOf(f.Path), f.Path)
			switch {
			case err != nil:
				return err
			case known != nil && !known.floored:
				continue
			case known != nil:
				f.At = known.since
			}
		}
		floors = append(floors, f)
	}
	now.Floors = floors
	return nil
}

// folderOf is a path up to its last slash.
func folderOf(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// listedSince is when the list that a document is in was first seen with it after
// it was seen without it; zero: it never was without it, or there is no such list.
// Listed says that it was in the list from the first look on.
func (c *Cache) listedSince(repo *Repository, d *pb.Document, at time.Time) (since time.Time, listed bool, err error) {
	list, err := c.sightings(repo, d.GetListing())
	if list == nil || list.unseen() || err != nil || len(d.GetNames()) != 1 {
		return time.Time{}, false, err
	}
	f := &pb.Fact{Name: d.GetNames()[0], Version: d.GetListed(), Path: d.GetPath()}
	next, _ := list.observe([]*pb.Fact{f}, c.look(repo, at))
	since = next.floors()[keyOf(f)]
	return since, since.IsZero() && !list.lost, nil
}

// about asks the plugin which document tells about a version.
func (c *Cache) about(ctx context.Context, repo *Repository, base string, v *pb.Version) (*pb.Document, error) {
	if !repo.Describe.GetCapabilities().GetAbout() {
		return nil, nil
	}
	plan, err := repo.Ecosystem.Plan(ctx, &pb.PlanRequest{Repository: repo.wire(base), Subject: &pb.PlanRequest_About{About: v}})
	if err != nil {
		return nil, err
	}
	return plan.GetDocument(), nil
}

// judgeCold says whether a file that is not kept may be fetched, and what is
// known of it.
func (c *Cache) judgeCold(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*found, error) {
	return c.judgeKnown(ctx, repo, plan, base, func(repo *Repository, plan *pb.Artifact) (*found, error) {
		f, err := c.toldOf(repo, plan)
		if f != nil || err != nil || !c.coolsDown(repo, plan.GetVersion().GetName()) {
			return f, err
		}
		if err := c.lookAgain(ctx, repo, plan, base); err != nil {
			return nil, err
		}
		if f, err = c.historyOf(repo, plan); f != nil || err != nil {
			return f, err
		}
		if f, err = c.heldWith(ctx, repo, plan, base); f != nil || err != nil || !repo.HoldUnknown {
			return f, err
		}
		if f, err = c.servedWith(repo, plan, false); f != nil || err != nil {
			return f, err
		}
		return c.firstSight(ctx, repo, plan)
	})
}

// toldOf is what is known of a file without asking upstream: what documents with a
// history told of it or, before they hold it back, of what names it; nil: nothing.
func (c *Cache) toldOf(repo *Repository, plan *pb.Artifact) (*found, error) {
	f, err := c.historyOf(repo, plan)
	if f != nil && !f.floored || err != nil || !c.coolsDown(repo, plan.GetVersion().GetName()) {
		return f, err
	}
	if named, err := c.servedWith(repo, plan, true); named != nil || err != nil {
		return named, err
	}
	return f, nil
}

// judgeKnown is [Cache.judgeCold] by a history of what no document lists.
func (c *Cache) judgeKnown(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, history func(*Repository, *pb.Artifact) (*found, error)) (*found, error) {
	if plan.GetUngated() {
		return &found{}, nil
	}
	v := plan.GetVersion()
	var f *found
	if len(plan.GetFacts()) > 0 {
		var err error
		if f, err = c.findFact(ctx, repo, plan, base); err != nil {
			return nil, err
		}
	}
	if f == nil && plan.GetUnlisted() {
		var err error
		if f, err = history(repo, plan); err != nil {
			return nil, err
		}
		if f == nil && !repo.HoldUnknown {
			return &found{}, nil
		}
	}
	if f == nil {
		p := c.policy.For(repo.eco(), []string{v.GetName()}, time.Now())
		rule := p.Rule(v.GetName(), v.GetVersion())
		withdrawn := c.knownArtifact(repo, artifactName(repo, plan.GetPath()))
		switch {
		case withdrawn != nil && withdrawn.Withdrawn:
			if refused := c.refusal(repo, v.GetName(), v.GetVersion(), plan.GetPath(), withdrawn.Since, withdrawn.Floored, true); refused != nil {
				return nil, refused
			}
			return &found{fact: &pb.Fact{Name: withdrawn.Name, Version: withdrawn.Version}, since: withdrawn.Since, floored: withdrawn.Floored}, nil
		case len(plan.GetFacts()) > 0 && repo.Describe.GetCompleteListings():
			return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: v.GetName(), Version: v.GetVersion(),
				Message: fmt.Sprintf("%s is not listed upstream", strings.TrimPrefix(plan.GetPath(), "/"))}
		case rule != nil && rule.Window > 0 && !p.Exempt[cooldown.Version{Name: v.GetName(), Version: v.GetVersion()}]:
			c.Stats.Refused.Add(1)
			return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Name: v.GetName(), Version: v.GetVersion(),
				Message: fmt.Sprintf("%s %s is refused: its age cannot be known, and a cool-down applies (rule: %s)", v.GetName(), v.GetVersion(), rule.Label)}
		}
		return &found{}, nil
	}
	if err := c.besideOurs(repo, plan.GetPath(), &pb.Version{Name: f.fact.GetName(), Version: f.fact.GetVersion()}); err != nil {
		return nil, err
	}
	if refused := c.refusal(repo, f.fact.GetName(), f.fact.GetVersion(), plan.GetPath(), f.since, f.floored, false); refused != nil {
		return nil, refused
	}
	return f, nil
}
