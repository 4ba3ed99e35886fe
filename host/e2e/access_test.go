package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

const private = "anonymous = []"

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// answered fails unless an address is answered with a status, and returns the
// answer.
func answered(t *testing.T, want int, address string, headers ...string) faultAnswer {
	t.Helper()
	a := faultTry(t, http.MethodGet, address, headers...)
	if a.Err != nil || a.Status != want {
		t.Errorf("GET %s: %d %v, want %d: %s", address, a.Status, a.Err, want, a.Body[:min(len(a.Body), 300)])
	}
	return a
}

func TestTokenIsTakenInEveryForm(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "guarded", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, private))
	file := h.URL + "/npm" + v.path()
	if a := answered(t, 401, file); a.Header.Get("Www-Authenticate") != `Bearer realm="entrepot"` || !json.Valid(a.Body) {
		t.Errorf("without a token: %v %s", a.Header, a.Body)
	}
	if reg.Total() > 0 {
		t.Errorf("upstream was asked for somebody without a token: %v", reg.Requests())
	}
	token := h.token(t, "ci", "--allow", "read:npm:guarded")
	for name, header := range map[string][2]string{
		"basic":                       {"Authorization", basicAuth("anybody", token)},
		"basic, as the user":          {"Authorization", basicAuth(token, "")},
		"basic, as the user and word": {"Authorization", basicAuth(token, "x-oauth-basic")},
		"bearer":                      {"Authorization", "Bearer " + token},
		"as it stands":                {"Authorization", token},
		"a header for keys":           {"X-Acme-ApiKey", token},
	} {
		if a := answered(t, 200, file, header[0], header[1]); !bytes.Equal(a.Body, v.Body) || !strings.HasPrefix(a.Header.Get("Cache-Control"), "private") {
			t.Errorf("%s: %v and %d bytes", name, a.Header, len(a.Body))
		}
	}
	answered(t, 401, file, "Authorization", "Bearer "+token[:len(token)-1])
	answered(t, 401, file, "Authorization", basicAuth("joe", "secret"))
	answered(t, 401, file+"?token="+token)
	h.Stop()
	log, err := os.ReadFile(filepath.Join(h.Dir, "access.log"))
	if err != nil || strings.Count(string(log), `"user":"ci"`) != 6 {
		t.Errorf("the access log does not have the user (%v):\n%s", err, log)
	}
	for _, text := range []string{h.log.String(), string(log)} {
		if strings.Contains(text, token) {
			t.Error("a token is in a log")
		}
	}
}

func TestTokenMayWhatItsPermissionsSay(t *testing.T) {
	t.Parallel()
	var versions []faultVersion
	for _, name := range []string{"@acme/tool", "@acme/part", "other"} {
		versions = append(versions, faultVersion{Name: name, Version: "1.0.0", Body: faultBytes(1, 1000)})
	}
	reg := startFaultRegistry(t, versions...)
	h := startHost(t, faultConfig(reg.URL, private)+`
repository "open" {
  plugin = "npm"
  upstream "main" { url = "`+reg.URL+`" }
}
repository "ours" {
  plugin    = "npm"
  anonymous = []
  upstream "main" { url = "`+reg.URL+`" }
  hosted { names = ["@acme/*"] }
}
`)
	bearer := func(args ...string) []string {
		return []string{"Authorization", "Bearer " + h.token(t, "joe", args...)}
	}
	some, publish, nothing, elsewhere := bearer("--allow", "read:npm:@acme/*"), bearer("--allow", "publish"), bearer(), bearer("--allow", "read:open")
	for path, want := range map[string]int{
		"/npm/@acme/tool": 200, "/npm/@acme%2ftool": 200, "/npm/@acme/tool/1.0.0": 200, "/npm" + versions[1].path(): 200, "/npm/-/ping": 200,
		"/npm/other": 403, "/npm" + versions[2].path(): 403, "/npm/-/v1/search?text=tool": 403, "/npm/-/package/other/dist-tags": 403,
	} {
		if a := answered(t, want, h.URL+path, some...); want == 403 && !strings.Contains(string(a.Body), "token joe (") {
			t.Errorf("%s: no reason in %s", path, a.Body)
		}
		for _, headers := range [][]string{publish, nothing, elsewhere} {
			answered(t, 403, h.URL+path, headers...)
		}
	}
	for _, headers := range [][]string{nil, some, publish, nothing, elsewhere} {
		answered(t, 200, h.URL+"/open/other", headers...)
	}
	// A list shows what of ours the token may read, and nothing of upstream's.
	limited := bearer("--allow", "read:ours:@acme/*")
	if a := answered(t, 200, h.URL+"/ours/-/v1/search?text=tool", limited...); strings.Contains(string(a.Body), "tool") {
		t.Errorf("a search for what the token may not read: %s", a.Body)
	}
	answered(t, 401, h.URL+"/open/other", "Authorization", "Bearer nonsense")
	near, far := bearer("--allow", "read", "--from", "127.0.0.0/8", "--from", "::1"), bearer("--allow", "read", "--from", "192.0.2.0/24")
	answered(t, 200, h.URL+"/npm/other", near...)
	if a := answered(t, 401, h.URL+"/npm/other", far...); !strings.Contains(string(a.Body), "may not be used from address 127.0.0.1") {
		t.Errorf("no reason in %s", a.Body)
	}
}

