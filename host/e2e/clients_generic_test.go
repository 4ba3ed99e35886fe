package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// genericFile is what an upstream has in one place; it can be replaced.
type genericFile struct {
	mu       sync.Mutex
	body     string
	etag     string
	modified time.Time
}

func (f *genericFile) replace(body string, modified time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body, f.modified, f.etag = body, modified, `"`+sha256Hex([]byte(body))[:16]+`"`
}

func (f *genericFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-lamp")
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, "", f.modified, strings.NewReader(f.body))
}

// startGeneric plays a server of files, and returns what is at /lamp.bin.
func startGeneric(t *testing.T) (*Upstream, *genericFile) {
	t.Helper()
	lamp := &genericFile{}
	lamp.replace("first light\n", fixtureNow.Add(-30*day))
	mux := http.NewServeMux()
	mux.Handle("/dist/lamp.bin", lamp)
	mux.HandleFunc("/dist/folder/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<a href=lamp.bin>lamp.bin</a>") })
	return startUpstream(t, mux), lamp
}

func genericConfig(upstream *Upstream, settings string) string {
	return fmt.Sprintf("cooldown {\n  default = \"3d\"\n}\nrepository \"generic\" {\n  upstream \"tools\" { url = \"%s/dist\" }\n%s\n}\n", upstream.URL, settings)
}

func TestGenericFiles(t *testing.T) {
	t.Parallel()
	curl := needs(t, "curl")
	up, lamp := startGeneric(t)
	h := startHost(t, genericConfig(up, ""))
	file := filepath.Join(t.TempDir(), "lamp.bin")
	for range 2 {
		if out, err := exec.Command(curl, "-sSfL", "--noproxy", "*", "-o", file, h.URL+"/generic/tools/lamp.bin").CombinedOutput(); err != nil {
			t.Fatalf("curl: %v\n%s", err, out)
		}
		if body, err := os.ReadFile(file); err != nil || string(body) != lamp.body {
			t.Errorf("curl writes %q (%v)", body, err)
		}
	}
	if n := up.Asked("GET /dist/lamp.bin"); n != 1 {
		t.Errorf("upstream was asked for the file %d times, want 1: %v", n, up.Requests())
	}
	status, header, body := do(t, http.MethodHead, h.URL+"/generic/tools/lamp.bin")
	if status != http.StatusOK || header.Get("Content-Type") != "application/x-lamp" || header.Get("Content-Length") != "12" || len(body) > 0 {
		t.Errorf("HEAD is answered with %d %v", status, header)
	}
	status, _, body = get(t, h.URL+"/generic/tools/lamp.bin", "Range", "bytes=6-10")
	if status != http.StatusPartialContent || string(body) != "light" {
		t.Errorf("a range is answered with %d %q", status, body)
	}
	for path, want := range map[string]int{
		"/generic/":                        http.StatusNotFound,
		"/generic/tools/":                  http.StatusNotFound,
		"/generic/tools/folder/":           http.StatusNotFound,
		"/generic/tools/folder":            http.StatusNotFound,
		"/generic/tools/nothing.bin":       http.StatusNotFound,
		"/generic/tools/../dist/lamp.bin":  http.StatusBadRequest,
		"/generic/tools/lamp.bin?raw=true": http.StatusBadRequest,
	} {
		if status, _, body := get(t, h.URL+path); status != want {
			t.Errorf("%s is answered with %d %s, want %d", path, status, body, want)
		}
	}
	if status, _, _ := get(t, h.URL+"/generic/other/lamp.bin"); status < 400 {
		t.Errorf("a file of an upstream that there is not is answered with %d", status)
	}
	up.Close()
	h.Stop()
	h = startHostIn(t, h.Dir, genericConfig(up, `ttl = "1ms"`)) // it is to be confirmed, which nobody does
	if status, _, body := get(t, h.URL+"/generic/tools/lamp.bin"); status != http.StatusOK || string(body) != lamp.body {
		t.Errorf("with upstream down, the file is answered with %d %q", status, body)
	}
}

