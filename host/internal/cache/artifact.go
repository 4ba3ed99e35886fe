package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// artifact is a kept package file, with what is needed to judge it again
// without its facts. It is immutable but for its memos.
type artifact struct {
	Body
	// Name and Version are what it is part of.
	Name, Version string
	// Since is when its cool-down began; zero: unknown.
	Since time.Time
	// Floored is whether Since is our own observation, not the claimed time.
	Floored bool
	// Withdrawn is whether it left a complete upstream listing.
	Withdrawn bool
	// Unverified is whether nobody told its digest when it was fetched.
	Unverified bool
	// Type is the content type; empty: as the plan says.
	Type string

	epoch   atomic.Uint64 // policy under which it was last found to be served
	recheck atomic.Int64  // when to look at its facts again, Unix milliseconds
}

// newArtifact is a file as it is kept, with the type that upstream says, which
// counts where the plan has none.
func newArtifact(plan *pb.Artifact, known *found, body Body, typ string) *artifact {
	a := &artifact{Body: body, Unverified: namedDigest(plan, known) == nil}
	if plan.GetContentType() == "" {
		a.Type = typ
	}
	a.Name, a.Version = plan.GetVersion().GetName(), plan.GetVersion().GetVersion()
	if known.fact != nil {
		a.Name, a.Version, a.Since, a.Floored = known.fact.GetName(), known.fact.GetVersion(), known.since, known.floored
	}
	return a
}

const (
	artifactKey = "a/"
	// pinnedKey is where the digest of a file without any upstream digest is
	// remembered for good.
	pinnedKey = "sum/"
)

func artifactName(repo *Repository, path string) string { return key(artifactKey+repo.Name, path) }

// encode writes the record: fixed fields, then strings.
func (a *artifact) encode() []byte {
	b := append([]byte{1}, a.Digest[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Size))
	var since int64
	if !a.Since.IsZero() {
		since = a.Since.UnixMilli()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(since))
	var flags byte
	if a.Withdrawn {
		flags |= 1
	}
	if a.Floored {
		flags |= 2
	}
	if a.Unverified {
		flags |= 4
	}
	b = append(b, flags)
	return append(b, key(a.Name, a.Version, a.Type)...)
}

const artifactFixed = 1 + 32 + 8 + 8 + 1

func decodeArtifact(b []byte) (*artifact, error) {
	if len(b) < artifactFixed || b[0] != 1 {
		return nil, errors.New("unknown artifact record")
	}
	a := &artifact{}
	copy(a.Digest[:], b[1:])
	a.Size = int64(binary.BigEndian.Uint64(b[33:]))
	if ms := int64(binary.BigEndian.Uint64(b[41:])); ms != 0 {
		a.Since = time.UnixMilli(ms)
	}
	a.Withdrawn, a.Floored, a.Unverified = b[49]&1 != 0, b[49]&2 != 0, b[49]&4 != 0
	parts := strings.SplitN(string(b[artifactFixed:]), "\x00", 3)
	if len(parts) != 3 {
		return nil, errors.New("broken artifact record")
	}
	a.Name, a.Version, a.Type = parts[0], parts[1], parts[2]
	return a, nil
}

func (c *Cache) knownArtifact(repo *Repository, name string) *artifact {
	if a, ok := c.artifacts.Get(name); ok {
		return a
	}
	// Not while the record is being changed: what was read before would be
	// remembered after.
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	value, err := c.dir.Cache.Get(name)
	if err != nil {
		return nil
	}
	a, err := decodeArtifact(value)
	if err != nil {
		return nil
	}
	a.recheck.Store(time.Now().Add(repo.TTL).UnixMilli())
	c.artifacts.Set(name, a)
	return a
}

// changeArtifact changes the record of a kept artifact, if there is one.
func (c *Cache) changeArtifact(repo *Repository, path string, change func(*artifact)) error {
	name := artifactName(repo, path)
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	value, err := c.dir.Cache.Get(name)
	if err != nil {
		return ignoreMissing(err)
	}
	a, err := decodeArtifact(value)
	if err != nil {
		return nil //nolint:nilerr // a record that cannot be read is as good as none
	}
	before := string(a.encode())
	change(a)
	if string(a.encode()) == before {
		return nil
	}
	if err := c.dir.Cache.Apply(store.Change{name: a.encode()}); err != nil {
		return err
	}
	c.artifacts.Drop(name)
	return nil
}

