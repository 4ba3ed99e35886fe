package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// decoy listens where nobody may connect to and counts who does.
func decoy(t *testing.T, address string) (hostport string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("SKIPPED: no second loopback address here: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	}()
	return l.Addr().String(), connections
}

func TestAddressesOfOurOwnNetworkAreNotAskedUnlessNamed(t *testing.T) {
	t.Parallel()
	private, connections := decoy(t, "127.0.0.2:0")
	_, port, err := net.SplitHostPort(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"metadata service":           "http://169.254.169.254/latest/meta-data/",
		"metadata service over IPv6": "http://[fd00:ec2::254]/",
		"link-local":                 "http://169.254.1.1/x.tgz",
		"private":                    "http://" + private + "/x.tgz",
		"private, as IPv6":           "http://[::ffff:127.0.0.2]:" + port + "/x.tgz",
		"private, as a number":       "http://2130706434:" + port + "/x.tgz",
		"private, shortened":         "http://127.2:" + port + "/x.tgz",
		"unspecified":                "http://0.0.0.0:" + port + "/x.tgz",
		"unspecified over IPv6":      "http://[::]:" + port + "/x.tgz",
	} {
		for _, way := range []string{"listed", "redirected"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				v := faultVersion{Name: "guarded", Version: "1.0.0", Body: []byte("x")}
				if way == "listed" {
					v.Tarball = strings.TrimSuffix(address, "x.tgz") + "guarded-1.0.0.tgz"
				}
				reg := startFaultRegistry(t, v)
				if way == "redirected" {
					reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, _ faultVersion) {
						http.Redirect(w, r, address, http.StatusFound)
					})
				}
				h := startHost(t, faultConfig(reg.URL))
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					a := faultTry(t, method, h.URL+"/npm"+v.path())
					if a.Status != http.StatusBadGateway {
						t.Errorf("%s: %d %s, want 502", method, a.Status, a.Body)
					}
				}
				reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) })
				if a := faultTry(t, http.MethodGet, h.URL+"/npm/other"); a.Status != http.StatusBadGateway {
					t.Errorf("document: %d %s, want 502", a.Status, a.Body)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := connections.Load(); n != 0 {
			t.Errorf("%d connections were made to a private address", n)
		}
	})
}

