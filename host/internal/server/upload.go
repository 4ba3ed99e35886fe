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
	r.Body = http.MaxBytesReader(w, &patient{r.Body, http.NewResponseController(w)}, 2*repo.MaxArtifact) // base64 and fields included
	path, query, _ := strings.Cut(target, "?")
	reply, err := s.publisher.Do(r.Context(), publish.Request{
		Repository: repo,
		Base:       rt.base,
		Plan:       u,
		Asked:      &pb.Request{Method: r.Method, Path: path, Query: query, Headers: varied(repo, r)},
		HTTP:       r,
		User:       w.identity.User(),
		Allowed:    func(names []string) error { return s.may(w, repo, uploadAction(u), names) },
		Readable: func(names []string) error {
			return w.identity.May(access.Read, repo.Name, w.prefix, names, repo.Anonymous)
		},
	})
	if err != nil {
		return err
	}
	w.cached = statusPass
	w.Header().Set("Cache-Control", "no-store")
	return s.serveReply(w, r, repo, &route{base: rt.base}, reply)
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