// dropArtifact forgets a kept artifact whose bytes are no longer upstream's.
func (c *Cache) dropArtifact(repo *Repository, path string) error {
	name := artifactName(repo, path)
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	err := c.dir.Cache.Apply(store.Change{name: nil})
	c.artifacts.Drop(name)
	return err
}

// File is an artifact to be served: a kept body, or one that is on its way.
type File struct {
	// Content of a kept body; nil while the file is on its way.
	*Content
	// Landed says that the file was fetched for this request.
	Landed bool
	// Flight is a file on its way; nil: it is kept.
	Flight *Follower
	// Type is the content type.
	Type string
	// Size in bytes; -1: unknown.
	Size int64
}

// Artifact answers an artifact plan: it judges, and finds or fetches the file.
func (c *Cache) Artifact(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*File, error) {
	if plan.GetSnapshot() != "" {
		return c.partFile(ctx, repo, plan, base)
	}
	if f, err := c.hostedFile(ctx, repo, plan); f != nil || err != nil {
		return f, err
	}
	name := artifactName(repo, plan.GetPath())
	if a := c.knownArtifact(repo, name); a != nil {
		if f, err := c.kept(ctx, repo, plan, base, a); f != nil || err != nil {
			return f, err
		}
	}
	c.Stats.Misses.Add(1)
	return c.fetchArtifact(ctx, repo, plan, base, name)
}

// resolved is a plan of bytes that never change, for clients or for our own use.
func (c *Cache) resolved(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, ours bool) (*pb.Artifact, error) {
	if plan.GetSnapshot() == "" {
		return plan, nil
	}
	resolved, _, err := c.part(ctx, repo, plan, base, ours)
	return resolved, err
}

// Ours answers an artifact plan from what is hosted, without a look at what
// upstream has.
func (c *Cache) Ours(ctx context.Context, repo *Repository, plan *pb.Artifact, _ string) (*File, error) {
	f, err := c.hostedFile(ctx, repo, plan)
	if f == nil && err == nil {
		err = notFound("%s is not published here", strings.TrimPrefix(plan.GetPath(), "/"))
	}
	return f, err
}

// Hosts reports whether anything of a package is published here.
func (c *Cache) Hosts(repo *Repository, name string) (bool, error) {
	p, err := c.catalog.Package(repo.Name, name)
	return p != nil, err
}

