package server

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
		w.wrong = s.identify(w, r, text)
	}
	if w.identity == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	if w.wrong != nil {
		return w.wrong
	}
	return s.enter(w, repo)
}

// enter decides whether the one who asks may do something in a repository, or in
// one that it shares an address at the root with: there they log in for all.
func (s *Server) enter(w *recorder, repo *cache.Repository) error {
	err := s.may(w, repo, access.Some, nil)
	for _, other := range s.family(repo) {
		if err == nil {
			break
		}
		if w.identity.May(access.Some, other.Name, nil, other.Anonymous) == nil {
			err, w.result, w.detail = nil, "", ""
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

// identify finds out whose token a text is.
func (s *Server) identify(w *recorder, r *http.Request, text []byte) (err error) {
	from, now := s.site.Load().Address.client(r), time.Now()
	if w.identity, err = s.tokens.Identify(text, from, now); err == nil {
		w.result, w.detail = "", ""
		return nil
	}
	if again := s.failures.Failed(from, now); !again.IsZero() {
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_RATE_LIMITED, RetryAfter: again, Message: "too many wrong tokens came from this address; wait a minute"}
	}
	return w.refuse(err)
}

// may decides whether the one who asks may do something to packages of a
// repository. Every surface asks it: before a plan is carried out, and again
// when names turn out that the request did not tell.
func (s *Server) may(w *recorder, repo *cache.Repository, action access.Action, packages []string) error {
	w.needs = needs{action, packages}
	if err := w.identity.May(action, repo.Name, packages, repo.Anonymous); err != nil {
		return w.refuse(err)
	}
	return nil
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
// carried out.
func (s *Server) authorize(w *recorder, repo *cache.Repository, rt *route) error {
	identity := rt.plan.GetIdentity()
	if w.wrong != nil && identity.GetPassword() == "" {
		return w.wrong
	}
	if identity != nil {
		return nil
	}
	return s.may(w, repo, rt.needs.action, rt.needs.packages)
}

// challenge tells a client how to log in.
func challenge(w *recorder, repo *cache.Repository) string {
	if c := repo.Describe.GetChallenge(); c != "" {
		return strings.ReplaceAll(c, "{url}", w.base+w.prefix)
	}
	return `Basic realm="entrepot"`
}

// maxLogIn bounds the body of a log-in, in bytes.
const maxLogIn = 64 << 10

// serveIdentity answers about the one who asks, or logs them in: the token is
// their password, and the one that they are given.
func (s *Server) serveIdentity(w *recorder, r *http.Request, repo *cache.Repository, rt *route, p *pb.Identity) error {
	var buf [2 * access.MaxCredential]byte
	text, _ := access.Credential(r.Header, buf[:])
	if p.GetPassword() != "" {
		password, err := logIn(w, r, p.GetPassword())
		if err != nil {
			return err
		}
		text = []byte(password)
		if err := s.identify(w, r, text); err != nil {
			return err
		}
	}
	answer := p.GetReply()
	if w.identity == nil {
		if answer = p.GetNobody(); answer == nil || p.GetGate() && !w.given && slices.ContainsFunc(s.family(repo), restricted) {
			return w.refuse(&access.Denied{LogIn: true, Reason: "nobody is logged in: a token is needed"})
		}
		text = []byte(access.NoToken)
	}
	if err := s.enter(w, repo); err != nil {
		return err
	}
	reply := &pb.Reply{Status: answer.GetStatus(), Headers: maps.Clone(answer.GetHeaders())}
	if reply.Headers == nil {
		reply.Headers = map[string]string{}
	}
	reply.Headers["Cache-Control"] = "no-store"
	contentType := ""
	for name, value := range reply.Headers {
		if strings.EqualFold(name, "Content-Type") {
			contentType = value
		}
	}
	quote := quoting(contentType)
	reply.Body = []byte(strings.NewReplacer("{user}", quote(w.identity.User()), "{token}", quote(string(text))).Replace(string(answer.GetBody())))
	return s.serveReply(w, r, repo, rt, reply)
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

// logIn reads the password that a client sends in a body.
func logIn(w *recorder, r *http.Request, pointer string) (string, error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(relayTime)); err != nil {
		return "", err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogIn))
	if err != nil {
		return "", &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: "the log-in cannot be read: " + err.Error()}
	}
	password, ok := "", false
	if strings.HasPrefix(pointer, "/") {
		password, ok = textAt(body, pointer)
	} else {
		password, ok = fieldOf(body, strings.Split(pointer, ","))
	}
	if !ok {
		return "", w.refuse(&access.Denied{LogIn: true, Reason: "the log-in has no password: a token is needed"})
	}
	return password, nil
}

// fieldOf is the first of several fields that an URL-encoded form has.
func fieldOf(body []byte, names []string) (string, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", false
	}
	for _, name := range names {
		if form.Has(name) {
			return form.Get(name), true
		}
	}
	return "", false
}

// textAt finds the string that a JSON pointer (RFC 6901) points at.
func textAt(body []byte, pointer string) (string, bool) {
	var at any
	if json.Unmarshal(body, &at) != nil {
		return "", false
	}
	for _, name := range strings.Split(pointer, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch inside := at.(type) {
		case map[string]any:
			at = inside[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(inside) {
				return "", false
			}
			at = inside[i]
		default:
			return "", false
		}
	}
	text, ok := at.(string)
	return text, ok
}

// audit notes what was refused, and what was changed or was to be.
func (s *Server) audit(w *recorder, r *http.Request) {
	changes := w.action != access.Some && w.action != access.Read
	if s.events == nil || w.result == "" && !changes {
		return
	}
	e := access.Event{
		Time: time.Now(), ID: w.id, User: w.identity.User(), Token: w.identity.Token(),
		Address: s.site.Load().Address.client(r).String(), Request: cut(r.Method) + " " + cut(access.Redact(r.RequestURI)),
		Action: string(w.action), Repository: w.repo.Name, Packages: w.packages,
		Result: w.result, Status: w.status, Detail: w.detail,
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
