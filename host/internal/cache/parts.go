package cache

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// partDigest is the sha256 of a part, by which it is kept.
func partDigest(f *pb.Fact) (blobs.Digest, bool) {
	for _, d := range f.GetDigests() {
		if strings.EqualFold(d.GetAlgorithm(), "sha256") && len(d.GetSum()) == len(blobs.Digest{}) {
			return blobs.Digest(d.GetSum()), true
		}
	}
	return blobs.Digest{}, false
}

// part turns the plan of a snapshot's part into that of a file with a digest:
// one with the digest that is asked for, or the part of the state whose root
// clients got last, so that no switch comes between the two.
// Those of states to come are found for our own use only.
func (c *Cache) part(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, ours bool) (*pb.Artifact, *pb.Fact, error) {
	s, err := c.snapshotAt(repo, plan.GetSnapshot())
	if err != nil {
		return nil, nil, err
	}
	var f *pb.Fact
	if s != nil {
		f = c.findPart(repo, s, plan, ours)
	}
	if s == nil || f == nil && c.mayBeNewer(repo, plan, base) {
		if s, err = c.newest(ctx, repo, plan.GetSnapshot(), base); err != nil {
			return nil, nil, err
		}
		f = c.findPart(repo, s, plan, ours)
	}
	if f == nil {
		return nil, nil, notFound("%s is not part of %s as it is served", strings.TrimPrefix(plan.GetPath(), "/"), strings.TrimPrefix(s.Path, "/"))
	}
	resolved, err := s.artifact(f)
	if err != nil {
		return nil, nil, fmt.Errorf("plugin %s: %s: %w", repo.Plugin, f.GetPath(), err)
	}
	resolved.ContentType = plan.GetContentType()
	c.adopt(repo, s, resolved, f)
	return resolved, f, nil
}

// mayBeNewer reports whether what is asked for by its digest may be of a state
// that was not seen yet.
func (c *Cache) mayBeNewer(repo *Repository, plan *pb.Artifact, base string) bool {
	r := c.knownRendering(renderingName(repo, plan.GetSnapshot(), base))
	return len(plan.GetDigest().GetSum()) > 0 && (r == nil || r.staleAt(time.Now()))
}

// newest is a snapshot with the state that upstream has now.
func (c *Cache) newest(ctx context.Context, repo *Repository, root, base string) (*snapshot, error) {
	d, err := c.factsDocument(ctx, repo, root, base)
	if err != nil {
		return nil, err
	}
	r, _, _, err := c.rendering(ctx, repo, d, base)
	s, failed := c.snapshotAt(repo, root)
	switch {
	case failed != nil:
		return nil, failed
	case s != nil:
		return s, nil
	case err != nil:
		return nil, err
	case r.Failure != nil:
		return nil, r.Failure
	}
	return nil, notFound("upstream has no %s", strings.TrimPrefix(root, "/"))
}

func (c *Cache) findPart(repo *Repository, s *snapshot, plan *pb.Artifact, ours bool) *pb.Fact {
	at := c.stateInForce(repo, s)
	if len(plan.GetDigest().GetSum()) == 0 {
		if shown := c.lastShown(repo, s); shown >= 0 && shown < at {
			at = shown
		}
		return s.part(s.States[at], plan.GetPath())
	}
	// Older states are for readers under way; newer ones are not served yet.
	if ours {
		at = len(s.States) - 1
	}
	for _, st := range slices.Backward(s.States[:at+1]) {
		for _, f := range s.parts[st.Parts.Digest] {
			for _, d := range f.GetDigests() {
				if bytes.Equal(d.GetSum(), plan.GetDigest().GetSum()) && strings.EqualFold(d.GetAlgorithm(), plan.GetDigest().GetAlgorithm()) {
					return f
				}
			}
		}
	}
	return nil
}

// errNoDigest says that a part cannot be verified.
var errNoDigest = errors.New("a part needs a sha256")

// artifact is the plan of a part: of its bytes, wherever they stand. Upstream
// has them where the part says, or beside the root as they are here, if its newest
// state lists no others there.
func (s *snapshot) artifact(f *pb.Fact) (*pb.Artifact, error) {
	d, ok := partDigest(f)
	if !ok {
		return nil, errNoDigest
	}
	a := &pb.Artifact{
		Path:    s.Path + "@" + hex.EncodeToString(d[:]),
		Digest:  &pb.Digest{Algorithm: "sha256", Sum: d[:]},
		Ungated: true,
		Version: &pb.Version{Name: s.Name},
	}
	if f.GetUrl() != "" {
		a.Sources = append(a.Sources, &pb.Source{Url: f.GetUrl(), Role: s.Role})
	}
	if beside, ok := strings.CutPrefix(f.GetPath(), strings.TrimSuffix(path.Dir(s.Path), "/")+"/"); ok && !s.superseded(f) {
		a.Sources = append(a.Sources, &pb.Source{Url: strings.TrimSuffix(s.Dir, "/") + "/" + beside, Role: s.Role})
	}
	return a, nil
}

// adopt makes the record of a part whose body is there. Bodies of parts are
// pinned; records of files are not kept for good.
//
// Where the disk is too full for the record it is made in memory only.
func (c *Cache) adopt(repo *Repository, s *snapshot, plan *pb.Artifact, f *pb.Fact) {
	name := artifactName(repo, plan.GetPath())
	d, _ := partDigest(f)
	if c.knownArtifact(repo, name) != nil || !c.blobs.Has(d) {
		return
	}
	a := &artifact{Body: Body{Digest: d, Size: f.GetSize()}, Name: s.Name}
	if err := c.dir.Cache.Apply(store.Change{name: a.encode()}); err != nil {
		c.log.Warn("the record of a snapshot's part cannot be written", "repository", repo.Name, "part", f.GetPath(), "error", err)
	}
	c.artifacts.Set(name, a)
}

