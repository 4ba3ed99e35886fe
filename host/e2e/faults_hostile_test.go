package e2e

import (
	"bufio"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestHostilePathsAreRefusedAndReachNobody(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "victim", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL+"/deep/base")+`
repository "cargo" {
  upstream "main" { url = "`+reg.URL+`/deep/base" }
}
repository "pypi" {
  upstream "main" { url = "`+reg.URL+`/deep/base" }
}
`)
	u, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	tails := []string{
		"/..", "/../", "/../../etc/passwd", "/a/../../b", "/a/..", "/%2e%2e/%2e%2e/x", "/%2E%2E", "/.%2e/x", "/..%2fx", "/%2e%2e%2fx", "/a%2f..%2f..%2fb",
		"/./..", "/%2e", "/./a", "/a/%2e/b",
		"/%00", "/a%00b", "/a%00.tgz", "/%01", "/%7f", "/a%0d%0aX-Injected:%20yes", "/a%0a",
		`/a\..\..\b`, "/%5c..%5c", "/a%5cb",
		"/%ff", "/\xff\xfe", "/a%c0%af..%c0%afb", "/%ed%a0%80", "/%e0%80%af",
		"/%", "/%2", "/%zz", "/a%u002e",
		"/" + strings.Repeat("a", 10<<10), "/" + strings.Repeat("../", 3000), "/" + strings.Repeat("%2e%2e%2f", 1000), "/" + strings.Repeat("/", 9000),
		"//", "//etc/passwd", "///", "//../", "/@/x", "/@%2f..", "/@scope%2f..%2f..%2fx", "/@scope/..%2f..", "/victim/-/..%2f..%2fx.tgz", "/victim/-/%2e%2e", "/victim/-//", "/-/../x",
		"/%252e%252e", "/%252e%252e%252f", "/%2500", "/victim?..%00", "/-/v1/search?text=%00%ff", "/victim#../..",
		"/simple/..", "/simple/%2e%2e%2fx/", "/files/..%2f..", "/api/v1/crates/../../x", "/cr/at/..", "/api/v1/crates/%2e%2e/1.0.0/download", "/crates/..%2fa/a-1.0.0.crate", "/pypi/..%2f/json",
	}
	for _, mount := range []string{"", "/npm", "/cargo", "/pypi", "/nowhere"} {
		for _, tail := range tails {
			for _, absolute := range []string{"", h.URL} {
				for _, method := range []string{"GET", "HEAD"} {
					target := absolute + mount + tail
					code, answer := faultRaw(t, h.URL, method+" "+target+" HTTP/1.1\r\nHost: "+u.Host+"\r\nConnection: close\r\n\r\n")
					if code < 400 || code >= 500 {
						// An address of a search or of a page may be odd and still be one.
						if code == 200 && strings.Contains(tail, "?") || code == 200 && (mount == "" && strings.Trim(tail, "/") == "") {
							continue
						}
						t.Errorf("%s %.100q: %d %.200q", method, target, code, answer)
					}
					if strings.Contains(answer, "X-Injected: yes\r\n") {
						t.Errorf("%s %.100q: a header was injected", method, target)
					}
				}
			}
		}
	}
	for _, target := range []string{"*", "npm/victim", "http://", "http:///npm/victim", "http://evil.example/npm/victim", "http://" + u.Host, "https://evil.example", "ftp://" + u.Host + "/npm/victim", "?", "#"} {
		code, answer := faultRaw(t, h.URL, "GET "+target+" HTTP/1.1\r\nHost: "+u.Host+"\r\nConnection: close\r\n\r\n")
		if (code < 400 || code >= 500) && !(code == 200 && target == "http://"+u.Host) {
			t.Errorf("GET %q: %d %.200q", target, code, answer)
		}
	}
	for request := range reg.Requests() {
		_, target, _ := strings.Cut(request, " ")
		plain, err := url.PathUnescape(target)
		if err != nil || !strings.HasPrefix(target, "/deep/base/") || strings.Contains(plain, "..") && !strings.Contains(target, "%25") || strings.ContainsAny(plain, "\x00\n\r\\") {
			t.Errorf("upstream was asked for %.200q", request)
		}
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/healthz"); a.Status != http.StatusOK {
		t.Errorf("/healthz afterwards: %d", a.Status)
	}
	if log := h.log.String(); strings.Contains(log, "panic") {
		t.Errorf("something panicked:\n%s", h.log.tail(3000))
	}
}

