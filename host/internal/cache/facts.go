package cache

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// factSet is what one document told, sorted by path, name and version.
type factSet struct {
	// facts are sorted by path.
	facts []*pb.Fact
	// absent says that upstream has no such document.
	absent bool
}

func (f *factSet) weight() uint32 { return uint32(min(len(f.facts)*400+100, 1<<31)) }

func sortFacts(facts []*pb.Fact) {
	slices.SortFunc(facts, func(a, b *pb.Fact) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

// path finds the fact of a file.
func (f *factSet) path(path string) *pb.Fact {
	i, ok := slices.BinarySearchFunc(f.facts, path, func(fact *pb.Fact, p string) int { return cmp.Compare(fact.Path, p) })
	if !ok || path == "" {
		return nil
	}
	return f.facts[i]
}

// version finds the youngest fact of a version, for files that have no fact of
// their own.
func (f *factSet) version(v *pb.Version) *pb.Fact {
	var found *pb.Fact
	for _, fact := range f.facts {
		if fact.Name == v.GetName() && fact.Version == v.GetVersion() && (found == nil || fact.PublishedMs > found.PublishedMs) {
			found = fact
		}
	}
	return found
}

const factsKey = "f/"

func factsName(repo *Repository, path string) string { return key(factsKey+repo.Name, path) }

// knownFacts returns the facts of a document if they are kept.
func (c *Cache) knownFacts(repo *Repository, path string) *factSet {
	name := factsName(repo, path)
	if f, ok := c.factSets.GetIfPresent(name); ok {
		return f
	}
	value, err := c.dir.Cache.Get(name)
	if err != nil {
		return nil
	}
	var r Body
	if json.Unmarshal(value, &r) != nil {
		return nil
	}
	body, err := c.blobs.Read(r.Digest, r.Size)
	if err != nil {
		return nil
	}
	var all pb.Facts
	if proto.Unmarshal(body, &all) != nil {
		return nil
	}
	f := &factSet{facts: all.GetFacts()}
	c.factSets.Set(name, f)
	return f
}

// putFacts keeps the facts of a document and tells artifacts that are kept of
// what changed for them. Complete says that what is not among them is gone.
func (c *Cache) putFacts(repo *Repository, path string, facts []*pb.Fact, floors map[cooldown.Key]time.Time, complete bool) error {
	sortFacts(facts)
	old := c.knownFacts(repo, path)
	set := &factSet{facts: facts}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.Facts{Facts: facts})
	if err != nil {
		return err
	}
	w, err := c.blobs.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		return err
	}
	record, err := json.Marshal(Body{Digest: w.Digest(), Size: int64(len(body))})
	if err != nil {
		return err
	}
	name := factsName(repo, path)
	if _, err := w.Commit(store.Change{name: record}, false); err != nil {
		return err
	}
	c.factSets.Set(name, set)
	for _, f := range facts { // what is listed now is no longer missing
		if f.Path != "" && (old == nil || old.path(f.Path) == nil) {
			c.missing.Invalidate(artifactName(repo, f.Path))
		}
	}
	if old != nil {
		return c.pushFacts(repo, old, set, floors, complete && repo.Describe.GetCompleteListings())
	}
	return nil
}

// pushFacts brings kept artifacts up to date: those that left a complete
// listing are withdrawn, those whose time or digest changed follow.
func (c *Cache) pushFacts(repo *Repository, old, now *factSet, floors map[cooldown.Key]time.Time, complete bool) error {
	for _, was := range old.facts {
		if was.Path == "" {
			continue
		}
		is := now.path(was.Path)
		switch {
		case is == nil && complete:
			if err := c.changeArtifact(repo, was.Path, func(a *artifact) { a.Withdrawn = true }); err != nil {
				return err
			}
		case is != nil && !sameDigest(is, was):
			if err := c.dropArtifact(repo, was.Path); err != nil {
				return err
			}
		case is != nil && is.PublishedMs != was.PublishedMs:
			since, floored := sinceOf(is, floors)
			if err := c.changeArtifact(repo, was.Path, func(a *artifact) { a.Since, a.Floored = since, floored }); err != nil {
				return err
			}
		}
	}
	// What came back is served again.
	for _, is := range now.facts {
		if is.Path != "" && old.path(is.Path) == nil {
			if err := c.changeArtifact(repo, is.Path, func(a *artifact) { a.Withdrawn = false }); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameDigest reports whether two facts of a file give the same bytes, as far
// as they say.
func sameDigest(a, b *pb.Fact) bool {
	x, y := digestOf(a.GetDigests()), digestOf(b.GetDigests())
	return x == nil || y == nil || x.GetAlgorithm() != y.GetAlgorithm() || bytes.Equal(x.GetSum(), y.GetSum())
}

// sinceOf is when a fact's cool-down begins, and whether that is our own
// observation.
func sinceOf(f *pb.Fact, floors map[cooldown.Key]time.Time) (since time.Time, floored bool) {
	since = publishedOf(f)
	k := keyOf(f)
	for _, k := range [2]cooldown.Key{k, {Name: k.Name, Version: k.Version}} {
		if floor := floors[k]; floor.After(since) {
			since, floored = floor, true
		}
	}
	return since, floored
}

func keyOf(f *pb.Fact) cooldown.Key {
	return cooldown.Key{Name: f.GetName(), Version: f.GetVersion(), Path: f.GetPath()}
}

func publishedOf(f *pb.Fact) time.Time {
	if f.GetPublishedMs() == 0 {
		return time.Time{}
	}
	return time.UnixMilli(f.GetPublishedMs())
}
