package cache

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// snapshot is what is kept of a signed index and everything listed there: the
// states that it was seen in. It cannot be fetched again, so it is in the store
// and its bodies are pinned. It is immutable; a change makes a new one.
type snapshot struct {
	// Path is the canonical address of its root, Name what policy calls it.
	Path, Name string
	// Role is the upstream that it comes from.
	Role string
	// States from the oldest to the newest; there is at least one.
	States []*state
	// Wanted are the paths of the parts that clients asked for, sorted.
	Wanted []string

	parts map[blobs.Digest][]*pb.Fact // of each state, by the digest of its list, sorted by path
}

// state is one state of a snapshot.
type state struct {
	Version            string
	Published, Expires time.Time `json:",omitzero"`
	// Floor is when it was known not to be there yet; zero: it is the first that
	// was seen.
	Floor time.Time `json:",omitzero"`
	// Outputs are the root documents.
	Outputs map[string]*Output
	// Parts is the list of its parts.
	Parts Body
}

const (
	snapshotKey = "snap/"
	// olderStates are kept for readers under way.
	olderStates = 3
	// expiryMargin is how long before its end a state is no longer served while
	// there is a newer one.
	expiryMargin = time.Hour
)

func snapshotName(repo *Repository, path string) string { return key(snapshotKey+repo.Name, path) }

// snapshotAt returns the snapshot with a root; nil: it was never seen.
func (c *Cache) snapshotAt(repo *Repository, path string) (*snapshot, error) {
	name := snapshotName(repo, path)
	if s, ok := c.snapshots.GetIfPresent(name); ok {
		return s, nil
	}
	value, err := c.dir.Keep.Get(name)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	s := &snapshot{}
	if err := json.Unmarshal(value, s); err != nil {
		return nil, err
	}
	s.parts = map[blobs.Digest][]*pb.Fact{}
	for _, st := range s.States {
		body, err := c.blobs.Read(st.Parts.Digest, st.Parts.Size)
		if err != nil {
			return nil, fmt.Errorf("the parts of state %s of %s: %w", st.Version, path, err)
		}
		var list pb.Facts
		if err := proto.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		s.parts[st.Parts.Digest] = list.GetFacts()
	}
	c.snapshots.Set(name, s)
	return s, nil
}

// inForce is the index of the state that is served now: the newest that policy
// serves, or the first one seen, but none that is about to expire while there
// is a newer one.
func (s *snapshot) inForce(p *cooldown.Policy) int {
	at := len(s.States) - 1
	for ; at > 0; at-- {
		k := cooldown.Key{Name: s.Name, Version: s.States[at].Version}
		p.Floors = map[cooldown.Key]time.Time{k: s.States[at].Floor}
		if !p.Judge(k, s.States[at].Published).Held {
			break
		}
	}
	for at < len(s.States)-1 && !s.States[at].Expires.IsZero() && p.Now.After(s.States[at].Expires.Add(-expiryMargin)) {
		at++
	}
	return at
}

func (c *Cache) stateInForce(repo *Repository, s *snapshot) int {
	return s.inForce(c.policy.For(repo.eco(), []string{s.Name}, time.Now()))
}

// snapshotDocument answers a document plan of a snapshot's root.
func (c *Cache) snapshotDocument(ctx context.Context, repo *Repository, d *pb.Document, base string) (*Answer, error) {
	r, stale, hit, err := c.rendering(ctx, repo, d, base)
	s, failed := c.snapshotAt(repo, d.GetPath())
	if failed != nil {
		return nil, failed
	}
	if s == nil {
		if err == nil && r.Failure != nil {
			err = r.Failure
		}
		if err == nil {
			err = fmt.Errorf("plugin %s says nothing of the state of %s", repo.Plugin, d.GetPath())
		}
		return nil, err
	}
	out := s.States[c.stateInForce(repo, s)].Outputs[d.GetOutput()]
	if out == nil {
		return nil, notFound("upstream has no %s", strings.TrimPrefix(d.GetPath(), "/"))
	}
	return &Answer{Rendering: r, Output: out, Verbatim: true, Stale: stale || err != nil, Hit: hit}, nil
}

