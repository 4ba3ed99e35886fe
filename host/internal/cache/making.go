package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// making is one rendering under way.
type making struct {
	c    *Cache
	repo *Repository
	d    *pb.Document
	base string
	// accept says whether a kept source will do.
	accept func(*source) bool

	mu      sync.Mutex // guards what follows while sources are fetched together
	used    map[string]*source
	settled map[string]bool    // sources that do not change once they are there
	before  map[string]*source // what was kept when this began; nil: nothing
	order   []usedSource
	stale   error            // why a source could not be confirmed
	lacks   map[string]error // why optional sources could not be had
	lack    error            // the last of these
	without error            // why upstream is left out of a list, see [Cache.alone]; nil: it is not
	missing *pb.Source

	known  *sightings // what was seen before, for a document with a history
	hides  bool       // whether some of it is not shown, see [making.hidden]
	hosted []*pb.HostedPackage
	own    bool // whether upstream is not asked
	// readable says which packages of ours may be shown; nil: all.
	readable func(name string) bool
	below    []*pb.HostedPackage // of repositories below, see [Cache.Listed]
	ours     []string            // names that a list of upstream's has, though they are ours
	weight   int64               // of the rendering slot held
	epoch    uint64
}

func newMaking(c *Cache, repo *Repository, d *pb.Document, base string, accept func(*source) bool) *making {
	return &making{c: c, repo: repo, d: d, base: base, accept: accept, used: map[string]*source{}, lacks: map[string]error{}, settled: map[string]bool{}, before: map[string]*source{}}
}

