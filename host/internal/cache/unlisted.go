package cache

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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
// that are new and those seen last first, as far as their time is over.
func (c *Cache) lookAgain(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) error {
	last := map[string]time.Time{}
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
			last[strings.TrimPrefix(k, prefix)] = s.Last
			return true
		})
		if err := errors.Join(err, broken); err != nil {
			return err
		}
	}
	fresh, err := c.freshlyListed(ctx, repo, plan, base)
	if err != nil {
		return err
	}
	maps.Copy(last, fresh)
	all := slices.SortedFunc(maps.Keys(last), func(a, b string) int { return last[b].Compare(last[a]) })
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, one := range all[:min(len(all), maxLooks)] {
		g.Go(func() error {
			_ = c.lookAt(ctx, repo, one, base) // what can be seen is seen
			return ctx.Err()
		})
	}
	return g.Wait()
}

// freshlyListed looks at the list of a file's package, and returns what it lists
// that is held back and may be a document that tells of the file, with since when.
// A first look at a list tells of nothing that is new: nobody waits for it.
func (c *Cache) freshlyListed(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (map[string]time.Time, error) {
	d, err := c.about(ctx, repo, base, &pb.Version{Name: plan.GetVersion().GetName()})
	if d == nil || err != nil {
		return nil, err
	}
	seen, err := c.sightings(repo, d.GetPath())
	if err != nil {
		return nil, err
	}
	if seen == nil {
		c.begin(key("first look", renderingName(repo, d.GetPath(), base)), func(ctx context.Context) (any, error) {
			return nil, c.confirmed(ctx, repo, d, base)
		})
		return nil, nil
	}
	if err := c.confirmed(ctx, repo, d, base); err != nil {
		return nil, ctx.Err()
	}
	if seen, err = c.sightings(repo, d.GetPath()); seen == nil || err != nil {
		return nil, err
	}
	fresh := map[string]time.Time{}
	for _, f := range seen.Floors {
		tells := slices.ContainsFunc(plan.GetFacts(), func(pattern string) bool {
			return ofSnapshots(pattern) && strings.HasPrefix(f.Path, strings.TrimSuffix(pattern, "*"))
		})
		if tells && c.verdict(repo, f.Name, f.Version, f.Path, f.At, true).Held {
			fresh[f.Path] = f.At
		}
	}
	return fresh, nil
}

// lookAt renders a document with a history unless that was done within its time.
func (c *Cache) lookAt(ctx context.Context, repo *Repository, path, base string) error {
	p, query, _ := strings.Cut(path, "?")
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: http.MethodGet, Path: p, Query: query})
	d := plan.GetDocument()
	if err != nil || !d.GetHistory() {
		return err
	}
	return c.confirmed(ctx, repo, d, base)
}

// confirmed renders a document unless that was done within its time.
func (c *Cache) confirmed(ctx context.Context, repo *Repository, d *pb.Document, base string) error {
	name := renderingName(repo, d.GetPath(), base)
	if r := c.knownRendering(name); r != nil && !r.staleAt(time.Now()) {
		return nil
	}
	_, err := c.remake(ctx, repo, d, base, name, repo.withinTTL)
	if err != nil {
		c.log.Debug("what tells of a file cannot be looked at", "repository", repo.Name, "document", d.GetPath(), "error", err)
	}
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
