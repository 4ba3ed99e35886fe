package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Rendering is what a plugin made of upstream documents under a policy. Its
// record is immutable; what is atomic only says until when it holds.
type Rendering struct {
	renderingRecord
	// freshUntil is when upstream must be asked again, in Unix milliseconds.
	freshUntil atomic.Int64
	// unconfirmed is whether upstream could not confirm it the last time.
	unconfirmed atomic.Bool
	// complaint is why upstream could not confirm it the last time, as logged; nil:
	// it could.
	complaint atomic.Pointer[string]
	// epoch of the policy that it was last found to agree with.
	epoch atomic.Uint64
	// hosted is the epoch of the catalogue likewise.
	hosted atomic.Uint64

	// read is when it was noted last that a client got it, in Unix milliseconds.
	read atomic.Int64

	// shown is whether the file that it ends in is kept and known as shown last,
	// unreached since when it could not be had, and reachAgain when that is looked
	// at again, in Unix milliseconds; 0: it could.
	shown atomic.Bool
	// there is whether upstream has said that it has the file that it ends in.
	there                 atomic.Bool
	unreached, reachAgain atomic.Int64

	// unkept says that there was no room on the disk for some of it, so that it
	// answers those who asked for it and is forgotten.
	unkept bool

	encode sync.Mutex // one encoding at a time is made
}

type renderingRecord struct {
	// Plugin is the checksum of the binary that made it, with its options.
	Plugin string
	// Policy is the key of the policy that it was made under.
	Policy string
	// Names are the packages that the policy was for.
	Names []string
	// Sources it was made of.
	Sources []usedSource
	// Next is when a held version comes free; zero: never.
	Next time.Time
	// Outputs by name.
	Outputs map[string]*Output `json:",omitempty"`
	// Failure is the answer instead of outputs; nil: there are outputs.
	Failure *Failure `json:",omitempty"`
	// Plan is what is carried out instead, as it came over the wire; nil: there
	// are outputs.
	Plan []byte `json:",omitempty"`
	// Hosted is the key of the packages of ours that are in it, Pattern that of
	// their names.
	Hosted, Pattern string `json:",omitempty"`
	// Logs are how long logs are, as it told.
	Logs []*pb.LogHead `json:",omitempty"`
	// Passing marks an answer to a question, kept in memory only.
	Passing bool `json:",omitempty"`
	// Partial marks a list without upstream's part, which could not be had; it is
	// kept in memory only.
	Partial bool `json:",omitempty"`
}

// lasting reports whether a document is kept for good: a listing, or what is
// about one package. Searches are without end.
func lasting(d *pb.Document) bool { return !d.GetQuery() || len(d.GetNames()) == 1 }

type usedSource struct {
	URL, Role, Accept string `json:",omitempty"`
	Optional          bool   `json:",omitempty"`
	Head, Here        bool   `json:",omitempty"`
	Immutable         bool   `json:",omitempty"`
	CountsAs          string `json:",omitempty"`
	Status            int
	Digest            blobs.Digest
}

func (u usedSource) wire() *pb.Source {
	return &pb.Source{Url: u.URL, Role: u.Role, Accept: u.Accept, Optional: u.Optional, Head: u.Head, Here: u.Here, Immutable: u.Immutable, CountsAs: u.CountsAs}
}

// Output is one of a rendering's bodies.
type Output struct {
	Type   string
	Header map[string]string `json:",omitempty"`
	Plain  Body
	// Gzip and Zstd are made when first asked for.
	Gzip, Zstd encoding

	unkept []byte // the plain body where the disk has no room for it; nil: it is kept
}

// encoding is a body in an encoding. Loading nil: it is not made yet.
type encoding struct{ atomic.Pointer[Body] }

// MarshalJSON writes the body, an empty one where it is not made yet.
func (e *encoding) MarshalJSON() ([]byte, error) {
	if b := e.Load(); b != nil {
		return json.Marshal(b)
	}
	return json.Marshal(Body{})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *encoding) UnmarshalJSON(raw []byte) error {
	b := &Body{}
	err := json.Unmarshal(raw, b)
	if err == nil && !b.Digest.Zero() {
		e.Store(b)
	}
	return err
}

// Body is a kept body.
type Body struct {
	Digest blobs.Digest
	Size   int64
}

const renderingKey = "r/"

// retryRefresh is how long a failed refresh is not tried again.
const retryRefresh = 5 * time.Second

// Answer is a rendering to be served.
type Answer struct {
	*Rendering
	// Output is the one asked for; nil: Instead is the answer.
	Output *Output
	// Instead is a plan to carry out: an artifact or a reply.
	Instead *pb.PlanResponse
	// Verbatim says that it is sent as it is, in no encoding.
	Verbatim bool
	// Modified is when it was published; zero: unknown.
	Modified time.Time
	// Stale says that upstream could not confirm it in time.
	Stale bool
	// Hit says that it was served from what is kept.
	Hit bool
	// waited is how long upstream took to say so.
	waited time.Duration
}