func TestTokensChangeAtOnce(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t, faultVersion{Name: "a", Version: "1.0.0", Body: []byte("x")})
	h := startHost(t, faultConfig(reg.URL, private))
	run := func(args ...string) string {
		t.Helper()
		out, err := h.Run(t, append([]string{"token"}, args...)...)
		if err != nil {
			t.Fatalf("token %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	with := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	rotate := func(args ...string) string {
		t.Helper()
		fields := strings.Fields(run(append([]string{"rotate"}, args...)...))
		return fields[len(fields)-1]
	}
	first := h.token(t, "ci", "--allow", "read", "--expires", "90d")
	var all []struct {
		ID, Name string
		LastUsed time.Time `json:"last_used"`
		Expires  time.Time
	}
	list := func() {
		t.Helper()
		all = nil
		if err := json.Unmarshal([]byte(run("list", "--json")), &all); err != nil || len(all) != 1 {
			t.Fatalf("%v %v", all, err)
		}
	}
	list()
	id := all[0].ID
	if !all[0].LastUsed.IsZero() || time.Until(all[0].Expires) < 89*day || !strings.Contains(first, id) {
		t.Errorf("a new token is %+v", all[0])
	}
	answered(t, 200, h.URL+"/npm/a", with(first)...)
	if list(); time.Since(all[0].LastUsed) > time.Minute {
		t.Errorf("a token that was used is %+v", all[0])
	}
	second := rotate(id, "--grace", "1h")
	answered(t, 200, h.URL+"/npm/a", with(first)...)
	answered(t, 200, h.URL+"/npm/a", with(second)...)
	third := rotate(id)
	answered(t, 401, h.URL+"/npm/a", with(first)...)
	answered(t, 401, h.URL+"/npm/a", with(second)...)
	answered(t, 200, h.URL+"/npm/a", with(third)...)
	if out := run("list"); !strings.Contains(out, id) || !strings.Contains(out, "read:*:*") || strings.Contains(out, third) {
		t.Errorf("token list prints %s", out)
	}

	h.Stop()
	if list(); all[0].LastUsed.IsZero() {
		t.Error("when a token was used is forgotten")
	}
	offline := h.token(t, "offline", "--allow", "read")
	run("revoke", id)
	h = startHostIn(t, h.Dir, faultConfig(reg.URL, private))
	answered(t, 200, h.URL+"/npm/a", with(offline)...)
	answered(t, 401, h.URL+"/npm/a", with(third)...)
	list()
	run("revoke", all[0].ID)
	answered(t, 401, h.URL+"/npm/a", with(offline)...)
	h.Configure(t, faultConfig(reg.URL))
	answered(t, 200, h.URL+"/npm/a")
	h.Configure(t, faultConfig(reg.URL, private))
	answered(t, 401, h.URL+"/npm/a")
	if out, err := h.Run(t, "token", "revoke", id); err == nil || !strings.Contains(out, "there is no token") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := h.Run(t, "token", "create", "x", "--allow", "write"); err == nil || !strings.Contains(out, "write one of read, publish, delete, admin") {
		t.Errorf("%v %s", err, out)
	}
}

func TestWrongTokensAreBoundedByAddress(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t, faultVersion{Name: "a", Version: "1.0.0", Body: []byte("x")})
	h := startHost(t, "trusted_proxies = [\"127.0.0.1\"]\n"+faultConfig(reg.URL))
	from := func(address, token string) faultAnswer {
		return faultTry(t, http.MethodGet, h.URL+"/npm/a", "X-Forwarded-For", address, "Authorization", "Bearer "+token)
	}
	counts := map[int]int{}
	for range 15 {
		a := from("192.0.2.1", "wrong")
		counts[a.Status]++
		if a.Status == 429 && a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if counts[401] != 10 || counts[429] != 5 {
		t.Errorf("answers are %v", counts)
	}
	if a := from("192.0.2.2", "wrong"); a.Status != 401 {
		t.Errorf("another address: %d", a.Status)
	}
	if a := from("192.0.2.1", h.token(t, "joe")); a.Status != 200 {
		t.Errorf("a right token: %d", a.Status)
	}
	answered(t, 200, h.URL+"/npm/a", "X-Forwarded-For", "192.0.2.1")
}

// auditEvent is a line of the audit log.
type auditEvent struct {
	Time                                                          time.Time
	ID, User, Token, Address, Request, Action, Repository, Result string
	Packages                                                      []string
	Status                                                        int
}

func auditEvents(t *testing.T, file string) (all []auditEvent) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil || e.Time.IsZero() {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// TestTokenForNoRepositoryIsNoted makes tokens for repositories that there are,
// and are not.
func TestTokenForNoRepositoryIsNoted(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t, faultVersion{Name: "a", Version: "1.0.0", Body: []byte("x")})
	h := startHost(t, faultConfig(reg.URL, private))
	for allow, want := range map[string]string{"read": "", "read:npm": "", "read:n*:a": "", "read:nosuch": `note: the configuration has no repository "nosuch"`} {
		out, err := h.Run(t, "token", "create", "ci", "--allow", allow)
		if err != nil || want == "" && strings.Contains(out, "note:") || !strings.Contains(out, want) {
			t.Errorf("--allow %s: %v\n%s, want %q", allow, err, out, want)
		}
	}
}

func TestAuditLogTellsWhoWantedWhat(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t, faultVersion{Name: "a", Version: "1.0.0", Body: []byte("x")})
	h := startHost(t, faultConfig(reg.URL, private))
	file := filepath.Join(h.Dir, "data", "audit.log")
	token := h.token(t, "joe", "--allow", "read:npm:a")
	with := []string{"Authorization", "Bearer " + token}
	answered(t, 200, h.URL+"/npm/a", with...)
	denied := answered(t, 403, h.URL+"/npm/b", with...)
	answered(t, 401, h.URL+"/npm/a", "Authorization", "Bearer wrong")
	all := auditEvents(t, file)
	if len(all) != 3 {
		t.Fatalf("%d events: %+v", len(all), all)
	}
	id := all[0].Token
	for i, want := range []auditEvent{
		{Action: "token create", User: "joe", Token: id, Result: "done"},
		{Action: "read", User: "joe", Token: id, Result: "denied", Address: "127.0.0.1", Repository: "npm", Request: "GET /npm/b", Status: 403, Packages: []string{"b"}, ID: denied.Header.Get("X-Request-Id")},
		{Result: "unauthenticated", Address: "127.0.0.1", Repository: "npm", Request: "GET /npm/a", Status: 401, ID: all[2].ID},
	} {
		want.Time = all[i].Time
		if got, want := fmt.Sprintf("%+v", all[i]), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("event %d is\n%s, want\n%s", i, got, want)
		}
	}
	if id == "" || !strings.Contains(token, id) {
		t.Errorf("the token's id is %q", id)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	answered(t, 403, h.URL+"/npm/c", with...)
	if n := len(auditEvents(t, file)); n != 1 {
		t.Errorf("%d events after a rotation", n)
	}
	if err := os.Rename(file, file+".2"); err != nil {
		t.Fatal(err)
	}
	h.Configure(t, "audit_log = \""+file+".3\"\n"+faultConfig(reg.URL, private))
	if out, err := h.Run(t, "token", "revoke", id); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if all := auditEvents(t, file+".3"); len(all) != 1 || all[0].Action != "token revoke" || all[0].Token != id {
		t.Errorf("after a reload: %+v", all)
	}
	h.Stop()
	h.token(t, "offline")
	if all := auditEvents(t, file+".3"); len(all) != 2 || all[1].User != "offline" {
		t.Errorf("after the host was stopped: %+v", all)
	}
}

