package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// misdirected is the host's own kind of failure: a Host that is not ours.
const misdirected = pb.ErrorKind(-1)

var statuses = map[pb.ErrorKind]int{
	pb.ErrorKind_ERROR_KIND_NOT_FOUND:    http.StatusNotFound,
	pb.ErrorKind_ERROR_KIND_HELD:         http.StatusForbidden,
	pb.ErrorKind_ERROR_KIND_REFUSED:      http.StatusForbidden,
	pb.ErrorKind_ERROR_KIND_UNAUTHORIZED: http.StatusUnauthorized,
	pb.ErrorKind_ERROR_KIND_UPSTREAM:     http.StatusBadGateway,
	pb.ErrorKind_ERROR_KIND_BAD_REQUEST:  http.StatusBadRequest,
	pb.ErrorKind_ERROR_KIND_METHOD:       http.StatusMethodNotAllowed,
	pb.ErrorKind_ERROR_KIND_RATE_LIMITED: http.StatusTooManyRequests,
	pb.ErrorKind_ERROR_KIND_UNAVAILABLE:  http.StatusServiceUnavailable,
	pb.ErrorKind_ERROR_KIND_CONFLICT:     http.StatusConflict,
	pb.ErrorKind_ERROR_KIND_TOO_LARGE:    http.StatusRequestEntityTooLarge,
	pb.ErrorKind_ERROR_KIND_RANGE:        http.StatusRequestedRangeNotSatisfiable,
	misdirected:                          http.StatusMisdirectedRequest,
}

// fail answers with an error in the form that the ecosystem's clients print.
// This is the one place where errors become statuses.
func (s *Server) fail(w *recorder, r *http.Request, repo *cache.Repository, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		// The client left, or sends no more: who still listens must not take
		// nothing for success. The status is the one that nginx logs.
		h := w.Header()
		for name := range h {
			delete(h, name)
		}
		h["Content-Length"] = []string{"0"}
		w.WriteHeader(499)
		return
	}
	f := cache.AsFailure(err)
	switch {
	case errors.Is(err, plugins.ErrDown):
		f = &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: "the " + repo.Plugin + " plugin is down; what is cached is served meanwhile"}
	case errors.Is(err, wire.ErrFailed):
		f = &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: "the " + repo.Plugin + " plugin failed; entrepot's log says why, at the request id " + w.id[0]}
	case f == nil:
		f = &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: "entrepot failed; its log says why, at the request id " + w.id[0]}
	}
	status := statuses[f.Kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	format := repo.Describe.GetErrors()
	if own := format.GetStatus()[wire.KindName(f.Kind)]; own != 0 {
		status = int(own)
	}
	if status >= 500 {
		s.log.Warn("request failed", "id", w.id[0], "repository", repo.Name, "path", access.Redact(r.URL.Path), "status", status, "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("Www-Authenticate", challenge(w, repo))
	}
	writeFailure(w, r, f, status, format)
}

// plainFailure answers outside of any repository.
func plainFailure(w *recorder, r *http.Request, f *cache.Failure) {
	writeFailure(w, r, f, statuses[f.Kind], &pb.ErrorFormat{ContentType: "text/plain; charset=utf-8", Body: "{message}"})
}

// plainRefusal is plainFailure for what takes a token.
func plainRefusal(w *recorder, r *http.Request, f *cache.Failure) {
	if f.Kind == pb.ErrorKind_ERROR_KIND_UNAUTHORIZED {
		w.Header().Set("WWW-Authenticate", `Basic realm="entrepot"`)
	}
	plainFailure(w, r, f)
}

func writeFailure(w *recorder, r *http.Request, f *cache.Failure, status int, format *pb.ErrorFormat) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	delete(h, "Cache-Status") // of the file that was to be sent
	w.cached = nil
	if wait := time.Until(f.RetryAfter); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	if f.Allow != "" {
		h.Set("Allow", f.Allow)
	}
	h.Set("Content-Type", format.GetContentType())
	h.Set("X-Content-Type-Options", "nosniff")
	body := fill(format, f)
	if telling(w, r, f, status) && writeTelling(w, status, f.Message, body) {
		return
	}
	writeBody(w, r, status, body)
}

// fill puts a failure into an ecosystem's template. What no word of ours stands
// in the braces of is left as it is.
func fill(format *pb.ErrorFormat, f *cache.Failure) string {
	quote := quoting(format.GetContentType())
	var body strings.Builder
	rest := format.GetBody()
	for {
		before, after, found := strings.Cut(rest, "{")
		body.WriteString(before)
		if !found {
			break
		}
		name, behind, closed := strings.Cut(after, "}")
		text, known := word(name, format, f)
		if !closed || !known {
			body.WriteByte('{')
			rest = after
			continue
		}
		body.WriteString(quote(text))
		rest = behind
	}
	if !strings.HasSuffix(body.String(), "\n") {
		body.WriteByte('\n')
	}
	return body.String()
}

// word is what stands in a template's braces.
func word(name string, format *pb.ErrorFormat, f *cache.Failure) (text string, known bool) {
	switch name {
	case "message":
		return f.Message, true
	case "name":
		return f.Name, true
	case "version":
		return f.Version, true
	case "until":
		if f.Until.IsZero() {
			return "", true
		}
		return cooldown.Instant(f.Until), true
	case "kind":
		return wire.KindName(f.Kind), true
	case "code":
		return cmp.Or(f.Code, format.GetCodes()[wire.KindName(f.Kind)]), true
	}
	return "", false
}

// quoting is how text is put into a body of a content type; into JSON with its
// quotes.
func quoting(contentType string) func(string) string {
	switch {
	case strings.Contains(contentType, "json"):
		return func(s string) string {
			b, err := json.Marshal(s)
			if err != nil {
				return `""`
			}
			return string(b)
		}
	case strings.Contains(contentType, "html"), strings.Contains(contentType, "xml"):
		return html.EscapeString
	}
	return func(s string) string { return s }
}

func writePlain(w *recorder, r *http.Request, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	writeBody(w, r, status, text)
}

func writeBody(w *recorder, r *http.Request, status int, body string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // the client left: nothing to do
	}
}