func TestPrivateHostThatIsNamedMayBeAsked(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skipf("SKIPPED: no second loopback address here: %v", err)
	} else {
		l.Close()
	}
	v := faultVersion{Name: "elsewhere", Version: "1.0.0", Body: faultBytes(1, 1000)}
	files := startFaultRegistry(t, v)
	_, port, err := net.SplitHostPort(files.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// The same server by another address: 127.0.0.1 is not localhost to the guard.
	v.Tarball = "http://localhost:" + port + v.path()
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "private address that the configuration does not name") {
		t.Errorf("not named: %d %s", a.Status, a.Body)
	}
	h = startHost(t, faultConfig(reg.URL, `allow_hosts = ["localhost"]`))
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestCredentialsGoToTheirUpstreamAndNowhereElse(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("pass-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ lines, header, value string }{
		"basic, from a file":             {fmt.Sprintf("username = \"joe\"\n    password = file(%q)", secret), "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("joe:pass-from-file"))},
		"bearer, from the environment":   {`token = env("ENTREPOT_TEST_TOKEN")`, "Authorization", "Bearer tok-from-env"},
		"a header, from the environment": {"header = \"X-Api-Key\"\n    value = env(\"ENTREPOT_TEST_TOKEN\")", "X-Api-Key", "tok-from-env"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := faultVersion{Name: "own", Version: "1.0.0", Body: faultBytes(1, 1000)}
			moved := faultVersion{Name: "moved", Version: "1.0.0", Body: faultBytes(2, 1000)}
			foreign := faultVersion{Name: "foreign", Version: "1.0.0", Body: faultBytes(3, 1000)}
			other := startFaultRegistry(t, moved, foreign)
			foreign.Tarball = other.URL + foreign.path()
			reg := startFaultRegistry(t, own, moved, foreign)
			reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, v faultVersion) {
				if v.Name == "moved" {
					http.Redirect(w, r, other.URL+v.path(), http.StatusTemporaryRedirect)
					return
				}
				faultServeWhole(w, r, v)
			})
			h := startHost(t, fmt.Sprintf(`
cooldown { default = "0" }
repository "npm" {
  upstream "main" {
    url = %q
    %s
  }
}
`, reg.URL, test.lines), "ENTREPOT_TEST_TOKEN=tok-from-env")
			token := h.token(t, "joe", "--allow", "read")
			for _, v := range []faultVersion{own, moved, foreign} {
				a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path(), "Authorization", "Bearer "+token, "Cookie", "client=secret", "X-Api-Key", "client-secret", "Proxy-Authorization", "Basic client")
				if a.Status != http.StatusOK {
					t.Errorf("%s: %d %s", v.Name, a.Status, a.Body)
				}
			}
			for _, request := range []string{"GET /own", "GET " + own.path(), "GET " + moved.path()} {
				if got := reg.Header(request).Get(test.header); got != test.value {
					t.Errorf("upstream was sent %s: %q with %s, want %q", test.header, got, request, test.value)
				}
			}
			for _, request := range []string{"GET " + moved.path(), "GET " + foreign.path()} {
				header := other.Header(request)
				if header == nil {
					t.Errorf("the other host was not asked: %s", request)
				}
				if got := header.Get(test.header); got != "" {
					t.Errorf("another host was sent %s: %q with %s", test.header, got, request)
				}
			}
			for _, asked := range []*faultRegistry{reg, other} {
				for request := range asked.Requests() {
					for header, values := range asked.Header(request) {
						if all := strings.Join(values, " "); strings.Contains(all, "client") || strings.Contains(all, token) || header == "Cookie" || header == "Proxy-Authorization" || header == "Referer" || header == "X-Forwarded-For" {
							t.Errorf("%s was sent with %s: %s", request, header, all)
						}
					}
				}
			}
			if log := h.log.String(); strings.Contains(log, "from-env") || strings.Contains(log, "from-file") {
				t.Error("a secret is in the log")
			}
		})
	}
}

// Not every registry takes a body without a length.
func TestRelayedBodiesHaveALength(t *testing.T) {
	t.Parallel()
	length := make(chan int64, 1)
	reg := startFaultRegistry(t)
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		length <- r.ContentLength
		w.Write([]byte("{}"))
	})
	body := `{"reef":["1.0.0"]}`
	for name, lines := range map[string][]string{"as it came": nil, "without what is ours": {`hosted { names = ["@acme/*"] }`}} {
		h := startHost(t, faultConfig(reg.URL, lines...))
		resp, err := http.Post(h.URL+"/npm/-/npm/v1/security/advisories/bulk", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", name, resp.StatusCode)
		}
		if got := <-length; got != int64(len(body)) {
			t.Errorf("%s: upstream was told %d bytes, want %d", name, got, len(body))
		}
	}
}

func TestClientsCredentialsAreNotRelayed(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })
	h := startHost(t, faultConfig(reg.URL))
	a := faultTry(t, http.MethodPost, h.URL+"/npm/-/npm/v1/security/advisories/bulk", "Authorization", "Bearer "+h.token(t, "joe"), "Cookie", "a=b", "Npm-Session", "s", "X-Forwarded-For", "10.1.2.3")
	header := reg.Header("POST /-/npm/v1/security/advisories/bulk")
	if a.Status != http.StatusOK || header == nil {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, name := range []string{"Authorization", "Cookie", "Npm-Session", "X-Forwarded-For"} {
		if header.Get(name) != "" {
			t.Errorf("upstream was sent the client's %s", name)
		}
	}
}
