package cache

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// A file that no document lists is known by what documents with a history told
// of it. Who asks for one that none told of may be the first to see it, or the
// documents may have changed since they were looked at.

// maxLooks bounds how many documents are looked at for one file.
const maxLooks = 32

// lookAgain looks at the documents with a history that may tell of a file, those
// seen last first and those that upstream never had last, as far as their time is
// over.
func (c *Cache) lookAgain(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) error {
	type seenAt struct {
		path   string
		last   time.Time
		unseen bool
	}
	var all []seenAt
	var broken error
	prefix := sightingsName(repo, "")
	for _, pattern := range plan.GetFacts() {
		if !ofSnapshots(pattern) {
			continue
		}
		err := c.dir.Keep.Each(sightingsName(repo, strings.TrimSuffix(pattern, "*")), false, func(k string, value []byte) bool {
			s := &sightings{}
			if broken = json.Unmarshal(value, s); broken != nil {
				return false
			}
			all = append(all, seenAt{strings.TrimPrefix(k, prefix), s.Last, s.unseen()})
			return true
		})
		if err := errors.Join(err, broken); err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b seenAt) int {
		if a.unseen != b.unseen {
			if b.unseen {
				return -1
			}
			return 1
		}
		return b.last.Compare(a.last)
	})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, one := range all[:min(len(all), maxLooks)] {
		g.Go(func() error {
			if err := c.lookAt(ctx, repo, one.path, base); err != nil {
				c.log.Debug("what tells of a file cannot be looked at", "repository", repo.Name, "document", one.path, "error", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// lookAt renders a document with a history unless upstream confirmed it within its
// time.
func (c *Cache) lookAt(ctx context.Context, repo *Repository, path, base string) error {
	p, query, _ := strings.Cut(path, "?")
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: http.MethodGet, Path: p, Query: query})
	d := plan.GetDocument()
	if err != nil || !d.GetHistory() {
		return err
	}
	name := renderingName(repo, d.GetPath(), base)
	if r := c.knownRendering(name); r != nil && !r.staleAt(time.Now()) && !r.unconfirmed.Load() {
		return nil
	}
	_, err = c.remake(ctx, repo, d, base, name, repo.withinTTL)
	return err
}

// firstSight notes that a file which nothing told of is upstream, so that its
// cool-down begins.
func (c *Cache) firstSight(ctx context.Context, repo *Repository, plan *pb.Artifact) (*found, error) {
	v := plan.GetVersion()
	there, err := c.isUpstream(ctx, repo, plan)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: v.GetName(), Version: v.GetVersion(),
			Message: "upstream has no " + strings.TrimPrefix(plan.GetPath(), "/")}
	}
	mu := c.lockRecord(sightingsName(repo, plan.GetPath()))
	mu.Lock()
	defer mu.Unlock()
	if f, err := c.historyOf(repo, plan); f != nil || err != nil {
		return f, err // another was faster
	}
	now := time.Now()
	f := &pb.Fact{Name: v.GetName(), Version: v.GetVersion(), Path: plan.GetPath()}
	s := &sightings{First: now, Last: now, Floors: []floor{{v.GetName(), v.GetVersion(), plan.GetPath(), now}}}
	s.remember(nil, []*pb.Fact{f}, now)
	if err := c.putSightings(repo, plan.GetPath(), s, true); err != nil {
		return nil, err
	}
	return &found{fact: f, exact: true, since: now, floored: true}, nil
}

// isUpstream reports whether upstream says that it has a file.
func (c *Cache) isUpstream(ctx context.Context, repo *Repository, plan *pb.Artifact) (bool, error) {
	for _, s := range plan.GetSources() {
		s = proto.CloneOf(s)
		s.Head = true
		resp, err := ask(ctx, repo, upstream.Request{Source: s, Method: http.MethodHead, Exact: true})
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		if resp.Found() {
			return true, nil
		}
	}
	return false, nil
}