// Head answers a HEAD of an artifact plan without fetching the file.
func (c *Cache) Head(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*File, error) {
	plan, err := c.resolved(ctx, repo, plan, base, false)
	if err != nil {
		return nil, err
	}
	if f, err := c.hostedFile(ctx, repo, plan); f != nil || err != nil {
		return f, err
	}
	name := artifactName(repo, plan.GetPath())
	if a := c.knownArtifact(repo, name); a != nil {
		if f, err := c.kept(ctx, repo, plan, base, a); f != nil || err != nil {
			return f, err
		}
	}
	if failed, ok := c.missing.Get(name); ok && time.Now().Before(failed.until) {
		return nil, failed.Failure
	}
	v, err := c.shared(ctx, key("head", name), func(ctx context.Context) (any, error) {
		f, err := c.headUpstream(ctx, repo, plan, base)
		c.noteMissing(repo, name, err)
		return f, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*File), nil
}

// headUpstream asks upstream for the header of a file that is not kept. What it
// returns is shared.
func (c *Cache) headUpstream(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*File, error) {
	known, err := c.judgeCold(ctx, repo, plan, base)
	if err != nil {
		return nil, err
	}
	head, err := c.headed(ctx, repo, plan, known)
	if err != nil {
		return nil, err
	}
	return &File{Type: typeOf(plan, head.GetContentType()), Size: head.GetSize()}, nil
}

// kept answers from what is kept; neither: the body is gone.
func (c *Cache) kept(ctx context.Context, repo *Repository, plan *pb.Artifact, base string, a *artifact) (*File, error) {
	if err := c.besideOurs(repo, plan.GetPath(), &pb.Version{Name: a.Name, Version: a.Version}); err != nil {
		return nil, err
	}
	epoch := c.policy.Epoch()
	if a.epoch.Load() != epoch && !plan.GetUngated() {
		if f := c.refusal(repo, a.Name, a.Version, plan.GetPath(), a.Since, a.Floored, a.Withdrawn); f != nil {
			return nil, f
		}
		if f := c.heldByNow(ctx, repo, plan, base, a); f != nil {
			return nil, f
		}
		a.epoch.Store(epoch)
	}
	content, err := c.Open(a.Body)
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if now := time.Now().UnixMilli(); now >= a.recheck.Load() && len(plan.GetFacts()) > 0 {
		if d := c.digestTold(repo, plan); d.GetAlgorithm() == "sha256" && !bytes.Equal(d.GetSum(), a.Digest[:]) {
			content.Close()
			return nil, c.dropArtifact(repo, plan.GetPath())
		}
		if !a.Withdrawn && c.unlisted(repo, plan) {
			if err := c.withdrawn(repo, plan, a); err != nil {
				content.Close()
				return nil, err
			}
		}
		a.recheck.Store(now + repo.TTL.Milliseconds())
		c.recheckLater(repo, plan, base, a)
	}
	c.Stats.Hits.Add(1)
	return &File{Content: content, Type: typeOf(plan, a.Type), Size: a.Body.Size}, nil
}

// digestTold is what the documents that are known say of a file's digest: its
// sha256 where they tell it, which is the one that files are kept by. Nil: they
// tell none.
func (c *Cache) digestTold(repo *Repository, plan *pb.Artifact) *pb.Digest {
	paths, err := c.factsPaths(repo, plan)
	if err != nil {
		return nil
	}
	var other *pb.Digest
	for _, path := range paths {
		facts := c.knownFacts(repo, path)
		if facts == nil {
			continue
		}
		told := facts.path(plan.GetPath()).GetDigests()
		for _, d := range told {
			if d.GetAlgorithm() == "sha256" {
				return d
			}
		}
		if other == nil {
			other = wire.Strongest(told)
		}
	}
	return other
}

func typeOf(plan *pb.Artifact, known string) string {
	switch {
	case plan.GetContentType() != "":
		return plan.GetContentType()
	case known != "":
		return known
	}
	return "application/octet-stream"
}

// recheckLater has the document behind an artifact confirmed, without anybody
// waiting for it, so that what upstream withdraws, or contradicts, is noticed.
func (c *Cache) recheckLater(repo *Repository, plan *pb.Artifact, base string, a *artifact) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		err := c.refreshFacts(ctx, repo, plan, base)
		if err == nil && a.Unverified {
			err = c.verifyKept(repo, plan, a)
		}
		if err != nil && ctx.Err() == nil {
			c.log.Debug("what is kept of a file cannot be confirmed", "repository", repo.Name, "file", plan.GetPath(), "error", err)
		}
	}()
}

// refreshFacts has the document behind an artifact confirmed.
func (c *Cache) refreshFacts(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) error {
	path := plan.GetFacts()[0]
	if ofSnapshots(path) {
		return nil // what is in a state stays in it
	}
	d, err := c.factsDocument(ctx, repo, path, base)
	if err != nil {
		return err
	}
	_, err = c.factsOf(ctx, repo, d, base, time.Time{})
	return err
}

// verifyKept holds a file that was kept without a digest against the one that
// is told by now, and drops the file where that is another's.
func (c *Cache) verifyKept(repo *Repository, plan *pb.Artifact, a *artifact) error {
	d := c.digestTold(repo, plan)
	if d == nil {
		return nil
	}
	f, err := c.blobs.Open(a.Digest, a.Size)
	if err != nil {
		return ignoreMissing(err)
	}
	defer f.Release()
	check := newCheck(d)
	if _, err := io.Copy(check, f); err != nil {
		return err
	}
	if err := check.verify(d, f.Name(), a.Size); err != nil {
		c.log.Warn("a file that was fetched before upstream told its digest is dropped", "repository", repo.Name, "file", plan.GetPath(), "error", err)
		return c.dropArtifact(repo, plan.GetPath())
	}
	return c.changeArtifact(repo, plan.GetPath(), func(a *artifact) { a.Unverified = false })
}

func (c *Cache) dropRendering(name string) {
	if err := c.dir.Cache.Apply(store.Change{name: nil}); err != nil {
		c.log.Warn("rendering cannot be dropped", "error", err)
	}
	c.renderings.Drop(name)
}

// found is what facts say of a file that is asked for.
type found struct {
	fact  *pb.Fact // of the file, or of its version
	exact bool     // the fact is the file's own
	since time.Time
	// floored is whether since is our own observation.
	floored bool
	// moved is whether a document that told of another file before told of it, and
	// it was held back there.
	moved bool
	// document is where the fact stands; empty: in none that is listed from.
	document string
}

// ofSnapshots reports whether a path of facts stands for the indexes of
// snapshots.
func ofSnapshots(path string) bool { return strings.HasSuffix(path, "/*") }
