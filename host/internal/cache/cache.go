// Package cache carries plans out: it fetches what upstream has, has plugins
// render it, keeps the results, judges them by policy and hands bodies to the
// HTTP server.
//
// Four kinds of things are kept. A source is an upstream document as it came,
// with what is needed to revalidate it. A rendering is what a plugin made of
// sources under a policy: outputs for clients, each kept as it is and in the
// encodings that were asked for. Facts are what a rendering found out about
// versions and files; together with sightings (when a file was first seen,
// which is not disposable) they judge artifacts. An artifact is a package
// file, with enough beside it to judge it again without its facts.
//
// What is warm is answered from memory or one record and one file, without a
// question to a plugin. What is cold is fetched once, however many ask.
package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/memory"
	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Repository is a configured repository with all that carrying out its plans
// needs. It is immutable; a new configuration makes a new one.
type Repository struct {
	*config.Repository
	// Ecosystem plugin.
	Ecosystem *plugins.Plugin
	// Options as the plugin gets them.
	Options string
	// Hosts are the names that we are asked by, as plugins get them.
	Hosts []string
	// Upstreams to ask.
	Upstreams *upstream.Set
	// Describe is what the plugin said of itself when this was made.
	Describe *pb.DescribeResponse
	// Urgent are patterns of names that only rules for packages hold back.
	Urgent []string
	// Names say which names are the same.
	Names names.Rules
	// Watch are paths of documents to be looked at also while nobody asks.
	Watch []string
	// Gate is closed until its directories were looked at once; nil: they were.
	Gate *Gate

	patience patience
}

// eco is how policy knows the repository's ecosystem.
func (r *Repository) eco() policy.Ecosystem {
	return policy.Ecosystem{Plugin: r.Plugin, PURL: r.Describe.GetPurlType(), Urgent: r.Urgent, Names: r.Names}
}

// loginRequired reports whether nothing is read here without a token.
func (r *Repository) loginRequired() bool { return !slices.Contains(r.Anonymous, access.Read) }

// wire is the repository as plugins get it.
func (r *Repository) wire(base string) *pb.Repository {
	return &pb.Repository{Name: r.Name, OptionsJson: r.Options, BaseUrl: base, Hosts: r.Hosts, Upstreams: r.Upstreams.Roles(), LoginRequired: r.loginRequired()}
}

// Failure is an error for the client.
type Failure struct {
	Kind    pb.ErrorKind
	Message string
	// Code is the ecosystem's own word for it; empty: that of its kind.
	Code string
	// Name and Version are what it is about; may be empty.
	Name, Version string
	// Until is when a held version will be served.
	Until time.Time
	// RetryAfter is when upstream may be asked again; zero: unknown.
	RetryAfter time.Time
	// Allow are the methods that the address takes, where the request's does not
	// fit, as in the header; empty: not known.
	Allow string
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

func notFound(format string, a ...any) *Failure {
	return &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: fmt.Sprintf(format, a...)}
}

// AsFailure turns any error into one for the client. What is not known to be
// upstream's or the client's fault is entrepot's own. Nil: its text names files or
// records, which are not for clients.
func AsFailure(err error) *Failure {
	var f *Failure
	var up *upstream.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &up) && up.RateLimited():
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_RATE_LIMITED, Message: err.Error(), RetryAfter: up.RetryAfter}
	case up != nil:
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_UPSTREAM, Message: err.Error(), RetryAfter: up.RetryAfter}
	case errors.Is(err, upstream.ErrBlocked), errors.Is(err, errUpstreamBody):
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_UPSTREAM, Message: err.Error()}
	case errors.Is(err, upstream.ErrNone), errors.Is(err, errMissing):
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: err.Error()}
	case errors.Is(err, blobs.ErrNoSpace):
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: "there is no space left on entrepot's disk"}
	}
	if local(err) {
		return nil
	}
	return &Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: err.Error()}
}

// local reports errors of the file system and of the database.
func local(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.Is(err, store.ErrDatabase)
}

// errUpstreamBody marks bodies of upstream that are broken, wrong or too large.
var errUpstreamBody = errors.New("upstream sent a bad body")

// Stats are counters for metrics.
type Stats struct {
	Hits, Misses, Stale, Renderings, Revalidations, Held, Refused, Served, Broken atomic.Int64
}

// Cache holds everything that is kept.
type Cache struct {
	// Stats counts what happened.
	Stats Stats

	dir     *store.Dir
	blobs   *blobs.Store
	catalog *catalog.Catalog
	policy  *policy.Engine
	log     hclog.Logger

	sources    *memory.Cache[*source]
	renderings *memory.Cache[*Rendering]
	readers    *memory.Cache[*Rendering] // whose main output clients got lately
	factSets   *memory.Cache[*factSet]
	artifacts  *memory.Cache[*artifact]
	small      *memory.Cache[*smallContent]
	missing    *memory.Cache[*missed]
	oversized  *memory.Cache[*oversize]
	snapshots  *memory.Cache[*snapshot]
	shown      sync.Map // list of parts of the state whose root clients got last, by the snapshot's name

	prepared sync.Map // what of a snapshot was prepared last, by its name
	logs     sync.Map // []logEnd by the log's name

	group     singleflight.Group
	flightsMu sync.Mutex
	flights   map[string]*flight
	locks     [64]sync.Mutex      // of records, by name
	unseenMu  sync.Mutex          // of places for what upstream never had; before those of records
	slots     *semaphore.Weighted // bounds what plugins hold of documents
	background
}

