// Package server is the HTTP side of the host: it finds the repository of a
// request, asks for its plan, has the cache carry the plan out and writes the
// answer.
//
// What is warm takes one look-up of the plan and one of the answer, both in
// memory; a plugin is asked only for addresses that were never asked for, and
// bodies go from file to socket in the kernel.
package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/maypok86/otter/v2"
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/publish"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Site is a configuration in force. It is immutable; a new configuration makes
// a new one.
type Site struct {
	// Repositories in the order of the configuration.
	Repositories []*cache.Repository
	// Address says which requests are ours and how links to us begin.
	Address Address

	mounts []mount
}

// mount is a path prefix of a repository.
type mount struct {
	prefix   string // without a slash at its end
	repo     *cache.Repository
	counters *counters
}

// Server answers HTTP requests.
type Server struct {
	cache     *cache.Cache
	publisher *publish.Publisher
	log       hclog.Logger
	access    *AccessLog
	metrics   *Metrics
	ready     func() error
	site      atomic.Pointer[Site]
	routes    *otter.Cache[routeKey, *route]
	ids       *requestIDs
	tokens    *access.Keeper
	failures  *access.Limiter
	events    *access.Audit
}

// Options of a server.
type Options struct {
	// Cache carries plans out.
	Cache *cache.Cache
	// Publisher carries out what changes packages of ours.
	Publisher *publish.Publisher
	// Log gets what people should know.
	Log hclog.Logger
	// Access gets a line a request; nil: none.
	Access *AccessLog
	// Metrics counts requests.
	Metrics *Metrics
	// Ready says why not all is well; nil: it is.
	Ready func() error
	// Tokens says who asks.
	Tokens *access.Keeper
	// Audit gets what is refused and what is changed; nil: none.
	Audit *access.Audit
}

// New makes a server without a site; [Server.Use] gives it one.
func New(o Options) (*Server, error) {
	s := &Server{cache: o.Cache, publisher: o.Publisher, log: o.Log, access: o.Access, metrics: o.Metrics, ready: o.Ready, ids: newRequestIDs(), tokens: o.Tokens, events: o.Audit}
	s.failures = access.NewLimiter()
	var err error
	s.routes, err = otter.New(&otter.Options[routeKey, *route]{
		MaximumWeight: maxRoutes,
		Weigher:       func(k routeKey, rt *route) uint32 { return k.weight() + rt.weight() },
	})
	return s, err
}

// maxRoutes bounds the plans in memory, in bytes.
const maxRoutes = 64 << 20

// Use puts a site in force. Requests under way finish with the one before.
func (s *Server) Use(site *Site) {
	site.mounts = mountsOf(site.Repositories)
	for i := range site.mounts {
		site.mounts[i].counters = s.metrics.of(site.mounts[i].repo.Name)
	}
	s.site.Store(site)
}

// routeKey is all that a plan depends on.
type routeKey struct {
	repo   *cache.Repository
	base   string
	method string
	target string // path and query below the mount
	vary   string
}

// route is a plan with what goes with it.
type route struct {
	plan    *pb.PlanResponse
	base    string // external address of the repository
	request cache.PlanRequest
	kept    atomic.Bool
	etag    string // of a reply
	head    atomic.Pointer[head]
	needs   needs
}

// routeWeight is about what a route takes by itself, in bytes.
const routeWeight = 512

func (k routeKey) weight() uint32 {
	return uint32(len(k.base) + len(k.method) + len(k.target) + len(k.vary))
}

func (rt *route) weight() uint32 {
	return uint32(routeWeight + rt.request.Size() + 2*proto.Size(rt.plan))
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := borrow(w)
	rec.id[0] = s.ids.next()
	w.Header()["X-Request-Id"] = rec.id[:]
	defer func() {
		s.metrics.request(rec, time.Since(began))
		s.audit(rec, r)
		if s.access != nil {
			s.access.write(rec, r, began)
		}
		if rec.last != nil {
			rec.last()
		}
		rec.giveBack()
	}()
	s.serve(rec, r)
}

func (s *Server) serve(w *recorder, r *http.Request) {
	site := s.site.Load()
	raw, query := rawTarget(r)
	raw = withoutDots(raw)
	if failure := checkPath(raw); failure != nil {
		plainFailure(w, r, failure)
		return
	}
	if len(query) > maxQuery {
		plainFailure(w, r, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: "the query is longer than 8 KiB"})
		return
	}
	switch raw {
	case "/healthz":
		writePlain(w, r, http.StatusOK, "ok\n")
		return
	case "/readyz":
		s.serveReady(w, r)
		return
	case "/metrics":
		if failure := s.mayOversee(r); failure != nil {
			plainRefusal(w, r, failure)
			return
		}
		s.metrics.handler.ServeHTTP(w, r)
		return
	}
	base, stripped, failure := site.Address.of(r, raw)
	if failure != nil {
		plainFailure(w, r, failure)
		return
	}
	if stripped == "/" || stripped == "" {
		s.serveStart(w, r, site, base)
		return
	}
	m := site.find(stripped)
	if m == nil {
		plainFailure(w, r, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: "no repository is mounted at this address; " + base + "/ lists them"})
		return
	}
	w.repo, w.base, w.prefix, w.counters = m.repo, base, m.prefix, m.counters
	target := stripped[len(m.prefix):]
	if target == "" {
		target = "/"
	}
	if query != "" {
		target += "?" + query
	}
	s.serveRepository(w, r, m, base, target)
}

