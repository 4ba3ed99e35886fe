package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/publish"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// uploadStall is how long a client may send nothing of a body.
const uploadStall = time.Minute

// serveUpload carries an upload or a change out.
func (s *Server) serveUpload(w *recorder, r *http.Request, repo *cache.Repository, rt *route, target string, u *pb.Upload) error {
	bounded := r.WithContext(r.Context()) // the server knows by the body of its own what it need not ask for
	control := http.NewResponseController(w)
	bounded.Body = http.MaxBytesReader(w, &patient{r.Body, control}, publish.MaxBody(repo))
	path, query, _ := strings.Cut(target, "?")
	reply, err := s.publisher.Do(r.Context(), publish.Request{
		Repository: repo,
		Base:       rt.base,
		Plan:       u,
		Asked:      &pb.Request{Method: r.Method, Path: path, Query: query, Headers: varied(repo, r)},
		HTTP:       bounded,
		Interrupt:  func() { _ = control.SetReadDeadline(time.Now()) }, // what cannot be interrupted stalls for longer
		User:       w.identity.User(),
		Allowed: func(names []string) error {
			if err := s.stillGood(w, r); err != nil {
				return err
			}
			return s.mayChange(w, repo, uploadAction(u), names)
		},
		Rights: publish.Rights{
			Delete: func(names []string) error { return s.may(w, repo, access.Delete, names) },
			Administer: func(name string) bool {
				return w.identity.May(access.Admin, repo.Name, w.prefix, []string{name}, repo.Anonymous, repo.Names) == nil
			},
			Exists: s.tokens.Named,
		},
		Readable: func(names []string) error {
			return w.identity.May(access.Read, repo.Name, w.prefix, names, repo.Anonymous, repo.Names)
		},
	})
	if err != nil {
		return err
	}
	w.cached = statusPass
	w.Header().Set("Cache-Control", "no-store")
	return s.serveReply(w, r, repo, &route{base: rt.base}, reply)
}

// stillGood looks at the token of a request again, whose body may have taken long:
// one that was revoked meanwhile, or has expired, changes nothing.
func (s *Server) stillGood(w *recorder, r *http.Request) error {
	if w.identity == nil {
		return nil
	}
	var buf [2 * access.MaxCredential]byte
	text, _ := access.Credential(r.Header, buf[:])
	again, err := s.tokens.Identify(text, s.site.Load().Address.client(r), time.Now())
	if err != nil {
		return w.refuse(err)
	}
	w.identity = again
	return nil
}

// mayChange decides as may does. Owners of a package may say who else owns it,
// without being administrators: whether they are is looked at later.
func (s *Server) mayChange(w *recorder, repo *cache.Repository, action access.Action, packages []string) error {
	err := s.may(w, repo, action, packages)
	if err != nil && action == access.Admin && w.identity.May(access.Publish, repo.Name, w.prefix, packages, repo.Anonymous, repo.Names) == nil {
		w.result, w.detail = "", ""
		return nil
	}
	return err
}

// toPublishers has somebody who may publish packages, of which nothing is here,
// told that they are not there when upstream cannot say: clients look before
// they publish, and what is published here does not hang on upstream.
func (s *Server) toPublishers(w *recorder, repo *cache.Repository, rt *route, err error) error {
	f, names := cache.AsFailure(err), rt.needs.packages
	if f == nil || f.Kind != pb.ErrorKind_ERROR_KIND_UPSTREAM || len(names) == 0 || rt.needs.action != access.Read {
		return err
	}
	for _, name := range names {
		if name == "" || name == access.Everything || repo.MayPublish(name) != nil {
			return err
		}
		if known, failed := s.cache.Catalog().Package(repo.Name, name); known != nil || failed != nil {
			return err
		}
	}
	if w.identity.May(access.Publish, repo.Name, w.prefix, names, repo.Anonymous, repo.Names) != nil {
		return err
	}
	return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: f.Name, Version: f.Version,
		Message: "it is not published here, and upstream cannot be asked: " + f.Message}
}

// varied are the headers that a plugin may look at.
func varied(repo *cache.Repository, r *http.Request) map[string]string {
	headers := map[string]string{}
	for _, name := range repo.Describe.GetVary() {
		if v := r.Header.Values(name); len(v) > 0 {
			headers[strings.ToLower(name)] = strings.Join(v, ", ")
		}
	}
	return headers
}

// patient bounds the time in which nothing of a body arrives, not that of the
// whole.
type patient struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
	control *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.control.SetReadDeadline(time.Now().Add(uploadStall)); err != nil {
		return 0, err
	}
	return p.body.Read(b)
}

func (p *patient) Close() error { return p.body.Close() }