// observeState adds what was rendered to a snapshot, if it is a state that was
// not seen before.
func (m *making) observeState(r *Rendering, told *pb.State, facts []*pb.Fact) error {
	if told == nil {
		return fmt.Errorf("plugin %s says nothing of the state of %s", m.repo.Plugin, m.d.GetPath())
	}
	name := snapshotName(m.repo, m.d.GetPath())
	mu := m.c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	old, err := m.c.snapshotAt(m.repo, m.d.GetPath())
	if err != nil {
		return err
	}
	fresh := &state{Version: told.GetVersion(), Outputs: r.Outputs}
	if ms := told.GetPublishedMs(); ms != 0 {
		fresh.Published = time.UnixMilli(ms)
	}
	if ms := told.GetExpiresMs(); ms != 0 {
		fresh.Expires = time.UnixMilli(ms)
	}
	next := &snapshot{Path: m.d.GetPath(), Role: m.d.GetSources()[0].GetRole(), parts: map[blobs.Digest][]*pb.Fact{}}
	if names := m.d.GetNames(); len(names) == 1 {
		next.Name = names[0]
	}
	if old != nil {
		newest := old.States[len(old.States)-1]
		if sameOutputs(newest.Outputs, fresh.Outputs) {
			return nil
		}
		fresh.Floor = m.looked(newest)
		next.States, next.Wanted = slices.Clone(old.States), old.Wanted
		for d, list := range old.parts {
			next.parts[d] = list
		}
	}
	if fresh.Parts, err = m.c.putParts(name, facts); err != nil {
		return err
	}
	next.States = append(next.States, fresh)
	next.parts[fresh.Parts.Digest] = facts
	if err := m.c.putSnapshot(m.repo, old, next); err != nil {
		return err
	}
	m.c.fetchWanted(m.repo, next, fresh)
	return nil
}

// looked is when upstream last showed the newest state: the one after it cannot
// be older.
func (m *making) looked(newest *state) time.Time {
	if seen, err := m.c.sightings(m.repo, m.d.GetPath()); err == nil && seen != nil {
		return seen.Last
	}
	return newest.Floor
}

func sameOutputs(a, b map[string]*Output) bool {
	if len(a) != len(b) {
		return false
	}
	for name, out := range a {
		if b[name] == nil || b[name].Plain != out.Plain {
			return false
		}
	}
	return true
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

// putSnapshot drops the states that nobody can need any more and keeps what is
// left, with its bodies pinned.
func (c *Cache) putSnapshot(repo *Repository, old, next *snapshot) error {
	name := snapshotName(repo, next.Path)
	if at := c.stateInForce(repo, next); at > olderStates {
		next.States = next.States[at-olderStates:]
	}
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
// that clients asked for.
func (s *snapshot) bodies() []blobs.Digest {
	var all []blobs.Digest
	for _, st := range s.States {
		all = append(all, st.Parts.Digest)
		for _, out := range st.Outputs {
			all = append(all, out.Plain.Digest)
		}
		for _, path := range s.Wanted {
			if f := (&factSet{facts: s.parts[st.Parts.Digest]}).path(path); f != nil {
				if d, ok := partDigest(f); ok {
					all = append(all, d)
				}
			}
		}
	}
	return all
}

// partDigest is the sha256 of a part, by which it is kept.
func partDigest(f *pb.Fact) (blobs.Digest, bool) {
	for _, d := range f.GetDigests() {
		if strings.EqualFold(d.GetAlgorithm(), "sha256") && len(d.GetSum()) == len(blobs.Digest{}) {
			return blobs.Digest(d.GetSum()), true
		}
	}
	return blobs.Digest{}, false
}

// errNoPart says that a state has no such part, or one that cannot be verified.
var errNoPart = errors.New("no such part")

// part turns the plan of a snapshot's part into that of a file with a digest:
// the part of the state in force, or the one with the digest that is asked for.
func (c *Cache) part(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*pb.Artifact, error) {
	root := plan.GetSnapshot()
	r := c.knownRendering(renderingName(repo, root, base))
	if r == nil || r.staleAt(time.Now()) || !c.agrees(repo, r, time.Now()) {
		d, err := c.factsDocument(ctx, repo, root, base)
		if err != nil {
			return nil, err
		}
		if _, err := c.snapshotDocument(ctx, repo, d, base); err != nil {
			return nil, err
		}
	}
	s, err := c.snapshotAt(repo, root)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, notFound("upstream has no %s", strings.TrimPrefix(root, "/"))
	}
	f := c.findPart(repo, s, plan)
	if f == nil {
		return nil, notFound("%s is not part of %s as it is served", strings.TrimPrefix(plan.GetPath(), "/"), strings.TrimPrefix(root, "/"))
	}
	resolved, err := s.artifact(f)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %s: %w", repo.Plugin, f.GetPath(), err)
	}
	resolved.ContentType = plan.GetContentType()
	return resolved, c.want(repo, s, f)
}