// noSniffing has browsers believe what an answer says that it is: much of what is
// served was published by others.
var noSniffing = []string{"nosniff"}

// serveRepository plans a request and carries the plan out.
func (s *Server) serveRepository(w *recorder, r *http.Request, m *mount, base, target string) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
		r.Header.Del("Range") // which is for GET alone (RFC 9110, section 14.2)
	}
	w.Header()["X-Content-Type-Options"] = noSniffing
	k := routeKey{repo: m.repo, base: base, method: method, target: target, vary: varyOf(m.repo, r)}
	if err := s.admit(w, r, m.repo); err != nil {
		s.challenged(w, r, m, k, err)
		return
	}
	rt, err := s.route(r, m, k)
	if err != nil {
		s.fail(w, r, m.repo, err)
		return
	}
	if rt.plan.GetDocument() != nil {
		if asked, ok := formTarget(w, r, target); ok {
			k.method, k.target = http.MethodGet, asked
			if rt, err = s.plan(r.Context(), k, base+m.prefix, r); err != nil {
				s.fail(w, r, m.repo, err)
				return
			}
		}
	}
	if err := s.authorize(w, r, m.repo, rt); err != nil {
		s.fail(w, r, m.repo, err)
		return
	}
	switch p := rt.plan.GetPlan().(type) {
	case *pb.PlanResponse_Document:
		err = s.serveDocument(w, r, m.repo, rt, p.Document)
	case *pb.PlanResponse_Artifact:
		err = s.serveArtifact(w, r, m.repo, rt, p.Artifact, lifetime(p.Artifact), statusHit)
	case *pb.PlanResponse_Reply:
		err = s.serveReply(w, r, m.repo, rt, p.Reply)
	case *pb.PlanResponse_Relay:
		err = s.serveRelay(w, r, m.repo, p.Relay)
	case *pb.PlanResponse_Upload:
		err = s.serveUpload(w, r, m.repo, rt, target, p.Upload)
	case *pb.PlanResponse_Identity:
		err = s.serveIdentity(w, r, m, k, rt, p.Identity)
	case *pb.PlanResponse_Failure:
		err = &cache.Failure{Kind: p.Failure.GetKind(), Message: p.Failure.GetMessage(), Code: p.Failure.GetCode(), Allow: p.Failure.GetAllow()}
	default:
		err = &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: "plugin " + m.repo.Plugin + " plans something that this entrepot does not know; update entrepot"}
	}
	if err != nil {
		s.fail(w, r, m.repo, s.toPublishers(w, m.repo, rt, err))
		return
	}
	if method == http.MethodGet && !rt.kept.Swap(true) {
		s.cache.KeepPlan(m.repo, rt.request, rt.plan)
	}
}

// route is the plan of a request, from memory if it is there.
func (s *Server) route(r *http.Request, m *mount, k routeKey) (*route, error) {
	if rt, ok := s.routes.GetIfPresent(k); ok {
		return rt, nil
	}
	return s.plan(r.Context(), k, k.base+m.prefix, r)
}

// plan gets a plan that is not in memory: a kept one, or the plugin's.
func (s *Server) plan(ctx context.Context, k routeKey, base string, r *http.Request) (*route, error) {
	rt := &route{base: base, request: cache.PlanRequest{Method: k.method, Target: k.target, Vary: k.vary, Base: base}}
	if k.method == http.MethodGet {
		if rt.plan = s.cache.KnownPlan(k.repo, rt.request); rt.plan != nil {
			rt.kept.Store(true)
		}
	}
	if rt.plan == nil {
		path, query, _ := strings.Cut(k.target, "?")
		var err error
		rt.plan, err = s.cache.Plan(ctx, k.repo, base, &pb.Request{Method: k.method, Path: path, Query: query, Headers: varied(k.repo, r)})
		if err != nil {
			return nil, err
		}
	}
	if reply := rt.plan.GetReply(); len(reply.GetBody()) > 0 {
		sum := sha256.Sum256(reply.GetBody())
		rt.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	}
	rt.needs = needsOf(rt.plan)
	if k.method == http.MethodGet {
		s.routes.Set(k, rt)
	}
	return rt, nil
}

// varyOf is the part of a request's headers that plans may depend on.
func varyOf(repo *cache.Repository, r *http.Request) string {
	vary := repo.Describe.GetVary()
	if len(vary) == 1 {
		if v := r.Header[vary[0]]; len(v) == 1 {
			return v[0]
		}
	}
	var b strings.Builder
	for _, name := range vary {
		for _, v := range r.Header.Values(name) {
			b.WriteString(v)
			b.WriteByte(',')
		}
		b.WriteByte(0)
	}
	return b.String()
}

func (s *Server) serveReady(w *recorder, r *http.Request) {
	if err := s.ready(); err != nil {
		writePlain(w, r, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	writePlain(w, r, http.StatusOK, "ready\n")
}