// partFile serves a part of a snapshot. One that upstream's newest state no
// longer has is served once it is known to be right: what comes may be the newest.
func (c *Cache) partFile(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*File, error) {
	resolved, f, err := c.part(ctx, repo, plan, base, false)
	if err != nil {
		return nil, err
	}
	want := func(got bool) {
		if err := c.want(repo, plan.GetSnapshot(), f.GetPath(), got); err != nil {
			// It may be lacking in states to come, which the next client notes again.
			c.log.Warn("that clients ask for a part of a snapshot cannot be noted", "repository", repo.Name, "document", plan.GetSnapshot(), "part", f.GetPath(), "error", err)
		}
	}
	if !c.there(f) {
		want(false)
	}
	if c.superseded(repo, plan.GetSnapshot(), f) {
		_, err := c.landed(ctx, repo, resolved, base)
		if errors.Is(err, errWrongDigest) || isNotFound(err) {
			return nil, notFound("%s is gone upstream, which has a newer state than the one that is served, and was not kept", strings.TrimPrefix(f.GetPath(), "/"))
		}
		if err != nil {
			return nil, err
		}
	}
	file, err := c.Artifact(ctx, repo, resolved, base)
	if err != nil {
		return nil, err
	}
	if file.Flight != nil {
		file.Flight.flight.whenKept(func() { want(true) })
	} else {
		want(true)
	}
	return file, nil
}

// superseded reports whether a part is none of the newest state.
func (c *Cache) superseded(repo *Repository, root string, f *pb.Fact) bool {
	s, err := c.snapshotAt(repo, root)
	return s != nil && err == nil && s.superseded(f)
}

func (s *snapshot) superseded(f *pb.Fact) bool {
	if len(s.States) == 0 {
		return false
	}
	now := s.part(s.States[len(s.States)-1], f.GetPath())
	return now == nil || !sameDigest(now, f)
}

// want remembers that clients ask for a part, and whether they get it, and has
// it fetched of the states to come, which upstream may not have for long. Where it
// is not to be had of upstream's newest state, there may be a newer one already.
func (c *Cache) want(repo *Repository, root, part string, got bool) error {
	s, err := c.snapshotAt(repo, root)
	if err != nil || s == nil {
		return err
	}
	name := snapshotName(repo, root)
	complete := func() {
		c.begin(key("complete", name, part), func(ctx context.Context) (any, error) {
			c.complete(ctx, repo, root)
			c.lookPast(ctx, repo, root)
			return nil, nil
		})
	}
	if at, known := s.findWanted(part); known && (!got || !s.Wanted[at].Vain) && time.Since(s.Wanted[at].Asked) < wantedAgain {
		if s.Wanted[at].Vain {
			complete()
		}
		return nil
	}
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	if s, err = c.snapshotAt(repo, root); err != nil {
		return err
	}
	if s == nil { // lost meanwhile
		return nil
	}
	next := *s
	next.lost = nil
	next.parts = maps.Clone(s.parts)
	next.Wanted = slices.Clone(s.Wanted)
	at, known := s.findWanted(part)
	if known {
		next.Wanted[at].Asked = time.Now()
		next.Wanted[at].Vain = s.Wanted[at].Vain && !got
	} else {
		next.Wanted = slices.Insert(next.Wanted, at, wanted{Path: part, Asked: time.Now(), Vain: !got})
	}
	if err := c.putSnapshot(repo, s, &next); err != nil {
		return err
	}
	if !known || next.Wanted[at].Vain {
		complete()
	}
	return nil
}

func (s *snapshot) findWanted(part string) (at int, known bool) {
	return slices.BinarySearchFunc(s.Wanted, part, func(w wanted, part string) int { return strings.Compare(w.Path, part) })
}

// complete fetches what is lacking of the parts that clients ask for, of the
// state in force and those to come, and waits for it. Those to come are not
// served without for a while. What upstream once did not have of any but its
// newest state it will not have again.
func (c *Cache) complete(ctx context.Context, repo *Repository, root string) {
	s, err := c.snapshotAt(repo, root)
	if err != nil || s == nil {
		return // whoever needs it will be told
	}
	var g errgroup.Group
	g.SetLimit(completing)
	for _, st := range s.States[c.stateInForce(repo, s):] {
		for _, f := range s.wanted(st) {
			plan, err := s.artifact(f)
			if err != nil || c.there(f) {
				continue
			}
			missed, known := c.missed(repo, s, f)
			if known && (s.superseded(f) || time.Now().Before(missed.until)) {
				continue
			}
			g.Go(func() error {
				if _, err := c.landed(ctx, repo, plan, ""); err != nil && !known {
					c.log.Warn("a part of a snapshot's new state cannot be had", "repository", repo.Name, "document", root, "part", f.GetPath(), "state", st.Version, "error", err)
				}
				return nil
			})
		}
	}
	_ = g.Wait() // no error comes of it
	if s, err = c.settle(repo, root); err != nil {
		c.log.Warn("what can be had of a snapshot cannot be noted", "repository", repo.Name, "document", root, "error", err)
	}
	if s != nil {
		c.prepare(repo, s)
	}
}