// get gets one source and notes that it is used.
func (m *making) get(ctx context.Context, s *pb.Source) (*source, error) {
	name := sourceName(m.repo, s)
	m.mu.Lock()
	got, failed := m.used[name], m.lacks[name]
	m.mu.Unlock()
	switch {
	case failed != nil && !s.GetOptional(): // it cannot be done without, after all
		return nil, failed
	case got != nil:
		return got, nil
	}
	if s.GetOptional() && !upstream.Absolute(s.GetUrl()) && !m.repo.Upstreams.Role(s.GetRole()) {
		if m.repo.anyRole() { // a client asks for an upstream that there is not
			m.mu.Lock()
			m.lack = fmt.Errorf("%w as %q", upstream.ErrNone, s.GetRole())
			m.mu.Unlock()
		}
		return &source{Checked: time.Now()}, nil
	}
	if !s.GetHere() && m.without != nil {
		return &source{Checked: time.Now()}, nil // not reached
	}
	if !s.GetHere() && (m.own || m.repo.Hosted != nil && !m.repo.Upstreams.Role(s.GetRole())) {
		return absent(), nil
	}
	if s.GetHere() {
		got, err := m.c.here(ctx, m.repo, s, m.base)
		if err == nil {
			m.mu.Lock()
			m.used[name] = got
			m.mu.Unlock()
		}
		return got, err
	}
	before := m.c.knownSource(name)
	accept := m.accept
	if s.GetImmutable() {
		accept = func(kept *source) bool { return kept.found() || m.accept(kept) }
	}
	got, stale, err := m.c.source(ctx, m.repo, s, accept)
	lack := err
	if err != nil {
		if !s.GetOptional() {
			return nil, err
		}
		// Asked again when the document is revalidated.
		m.c.log.Warn("an optional document of upstream cannot be had", "repository", m.repo.Name, "url", s.GetUrl(), "error", err)
		got = &source{Checked: time.Now()}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if stale != nil {
		m.stale = stale
	}
	if lack != nil {
		m.lack, m.lacks[name] = lack, lack
	}
	m.used[name] = got
	if s.GetImmutable() || m.d.GetImmutable() {
		m.settled[name] = true
	}
	if _, noted := m.before[name]; !noted {
		m.before[name] = before
	}
	return got, nil
}

// unreadable is why a plugin could make nothing of its sources: what it could do
// without was not to be had after all, or is not what it should be.
func (m *making) unreadable(failure *pb.Failure) error {
	if m.lack != nil {
		return m.lack
	}
	return fmt.Errorf("%w: %s", errUpstreamBody, failure.GetMessage())
}

// forget puts the sources that were kept before in the place of those that the
// plugin could not read, so that upstream is asked again.
func (m *making) forget() error {
	for name, s := range m.used {
		before := m.before[name]
		if before == s {
			continue
		}
		if before == nil {
			if err := m.c.dir.Cache.Apply(store.Change{name: nil}); err != nil {
				return err
			}
			m.c.sources.Drop(name)
			continue
		}
		if err := m.c.putSource(name, before); err != nil {
			return err
		}
		m.c.sources.Set(name, before)
	}
	return nil
}

// getAll gets sources at the same time and notes them in their order.
func (m *making) getAll(ctx context.Context, sources []*pb.Source) ([]*source, error) {
	got := make([]*source, len(sources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, s := range sources {
		g.Go(func() (err error) {
			got[i], err = m.get(ctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, s := range sources {
		u := usedSource{URL: s.GetUrl(), Role: s.GetRole(), Accept: s.GetAccept(), Optional: s.GetOptional(), Head: s.GetHead(), Here: s.GetHere(), Immutable: s.GetImmutable(), CountsAs: s.GetCountsAs(), Status: got[i].Status, Digest: got[i].Digest}
		if !slices.Contains(m.order, u) {
			m.order = append(m.order, u)
		}
	}
	return got, nil
}

// confirm gets the sources of a rendering again and reports whether it would
// come out the same.
func (m *making) confirm(ctx context.Context, old *Rendering) (bool, error) {
	sources := make([]*pb.Source, len(old.Sources))
	for i, u := range old.Sources {
		sources[i] = u.wire()
	}
	got, err := m.getAll(ctx, sources)
	if err != nil {
		return false, err
	}
	for i, u := range old.Sources {
		if got[i].Status != u.Status || got[i].Digest != u.Digest {
			return false, nil
		}
	}
	return true, nil
}

// freshUntil is when the first of the sources must be asked for again.
func (m *making) freshUntil() time.Time {
	if m.stale != nil || m.without != nil {
		return time.Now().Add(retryRefresh)
	}
	until := time.Now().Add(m.repo.TTL)
	if m.d.GetImmutable() {
		until = time.Now().Add(forever)
	}
	for name, s := range m.used {
		if s.found() && m.settled[name] {
			continue
		}
		if at := s.freshUntil(m.repo); at.Before(until) {
			until = at
		}
	}
	return until
}

// forever is how long what never changes is believed.
const forever = 10 * 365 * 24 * time.Hour

// whole reports whether all of the sources are there and are known to have come
// whole.
func (m *making) whole() bool {
	if m.lack != nil {
		return false
	}
	for _, s := range m.used {
		if s.Unframed {
			return false
		}
	}
	return true
}

// checked is when upstream last confirmed all of the sources.
func (m *making) checked() time.Time {
	at := time.Now()
	for _, s := range m.used {
		if s.Checked.Before(at) {
			at = s.Checked
		}
	}
	return at
}

// fetch gets sources for a plugin. The slot for renderings is given back while
// upstream is asked, and taken again for the size of what came.
func (m *making) fetch(ctx context.Context, sources []*pb.Source) ([]wire.Document, error) {
	docs, err := m.fetchOnce(ctx, sources)
	if lost(err) { // evicted or damaged meanwhile
		docs, err = m.fetchOnce(ctx, sources)
	}
	if lost(err) {
		m.c.log.Debug("a document went while it was needed", "repository", m.repo.Name, "document", m.d.GetPath(), "error", err)
		err = errGone
	}
	return docs, err
}

func (m *making) fetchOnce(ctx context.Context, sources []*pb.Source) ([]wire.Document, error) {
	m.release()
	got, err := m.getAll(ctx, sources)
	if err != nil {
		return nil, err
	}
	var size int64
	for i, s := range sources {
		if !got[i].found() && !s.GetOptional() && !m.answersAlone() {
			m.missing = s
			return nil, errMissing
		}
	}
	for _, s := range m.used {
		size += s.Size
	}
	if err := m.acquire(ctx, size); err != nil {
		return nil, err
	}
	docs := make([]wire.Document, 0, len(sources))
	for i, s := range sources {
		d, err := m.c.document(s, got[i])
		if err != nil {
			for _, d := range docs {
				if d.Body != nil {
					d.Body.Close()
				}
			}
			delete(m.used, sourceName(m.repo, s))
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// What plugins may hold of documents at once, in bytes.
const (
	renderBudget  = 64 << 20
	smallestShare = 1 << 20
)

func (m *making) acquire(ctx context.Context, size int64) error {
	m.weight = min(max(size, smallestShare), renderBudget)
	err := m.c.slots.Acquire(ctx, m.weight)
	if err != nil {
		m.weight = 0
	}
	return err
}

func (m *making) release() {
	if m.weight > 0 {
		m.c.slots.Release(m.weight)
		m.weight = 0
	}
}

// errMissing says that upstream has no document that cannot be done without.
var errMissing = errors.New("upstream has no such document")

// tries of one rendering: a plugin that was not told of a floor yet, or kept
// what it should not, gets another chance.
const renderTries = 3

// render has the plugin render the document, checks that nothing is shown that
// policy holds, and keeps facts and sightings.
func (m *making) render(ctx context.Context) (*Rendering, error) {
	defer m.release()
	generation := m.repo.generation()
	observed := m.c.observedPath(ctx, m.repo, m.d, m.base)
	seen, err := m.c.sightings(m.repo, observed)
	if err != nil {
		return nil, fmt.Errorf("reading what was seen before: %w", err)
	}
	m.known = seen
	m.c.lookAtEmpty(ctx, m.repo, m.d, m.base, seen)
	floors := seen.floors()
	hostedKey, err := m.c.hostedKey(m.repo, m.d.GetNames(), m.d.GetHosted())
	if err != nil {
		return nil, err
	}
	if m.hosted, err = m.c.hostedPackages(m.repo, m.d); err != nil {
		return nil, err
	}
	if m.readable != nil {
		m.hosted = slices.DeleteFunc(m.hosted, func(p *pb.HostedPackage) bool { return !m.readable(p.GetName()) })
	}
	m.hosted = append(m.hosted, m.below...)
	if m.without != nil && len(m.hosted) == 0 {
		return nil, m.without
	}
	var moved error
	for range renderTries {
		m.epoch = m.c.policy.Epoch()
		p := m.c.policy.For(m.repo.eco(), m.d.GetNames(), time.Now())
		p.Floors = floors
		m.used, m.order, m.stale, m.lack = map[string]*source{}, nil, nil, nil
		sink := &outputs{c: m.c, limit: 4 * m.repo.MaxDocument, kept: m.d.GetSnapshot()}
		done, err := m.repo.Ecosystem.Render(ctx, m.start(p), m.hosted, m.d.GetSources(), m.fetch, sink)
		failure := done.GetFailure()
		if m.d.GetSnapshot() && err == nil {
			r, err := m.snapshot(ctx, done, sink, p, generation, hostedKey)
			if errors.Is(err, errMoved) {
				moved = err
				continue
			}
			return r, err
		}
		if err == nil && sink.tooMany {
			err = fmt.Errorf("plugin %s tells more than %d facts of %s", m.repo.Plugin, maxFacts, m.d.GetPath())
		}
		if errors.Is(err, errMissing) {
			failure, err = m.notFound(), nil
			done = &pb.RenderDone{Failure: failure}
		}
		if err != nil {
			sink.abort()
			return nil, err
		}
		m.c.Stats.Renderings.Add(1)
		if failure.GetKind() == pb.ErrorKind_ERROR_KIND_UPSTREAM {
			// Nothing is learnt from a document that cannot be read.
			sink.abort()
			if m.without != nil {
				return nil, m.without
			}
			return nil, errors.Join(m.unreadable(failure), m.forget())
		}
		again, err := m.foundOurs(sink.facts)
		if err != nil {
			sink.abort()
			return nil, err
		}
		if again {
			sink.abort()
			continue
		}
		held, err := m.judge(ctx, p, observed, sink.facts)
		if err != nil {
			sink.abort()
			return nil, err
		}
		if held {
			sink.abort()
			floors = p.Floors
			continue
		}
		if err := m.noteLacking(failure, done.GetEmpty()); err != nil { // as on a full disk
			m.c.log.Warn("that upstream has no such document is not noted: when it has, what it is then or was before counts as known", "repository", m.repo.Name, "document", m.d.GetPath(), "error", err)
		}
		if err := m.observeLogs(done.GetLogs()); err != nil {
			sink.abort()
			return nil, err
		}
		r := &Rendering{renderingRecord: renderingRecord{
			Plugin:  generation,
			Policy:  policy.Key(p),
			Names:   m.d.GetNames(),
			Sources: m.order,
			Next:    nextChange(p, sink.facts),
			Hosted:  hostedKey,
			Pattern: m.d.GetHosted(),
			Logs:    done.GetLogs(),
			Passing: !lasting(m.d),
			Partial: m.without != nil,
		}}
		if lasting(m.d) && m.stale == nil && m.without == nil && !(m.d.GetQuery() && failure.GetKind() == pb.ErrorKind_ERROR_KIND_NOT_FOUND) {
			err := m.c.putFacts(m.repo, m.d.GetPath(), sink.facts, p.Floors, m.whole() && !m.d.GetQuery())
			if r.unkept = m.own && errors.Is(err, blobs.ErrNoSpace); err != nil && !r.unkept {
				sink.abort()
				return nil, err
			}
		}
		return r, m.keep(r, sink, done)
	}
	if moved != nil {
		return nil, moved
	}
	return nil, fmt.Errorf("plugin %s shows versions that policy holds in %s", m.repo.Plugin, m.d.GetPath())
}

// keep commits a rendering's outputs.
func (m *making) keep(r *Rendering, sink *outputs, done *pb.RenderDone) (err error) {
	if failure := done.GetFailure(); failure != nil {
		sink.abort()
		r.Failure = &Failure{Kind: failure.GetKind(), Message: failure.GetMessage(), Code: failure.GetCode(), Until: r.Next}
		if len(r.Names) == 1 {
			r.Failure.Name = r.Names[0]
		}
		return nil
	}
	if instead := done.GetAnswer(); instead != nil {
		sink.abort()
		if instead.GetArtifact() == nil && instead.GetReply() == nil {
			return fmt.Errorf("plugin %s answers %s with %T, which is neither an artifact nor a reply", m.repo.Plugin, m.d.GetPath(), instead.GetPlan())
		}
		r.Plan, err = proto.Marshal(instead)
		return err
	}
	r.Outputs, err = sink.commit()
	for _, out := range r.Outputs {
		r.unkept = r.unkept || out.unkept != nil
	}
	return err
}

func (m *making) notFound() *pb.Failure {
	f := &pb.Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: "upstream has no " + m.missing.GetUrl()}
	if m.own {
		f.Message = strings.Join(m.d.GetNames(), ", ") + " is not published here, and upstream is not asked for it"
	}
	if m.own && len(m.d.GetNames()) == 0 {
		f.Message = "there is no such thing here, and upstream is not asked: all names of this repository are ours"
	}
	return f
}
