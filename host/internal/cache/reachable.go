package cache

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// A document may end in a file, as a tag in what it stands for. Where upstream says
// what that is and cannot give it, the document has not moved for clients: they get
// what it ended in before.

// shownKey is where the files that a document ended in are, the last first.
const (
	shownKey = "shown/"
	maxShown = 3
)

// reachWait is how long clients wait for a document and the file that it ends in
// now, where there is one that it ended in before; for the file longer than
// upstream took for the document in any case.
const reachWait = 900 * time.Millisecond

// Reachable is the file that an answer ends in or, as stale, the last one that the
// document ended in before and that is kept, where upstream cannot give the new one
// now.
func (c *Cache) Reachable(ctx context.Context, repo *Repository, d *pb.Document, base string, a *Answer) (plan *pb.Artifact, stale bool, err error) {
	now, r := a.Instead.GetArtifact(), a.Rendering
	name := shownKey + renderingName(repo, d.GetPath(), base)
	if r.shown.Load() || r.Passing || len(now.GetDigest().GetSum()) == 0 {
		return now, false, nil
	}
	kept, err := c.keeps(ctx, repo, now)
	if err != nil {
		return nil, false, err
	}
	if !kept && !r.Next.IsZero() && !r.there.Load() {
		instead, err := c.unlessGone(ctx, repo, d, base, r, now)
		if err != nil {
			return nil, false, err
		}
		if instead != nil {
			return c.Reachable(ctx, repo, d, base, instead)
		}
	}
	before, err := c.shownBefore(name)
	if err != nil {
		c.log.Debug("what a document ended in before cannot be read", "repository", repo.Name, "document", d.GetPath(), "error", err)
	}
	if !kept && repo.MaxStale > 0 {
		former, err := c.lastKept(ctx, repo, before, now)
		if err != nil {
			return nil, false, err
		}
		if former != nil && !c.reaches(ctx, repo, d, base, a, now) {
			return former, true, nil
		}
	}
	if len(before) == 0 || before[0].GetPath() != now.GetPath() {
		before = slices.DeleteFunc(before, func(p *pb.Artifact) bool { return p.GetPath() == now.GetPath() })
		if err := c.putShown(name, append([]*pb.Artifact{now}, before...)); err != nil {
			// It is for a bad day only: what can be served is served, also on a full disk.
			c.log.Debug("what a document ends in is not noted", "repository", repo.Name, "document", d.GetPath(), "error", err)
			return now, false, nil
		}
	}
	r.shown.Store(kept)
	return now, false, nil
}

// lastKept is the first of some files, another than one, that is kept; nil: none is.
func (c *Cache) lastKept(ctx context.Context, repo *Repository, of []*pb.Artifact, other *pb.Artifact) (*pb.Artifact, error) {
	for _, plan := range of {
		if plan.GetPath() == other.GetPath() {
			continue
		}
		if there, err := c.keeps(ctx, repo, plan); there || err != nil {
			return plan, err
		}
	}
	return nil, nil
}

// reaches reports whether the file that a rendering ends in can be had, or what it
// ended in before has been shown in its place for too long.
func (c *Cache) reaches(ctx context.Context, repo *Repository, d *pb.Document, base string, a *Answer, plan *pb.Artifact) bool {
	r := a.Rendering
	now, first := time.Now(), r.unreached.Load()
	switch {
	case first != 0 && now.Sub(time.UnixMilli(first)) > repo.MaxStale:
		return true
	case now.UnixMilli() < r.reachAgain.Load():
		return false
	}
	err := c.reach(ctx, repo, plan, base, max(reachWait-a.waited, 2*a.waited))
	if err == nil || ctx.Err() != nil {
		return true
	}
	r.reachAgain.Store(time.Now().Add(retryRefresh).UnixMilli())
	if r.unreached.CompareAndSwap(0, now.UnixMilli()) {
		c.log.Warn("a document is served as it was: what it ends in now cannot be had", "repository", repo.Name, "document", d.GetPath(), "error", err)
	}
	return false
}

// keeps reports whether a file need not be fetched.
func (c *Cache) keeps(ctx context.Context, repo *Repository, plan *pb.Artifact) (bool, error) {
	if f, err := c.hostedFile(ctx, repo, plan); f != nil || err != nil {
		if f != nil {
			f.Content.Close()
		}
		return f != nil, err
	}
	a := c.knownArtifact(repo, artifactName(repo, plan.GetPath()))
	return a != nil && c.blobs.Has(a.Digest), nil
}

// reach begins to fetch a file, and says why that fails or takes too long.
func (c *Cache) reach(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	f, err := c.Artifact(ctx, repo, plan, base)
	if err != nil {
		if upstreamFailed(err) || isNotFound(err) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil // whoever asks for it is told
	}
	if f.Content != nil {
		f.Content.Close()
	}
	if f.Flight != nil {
		f.Flight.Close()
	}
	return nil
}

// shownBefore are the files that a document ended in, the last first.
func (c *Cache) shownBefore(name string) ([]*pb.Artifact, error) {
	value, err := c.dir.Cache.Get(name)
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var raw [][]byte
	if err := json.Unmarshal(value, &raw); err != nil {
		return nil, err
	}
	var all []*pb.Artifact
	for _, one := range raw {
		plan := &pb.Artifact{}
		if err := proto.Unmarshal(one, plan); err != nil {
			return nil, err
		}
		all = append(all, plan)
	}
	return all, nil
}

func (c *Cache) putShown(name string, all []*pb.Artifact) error {
	var raw [][]byte
	for _, plan := range all[:min(len(all), maxShown)] {
		one, err := proto.Marshal(plan)
		if err != nil {
			return err
		}
		raw = append(raw, one)
	}
	value, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return c.dir.Cache.Apply(store.Change{name: value})
}
