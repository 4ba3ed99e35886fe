package server

import (
	"encoding/json"
	"fmt"
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

// maxLogIn bounds the body of a log-in, in bytes.
const maxLogIn = 64 << 10

// serveIdentity answers about the one who asks, or logs them in: the token is
// their password, and they are given it again or another for a while.
func (s *Server) serveIdentity(w *recorder, r *http.Request, m *mount, k routeKey, rt *route, p *pb.Identity) error {
	repo := m.repo
	var buf [2 * access.MaxCredential]byte
	text, _ := access.Credential(r.Header, buf[:])
	if p.GetPassword() != "" {
		body, err := readLogIn(w, r)
		if err != nil {
			return err
		}
		if more := chosen(body, p.GetFields()); more != "" {
			path, query, _ := strings.Cut(k.target, "?")
			k.target = path + "?" + strings.Trim(query+"&"+more, "&")
			if rt, err = s.plan(r.Context(), k, rt.base, r); err != nil {
				return err
			}
			if p = rt.plan.GetIdentity(); p == nil {
				return fmt.Errorf("plugin %s plans something else than a log-in with the fields of a form that it asked for", repo.Plugin)
			}
		}
		password, ok := passwordIn(body, p.GetPassword())
		if !ok {
			return w.refuse(&access.Denied{LogIn: true, Reason: "the log-in has no password: a token is needed"})
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
	token, granted, err := s.issue(w, p, text)
	if err != nil {
		return w.refuse(err)
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
	reply.Body = []byte(strings.NewReplacer(
		"{user}", quote(w.identity.User()), "{token}", quote(token), "{credential}", quote(string(text)), "{granted}", quote(granted),
	).Replace(string(answer.GetBody())))
	return s.serveReply(w, r, repo, rt, reply)
}

// issue makes the token that a client gets, and tells what it is good for: what
// of that which is asked for is allowed now. Whether it still is, is decided
// whenever it is used.
func (s *Server) issue(w *recorder, p *pb.Identity, text []byte) (token, granted string, err error) {
	var texts []string
	var grants []access.Grant
	for _, g := range p.GetGrants() {
		action, err := access.ParseAction(g.GetAction())
		if err != nil {
			return "", "", err
		}
		name := g.GetName()
		if s.mayAnywhere(w, action, name) || name == access.Everything && action == access.Read && w.mayList() {
			grants = append(grants, access.Grant{Action: action, Package: name})
			if !slices.Contains(texts, g.GetText()) {
				texts = append(texts, g.GetText())
			}
		}
	}
	granted = strings.Join(texts, " ")
	if p.GetLifetimeMs() == 0 || w.identity == nil {
		return string(text), granted, nil
	}
	token, err = s.tokens.Issue(text, w.prefix, grants, time.Now().Add(time.Duration(p.GetLifetimeMs())*time.Millisecond))
	return token, granted, err
}

// readLogIn reads the body of a log-in.
func readLogIn(w *recorder, r *http.Request) ([]byte, error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(relayTime)); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogIn))
	if err != nil {
		return nil, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: "the log-in cannot be read: " + err.Error()}
	}
	return body, nil
}

// passwordIn finds the password in the body of a log-in: where a JSON pointer
// points, or in the first of several fields of a form.
func passwordIn(body []byte, at string) (string, bool) {
	if strings.HasPrefix(at, "/") {
		return textAt(body, at)
	}
	return fieldOf(body, strings.Split(at, ","))
}

// chosen is the query of the fields of an URL-encoded form that have one of
// several names; empty: it has none of them.
func chosen(body []byte, names []string) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	maps.DeleteFunc(form, func(name string, _ []string) bool { return !slices.Contains(names, name) })
	return form.Encode()
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