// background is work that goes on after a client has its answer.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Options of a cache.
type Options struct {
	// Dir is the data directory.
	Dir *store.Dir
	// Blobs holds bodies.
	Blobs *blobs.Store
	// Policy judges.
	Policy *policy.Engine
	// Memory bounds small bodies kept in memory, in bytes.
	Memory int64
	// Log gets what people should know.
	Log hclog.Logger
}

// Facts are kept in memory up to so many bytes, and like sources only so long after
// they were asked for last: most are within seconds of their document, and the
// collector would go through what lies there all the time.
const (
	factMemory = 8 << 20
	askedFor   = 30 * time.Second
)

// Bodies up to this size are kept in memory.
const smallBody = 64 << 10

// New makes a cache.
func New(o Options) *Cache {
	c := &Cache{
		dir: o.Dir, blobs: o.Blobs, policy: o.Policy, log: o.Log,
		flights: map[string]*flight{},
		slots:   semaphore.NewWeighted(renderBudget),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.catalog = catalog.New(o.Dir.Keep)
	c.sources = memory.New(memory.Options[*source]{Size: 20_000, Unread: askedFor})
	c.renderings = memory.New(memory.Options[*Rendering]{Size: 20_000})
	c.readers = memory.New(memory.Options[*Rendering]{Size: 20_000, Unwritten: readingTime + noteAgain})
	c.artifacts = memory.New(memory.Options[*artifact]{Size: 50_000})
	c.missing = memory.New(memory.Options[*missed]{Size: 20_000})
	c.oversized = memory.New(memory.Options[*oversize]{Size: 1000})
	c.snapshots = memory.New(memory.Options[*snapshot]{Size: 200})
	c.factSets = memory.New(memory.Options[*factSet]{
		Weight: factMemory, Weigh: func(_ string, f *factSet) uint32 { return f.weight() },
		Unread: askedFor,
	})
	c.small = memory.New(memory.Options[*smallContent]{
		Weight: uint64(max(o.Memory, 1<<20)),
		Weigh:  func(_ string, s *smallContent) uint32 { return uint32(len(s.data)) + 128 },
	})
	return c
}

// Close waits for work under way in the background, which it asks to end.
func (c *Cache) Close() {
	c.cancel()
	c.wg.Wait()
}

// shared runs work once for all who ask for it at the same time. A client that
// leaves does not end it for the others, nor does the last one: what was begun
// is finished and kept.
func (c *Cache) shared(ctx context.Context, key string, work func(context.Context) (any, error)) (any, error) {
	done := c.begin(key, work)
	select {
	case r := <-done:
		return r.Val, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Cache) begin(key string, work func(context.Context) (any, error)) <-chan singleflight.Result {
	return c.group.DoChan(key, func() (v any, err error) {
		c.wg.Add(1)
		defer c.wg.Done()
		ctx, cancel := context.WithTimeout(c.ctx, 5*time.Minute)
		defer cancel()
		return work(ctx)
	})
}

// key joins parts with a byte that stands in none of them: paths are checked
// for control characters when they arrive.
func key(parts ...string) string {
	n := len(parts)
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	for i, p := range parts {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, p...)
	}
	return string(b)
}

// Plan asks the repository's plugin what to do with a request.
func (c *Cache) Plan(ctx context.Context, repo *Repository, base string, r *pb.Request) (*pb.PlanResponse, error) {
	return repo.Ecosystem.Plan(ctx, &pb.PlanRequest{
		Repository: repo.wire(base),
		Subject:    &pb.PlanRequest_Request{Request: r},
	})
}

// Form is what a file's address says that all spellings of its version have
// in common. False: the plugin knows no such forms; empty: the address does not
// say.
func (c *Cache) Form(ctx context.Context, repo *Repository, path string) (string, bool, error) {
	plan, err := c.Plan(ctx, repo, "", &pb.Request{Method: "GET", Path: path})
	if err != nil {
		return "", false, err
	}
	v := plan.GetArtifact().GetVersion()
	return v.GetCanonical(), v.GetVersion() == "" || v.GetCanonical() != "", nil
}

// Relay passes a request on and returns upstream's answer, unkept.
func (c *Cache) Relay(ctx context.Context, repo *Repository, plan *pb.Relay, r *http.Request) (*upstream.Response, error) {
	if repo.alone() {
		return nil, &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: "this is for upstream to answer, which this repository does not ask: all of its names are ours"}
	}
	if err := c.pass(ctx, repo); err != nil {
		return nil, err
	}
	header := http.Header{}
	for _, name := range append([]string{"Content-Type", "Content-Encoding", "Accept"}, plan.GetHeaders()...) {
		if v := r.Header.Values(name); len(v) > 0 {
			header[http.CanonicalHeaderKey(name)] = v
		}
	}
	// Not every server takes a body without a length.
	body, length := io.Reader(r.Body), r.ContentLength
	if repo.Hosted != nil && len(plan.GetNames()) > 0 {
		left, err := c.withoutOurs(repo, plan.GetNames(), r.Body, header)
		if err != nil {
			return nil, err
		}
		body, length = bytes.NewReader(left), int64(len(left))
	}
	if length == 0 {
		body = http.NoBody
	}
	return repo.Upstreams.Get(ctx, upstream.Request{Source: plan.GetSource(), Method: r.Method, Body: body, Length: length, Header: header})
}
