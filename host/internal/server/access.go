package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// needs is what carrying a plan out takes.
type needs struct {
	action   access.Action
	packages []string
}

// needsOf is what a plan takes of the one who asks. A document or file whose
// packages are not known may show any; other answers show none.
func needsOf(plan *pb.PlanResponse) needs {
	switch p := plan.GetPlan().(type) {
	case *pb.PlanResponse_Document:
		if names := p.Document.GetNames(); len(names) > 0 {
			return needs{access.Read, names}
		}
		return needs{access.Read, []string{access.Everything}}
	case *pb.PlanResponse_Artifact:
		return needs{access.Read, []string{p.Artifact.GetVersion().GetName()}}
	case *pb.PlanResponse_Upload:
		return needs{uploadAction(p.Upload), p.Upload.GetNames()}
	}
	return needs{action: access.Read}
}

// uploadAction is what an upload or change takes.
func uploadAction(u *pb.Upload) access.Action {
	if a := u.GetAction(); a != "" {
		return access.Action(a)
	}
	return access.Publish
}

// asker is who sent a request, and what is to be told of it.
type asker struct {
	identity *access.Identity // nil: nobody in particular
	// private answers are not for caches that several people share.
	private bool
	// given is whether the request had credentials.
	given bool
	// wrong is what was wrong with the credentials of a request that may be a
	// log-in; nil: nothing.
	wrong error
	needs
	// readable says what may be shown of a list of packages; nil: all.
	readable func(name string) bool
	// below are repositories below whose packages are in it too.
	below          []cache.Below
	result, detail string // of what was refused
}

// admit finds out who asks and refuses who may do nothing in a repository, so
// that they do not reach its plugin. What has a body may be a log-in, also with
// a token that has expired; that the plan tells.
func (s *Server) admit(w *recorder, r *http.Request, repo *cache.Repository) error {
	w.private = !slices.Contains(repo.Anonymous, access.Read)
	var buf [2 * access.MaxCredential]byte
	var text []byte
	if text, w.given = access.Credential(r.Header, buf[:]); w.given {
		w.wrong = s.recognize(w, r, text)
	}
	if w.identity == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	if w.wrong != nil {
		return s.guessed(w, r, w.wrong)
	}
	return s.enter(w, repo)
}

// enter decides whether the one who asks may do something in a repository, or in
// one that it shares an address at the root with: there they log in for all.
func (s *Server) enter(w *recorder, repo *cache.Repository) error {
	err := s.may(w, repo, access.Some, nil)
	if err == nil {
		return nil
	}
	for _, other := range s.family(repo) {
		if w.identity.May(access.Some, other.Name, w.prefix, nil, other.Anonymous, other.Names) == nil {
			w.result, w.detail = "", ""
			return nil
		}
	}
	return err
}

// family are the repositories that share addresses at the root with one.
func (s *Server) family(repo *cache.Repository) []*cache.Repository {
	if len(repo.Describe.GetMounts()) == 0 {
		return []*cache.Repository{repo}
	}
	var all []*cache.Repository
	for _, other := range s.site.Load().Repositories {
		if other.Plugin == repo.Plugin {
			all = append(all, other)
		}
	}
	return all
}

// identify finds out whose token a text is. One that is nobody's counts as a guess.
func (s *Server) identify(w *recorder, r *http.Request, text []byte) error {
	if err := s.recognize(w, r, text); err != nil {
		return s.guessed(w, r, err)
	}
	return nil
}

// recognize finds out whose token a text is, before anything hangs on it.
func (s *Server) recognize(w *recorder, r *http.Request, text []byte) (err error) {
	if w.identity, err = s.tokens.Identify(text, s.site.Load().Address.client(r), time.Now()); err == nil {
		w.result, w.detail = "", ""
	}
	return err
}

// guessed is the answer to a token that is not good, for the reason given. Who
// sends many is let wait.
func (s *Server) guessed(w *recorder, r *http.Request, reason error) error {
	var denied *access.Denied
	if errors.As(reason, &denied) && denied.Lapsed {
		return w.refuse(reason)
	}
	from, now := s.site.Load().Address.client(r), time.Now()
	if again := s.failures.Failed(from, now); !again.IsZero() {
		return tooManyWrong(again)
	}
	return w.refuse(reason)
}

// may decides whether the one who asks may do something to packages of a
// repository. Every surface asks it: before a plan is carried out, and again
// when names turn out that the request did not tell.
func (s *Server) may(w *recorder, repo *cache.Repository, action access.Action, packages []string) error {
	w.needs = needs{action, packages}
	if err := w.identity.May(action, repo.Name, w.prefix, packages, repo.Anonymous, repo.Names); err != nil {
		return w.refuse(err)
	}
	return nil
}

