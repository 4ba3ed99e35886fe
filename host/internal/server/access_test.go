package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestPlansNeedWhatTheyShow(t *testing.T) {
	t.Parallel()
	all := []string{access.Everything}
	for name, test := range map[string]struct {
		plan *pb.PlanResponse
		want needs
	}{
		"document":                     {&pb.PlanResponse{Plan: &pb.PlanResponse_Document{Document: &pb.Document{Names: []string{"a", "b"}}}}, needs{access.Read, []string{"a", "b"}}},
		"document of who knows what":   {&pb.PlanResponse{Plan: &pb.PlanResponse_Document{Document: &pb.Document{}}}, needs{access.Read, all}},
		"artifact":                     {&pb.PlanResponse{Plan: &pb.PlanResponse_Artifact{Artifact: &pb.Artifact{Version: &pb.Version{Name: "a"}}}}, needs{access.Read, []string{"a"}}},
		"artifact of who knows what":   {&pb.PlanResponse{Plan: &pb.PlanResponse_Artifact{Artifact: &pb.Artifact{}}}, needs{access.Read, []string{""}}},
		"reply":                        {&pb.PlanResponse{Plan: &pb.PlanResponse_Reply{Reply: &pb.Reply{}}}, needs{access.Read, nil}},
		"relay":                        {&pb.PlanResponse{Plan: &pb.PlanResponse_Relay{Relay: &pb.Relay{}}}, needs{access.Read, nil}},
		"failure":                      {&pb.PlanResponse{Plan: &pb.PlanResponse_Failure{Failure: &pb.Failure{}}}, needs{access.Read, nil}},
		"upload":                       {&pb.PlanResponse{Plan: &pb.PlanResponse_Upload{Upload: &pb.Upload{Names: []string{"a"}}}}, needs{access.Publish, []string{"a"}}},
		"upload of another action":     {&pb.PlanResponse{Plan: &pb.PlanResponse_Upload{Upload: &pb.Upload{Action: "delete"}}}, needs{access.Delete, nil}},
		"upload of an unknown action":  {&pb.PlanResponse{Plan: &pb.PlanResponse_Upload{Upload: &pb.Upload{Action: "sell"}}}, needs{"sell", nil}},
		"a plan that is not known yet": {&pb.PlanResponse{}, needs{access.Read, nil}},
	} {
		got := needsOf(test.plan)
		if got.action != test.want.action || !slices.Equal(got.packages, test.want.packages) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// guarded is a server with a repository that nobody may use without a token,
// and the token of joe, who may read a.
func guarded(t *testing.T) (s *Server, repo *cache.Repository, token string, audit string) {
	t.Helper()
	dir, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	tokens, err := access.NewKeeper(dir.Keep)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err = tokens.Create(access.Token{Name: "joe", Permissions: []access.Permission{{Actions: []access.Action{access.Read}, Repository: "main", Package: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	audit = filepath.Join(t.TempDir(), "audit.log")
	events := access.NewAudit(audit, hclog.NewNullLogger())
	t.Cleanup(events.Close)
	if s, err = New(Options{Log: hclog.NewNullLogger(), Metrics: NewMetrics(), Tokens: tokens, Audit: events}); err != nil {
		t.Fatal(err)
	}
	repo = &cache.Repository{
		Repository: &config.Repository{Name: "main", Path: "/main"},
		Describe: &pb.DescribeResponse{
			Challenge: `Bearer realm="{url}/token"`,
			Errors:    &pb.ErrorFormat{ContentType: "application/json", Body: `{"error":{message}}`},
		},
	}
	s.Use(&Site{Repositories: []*cache.Repository{repo}})
	return s, repo, token, audit
}

// asks has a server carry an identity plan out, as serveRepository does.
func asks(s *Server, repo *cache.Repository, p *pb.Identity, method, body string, headers ...string) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/main/who", strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := borrow(deadlines{out})
	defer w.giveBack()
	w.repo, w.base, w.prefix = repo, "http://127.0.0.1:8080", "/main"
	rt := &route{plan: &pb.PlanResponse{Plan: &pb.PlanResponse_Identity{Identity: p}}}
	err := s.admit(w, r, repo)
	if err == nil {
		err = s.authorize(w, r, repo, rt)
	}
	if err == nil {
		err = s.serveIdentity(w, r, &mount{prefix: w.prefix, repo: repo}, routeKey{repo: repo}, rt, p)
	}
	if err != nil {
		s.fail(w, r, repo, err)
	}
	s.audit(w, r)
	return out
}

// deadlines is an answer on a connection whose deadlines can be set.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error { return nil }

func TestIdentityTellsWhoAsks(t *testing.T) {
	t.Parallel()
	s, repo, token, _ := guarded(t)
	who := &pb.Identity{Reply: &pb.Reply{Status: 200, Headers: map[string]string{"content-type": "application/json"}, Body: []byte(`{"username":{user},"token":{token}}`)}}
	if got := asks(s, repo, who, "GET", "", "Authorization", "Bearer "+token); got.Code != 200 || got.Body.String() != `{"username":"joe","token":"`+token+`"}` || !strings.Contains(got.Header().Get("Cache-Control"), "no-store") {
		t.Errorf("%d %s %v", got.Code, got.Body, got.Header())
	}
	got := asks(s, repo, who, "GET", "")
	if got.Code != 401 || got.Header().Get("Www-Authenticate") != `Bearer realm="http://127.0.0.1:8080/main/token"` || !json.Valid(got.Body.Bytes()) {
		t.Errorf("%d %s %v", got.Code, got.Body, got.Header())
	}
	repo.Anonymous = access.Actions
	if got := asks(s, repo, who, "GET", ""); got.Code != 401 {
		t.Errorf("where anybody may all, nobody is somebody: %d %s", got.Code, got.Body)
	}
	if got := asks(s, repo, who, "GET", "", "Authorization", "Bearer x"); got.Code != 401 {
		t.Errorf("where anybody may all, a wrong token is wrong: %d %s", got.Code, got.Body)
	}
}

// TestIdentityIssuesTokens has a client ask for a token for more than it may have.
func TestIdentityIssuesTokens(t *testing.T) {
	t.Parallel()
	s, repo, token, _ := guarded(t)
	repo.Describe.Challenge, repo.Describe.Scopes = `Bearer realm="{url}/token"{scope}`, map[string]string{"read": "p:{package}:r"}
	plan := &pb.Identity{
		LifetimeMs: time.Hour.Milliseconds(),
		Grants:     []*pb.Grant{{Action: "read", Name: "a", Text: "a:r"}, {Action: "publish", Name: "a", Text: "a:p"}, {Action: "read", Name: "b", Text: "b:r"}},
		Reply:      &pb.Reply{Status: 200, Body: []byte("{token} {credential} {granted}")},
	}
	answer := asks(s, repo, plan, "GET", "", "Authorization", "Bearer "+token).Body.String()
	issued, rest, _ := strings.Cut(answer, " ")
	if rest != token+" a:r" || issued == token {
		t.Fatalf("it is given %s", answer)
	}
	if got := asks(s, repo, plan, "GET", "", "Authorization", "Bearer "+issued); got.Code != 401 {
		t.Errorf("a token that was issued gets another: %d %s", got.Code, got.Body)
	}
	read := func(name string) *httptest.ResponseRecorder {
		out := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/main/"+name, nil)
		r.Header.Set("Authorization", "Bearer "+issued)
		w := borrow(out)
		defer w.giveBack()
		w.repo, w.base, w.prefix = repo, "http://127.0.0.1:8080", "/main"
		err := s.admit(w, r, repo)
		if err == nil {
			err = s.may(w, repo, access.Read, []string{name})
		}
		if err != nil {
			s.fail(w, r, repo, err)
		}
		return out
	}
	if got := read("a"); got.Code != 200 {
		t.Errorf("what it was issued for: %d %s", got.Code, got.Body)
	}
	plan.Grants = nil
	issued, _, _ = strings.Cut(asks(s, repo, plan, "GET", "", "Authorization", "Bearer "+token).Body.String(), " ")
	want := `Bearer realm="http://127.0.0.1:8080/main/token",scope="p:a:r",error="insufficient_scope"`
	if got := read("a"); got.Code != 401 || got.Header().Get("Www-Authenticate") != want {
		t.Errorf("what it was not issued for: %d %v", got.Code, got.Header())
	}
	if got := read("b"); got.Code != 403 {
		t.Errorf("what its owner may not: %d %s", got.Code, got.Body)
	}
}

func TestIdentityLogsIn(t *testing.T) {
	t.Parallel()
	s, repo, token, audit := guarded(t)
	plan := &pb.Identity{Password: "/a~1b/0/password", Reply: &pb.Reply{Status: 201, Body: []byte("{user} {token}")}}
	body := func(password string) string { return `{"a/b":[{"password":"` + password + `"}]}` }
	for name, headers := range map[string][]string{"as nobody": nil, "with a token that was revoked": {"Authorization", "Bearer ent_gone"}} {
		if got := asks(s, repo, plan, "PUT", body(token), headers...); got.Code != 201 || got.Body.String() != "joe "+token {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if _, err := os.Stat(audit); err == nil {
		t.Error("a log-in that works is in the audit log")
	}
	for name, wrong := range map[string]string{
		"wrong": body("x"), "empty": body(""), "elsewhere": `{"password":"` + token + `"}`, "out of range": `{"a/b":[]}`,
		"no string": `{"a/b":[{"password":1}]}`, "no JSON": token, "nothing": "",
	} {
		if got := asks(s, repo, plan, "PUT", wrong); got.Code != 401 || got.Header().Get("Www-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if got := asks(s, repo, plan, "PUT", body(strings.Repeat("x", maxLogIn))); got.Code != 400 {
		t.Errorf("a large one: %d %s", got.Code, got.Body)
	}
	repo.Name = "other"
	if got := asks(s, repo, plan, "PUT", body(token)); got.Code != 403 {
		t.Errorf("where joe may nothing: %d %s", got.Code, got.Body)
	}
}

func TestManyFailuresAreNotListenedTo(t *testing.T) {
	t.Parallel()
	s, repo, token, _ := guarded(t)
	who := &pb.Identity{Reply: &pb.Reply{Status: 200}}
	counts := map[int]int{}
	for range 20 {
		got := asks(s, repo, who, "GET", "", "Authorization", "Bearer x")
		counts[got.Code]++
		if got.Code == 429 && got.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if counts[401] != 10 || counts[429] != 10 {
		t.Errorf("answers are %v", counts)
	}
	if got := asks(s, repo, who, "GET", "", "Authorization", "Bearer "+token); got.Code != 200 {
		t.Errorf("the right token: %d", got.Code)
	}
}

func TestClientIsTheLastAddressThatNoProxyHas(t *testing.T) {
	t.Parallel()
	a := Address{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for name, test := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"no proxy":                    {"192.0.2.1:80", nil, "192.0.2.1"},
		"a stranger says what it may": {"192.0.2.1:80", []string{"192.0.2.9"}, "192.0.2.1"},
		"a proxy":                     {"10.0.0.1:80", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy, over IPv6":          {"[2001:db8::1]:80", []string{"[2001:dba::9]:1234"}, "2001:dba::9"},
		"a proxy, mapped":             {"[::ffff:10.0.0.1]:80", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy that does not say":   {"10.0.0.1:80", nil, "10.0.0.1"},
		"two proxies":                 {"10.0.0.1:80", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"two headers":                 {"10.0.0.1:80", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"what the client says before": {"10.0.0.1:80", []string{"192.0.2.9, 192.0.2.1"}, "192.0.2.1"},
		"nonsense":                    {"10.0.0.1:80", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		"only proxies":                {"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
	} {
		r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
		if got := a.client(r); got.String() != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	if got := (&Address{}).client(&http.Request{RemoteAddr: "@"}); got.IsValid() {
		t.Errorf("no address is %s", got)
	}
}

func TestPrivateAnswersAreMarked(t *testing.T) {
	t.Parallel()
	for control, want := range map[string]string{
		"": "private", "no-cache": "private, no-cache", "no-store": "no-store", "public": "private", "private, max-age=1": "private, max-age=1",
		"public, max-age=31536000, immutable": "private, max-age=31536000, immutable",
	} {
		h := http.Header{}
		if control != "" {
			h.Set("Cache-Control", control)
		}
		if setPrivate(h); h.Get("Cache-Control") != want {
			t.Errorf("%q becomes %q, want %q", control, h.Get("Cache-Control"), want)
		}
	}
}

func TestAccessLogHasTheUser(t *testing.T) {
	t.Parallel()
	s, repo, token, _ := guarded(t)
	var out bytes.Buffer
	log := NewAccessLog(&out)
	w := borrow(httptest.NewRecorder())
	r := httptest.NewRequest("GET", "/main/a", nil)
	r.SetBasicAuth("anybody", token)
	if err := s.admit(w, r, repo); err != nil {
		t.Fatal(err)
	}
	log.write(w, r, time.Now())
	log.Close()
	if !strings.Contains(out.String(), `"user":"joe"`) || strings.Contains(out.String(), token) {
		t.Errorf("the line is %s", out.String())
	}
}

// TestMetricsAreForWhoOversees asks for metrics from here, through a proxy and
// from elsewhere.
func TestMetricsAreForWhoOversees(t *testing.T) {
	t.Parallel()
	s, _, joe, _ := guarded(t)
	_, all, err := s.tokens.Create(access.Token{Name: "prometheus", Permissions: []access.Permission{{Actions: []access.Action{access.Read}, Repository: "*", Package: "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		remote, token, forwarded, host string
		want                           int
	}{
		"this machine":                    {"127.0.0.1:4000", "", "", "localhost:8080", http.StatusOK},
		"this machine, by its address":    {"[::1]:4000", "", "", "[::1]:8080", http.StatusOK},
		"a page of another host":          {"127.0.0.1:4000", "", "", "evil.example.com:8080", http.StatusUnauthorized},
		"a wrong token here":              {"127.0.0.1:4000", "ent_x", "", "localhost:8080", http.StatusUnauthorized},
		"who reads one package here":      {"127.0.0.1:4000", joe, "", "localhost:8080", http.StatusUnauthorized},
		"a proxy on it":                   {"127.0.0.1:4000", "", "192.0.2.1", "localhost:8080", http.StatusUnauthorized},
		"elsewhere":                       {"192.0.2.1:4000", "", "", "packages.example.com", http.StatusUnauthorized},
		"elsewhere, with this one's name": {"192.0.2.1:4000", "", "", "localhost", http.StatusUnauthorized},
		"who reads one package":           {"192.0.2.1:4000", joe, "", "packages.example.com", http.StatusUnauthorized},
		"no token":                        {"192.0.2.1:4000", "ent_x", "", "packages.example.com", http.StatusUnauthorized},
		"who reads everything":            {"192.0.2.1:4000", all, "", "packages.example.com", http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.want || w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s is answered with %d %.100s, want %d", name, w.Code, w.Body, c.want)
		}
	}
}
