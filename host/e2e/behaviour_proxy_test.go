package e2e

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startSecureUpstream serves a handler over TLS as example.com, and returns the
// file of the authority that vouches for it.
func startSecureUpstream(t *testing.T, handler http.Handler) (s *httptest.Server, ca string) {
	t.Helper()
	s = httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are refused
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

// tunnel carries out CONNECT: whatever is asked for, it connects to one address.
func tunnel(t *testing.T, w http.ResponseWriter, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	near, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := near.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		t.Error(err)
	}
	go func() {
		defer far.Close()
		_, _ = io.Copy(far, rest) // until either side ends
	}()
	go func() {
		defer near.Close()
		_, _ = io.Copy(near, far) // likewise
	}()
}

func TestUpstreamOfAnOwnAuthorityNeedsCA(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "signed", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	s, ca := startSecureUpstream(t, reg.Config.Handler)
	v.Tarball = s.URL + v.path()
	reg.Withdraw(v.Name, v)
	config := func(more string) string {
		return "cooldown { default = \"0\" }\nrepository \"npm\" {\n  upstream \"main\" {\n    url = \"" + s.URL + "\"\n" + more + "  }\n}\n"
	}
	h := startHost(t, config(""))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "certificate") {
		t.Errorf("without the authority: %d %s", a.Status, a.Body)
	}
	if reg.Fetched(v) != 0 {
		t.Error("the file was fetched from a server that nobody vouches for")
	}
	h = startHost(t, config("    ca = \""+ca+"\"\n"))
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	if reg.Fetched(v) != 1 {
		t.Errorf("the file was fetched %d times", reg.Fetched(v))
	}
}

func TestUpstreamIsAskedThroughHTTPProxy(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			v := faultVersion{Name: "proxied", Version: "1.0.0", Body: faultBytes(1, 1000)}
			v.Tarball = scheme + "://example.com" + v.path()
			reg := startFaultRegistry(t, v)
			secure, ca := startSecureUpstream(t, reg.Config.Handler)
			proxy := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodConnect:
					tunnel(t, w, secure.Listener.Addr().String())
				case r.URL.Host == "example.com":
					reg.Config.Handler.ServeHTTP(w, r)
				default:
					t.Errorf("the proxy is asked for %s %s", r.Method, r.RequestURI)
				}
			}))
			config := "cooldown { default = \"0\" }\nrepository \"npm\" {\n  upstream \"main\" {\n    url = \"" + scheme + "://example.com\"\n    ca = \"" + ca + "\"\n    timeout = \"2s\"\n  }\n}\n"
			variable := strings.ToUpper(scheme) + "_PROXY=" + strings.Replace(proxy.URL, "://", "://joe:secret@", 1)

			// With the proxy switched off nobody is reached.
			h := startHost(t, config, variable, "NO_PROXY=example.com", "no_proxy=")
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/absent"); a.Status == http.StatusOK || proxy.Total() != 0 {
				t.Errorf("%d, although the proxy is not to be used; it was asked %v", a.Status, proxy.Requests())
			}

			h = startHost(t, config, variable, "NO_PROXY=", "no_proxy=")
			faultGet(t, h.URL+"/npm"+v.path(), v.Body)
			request := "GET http://example.com" + v.path()
			if scheme == "https" {
				request = "CONNECT example.com:443"
			}
			if proxy.Asked(request) == 0 {
				t.Errorf("the proxy was asked %v, not %s", proxy.Requests(), request)
			}
			if got, want := proxy.Header(request).Get("Proxy-Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte("joe:secret")); got != want {
				t.Errorf("the proxy was sent Proxy-Authorization: %q, want %q", got, want)
			}
			for asked := range reg.Requests() {
				if got := reg.Header(asked).Get("Proxy-Authorization"); got != "" && scheme == "https" {
					t.Errorf("upstream was sent what is for the proxy with %s", asked)
				}
			}
			if strings.Contains(h.log.String(), "secret") {
				t.Error("the proxy's password is in the log")
			}
		})
	}
}