// mayOversee says why who asks gets no metrics; nil: they may. Without a token only
// a program of this machine that asks for this machine may: what a browser sends
// here for a page of elsewhere has that page's host.
func (s *Server) mayOversee(r *http.Request) *cache.Failure {
	from, now := s.site.Load().Address.client(r), time.Now()
	refused := &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAUTHORIZED, Message: "metrics take a token that may read all repositories, as of: entrepot token create prometheus --allow read"}
	var buf [2 * access.MaxCredential]byte
	text, given := access.Credential(r.Header, buf[:])
	if !given {
		host, _, ok := splitHost(r.Host)
		if from.IsLoopback() && ok && isLoopback(host) && r.Header["X-Forwarded-For"] == nil && r.Header["Forwarded"] == nil {
			return nil
		}
		return refused
	}
	id, err := s.tokens.Identify(text, from, now)
	switch {
	case err == nil && id.Oversees():
		return nil
	case err == nil:
		return refused
	}
	if denied := (*access.Denied)(nil); errors.As(err, &denied) && denied.Lapsed {
		refused.Message = err.Error()
		return refused
	}
	if again := s.failures.Failed(from, now); !again.IsZero() {
		return tooManyWrong(again)
	}
	refused.Message = err.Error()
	return refused
}

// tooManyWrong is the answer to an address that guesses tokens.
func tooManyWrong(again time.Time) *cache.Failure {
	return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_RATE_LIMITED, RetryAfter: again, Message: "too many wrong tokens came from this address; wait a minute"}
}

// refuse turns a denial into a failure for the client, and notes it for the
// audit log.
func (w *recorder) refuse(err error) error {
	f := &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Message: err.Error()}
	w.result, w.detail = access.Refused, f.Message
	var denied *access.Denied
	if errors.As(err, &denied) && denied.LogIn {
		f.Kind, w.result = pb.ErrorKind_ERROR_KIND_UNAUTHORIZED, access.Unauthenticated
	}
	return f
}

// authorize decides on a plan. Whom an identity plan is for is seen when it is
// carried out. A failure is the same whoever asks: clients may have sent there what
// is meant for other registries, as a token of an identity provider's.
func (s *Server) authorize(w *recorder, r *http.Request, repo *cache.Repository, rt *route) error {
	identity := rt.plan.GetIdentity()
	switch {
	case w.wrong == nil || identity.GetPassword() != "":
	case rt.plan.GetFailure() != nil:
		return nil
	default:
		return s.guessed(w, r, w.wrong)
	}
	if identity != nil {
		return nil
	}
	err := s.mayChange(w, repo, rt.needs.action, rt.needs.packages)
	if some := rt.plan.GetUpload().GetWithin(); err == nil && len(some) > 0 && len(rt.needs.packages) == 0 {
		if err := w.identity.MaySome(rt.needs.action, repo.Name, w.prefix, some, repo.Anonymous, repo.Names); err != nil {
			return w.refuse(err)
		}
	}
	d := rt.plan.GetDocument()
	below := s.below(w, d)
	if err != nil && (cache.Lists(repo, d) || len(below) > 0) {
		readable, refused := w.identity.List(repo.Name, w.prefix, repo.Names)
		var denied *access.Denied
		switch {
		case refused == nil:
			w.readable = readable
		case len(below) > 0 && errors.As(refused, &denied) && !denied.LogIn:
			w.readable = func(string) bool { return false }
		default:
			return w.refuse(refused)
		}
		w.result, w.detail, err = "", "", nil
	}
	if err == nil && len(below) > 0 {
		w.below = below
		w.readable = s.reached(w.prefix, repo, w.readable)
	}
	return err
}

// below are the repositories below the one asked whose packages are in a list of
// its own, as far as the one who asks may see some of them.
func (s *Server) below(w *recorder, d *pb.Document) (all []cache.Below) {
	if !d.GetMountedBelow() {
		return nil
	}
	for _, m := range s.site.Load().mounts {
		path, ok := strings.CutPrefix(m.prefix, w.prefix+"/")
		if !ok || m.repo.Plugin != w.repo.Plugin || m.repo.Hosted == nil {
			continue
		}
		var readable func(string) bool
		if !slices.Contains(m.repo.Anonymous, access.Read) {
			var err error
			if readable, err = w.identity.List(m.repo.Name, w.prefix, m.repo.Names); err != nil {
				continue
			}
		}
		all = append(all, cache.Below{Repository: m.repo, Path: path, Readable: s.reached(m.prefix, m.repo, readable)})
	}
	return all
}