func TestGzipBombIsBoundedByMaxDocument(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	v := faultVersion{Name: "chest", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v, faultVersion{Name: "bomb", Version: "1.0.0", Body: faultBytes(1, 1000)})
	h := startHost(t, faultConfig(reg.URL, `max_document = "1MiB"`, `max_artifact = "1MiB"`))
	bomb := func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			t.Error(err)
			return
		}
		zeros := make([]byte, 1<<20)
		for range 512 {
			if _, err := z.Write(zeros); err != nil {
				return // the host hung up
			}
		}
		z.Close()
	}
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) { bomb(w) })
	before := faultStatus(t, h.cmd.Process.Pid, "VmHWM")
	a := faultTry(t, http.MethodGet, h.URL+"/npm/bomb")
	for range 2 { // asked again, it is known
		if a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "larger than max_document") {
			t.Errorf("a document of 512 MB: %d %s", a.Status, a.Body)
		}
		a = faultTry(t, http.MethodGet, h.URL+"/npm/bomb")
	}
	if n := reg.Total(); n != 1 {
		t.Errorf("upstream was asked %d times for a document of 512 MB, want 1", n)
	}
	if grown := faultStatus(t, h.cmd.Process.Pid, "VmHWM") - before; grown > 64<<10 {
		t.Errorf("the host grew by %d KiB", grown)
	}
	if left := faultFiles(t, h.Dir+"/data/tmp"); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	reg.BreakDocuments(nil)
	reg.BreakTarballs(func(w http.ResponseWriter, _ *http.Request, _ faultVersion) {
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	})
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.whole() {
		t.Errorf("a file of 64 MB is served as whole with max_artifact at 1 MiB: %d bytes", len(a.Body))
	}
	reg.BreakTarballs(nil)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestHundredMegabytePackumentNeedsLittleMemoryOfTheHost(t *testing.T) {
	t.Parallel()
	onlyLinux(t)
	const versions, padding = 20_000, 5_000
	body := []byte("x")
	sum := sha512.Sum512(body)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	reg := startFaultRegistry(t, faultVersion{Name: "huge", Version: "1.0.7", Body: body})
	text := strings.Repeat("x", padding)
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) {
		b := bufio.NewWriterSize(w, 1<<20)
		b.WriteString(`{"name":"huge","dist-tags":{"latest":"1.0.7"},"versions":{`)
		for i := range versions {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, `"1.0.%d":{"name":"huge","version":"1.0.%d","description":"%s","dist":{"tarball":"%s/huge/-/huge-1.0.%d.tgz","integrity":"%s"}}`, i, i, text, reg.URL, i, integrity)
		}
		b.WriteString(`},"time":{"created":"2015-01-01T00:00:00Z"`)
		for i := range versions {
			fmt.Fprintf(b, `,"1.0.%d":"2016-01-01T00:00:00Z"`, i)
		}
		b.WriteString("}}")
		b.Flush()
	})
	h := startHost(t, faultConfig(reg.URL))
	resp, err := http.Get(h.URL + "/npm/huge")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || n < 100_000_000 {
		t.Errorf("%d with %d bytes, %v", resp.StatusCode, n, err)
	}
	faultGet(t, h.URL+"/npm/huge/-/huge-1.0.7.tgz", body)
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/huge", "Accept", "application/vnd.npm.install-v1+json"); a.Status != http.StatusOK || len(a.Body) > 20_000_000 {
		t.Errorf("abbreviated: %d with %d bytes", a.Status, len(a.Body))
	}
	if peak := faultStatus(t, h.cmd.Process.Pid, "VmHWM"); peak > 400<<10 {
		t.Errorf("the host took %d KiB", peak)
	} else {
		t.Logf("the host took %d KiB, the plugin %d KiB", peak, faultStatus(t, pluginPID(t, h, "npm"), "VmHWM"))
	}
}

func TestSlowHeadersDoNotHoldTheHost(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	began := time.Now()
	code, answer := faultRaw(t, h.URL, "GET /npm/a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: "+strings.Repeat("a", 100<<10)+"\r\n\r\n")
	if code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 100 KiB: %d %.200q after %s", code, answer, time.Since(began))
	}
}