func renderingName(repo *Repository, path, base string) string {
	return key(renderingKey+repo.Name, path, base)
}

// generation is what renderings and plans of a repository depend on besides what
// was asked: the plugin's binary, its options, whether reading takes a token, and
// whether what upstream no longer has is served.
func (r *Repository) generation() string { return r.Ecosystem.Sum() + r.mark() + r.Options }

func (r *Repository) mark() string {
	mark := " "
	if r.loginRequired() {
		mark += "login "
	}
	if r.ServeRemoved {
		mark += "removed "
	}
	return mark
}

// made reports whether something is of the repository's generation.
func (r *Repository) made(generation string) bool {
	rest, ok := strings.CutPrefix(generation, r.Ecosystem.Sum())
	options, of := strings.CutPrefix(rest, r.mark())
	return ok && of && options == r.Options
}

// Document answers a document plan.
func (c *Cache) Document(ctx context.Context, repo *Repository, d *pb.Document, base string) (*Answer, error) {
	if err := c.pass(ctx, repo, d.GetNames()...); err != nil {
		return nil, err
	}
	if d.GetSnapshot() {
		return c.snapshotDocument(ctx, repo, d, base)
	}
	r, stale, hit, err := c.shownRendering(repo, d, base), false, true, error(nil)
	waited := time.Duration(0)
	if r == nil {
		began := time.Now()
		r, stale, hit, err = c.rendering(ctx, repo, d, base)
		waited = time.Since(began)
	}
	if err != nil && upstreamFailed(err) && repo.Hosted != nil && joins(d) {
		r, err = c.alone(ctx, repo, d, base, err)
	}
	if err != nil {
		c.Stats.Misses.Add(1)
		return nil, err
	}
	if d.GetOutput() == "" && len(r.Outputs) > 1 {
		c.noteReader(repo, d, base, r)
	}
	if hit {
		c.Stats.Hits.Add(1)
	} else {
		c.Stats.Misses.Add(1)
	}
	if stale {
		c.Stats.Stale.Add(1)
	}
	if r.Failure != nil && r.Failure.Kind == pb.ErrorKind_ERROR_KIND_HELD {
		c.Stats.Held.Add(1)
	}
	a, err := r.answer(repo, d, stale, hit)
	if err != nil {
		return nil, err
	}
	a.waited = waited
	return a, nil
}

// answer is what of a rendering answers a plan.
func (r *Rendering) answer(repo *Repository, d *pb.Document, stale, hit bool) (*Answer, error) {
	if r.Failure != nil {
		return nil, r.Failure
	}
	if r.Plan != nil {
		instead := &pb.PlanResponse{}
		if err := proto.Unmarshal(r.Plan, instead); err != nil {
			return nil, err
		}
		return &Answer{Rendering: r, Instead: instead, Stale: stale, Hit: hit}, nil
	}
	out := r.Outputs[d.GetOutput()]
	if out == nil {
		return nil, fmt.Errorf("plugin %s renders no output %q for %s", repo.Plugin, d.GetOutput(), d.GetPath())
	}
	return &Answer{Rendering: r, Output: out, Stale: stale, Hit: hit}, nil
}

// readingTime is how long a client may take from a document's main output to what
// is to be of the same rendering, as its checksum. That a client got one need not
// be noted again within noteAgain.
const (
	readingTime = time.Minute
	noteAgain   = 5 * time.Second
)

// noteReader notes that a client got a document's main output.
func (c *Cache) noteReader(repo *Repository, d *pb.Document, base string, r *Rendering) {
	now := time.Now().UnixMilli()
	if last := r.read.Load(); now-last < noteAgain.Milliseconds() || !r.read.CompareAndSwap(last, now) {
		return
	}
	c.readers.Set(renderingName(repo, d.GetPath(), base), r)
}

// shownRendering is the rendering whose main output clients got last, for those
// who ask for what they read beside it; nil: nobody got one lately, or it must not
// be shown any more.
func (c *Cache) shownRendering(repo *Repository, d *pb.Document, base string) *Rendering {
	if !d.GetBeside() {
		return nil
	}
	r, ok := c.readers.Get(renderingName(repo, d.GetPath(), base))
	if !ok || r.Outputs[d.GetOutput()] == nil || !repo.made(r.Plugin) || r.Policy != c.policyKey(repo, r.Names) || !c.bodiesThere(r) {
		return nil
	}
	return r
}