func (c *Cache) findPart(repo *Repository, s *snapshot, plan *pb.Artifact) *pb.Fact {
	at := c.stateInForce(repo, s)
	if len(plan.GetDigest().GetSum()) == 0 {
		return (&factSet{facts: s.parts[s.States[at].Parts.Digest]}).path(plan.GetPath())
	}
	// Older states are for readers under way; newer ones are not served yet.
	for _, st := range slices.Backward(s.States[:at+1]) {
		for _, f := range s.parts[st.Parts.Digest] {
			for _, d := range f.GetDigests() {
				if strings.EqualFold(d.GetAlgorithm(), plan.GetDigest().GetAlgorithm()) && string(d.GetSum()) == string(plan.GetDigest().GetSum()) {
					return f
				}
			}
		}
	}
	return nil
}

// artifact is the plan of a part: of its bytes, wherever they stand.
func (s *snapshot) artifact(f *pb.Fact) (*pb.Artifact, error) {
	d, ok := partDigest(f)
	if !ok {
		return nil, errNoPart
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
	a.Sources = append(a.Sources, &pb.Source{Url: f.GetPath(), Role: s.Role})
	return a, nil
}

// want remembers that clients ask for a part, and fetches it of the states to
// come, which upstream may not have for long.
func (c *Cache) want(repo *Repository, s *snapshot, f *pb.Fact) error {
	if _, known := slices.BinarySearch(s.Wanted, f.GetPath()); known {
		return nil
	}
	name := snapshotName(repo, s.Path)
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	old, err := c.snapshotAt(repo, s.Path)
	if err != nil {
		return err
	}
	at, known := slices.BinarySearch(old.Wanted, f.GetPath())
	if known {
		return nil
	}
	next := *old
	next.Wanted = slices.Insert(slices.Clone(old.Wanted), at, f.GetPath())
	if err := c.putSnapshot(repo, old, &next); err != nil {
		return err
	}
	for _, st := range next.States[min(c.stateInForce(repo, &next)+1, len(next.States)):] {
		c.fetchWanted(repo, &next, st)
	}
	return nil
}

// fetchWanted begins to fetch the parts of a state that clients asked for
// before.
func (c *Cache) fetchWanted(repo *Repository, s *snapshot, st *state) {
	for _, path := range s.Wanted {
		f := (&factSet{facts: s.parts[st.Parts.Digest]}).path(path)
		if f == nil {
			continue
		}
		plan, err := s.artifact(f)
		if err != nil {
			continue
		}
		name := artifactName(repo, plan.GetPath())
		if a := c.knownArtifact(repo, name); a == nil || !c.blobs.Has(a.Digest) {
			c.join(repo, plan, "", name)
		}
	}
}

// indexes are the documents that list files for the parts, below a path, of
// snapshots: those of the states in force first, then those of older ones.
func (c *Cache) indexes(repo *Repository, below string) ([]string, error) {
	var current, older []string
	err := c.eachSnapshot(repo, below, func(s *snapshot) {
		at := c.stateInForce(repo, s)
		for i := at; i >= 0; i-- {
			for _, path := range s.Wanted {
				f := (&factSet{facts: s.parts[s.States[i].Parts.Digest]}).path(path)
				switch {
				case f.GetIndex() == "":
				case i == at:
					current = append(current, f.GetIndex())
				case !slices.Contains(older, f.GetIndex()):
					older = append(older, f.GetIndex())
				}
			}
		}
	})
	for _, path := range older {
		if !slices.Contains(current, path) {
			current = append(current, path)
		}
	}
	return current, err
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

// Look has the snapshots of a repository compared with upstream, so that what
// they were while nobody asked is known later.
func (c *Cache) Look(ctx context.Context, repo *Repository) {
	err := c.eachSnapshot(repo, "/", func(s *snapshot) {
		d, err := c.factsDocument(ctx, repo, s.Path, "")
		if err == nil {
			_, _, _, err = c.rendering(ctx, repo, d, "")
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("a snapshot cannot be compared with upstream", "repository", repo.Name, "document", s.Path, "error", err)
		}
	})
	if err != nil {
		c.log.Error("snapshots cannot be read", "repository", repo.Name, "error", err)
	}
}
