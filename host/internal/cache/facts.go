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
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// factSet is what one document told, sorted by path, name and version.
type factSet struct {
	// facts are sorted by path.
	facts []*pb.Fact
	// complete says that upstream has nothing else of what it is about.
	complete bool
	// absent says that upstream has no such document.
	absent bool
}

// factsRecord is where the facts of a document are.
type factsRecord struct {
	Body
	Complete bool `json:",omitempty"`
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
	return c.factSets.Find(name, func() (*factSet, bool) {
		value, err := c.dir.Cache.Get(name)
		if err != nil {
			return nil, false
		}
		var r factsRecord
		if json.Unmarshal(value, &r) != nil {
			return nil, false
		}
		body, err := c.blobs.Read(r.Digest, r.Size)
		if err != nil {
			return nil, false
		}
		var all pb.Facts
		if proto.Unmarshal(body, &all) != nil {
			return nil, false
		}
		return &factSet{facts: all.GetFacts(), complete: r.Complete}, true
	})
}

// putFacts keeps the facts of a document and tells artifacts that are kept of
// what changed for them. Complete says that what is not among them is gone.
func (c *Cache) putFacts(repo *Repository, path string, facts []*pb.Fact, floors map[cooldown.Key]time.Time, complete bool) error {
	sortFacts(facts)
	old := c.knownFacts(repo, path)
	set := &factSet{facts: facts, complete: complete && repo.Describe.GetCompleteListings()}
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
	record, err := json.Marshal(factsRecord{Body{Digest: w.Digest(), Size: int64(len(body))}, set.complete})
	if err != nil {
		return err
	}
	// Before the record, after which nobody knows any more what left the document,
	// and again after it, for files that were judged by the old one and land now.
	if err := c.pushFacts(repo, old, set, floors); err != nil {
		return err
	}
	name := factsName(repo, path)
	if _, err := w.Commit(store.Change{name: record}, false); err != nil {
		return err
	}
	c.factSets.Set(name, set)
	for _, f := range facts { // what is listed now is no longer missing
		if f.Path != "" && (old == nil || old.path(f.Path) == nil) {
			c.missing.Drop(artifactName(repo, f.Path))
		}
	}
	return c.pushFacts(repo, old, set, floors)
}

// pushFacts brings kept artifacts up to date: those that left a complete
// listing are withdrawn, those whose time or digest changed follow. Old is nil
// where nothing was known before.
func (c *Cache) pushFacts(repo *Repository, old, now *factSet, floors map[cooldown.Key]time.Time) error {
	if old == nil {
		return nil
	}
	for _, was := range old.facts {
		if was.Path == "" {
			continue
		}
		is := now.path(was.Path)
		switch {
		case is == nil && now.complete:
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

// stillListed looks at a file that has landed by the facts in force: those that
// it was judged by may have been replaced while it was on its way, when there was
// nothing yet to be told of that. The error is for the client.
func (c *Cache) stillListed(repo *Repository, plan *pb.Artifact, known *found, a *artifact) error {
	if known.document == "" {
		return nil
	}
	now := c.knownFacts(repo, known.document)
	if now == nil {
		return nil
	}
	is := now.path(plan.GetPath())
	switch {
	case is != nil && known.exact && !sameDigest(is, known.fact):
		return c.dropArtifact(repo, plan.GetPath())
	case is == nil && now.complete && (known.exact || now.version(plan.GetVersion()) == nil):
		return c.withdrawn(repo, plan, a)
	}
	return nil
}

// unlisted reports whether a file must have left the documents that its plan
// names, because all of them are known, one is complete, and none has it or its
// version.
func (c *Cache) unlisted(repo *Repository, plan *pb.Artifact) bool {
	if plan.GetUnlisted() || plan.GetUngated() {
		return false
	}
	complete := false
	for _, path := range plan.GetFacts() {
		if ofSnapshots(path) {
			return false
		}
		facts := c.knownFacts(repo, path)
		if facts == nil || facts.path(plan.GetPath()) != nil || facts.version(plan.GetVersion()) != nil {
			return false
		}
		complete = complete || facts.complete
	}
	return complete
}

// withdrawn notes that a kept file left a complete listing. The error is for the
// client, unless such files are served.
func (c *Cache) withdrawn(repo *Repository, plan *pb.Artifact, a *artifact) error {
	if err := c.changeArtifact(repo, plan.GetPath(), func(a *artifact) { a.Withdrawn = true }); err != nil {
		return err
	}
	if f := c.refusal(repo, a.Name, a.Version, plan.GetPath(), a.Since, a.Floored, true); f != nil {
		return f
	}
	return nil
}

// sameDigest reports whether two facts of a file give the same bytes, as far
// as they say.
func sameDigest(a, b *pb.Fact) bool {
	x, y := wire.Strongest(a.GetDigests()), wire.Strongest(b.GetDigests())
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