// rendering returns the rendering of a document: the kept one while it holds,
// else a new one, else the kept one as a stale answer where that is allowed.
func (c *Cache) rendering(ctx context.Context, repo *Repository, d *pb.Document, base string) (r *Rendering, stale, hit bool, err error) {
	name := renderingName(repo, d.GetPath(), base)
	now := time.Now()
	r = c.knownRendering(name)
	switch {
	case r == nil:
	case !c.agrees(repo, r, now):
		// The rules, the plugin or the hour changed: make it anew of what is
		// kept, before upstream is asked.
		fresh, err := c.remake(ctx, repo, d, base, name, anyKept)
		if err == nil && fresh.staleAt(now) {
			return c.revalidated(ctx, repo, d, base, name, fresh)
		}
		if err == nil {
			return fresh, false, true, nil
		}
		if c.mayServeOld(repo, r, err) {
			return r, true, true, nil
		}
		return nil, false, false, err
	case !r.staleAt(now) && (!r.unconfirmed.Load() || r.missing() || c.withinMaxStale(repo, r)):
		return r, r.unconfirmed.Load(), true, nil
	default:
		return c.revalidated(ctx, repo, d, base, name, r)
	}
	fresh, err := c.remake(ctx, repo, d, base, name, repo.withinTTL)
	if errors.Is(err, errUpstreamBody) {
		// What upstream sends now cannot be read; what it sent before may be kept.
		if kept, again := c.remake(ctx, repo, d, base, name, anyKept); again == nil && c.withinMaxStale(repo, kept) {
			return kept, true, true, nil
		}
	}
	if err != nil {
		return nil, false, false, err
	}
	return fresh, fresh.unconfirmed.Load(), false, nil
}

// Reconsider has every rendering looked at anew, and what upstream did not have,
// because times to live or upstreams may have changed.
func (c *Cache) Reconsider() {
	c.renderings.Clear()
	c.missing.Clear()
}

// revalidated asks upstream whether a rendering still holds. Clients wait a
// moment; then they get it as it is.
func (c *Cache) revalidated(ctx context.Context, repo *Repository, d *pb.Document, base, name string, old *Rendering) (*Rendering, bool, bool, error) {
	done := c.begin(key("remake", name), func(ctx context.Context) (any, error) {
		began := time.Now()
		r, err := c.make(ctx, repo, d, base, name, repo.withinTTL)
		if err == nil && !r.unconfirmed.Load() {
			repo.patience.answered(d, time.Since(began))
		}
		if err != nil && upstreamFailed(err) && c.withinMaxStale(repo, old) {
			old.unconfirmed.Store(true)
			old.freshUntil.Store(time.Now().Add(retryRefresh).UnixMilli())
			c.complain(repo, d, old, err)
		}
		return r, err
	})
	patience := repo.patience.wait(d)
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return nil, false, false, ctx.Err()
	case <-wait.C:
		repo.patience.ranOut(d, patience)
		if c.withinMaxStale(repo, old) {
			return old, true, true, nil
		}
		select {
		case <-ctx.Done():
			return nil, false, false, ctx.Err()
		case result := <-done:
			r, _ := result.Val.(*Rendering)
			return r, false, false, result.Err
		}
	case result := <-done:
		if result.Err != nil {
			if c.withinMaxStale(repo, old) && staleBetter(result.Err) {
				return old, true, true, nil
			}
			return nil, false, false, result.Err
		}
		r := result.Val.(*Rendering)
		return r, r.unconfirmed.Load(), true, nil
	}
}

// complain logs, once, why what upstream has now is not served in the place of
// a rendering.
func (c *Cache) complain(repo *Repository, d *pb.Document, old *Rendering, err error) {
	text := err.Error()
	if last := old.complaint.Swap(&text); last == nil || *last != text {
		c.log.Warn("a document is served as it was: what upstream has now cannot be had or used", "repository", repo.Name, "document", d.GetPath(), "error", err)
	}
}

func (c *Cache) knownRendering(name string) *Rendering {
	return c.renderings.Find(name, func() (*Rendering, bool) {
		r := &Rendering{}
		value, err := c.dir.Cache.Get(name)
		return r, err == nil && json.Unmarshal(value, &r.renderingRecord) == nil
	})
}

// missing reports whether upstream has no such document.
func (r *Rendering) missing() bool {
	return r.Failure != nil && r.Failure.Kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND
}

func (c *Cache) putRendering(name string, r *Rendering) error {
	record, err := json.Marshal(r.renderingRecord)
	if err != nil {
		return err
	}
	return c.dir.Cache.Apply(store.Change{name: record})
}

func (c *Cache) bodiesThere(r *Rendering) bool {
	for _, o := range r.Outputs {
		if !c.blobs.Has(o.Plain.Digest) {
			return false
		}
	}
	return true
}

// lockRecord is the lock under which a record is read, changed and written.
func (c *Cache) lockRecord(name string) *sync.Mutex {
	h := fnv.New32a()
	h.Write([]byte(name))
	return &c.locks[h.Sum32()%uint32(len(c.locks))]
}
