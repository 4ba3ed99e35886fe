package cache

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Upstream drops files soon after its newest state no longer lists them, while
// clients are still shown a state that does. Those of packages that clients use
// are therefore fetched as soon as a newer state lacks them, and as many others as
// the configuration has room for. They are kept aside, as nobody may have those of
// states to come yet.

// asidePath is where a file with a digest is kept until somebody may have it.
func asidePath(path string, d *pb.Digest) string {
	return key(path, hex.EncodeToString(d.GetSum()))
}

// prepare has the indexes of a snapshot's states read before clients need what
// they list, and fetches what upstream is about to drop. Nobody waits for it.
func (c *Cache) prepare(repo *Repository, s *snapshot) {
	name := snapshotName(repo, s.Path)
	at := c.stateInForce(repo, s)
	known := fmt.Sprint(s.States[at].Parts.Digest, s.States[len(s.States)-1].Parts.Digest, len(s.Wanted), repo.Prefetch)
	if last, ok := c.prepared.Load(name); ok && last == known {
		return
	}
	c.begin(key("prepare", name), func(ctx context.Context) (any, error) {
		if err := c.prepareStates(ctx, repo, s, at); err != nil {
			if ctx.Err() == nil {
				c.log.Warn("the indexes of a snapshot cannot be read beforehand", "repository", repo.Name, "document", s.Path, "error", err)
			}
			return nil, nil
		}
		c.prepared.Store(name, known)
		return nil, nil
	})
}

func (c *Cache) prepareStates(ctx context.Context, repo *Repository, s *snapshot, at int) error {
	newest := len(s.States) - 1
	if _, err := c.filesOf(ctx, repo, s, at); err != nil || at == newest {
		return err
	}
	listed, err := c.filesOf(ctx, repo, s, newest)
	if err != nil {
		return err
	}
	used, err := c.namesKept(repo)
	if err != nil {
		return err
	}
	var wanted, others []*pb.Fact
	for i := at; i < newest; i++ {
		files, err := c.filesOf(ctx, repo, s, i)
		if err != nil {
			return err
		}
		for path, f := range files {
			switch now := listed[path]; {
			case now != nil && sameDigest(now, f):
			case used[f.GetName()]:
				wanted = append(wanted, f)
			default:
				others = append(others, f)
			}
		}
	}
	var g errgroup.Group
	g.SetLimit(completing)
	for _, f := range append(wanted, smallest(others, repo.Prefetch)...) {
		g.Go(func() error { return c.putAside(ctx, repo, f) })
	}
	return g.Wait()
}

// smallest are the smallest files that there is room for. Those that several
// states list count once.
func smallest(files []*pb.Fact, room int64) []*pb.Fact {
	slices.SortFunc(files, func(a, b *pb.Fact) int {
		return cmp.Or(cmp.Compare(a.GetSize(), b.GetSize()), cmp.Compare(a.GetPath(), b.GetPath()))
	})
	files = slices.CompactFunc(files, func(a, b *pb.Fact) bool { return a.GetPath() == b.GetPath() && sameDigest(a, b) })
	for i, f := range files {
		if room -= f.GetSize(); room < 0 {
			return files[:i]
		}
	}
	return files
}

// filesOf are the files that the indexes of a state list which clients ask for,
// by path. Indexes that upstream has left behind count for nothing.
func (c *Cache) filesOf(ctx context.Context, repo *Repository, s *snapshot, at int) (map[string]*pb.Fact, error) {
	files := map[string]*pb.Fact{}
	for _, part := range s.needed(s.States[at]) {
		if part.GetIndex() == "" || at < len(s.States)-1 && !c.there(part) {
			continue
		}
		set := c.knownFacts(repo, part.GetIndex())
		if set == nil {
			d, err := c.factsDocument(ctx, repo, part.GetIndex(), "")
			if err != nil {
				return nil, err
			}
			if set, err = c.factsOf(ctx, repo, d, "", time.Time{}); err != nil {
				return nil, err
			}
		}
		for _, f := range set.facts {
			files[f.GetPath()] = f
		}
	}
	return files, nil
}

