package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// asHost asks with a Host header of one's own and returns status and body.
func asHost(t *testing.T, h *Host, path, host string, headers ...string) (int, string) {
	t.Helper()
	var extra strings.Builder
	for i := 0; i+1 < len(headers); i += 2 {
		fmt.Fprintf(&extra, "%s: %s\r\n", headers[i], headers[i+1])
	}
	code, answer := faultRaw(t, h.URL, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n"+extra.String()+"Connection: close\r\n\r\n")
	return code, answer
}

func TestHostsThatAreNotOursAreMisdirected(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "hosted", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, "hosts = [\"packages.example\"]\n"+faultConfig(reg.URL))
	u, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		u.Host:                       200,
		"localhost":                  200,
		"localhost:" + u.Port():      200,
		"[::1]:" + u.Port():          200,
		"127.0.0.9:80":               200,
		"packages.example":           200,
		"PACKAGES.example:443":       200,
		"evil.example":               421,
		"packages.example.evil":      421,
		"evil.example:" + u.Port():   421,
		"169.254.169.254":            421,
		"localhost.evil.example":     421,
		"packages.example@evil":      400,
		"evil.example/packages":      400,
		"packages.example:80:evil":   421,
		"":                           421,
		"packages.example\"><script": 400,
	} {
		code, answer := asHost(t, h, "/npm/hosted", host)
		if code != want && !(want >= 400 && (code == 400 || code == 421)) {
			t.Errorf("Host %q: %d, want %d: %.300s", host, code, want, answer)
		}
		if code == 200 && !strings.Contains(answer, `"tarball":"http://`+strings.ToLower(host)+`/npm/hosted/-/hosted-1.0.0.tgz"`) {
			t.Errorf("Host %q: links do not lead there", host)
		}
		if strings.Contains(answer, "<script") {
			t.Errorf("Host %q is repeated as it is", host)
		}
	}
	if n := reg.Documents("hosted"); n != 1 {
		t.Errorf("one document was asked for %d times for several hosts", n)
	}
}

func TestForwardedHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "forwarded", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	forwarded := []string{"X-Forwarded-Host", "packages.example", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/registry"}
	untrusting := startHost(t, "trusted_proxies = [\"10.0.0.0/8\"]\n"+faultConfig(reg.URL))
	if a := faultTry(t, http.MethodGet, untrusting.URL+"/npm/forwarded", forwarded...); !strings.Contains(string(a.Body), `"`+untrusting.URL+"/npm/forwarded/-/") {
		t.Errorf("from nobody in particular: %d %s", a.Status, a.Body)
	}
	h := startHost(t, "hosts = [\"packages.example\"]\ntrusted_proxies = [\"127.0.0.1\"]\n"+faultConfig(reg.URL))
	for _, path := range []string{"/npm/forwarded", "/registry/npm/forwarded"} {
		if a := faultTry(t, http.MethodGet, h.URL+path, forwarded...); !strings.Contains(string(a.Body), `"https://packages.example/registry/npm/forwarded/-/forwarded-1.0.0.tgz"`) {
			t.Errorf("%s from a trusted proxy: %d %s", path, a.Status, a.Body)
		}
	}
	for name, headers := range map[string][]string{
		"somebody's host":         {"X-Forwarded-Host", "evil.example"},
		"host that is none":       {"X-Forwarded-Host", `evil"><script>`},
		"host with a path":        {"X-Forwarded-Host", "evil.example/path"},
		"host with a user":        {"X-Forwarded-Host", "user@evil.example"},
		"scheme that is none":     {"X-Forwarded-Proto", "javascript"},
		"prefix that climbs":      {"X-Forwarded-Prefix", "/../.."},
		"prefix with a backslash": {"X-Forwarded-Prefix", `/\evil`},
	} {
		a := faultTry(t, http.MethodGet, h.URL+"/npm/forwarded", headers...)
		body := string(a.Body)
		if a.Status >= 500 || strings.Contains(body, "<script") || strings.Contains(body, "evil") && a.Status == 200 || strings.Contains(body, "javascript:") || strings.Contains(body, "..") {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

func TestBaseURLWithAPathWorksBehindProxiesOfEitherKind(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "@scope/based", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, "base_url = \"https://packages.example/a/registry/\"\n"+faultConfig(reg.URL))
	const base = "https://packages.example/a/registry"
	for _, prefix := range []string{"", "/a/registry"} {
		for _, name := range []string{"@scope%2fbased", "@scope/based"} {
			a := faultTry(t, http.MethodGet, h.URL+prefix+"/npm/"+name)
			if !strings.Contains(string(a.Body), `"tarball":"`+base+`/npm/@scope/based/-/based-1.0.0.tgz"`) {
				t.Errorf("%s/npm/%s: %d %s", prefix, name, a.Status, a.Body)
			}
		}
		faultGet(t, h.URL+prefix+"/npm"+v.path(), v.Body)
		if a := faultTry(t, http.MethodGet, h.URL+prefix+"/"); a.Status != 200 || !strings.Contains(string(a.Body), base+"/npm") {
			t.Errorf("%s/: %d %s", prefix, a.Status, a.Body)
		}
	}
	if code, answer := asHost(t, h, "/npm/@scope%2fbased", "packages.example"); code != 200 {
		t.Errorf("the host of base_url: %d %s", code, answer)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/a/registryx/npm/@scope%2fbased"); a.Status != 404 {
		t.Errorf("a path that only begins like base_url's: %d", a.Status)
	}
	if n := reg.Documents(v.Name); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}
