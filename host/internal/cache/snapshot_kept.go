package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func snapshotName(repo *Repository, path string) string { return key(snapshotKey+repo.Name, path) }

// snapshotAt returns the snapshot with a root; nil: it was never seen.
func (c *Cache) snapshotAt(repo *Repository, path string) (*snapshot, error) {
	s, err := c.keptSnapshot(repo, path)
	if err != nil || s == nil || len(s.States) == 0 {
		return nil, err
	}
	return s, nil
}

// keptSnapshot is what is kept of a snapshot with a root; it has no state where
// all of them are lost. Nil: it was never seen.
func (c *Cache) keptSnapshot(repo *Repository, path string) (*snapshot, error) {
	name := snapshotName(repo, path)
	s, err := c.snapshots.Load(name, func() (*snapshot, error) { return c.readSnapshot(repo, path) })
	if lost(err) {
		return nil, nil
	}
	return s, err
}

// readSnapshot reads a snapshot without those of its states whose list of parts
// is gone. What upstream shows now is looked at again then, so that it is known
// as a state.
func (c *Cache) readSnapshot(repo *Repository, path string) (*snapshot, error) {
	value, err := c.dir.Keep.Get(snapshotName(repo, path))
	if err != nil {
		return nil, err
	}
	s := &snapshot{}
	if err := json.Unmarshal(value, s); err != nil {
		return nil, err
	}
	s.parts = map[blobs.Digest][]*pb.Fact{}
	var there []*state
	for _, st := range s.States {
		body, err := c.blobs.Read(st.Parts.Digest, st.Parts.Size)
		if lost(err) {
			c.log.Error("the list of a state's parts is gone; the state is forgotten", "repository", repo.Name, "document", path, "state", st.Version)
			s.lost = append(s.lost, st)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the parts of state %s of %s: %v", st.Version, path, err)
		}
		var list pb.Facts
		if err := proto.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		s.parts[st.Parts.Digest] = list.GetFacts()
		there = append(there, st)
	}
	if s.States = there; len(s.lost) > 0 {
		return s, c.dropRenderings(repo, path)
	}
	return s, nil
}

// putParts keeps the list of a state's parts, pinned.
func (c *Cache) putParts(owner string, parts []*pb.Fact) (Body, error) {
	sortFacts(parts)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.Facts{Facts: parts})
	if err != nil {
		return Body{}, err
	}
	w, err := c.blobs.Create()
	if err != nil {
		return Body{}, err
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		return Body{}, err
	}
	// Pinned first: a body that nobody pins may be evicted at once.
	if err := c.dir.Keep.Apply(store.Change{pinName(w.Digest(), owner): {}}); err != nil {
		return Body{}, err
	}
	digest, err := w.Commit(nil, true)
	return Body{Digest: digest, Size: int64(len(body))}, err
}

// putSnapshot drops the states that nobody can need any more, and parts that
// nobody asks for, and keeps what is left, with its bodies pinned.
func (c *Cache) putSnapshot(repo *Repository, old, next *snapshot) error {
	name := snapshotName(repo, next.Path)
	if at := c.stateInForce(repo, next); at > olderStates {
		next.States = slices.Clone(next.States[at-olderStates:])
	}
	next.Wanted = slices.DeleteFunc(slices.Clone(next.Wanted), func(w wanted) bool { return time.Since(w.Asked) > wantedFor })
	lists := map[blobs.Digest]bool{}
	for _, st := range next.States {
		lists[st.Parts.Digest] = true
	}
	maps.DeleteFunc(next.parts, func(d blobs.Digest, _ []*pb.Fact) bool { return !lists[d] })
	change := store.Change{}
	if old != nil {
		for _, d := range old.bodies() {
			change[pinName(d, name)] = nil
		}
	}
	for _, d := range next.bodies() {
		change[pinName(d, name)] = []byte{}
	}
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	change[name] = value
	if err := c.dir.Keep.Apply(change); err != nil {
		return err
	}
	c.snapshots.Set(name, next)
	return c.dir.Keep.Sync()
}

// bodies are those that a snapshot needs: roots, lists of parts, and the parts
// that clients ask for.
func (s *snapshot) bodies() []blobs.Digest {
	var all []blobs.Digest
	for _, st := range slices.Concat(s.States, s.lost) {
		all = append(all, st.Parts.Digest)
		for _, out := range st.Outputs {
			all = append(all, out.Plain.Digest)
		}
		for _, f := range s.wanted(st) {
			if d, ok := partDigest(f); ok {
				all = append(all, d)
			}
		}
	}
	return all
}

// indexes are the documents that list files for the parts, below a path, of
// snapshots, as far as clients can have got them: those of the states in force
// first, then those of older ones.
func (c *Cache) indexes(repo *Repository, below string) ([]string, error) {
	var current, older []string
	err := c.eachSnapshot(repo, below, func(s *snapshot) {
		at := c.stateInForce(repo, s)
		for i := at; i >= 0; i-- {
			for _, f := range s.wanted(s.States[i]) {
				switch {
				case f.GetIndex() == "" || !c.there(f):
				case i == at:
					current = append(current, f.GetIndex())
				default:
					older = append(older, f.GetIndex())
				}
			}
		}
	})
	var all []string
	for _, index := range append(current, older...) {
		if !slices.Contains(all, index) {
			all = append(all, index)
		}
	}
	return all, err
}

func (c *Cache) eachSnapshot(repo *Repository, below string, visit func(*snapshot)) error {
	var paths []string
	prefix := snapshotName(repo, "")
	err := c.dir.Keep.Each(snapshotName(repo, below), true, func(k string, _ []byte) bool {
		paths = append(paths, strings.TrimPrefix(k, prefix))
		return true
	})
	for _, path := range paths {
		s, failed := c.snapshotAt(repo, path)
		if failed != nil {
			err = errors.Join(err, failed)
		} else if s != nil {
			visit(s)
		}
	}
	return err
}