// heldToCome judges a file by the states to come of snapshots below a folder
// that list it, where no state in force does. Nil: none is known to.
func (c *Cache) heldToCome(ctx context.Context, repo *Repository, folder string, plan *pb.Artifact) (held *Failure, err error) {
	var broken error
	err = c.eachSnapshot(repo, folder, func(s *snapshot) {
		for i := c.stateInForce(repo, s) + 1; i < len(s.States) && held == nil; i++ {
			files, err := c.filesOf(ctx, repo, s, i)
			if err != nil {
				broken = errors.Join(broken, err)
				continue
			}
			if files[plan.GetPath()] != nil {
				held = c.heldState(repo, s, s.States[i], plan.GetVersion())
			}
		}
	})
	if held != nil {
		return held, nil
	}
	return nil, errors.Join(err, broken)
}

// heldState says of a version that a state lists until when that is held back;
// nil: it is not.
func (c *Cache) heldState(repo *Repository, s *snapshot, st *state, listed *pb.Version) *Failure {
	k := cooldown.Key{Name: s.Name, Version: st.Version}
	p := c.policy.For(repo.eco(), []string{s.Name}, time.Now())
	p.Floors = map[cooldown.Key]time.Time{k: st.Floor}
	v := p.Judge(k, st.Published)
	if !v.Held {
		return nil
	}
	c.Stats.Held.Add(1)
	return heldFailure(listed.GetName(), listed.GetVersion(), v)
}

// namesKept are the packages of which any file is kept that was asked for.
func (c *Cache) namesKept(repo *Repository) (map[string]bool, error) {
	names := map[string]bool{}
	prefix := artifactName(repo, "")
	err := c.dir.Cache.Each(prefix, false, func(k string, value []byte) bool {
		if strings.Contains(k[len(prefix):], "\x00") {
			return true // put aside
		}
		if a, err := decodeArtifact(value); err == nil {
			names[strings.Clone(a.Name)] = true
		}
		return true
	})
	return names, err
}

// putAside fetches a file and keeps it where nobody is served it from. That it
// cannot be had is for those to be told who will ask for it.
func (c *Cache) putAside(ctx context.Context, repo *Repository, f *pb.Fact) error {
	digest := wire.Strongest(f.GetDigests())
	if digest == nil || c.knownArtifact(repo, artifactName(repo, f.GetPath())) != nil {
		return nil
	}
	plan, err := c.Plan(ctx, repo, "", &pb.Request{Method: "GET", Path: f.GetPath()})
	if err != nil || plan.GetArtifact() == nil {
		return err
	}
	aside := proto.CloneOf(plan.GetArtifact())
	aside.Path, aside.Digest, aside.Ungated, aside.Facts = asidePath(f.GetPath(), digest), digest, true, nil
	if _, err := c.landed(ctx, repo, aside, ""); err != nil && ctx.Err() == nil {
		c.log.Warn("a file that upstream no longer lists cannot be had", "repository", repo.Name, "file", f.GetPath(), "error", err)
	}
	return ctx.Err()
}

// fromAside keeps a file under its own path that was fetched beforehand; false:
// it was not.
func (c *Cache) fromAside(repo *Repository, plan *pb.Artifact, known *found, name string) (Body, bool, error) {
	digest := namedDigest(plan, known)
	if digest == nil || !known.exact {
		return Body{}, false, nil
	}
	aside := c.knownArtifact(repo, artifactName(repo, asidePath(plan.GetPath(), digest)))
	if aside == nil || !c.blobs.Has(aside.Digest) {
		return Body{}, false, nil
	}
	a := &artifact{Body: aside.Body, Type: aside.Type, Name: known.fact.GetName(), Version: known.fact.GetVersion(), Since: known.since, Floored: known.floored}
	if err := c.dir.Cache.Apply(store.Change{name: a.encode()}); err != nil {
		return Body{}, false, err
	}
	c.artifacts.Drop(name)
	return a.Body, true, nil
}