// TestGenericReplaced replaces a file upstream: what it was before is served
// until the new one is old enough, whatever upstream says of its age.
func TestGenericReplaced(t *testing.T) {
	t.Parallel()
	for name, modified := range map[string]time.Time{"today": fixtureNow.Add(-time.Hour), "long ago": fixtureNow.Add(-300 * day)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, lamp := startGeneric(t)
			h := startHost(t, genericConfig(up, `ttl = "1ms"`))
			at := h.URL + "/generic/tools/lamp.bin"
			if status, _, body := get(t, at); status != http.StatusOK || string(body) != "first light\n" {
				t.Fatalf("the file is answered with %d %s", status, body)
			}
			lamp.replace("evil light\n", modified)
			for range 3 {
				if status, _, body := get(t, at); status != http.StatusOK || string(body) != "first light\n" {
					t.Errorf("after it was replaced, the file is answered with %d %s", status, body)
				}
			}
			if n := up.Asked("GET /dist/lamp.bin"); n != 1 {
				t.Errorf("upstream was asked for the file %d times, want 1", n)
			}
			status, _, body := get(t, at+"?sha256="+sha256Hex([]byte("evil light\n")))
			if status != http.StatusForbidden || !strings.Contains(string(body), "is held back until") {
				t.Errorf("the new file by its digest is answered with %d %s", status, body)
			}
			h.Configure(t, strings.Replace(genericConfig(up, `ttl = "1ms"`), `"3d"`, `"0"`, 1))
			if status, _, body := get(t, at); status != http.StatusOK || string(body) != "evil light\n" {
				t.Errorf("without a cool-down, the file is answered with %d %s", status, body)
			}
		})
	}
}

func TestGenericYoung(t *testing.T) {
	t.Parallel()
	up, lamp := startGeneric(t)
	lamp.replace("new light\n", fixtureNow.Add(-time.Hour))
	h := startHost(t, genericConfig(up, ""))
	for range 2 {
		status, _, body := get(t, h.URL+"/generic/tools/lamp.bin")
		if status != http.StatusForbidden || !strings.Contains(string(body), "tools/lamp.bin ") || !strings.Contains(string(body), " is held back until ") {
			t.Errorf("a young file is answered with %d %s", status, body)
		}
	}
	if n := up.Asked("GET /dist/lamp.bin"); n != 0 {
		t.Errorf("upstream was asked %d times for a file that is held back", n)
	}
}

func TestGenericDigests(t *testing.T) {
	t.Parallel()
	up, lamp := startGeneric(t)
	h := startHost(t, genericConfig(up, `ttl = "1ms"`))
	at := h.URL + "/generic/tools/lamp.bin?sha256="
	right, wrong := sha256Hex([]byte(lamp.body)), sha256Hex([]byte("another light\n"))
	if whole(at + wrong) {
		t.Error("a file is sent although its digest is another")
	}
	if status, _, body := get(t, at+right); status != http.StatusOK || string(body) != lamp.body {
		t.Errorf("the file is answered with %d %q", status, body)
	}
	asked := up.Total()
	lamp.replace("evil light\n", fixtureNow.Add(-300*day))
	for range 2 {
		if status, _, body := get(t, at+right); status != http.StatusOK || string(body) != "first light\n" {
			t.Errorf("after it was replaced, the file by its digest is answered with %d %q", status, body)
		}
	}
	if up.Total() != asked {
		t.Errorf("upstream is asked again for a file of which the digest is known: %v", up.Requests())
	}
	up.Close()
	if status, _, body := get(t, at+right); status != http.StatusOK || string(body) != "first light\n" {
		t.Errorf("with upstream down, the file by its digest is answered with %d %q", status, body)
	}
}