// reached reports of packages of a repository whether they may be read, and are not
// hidden by another repository below. Readable nil: all may be read.
func (s *Server) reached(prefix string, repo *cache.Repository, readable func(name string) bool) func(name string) bool {
	site := s.site.Load()
	return func(name string) bool {
		m := site.find(prefix + "/" + name)
		return m != nil && m.repo == repo && (readable == nil || readable(name))
	}
}

// challenge tells a client how to log in, and for what.
func challenge(w *recorder, repo *cache.Repository) string {
	c := repo.Describe.GetChallenge()
	if c == "" {
		return `Basic realm="entrepot"`
	}
	var scopes []string
	for _, name := range w.packages {
		if scope := scopeOf(repo, w.action, name); scope != "" {
			scopes = append(scopes, scope)
		}
	}
	scope := ""
	if len(scopes) > 0 {
		scope = `,scope="` + strings.Join(scopes, " ") + `"`
	}
	if scope != "" && w.identity != nil {
		scope += `,error="insufficient_scope"` // RFC 6750, section 3.1
	}
	return strings.NewReplacer("{url}", w.base+w.prefix, "{scope}", scope).Replace(c)
}

// scopeOf is the scope that an action on a package takes, or a list of all of them;
// empty: there is none.
func scopeOf(repo *cache.Repository, action access.Action, name string) string {
	switch {
	case name != access.Everything:
		return strings.ReplaceAll(repo.Describe.GetScopes()[string(action)], "{package}", name)
	case action == access.Read:
		return repo.Describe.GetListScope()
	}
	return ""
}

// challenged plans a request that is refused because its sender may do nothing,
// where the challenge tells what a token has to be good for.
func (s *Server) challenged(w *recorder, r *http.Request, m *mount, k routeKey, err error) {
	var f *cache.Failure
	if len(m.repo.Describe.GetScopes()) > 0 && errors.As(err, &f) && f.Kind == pb.ErrorKind_ERROR_KIND_UNAUTHORIZED {
		if rt, err := s.route(r, m, k); err == nil {
			w.needs = rt.needs
		}
	}
	s.fail(w, r, m.repo, err)
}

// mayList reports whether the one who asks may see some of a list of packages.
func (w *recorder) mayList() bool {
	_, err := w.identity.List(w.repo.Name, w.prefix, w.repo.Names)
	return err == nil
}

// mayAnywhere reports whether the one who asks may do something to a package of
// the repository asked, or of one that is mounted below it, where the name is
// shorter by that.
func (s *Server) mayAnywhere(w *recorder, action access.Action, name string) bool {
	if w.identity.May(action, w.repo.Name, w.prefix, []string{name}, w.repo.Anonymous, w.repo.Names) == nil {
		return true
	}
	for _, m := range s.site.Load().mounts {
		below, ok := strings.CutPrefix(m.prefix, w.prefix+"/")
		if !ok {
			continue
		}
		if rest, ok := strings.CutPrefix(name, below+"/"); ok && w.identity.May(action, m.repo.Name, m.prefix, []string{rest}, m.repo.Anonymous, m.repo.Names) == nil {
			return true
		}
	}
	return false
}

// restricted reports whether there is something in a repository that takes a token.
func restricted(repo *cache.Repository) bool {
	if repo.Hosted == nil {
		return !slices.Contains(repo.Anonymous, access.Read)
	}
	for _, a := range access.Actions {
		if a != access.Admin && !slices.Contains(repo.Anonymous, a) {
			return true
		}
	}
	return false
}

// audit notes what was refused, and what was changed or was to be.
func (s *Server) audit(w *recorder, r *http.Request) {
	changes := w.action != access.Some && w.action != access.Read
	if s.events == nil || w.result == "" && !changes {
		return
	}
	e := access.Event{
		Time: time.Now(), ID: w.id[0], User: w.identity.User(), Token: w.identity.Token(),
		Address: s.site.Load().Address.client(r).String(), Request: cut(r.Method) + " " + cut(access.Redact(r.RequestURI)),
		Action: string(w.action), Packages: w.packages,
		Result: w.result, Status: w.status, Detail: w.detail,
	}
	if w.repo != nil {
		e.Repository = w.repo.Name
	}
	switch {
	case e.Result != "":
	case w.status < 400:
		e.Result = access.Done
	default:
		e.Result = access.Failed
	}
	s.events.Write(e)
}

func cut(s string) string { return s[:min(len(s), 2048)] }

// setPrivate keeps an answer out of caches that several people share.
func setPrivate(h http.Header) {
	control := h.Get("Cache-Control")
	if strings.Contains(control, "no-store") || strings.Contains(control, "private") {
		return
	}
	control = strings.TrimPrefix(strings.TrimPrefix(control, "public"), ", ")
	h.Set("Cache-Control", strings.TrimSuffix("private, "+control, ", "))
}
