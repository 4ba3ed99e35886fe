package server

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

//go:embed start.html
var startText string

var startPage = template.Must(template.New("start").Parse(startText))

type startRepository struct {
	Name, Title, URL string
	Upstreams        []string
	Running          bool
	Setup            []*pb.Snippet
	Ungated          []*pb.Ungated
}

// start is what the start page shows.
type start struct {
	Repositories []startRepository
	// Hidden is whether there are others.
	Hidden bool
}

// serveStart shows the mounts that the one who asks may read, and how clients are
// pointed at them.
func (s *Server) serveStart(w *recorder, r *http.Request, site *Site, base string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		plainFailure(w, r, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_METHOD, Message: "this page can only be read", Allow: "GET, HEAD"})
		return
	}
	var shown start
	var buf [2 * access.MaxCredential]byte
	text, given := access.Credential(r.Header, buf[:])
	if given {
		if err := s.identify(w, r, text); err != nil {
			plainRefusal(w, r, cache.AsFailure(err))
			return
		}
	}
	for _, repo := range site.Repositories {
		if w.identity.May(access.Read, repo.Name, repo.Path, nil, repo.Anonymous, repo.Names) != nil {
			shown.Hidden = true
			continue
		}
		at := base + repo.Path
		d := repo.Describe
		one := startRepository{Name: repo.Name, Title: d.GetTitle(), URL: at, Upstreams: repo.Upstreams.Bases(), Running: repo.Ecosystem.Running(), Ungated: d.GetUngated()}
		for _, t := range d.GetSetup() {
			one.Setup = append(one.Setup, &pb.Snippet{Client: t.GetClient(), File: t.GetFile(), Text: fillSetup(t.GetText(), at)})
		}
		shown.Repositories = append(shown.Repositories, one)
	}
	w.Header().Add("Vary", "Authorization")
	if given || shown.Hidden {
		setPrivate(w.Header())
	}
	if len(shown.Repositories) == 0 && shown.Hidden && !given { // so that browsers ask
		plainRefusal(w, r, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAUTHORIZED, Message: "a token is needed to see which repositories are here"})
		return
	}
	var page strings.Builder
	if err := startPage.Execute(&page, shown); err != nil {
		s.log.Error("start page", "error", err)
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page.String()))
}

func fillSetup(text, at string) string {
	host := ""
	if u, err := url.Parse(at); err == nil {
		host = u.Host
	}
	return strings.NewReplacer("{url}", at, "{host}", host).Replace(text)
}