// TestGenericKeptByDigest asks by their digest for bytes that are kept and that
// upstream has no longer: other ones that are held back, other ones, or none. What
// upstream took away without a cool-down is to be served.
func TestGenericKeptByDigest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cooldown string
		change   func(*Upstream, *genericFile)
	}{
		"held":     {"3d", func(_ *Upstream, lamp *genericFile) { lamp.replace("evil light\n", fixtureNow.Add(-time.Hour)) }},
		"replaced": {"0", func(_ *Upstream, lamp *genericFile) { lamp.replace("new light\n", fixtureNow.Add(-20*day)) }},
		"gone":     {"3d", func(up *Upstream, _ *genericFile) { up.Serve(http.NotFoundHandler()) }},
		"down":     {"3d", func(up *Upstream, _ *genericFile) { up.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, lamp := startGeneric(t)
			h := startHost(t, strings.Replace(genericConfig(up, "ttl = \"1ms\"\nremoved = \"serve\""), `"3d"`, `"`+test.cooldown+`"`, 1))
			at, want := h.URL+"/generic/tools/lamp.bin", lamp.body
			if status, _, body := get(t, at); status != http.StatusOK || string(body) != want {
				t.Fatalf("the file is answered with %d %s", status, body)
			}
			test.change(up, lamp)
			get(t, at) // which has the new one looked at
			for range 2 {
				if status, _, body := get(t, at+"?sha256="+sha256Hex([]byte(want))); status != http.StatusOK || string(body) != want {
					t.Errorf("the file that is kept is answered by its digest with %d %s", status, body)
				}
			}
			if whole(at + "?sha256=" + sha256Hex([]byte("another\n"))) {
				t.Error("a file is sent although its digest is another")
			}
		})
	}
}

// TestGenericRedirects has upstream send us to another host, which the
// configuration must allow, as it is not a public one.
func TestGenericRedirects(t *testing.T) {
	t.Parallel()
	other, lamp := startGeneric(t)
	elsewhere, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Host = "localhost:" + elsewhere.Port()
	up := startUpstream(t, http.RedirectHandler(elsewhere.String()+"/dist/lamp.bin", http.StatusFound))
	for settings, works := range map[string]bool{"": false, `allow_hosts = ["localhost"]`: true} {
		t.Run(settings, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, genericConfig(up, settings))
			status, _, body := get(t, h.URL+"/generic/tools/lamp.bin")
			if (status == http.StatusOK && string(body) == lamp.body) != works {
				t.Errorf("the file is answered with %d %s", status, body)
			}
		})
	}
}

// TestGenericDigestOfWhatCannotBeHad asks by a digest while upstream fails: that
// it does is no "not found".
func TestGenericDigestOfWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden, http.StatusNotFound} {
		mux.HandleFunc(fmt.Sprintf("/dist/%d", status), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	mux.Handle("/dist/away", http.RedirectHandler("http://10.0.0.1/lamp.bin", http.StatusFound))
	up := startUpstream(t, mux)
	h := startHost(t, genericConfig(up, `negative_ttl = "1ms"`))
	digest := "?sha256=" + sha256Hex([]byte("lamp"))
	ask := func(path string, want int) string {
		t.Helper()
		status, _, body := get(t, h.URL+"/generic/tools/"+path)
		if status != want {
			t.Errorf("%s is answered with %d, want %d: %s", path, status, want, body)
		}
		return string(body)
	}
	for path, want := range map[string]int{"500": http.StatusBadGateway, "403": http.StatusBadGateway, "404": http.StatusNotFound, "away": http.StatusBadGateway} {
		ask(path+digest, want)
		ask(path, want)
	}
	if text := ask("away"+digest, http.StatusBadGateway); !strings.Contains(text, "address that the configuration does not name") {
		t.Errorf("of a redirect that is not followed the client is told: %s", text)
	}
	up.Close()
	ask("dead"+digest, http.StatusBadGateway)
}