func TestOtherAddressesNeedAWordAboutNobody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config string
		want   bool
	}{
		{"listen = \":0\"\n" + faultConfig("http://127.0.0.1:1"), true},
		{"listen = \":0\"\n" + faultConfig("http://127.0.0.1:1", private), false},
		{faultConfig("http://127.0.0.1:1"), false},
	} {
		out, err := faultValidate(t, test.config)
		if err != nil || strings.Contains(out, "warning: Nobody may read without a token") != test.want {
			t.Errorf("%s: %v %s", test.config, err, out)
		}
	}
}

// describe is what a plugin says of itself.
func describe(t *testing.T, h *Host, plugin string) *pb.DescribeResponse {
	t.Helper()
	text, err := h.Run(t, "plugin", "describe", "--json", plugin)
	if err != nil {
		t.Fatal(text)
	}
	d := &pb.DescribeResponse{}
	if err := protojson.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// spellings are addresses that a route may be asked for at.
func spellings(route string) (method string, plain string, odd []string) {
	method, pattern, ok := strings.Cut(route, " ")
	if !ok {
		method, pattern = http.MethodGet, route
	}
	var path strings.Builder
	for i, segment := range strings.Split(pattern, "/") {
		if i > 0 {
			path.WriteByte('/')
		}
		begin, end := strings.IndexByte(segment, '{'), strings.LastIndexByte(segment, '}')
		if begin >= 0 && end > begin {
			segment = segment[:begin] + "acme" + segment[end+1:]
		}
		path.WriteString(segment)
	}
	plain = path.String()
	tail := strings.TrimPrefix(plain, "/")
	return method, plain, []string{
		plain + "/", "/" + plain, "/" + strings.ReplaceAll(tail, "/", "%2f"), "/" + strings.ReplaceAll(tail, "/", "%2F"), "/" + strings.ReplaceAll(tail, "/", "//"),
		strings.ReplaceAll(plain, "a", "%61"), strings.ToUpper(plain), plain + "?acme=1", plain + "#acme", "/%20" + tail, plain + "%00", plain + "/./..", plain + ";acme",
	}
}

// asked asks for an address spelt in any way, which net/http's client would
// mend.
func asked(t *testing.T, h *Host, method, target string, headers ...string) faultAnswer {
	t.Helper()
	host := strings.TrimPrefix(h.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return faultAnswer{Err: err}
	}
	defer conn.Close()
	text := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		text += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		return faultAnswer{Err: err}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return faultAnswer{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return faultAnswer{resp.StatusCode, resp.Header, body, err}
}

// TestNoRouteOfAnyPluginIsOpen asks for every route of every plugin, at every
// alias and in odd spellings. Without a token nothing but a 401 comes back, and
// upstream is not asked; with one that may all, no permission is missing.
func TestNoRouteOfAnyPluginIsOpen(t *testing.T) {
	t.Parallel()
	scratch := startHost(t, "")
	binaries, err := os.ReadDir(filepath.Join(built(t), "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	for _, binary := range binaries {
		t.Run(binary.Name(), func(t *testing.T) {
			t.Parallel()
			d, up := describe(t, scratch, binary.Name()), startUpstream(t, http.NotFoundHandler())
			var upstreams strings.Builder
			for i, u := range d.GetUpstreams() {
				role := u.GetRole()
				if role == "*" {
					role = fmt.Sprintf("role%d", i)
				}
				fmt.Fprintf(&upstreams, "  upstream %q { url = %q }\n", role, up.URL)
			}
			block := func(lines string) string {
				return fmt.Sprintf("repository %q {\n%s%s}\n", d.GetName(), upstreams.String(), lines)
			}
			h := startHost(t, "cooldown { default = \"0\" }\n"+block("  "+private+"\n"))
			all := []string{"Authorization", "Bearer " + h.token(t, "all", "--allow", "read,publish,delete,admin")}
			nothing := []string{"Authorization", "Bearer " + h.token(t, "nothing")}
			mounts := append([]string{"/" + d.GetName()}, d.GetMounts()...)
			for _, route := range d.GetRoutes() {
				method, plain, odd := spellings(route)
				for _, mount := range mounts {
					mount = strings.TrimSuffix(mount, "/")
					methods := []string{method, http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch, http.MethodOptions}
					for _, m := range methods {
						if a := asked(t, h, m, mount+plain); a.Status != 401 || a.Header.Get("Www-Authenticate") == "" {
							t.Errorf("%s %s without a token: %d %v %s", m, mount+plain, a.Status, a.Err, a.Body)
						}
						if a := asked(t, h, m, mount+plain, nothing...); a.Status != 403 && a.Status != 401 {
							t.Errorf("%s %s with a token that grants nothing: %d %s", m, mount+plain, a.Status, a.Body)
						}
					}
					for _, spelling := range []string{"/" + mount, strings.ToUpper(mount), "/%" + fmt.Sprintf("%x", mount[1]) + mount[2:]} {
						if a := asked(t, h, method, spelling+plain); !slices.Contains([]int{400, 404}, a.Status) {
							t.Errorf("%s %s, which is no address of a repository: %d %s", method, spelling+plain, a.Status, a.Body)
						}
					}
					for _, spelling := range odd {
						for _, m := range []string{method, http.MethodHead} {
							// 400 is the host's own, for what is no address.
							if a := asked(t, h, m, mount+spelling); !slices.Contains([]int{400, 401}, a.Status) {
								t.Errorf("%s %s without a token: %d %v %s", m, mount+spelling, a.Status, a.Err, a.Body)
							}
						}
					}
				}
			}
			if up.Total() > 0 {
				t.Fatalf("upstream was asked for somebody who may not: %v", slices.Collect(maps.Keys(up.Requests())))
			}
			for _, route := range d.GetRoutes() {
				method, plain, _ := spellings(route)
				for _, m := range []string{method, http.MethodHead} {
					a := asked(t, h, m, "/"+d.GetName()+plain, all...)
					refused := a.Status == 401 && !bytes.Contains(a.Body, []byte("the log-in has no password"))
					if a.Err != nil || refused || a.Status == 403 && bytes.Contains(a.Body, []byte("token all")) {
						t.Errorf("%s %s with a token: %d %v %s", m, plain, a.Status, a.Err, a.Body)
					}
				}
			}
		})
	}
}

func TestClientsInstallWithAToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		client *client
		// arm gives a project the token.
		arm func(t *testing.T, p *project, token string)
	}{
		{npmClient, func(t *testing.T, p *project, token string) {
			p.write(t, ".npmrc", p.read(t, ".npmrc")+strings.TrimPrefix(p.url, "http:")+"/:_authToken="+token+"\n")
		}},
		{pipClient, func(_ *testing.T, p *project, token string) {
			p.url = strings.Replace(p.url, "http://", "http://joe:"+token+"@", 1)
		}},
	} {
		t.Run(test.client.name, func(t *testing.T) {
			t.Parallel()
			test.client.needed(t)
			f := test.client.start(t)
			h := startHost(t, f.config("3d", private))
			p := test.client.project(t, mount(h, f))
			if out, err := p.add(t, p, "tide", ""); err == nil {
				t.Fatalf("it installs without a token:\n%s", out)
			}
			p = test.client.project(t, mount(h, f))
			test.arm(t, p, h.token(t, "joe", "--allow", "read"))
			p.installs(t, f, "tide", "", "1.0.0")
		})
	}
}

func TestPublishingTakesAPermission(t *testing.T) {
	t.Parallel()
	npmClient.needed(t)
	f := startNPM(t)
	h := startHost(t, f.config("0", "hosted {\n  any = true\n}"))
	publish := func(token string) (string, error) {
		p := npmClient.project(t, mount(h, f))
		p.write(t, "package.json", `{"name":"@acme/harbour","version":"1.0.0"}`)
		if token != "" {
			p.write(t, ".npmrc", p.read(t, ".npmrc")+strings.TrimPrefix(p.url, "http:")+"/:_authToken="+token+"\n")
			if out, err := p.run(t, "npm", "whoami"); err != nil || strings.TrimSpace(out) != "joe" {
				t.Errorf("npm whoami: %v %s", err, out)
			}
		}
		return p.run(t, "npm", "publish", "--provenance=false")
	}
	if out, err := publish(""); err == nil {
		t.Errorf("nobody publishes:\n%s", out)
	}
	if out, err := publish(h.token(t, "joe", "--allow", "read")); err == nil || !strings.Contains(out, "may not publish to @acme/harbour in repository npm") {
		t.Errorf("who may read publishes: %v\n%s", err, out)
	}
	if out, err := publish(h.token(t, "joe", "--allow", "read,publish:npm:@other/*")); err == nil || !strings.Contains(out, "may not publish to @acme/harbour in repository npm") {
		t.Errorf("who may publish others publishes: %v\n%s", err, out)
	}
	if out, err := publish(h.token(t, "joe", "--allow", "publish:npm:@acme/*")); err != nil {
		t.Fatalf("who may publish does not: %v\n%s", err, out)
	}
	answered(t, 200, mount(h, f)+"/@acme%2fharbour")
	all := auditEvents(t, filepath.Join(h.Dir, "data", "audit.log"))
	last := all[len(all)-1]
	if last.Action != "publish" || last.Result != "done" || last.User != "joe" || !slices.Equal(last.Packages, []string{"@acme/harbour"}) || last.Status >= 300 {
		t.Errorf("the last event is %+v", last)
	}
}

// certificateFor writes a certificate for 127.0.0.1 and its key.
func certificateFor(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// begunBody is a body that tells when it is asked for, and then waits.
type begunBody struct {
	io.Reader
	asked, goOn chan struct{}
	once        sync.Once
}

func (b *begunBody) Read(p []byte) (int, error) {
	b.once.Do(func() {
		close(b.asked)
		<-b.goOn
	})
	return b.Reader.Read(p)
}

// TestRevokedTokenPublishesNothing revokes a token while its upload is under way.
func TestRevokedTokenPublishesNothing(t *testing.T) {
	t.Parallel()
	h := startHost(t, "repository \"generic\" {\n  upstream \"tools\" { url = \"http://127.0.0.1:1\" }\n  hosted { names = [\"acme/*\"] }\n}\n")
	for revoked, want := range map[bool]int{true: http.StatusUnauthorized, false: http.StatusCreated} {
		token := h.token(t, "joe", "--allow", "publish:generic")
		body := &begunBody{Reader: strings.NewReader("a lamp"), asked: make(chan struct{}), goOn: make(chan struct{})}
		address := fmt.Sprintf("%s/generic/acme/%t.bin", h.URL, revoked)
		req, err := http.NewRequest(http.MethodPut, address, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(len("a lamp"))
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Expect", "100-continue") // so that the host has let it in when it asks for the body
		status := make(chan int, 1)
		go func() {
			resp, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(req)
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			resp.Body.Close()
			status <- resp.StatusCode
		}()
		<-body.asked
		if revoked {
			if out, err := h.Run(t, "token", "revoke", strings.TrimPrefix(token, "ent_")[:10]); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		close(body.goOn)
		if got := <-status; got != want {
			t.Errorf("revoked meanwhile: %t; the upload is answered with %d, want %d", revoked, got, want)
		}
		if got, _, _ := get(t, address); (got == http.StatusOK) == revoked {
			t.Errorf("revoked meanwhile: %t; the file is answered with %d", revoked, got)
		}
	}
}

func TestConnectionsAreEncryptedWithTheCertificateInForce(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "a", Version: "1.0.0", Body: faultBytes(1, 100_000)}
	reg := startFaultRegistry(t, v)
	dir := t.TempDir()
	certificateFor(t, dir, "first")
	h := startHostIn(t, t.TempDir(), fmt.Sprintf("tls {\n  certificate = %q\n  key = %q\n}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))+faultConfig(reg.URL))
	// The certificate of a test vouches for itself.
	ask := func(path string, c *tls.Config) (*http.Response, string, error) {
		c.InsecureSkipVerify = true
		client := http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
		resp, err := client.Get(h.URL + path)
		if err != nil {
			return nil, "", err
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		return resp, body.String(), err
	}
	resp, body, err := ask("/npm/a", &tls.Config{})
	if err != nil || resp.ProtoMajor != 2 || resp.TLS.PeerCertificates[0].Subject.CommonName != "first" || !strings.Contains(body, h.URL+"/npm"+v.path()) {
		t.Fatalf("%v %v %s", resp, err, body)
	}
	for range 2 { // on its way, and kept
		if resp, body, err = ask("/npm"+v.path(), &tls.Config{}); err != nil || body != string(v.Body) {
			t.Fatalf("%v %d bytes: %v", resp, len(body), err)
		}
	}
	if _, _, err := ask("/npm/a", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, _, err := ask("/npm/a", &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	shows := func(name string) bool {
		resp, _, err := ask("/healthz", &tls.Config{})
		return err == nil && resp.TLS.PeerCertificates[0].Subject.CommonName == name
	}
	certificateFor(t, dir, "second")
	h.wait(t, "to show the new certificate", func() bool { return shows("second") })
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.wait(t, "to complain", func() bool {
		return shows("second") && strings.Contains(h.log.String(), "the changed certificate cannot be used")
	})
	certificateFor(t, dir, "third")
	h.wait(t, "to show the third certificate", func() bool { return shows("third") })
}

// TestStartPageShowsWhatOneMayRead has repositories on the start page for those
// who may read them.
func TestStartPageShowsWhatOneMayRead(t *testing.T) {
	t.Parallel()
	h := startHost(t, `repository "open" {
  plugin = "generic"
  hosted { any = true }
}
repository "quay-seven" {
  plugin = "generic"
  anonymous = []
  hosted { any = true }
}
`)
	token := h.token(t, "jane", "--allow", "read:quay-seven:acme/*")
	for name, c := range map[string]struct {
		headers []string
		want    int
		open    bool
		private bool
	}{
		"nobody":          {nil, 200, true, false},
		"a reader":        {[]string{"Authorization", basicAuth("any", token)}, 200, true, true},
		"a wrong token":   {[]string{"Authorization", "Bearer wrong"}, 401, false, false},
		"another's right": {[]string{"Authorization", "Bearer " + h.token(t, "joe", "--allow", "read:open")}, 200, true, false},
	} {
		a := answered(t, c.want, h.URL+"/", c.headers...)
		page := string(a.Body)
		if strings.Contains(page, `id="open"`) != c.open || strings.Contains(page, "quay-seven") != c.private {
			t.Errorf("%s is shown %s", name, page)
		}
		if c.want == 200 && (strings.Contains(page, "There are repositories") == c.private || !strings.Contains(a.Header.Get("Cache-Control"), "private") || !strings.Contains(a.Header.Get("Vary"), "Authorization")) {
			t.Errorf("%s is shown %v %s", name, a.Header, page)
		}
		if c.want == 401 && !strings.HasPrefix(a.Header.Get("Www-Authenticate"), "Basic") {
			t.Errorf("%s is answered with %v", name, a.Header)
		}
	}
	h.Configure(t, `repository "quay-seven" {
  plugin = "generic"
  anonymous = []
  hosted { any = true }
}
`)
	eventually(t, "to ask for a token", func() bool {
		status, header, body := get(t, h.URL+"/")
		return status == 401 && strings.HasPrefix(header.Get("Www-Authenticate"), "Basic") && !strings.Contains(string(body), "quay-seven")
	})
}
