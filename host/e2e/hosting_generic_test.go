package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostingGeneric has the names acme/*, which are ours, beside an upstream of
// that name which has something for each.
func hostingGeneric(t *testing.T, settings string) (*Upstream, *Host) {
	t.Helper()
	up := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a bait") }))
	return up, startHost(t, fmt.Sprintf("cooldown {\n  default = \"3d\"\n}\nrepository \"generic\" {\n  upstream \"acme\" { url = %q }\n%s\n}\n", up.URL, settings))
}

// TestHostingGenericCurl puts a file with curl, has it back by another, and
// deletes it, after which no other file can take its place.
func TestHostingGenericCurl(t *testing.T) {
	t.Parallel()
	curl := needs(t, "curl")
	up, h := hostingGeneric(t, `hosted { names = ["acme/*"] }`)
	token := h.token(t, "ci", "--allow", "publish,delete:generic:acme/*")
	at := h.URL + "/generic/acme/tools/lamp-1.0.0.tar.gz"
	dir := t.TempDir()
	body := string(release{name: "lamp", version: "1.0.0"}.data())
	if err := os.WriteFile(filepath.Join(dir, "lamp.tar.gz"), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command(curl, append([]string{"-sS", "--noproxy", "*", "--fail-with-body", "-w", "\n%{http_code}"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("-u", "ci:"+token, "-H", "X-Checksum-Sha256: "+sha256Hex([]byte(body)), "-T", "lamp.tar.gz", at); err != nil || !strings.HasSuffix(out, "\n201") {
		t.Fatalf("curl -T: %v\n%s", err, out)
	}
	if out, err := run("-o", "back", at); err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	if back, err := os.ReadFile(filepath.Join(dir, "back")); err != nil || string(back) != body {
		t.Errorf("what comes back is not what was published (%v)", err)
	}
	for path, want := range map[string]string{"/generic/": `"folders":["acme/"]`, "/generic/acme/tools/": `"name":"lamp-1.0.0.tar.gz"`} {
		if status, _, body := get(t, h.URL+path); status != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s is answered with %d %s", path, status, body)
		}
	}
	if status, header, _ := get(t, h.URL+"/generic/acme/tools/", "Accept", "text/html"); status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser gets the listing with %d %v", status, header)
	}
	if status, _, _ := get(t, at+"?sha256="+sha256Hex([]byte("another"))); status != http.StatusNotFound {
		t.Errorf("another digest is answered with %d", status)
	}
	if out, err := run("-u", "ci:"+token, "-X", "DELETE", at); err != nil || !strings.HasSuffix(out, "\n204") {
		t.Errorf("curl -X DELETE: %v\n%s", err, out)
	}
	for _, path := range []string{"/generic/acme/tools/lamp-1.0.0.tar.gz", "/generic/acme/tools/", "/generic/acme/never"} {
		if status, _, body := get(t, h.URL+path); status != http.StatusNotFound {
			t.Errorf("after it was deleted, %s is answered with %d %s", path, status, body)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("other bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, want string }{{"other", "409"}, {"lamp.tar.gz", "201"}} {
		if out, _ := run("-u", "ci:"+token, "-T", test.file, at); !strings.HasSuffix(out, "\n"+test.want) {
			t.Errorf("after it was deleted, %s is not answered with %s:\n%s", test.file, test.want, out)
		}
	}
	if up.Total() > 0 {
		t.Errorf("upstream was asked for names of ours: %v", up.Requests())
	}
}

func TestHostingGenericRefusals(t *testing.T) {
	t.Parallel()
	up, h := hostingGeneric(t, `hosted { names = ["acme/*", "free/*"] }`)
	token := h.token(t, "ci", "--allow", "publish:generic:acme/*")
	put := func(path, token, body string, headers ...string) (int, string) {
		req, err := http.NewRequest(http.MethodPut, h.URL+"/generic"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ SHA256 string }
		_ = json.NewDecoder(resp.Body).Decode(&answer) // refusals are sentences
		return resp.StatusCode, answer.SHA256
	}
	sum := sha256.Sum256([]byte("one"))
	if status, got := put("/acme/a", token, "one", "Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"); status != http.StatusCreated || got != sha256Hex([]byte("one")) {
		t.Fatalf("a file is answered with %d %s", status, got)
	}
	for name, test := range map[string]struct {
		path, token, body string
		headers           []string
		want              int
	}{
		"the same again":      {"/acme/a", token, "one", nil, http.StatusOK},
		"another content":     {"/acme/a", token, "two", nil, http.StatusConflict},
		"a wrong header":      {"/acme/b", token, "one", []string{"X-Checksum-Sha256", sha256Hex([]byte("two"))}, http.StatusBadRequest},
		"a wrong query":       {"/acme/b?sha256=" + sha256Hex([]byte("two")), token, "one", nil, http.StatusBadRequest},
		"a wrong digest":      {"/acme/b", token, "two", []string{"Content-Digest", "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"}, http.StatusBadRequest},
		"a folder":            {"/acme/b/", token, "one", nil, http.StatusBadRequest},
		"no token":            {"/acme/b", "", "one", nil, http.StatusUnauthorized},
		"another's name":      {"/free/b", token, "one", nil, http.StatusForbidden},
		"nobody's name":       {"/tools/b", token, "one", nil, http.StatusForbidden},
		"a name with a slash": {"/acme/..%2f..%2fb", token, "one", nil, http.StatusBadRequest},
	} {
		if status, _ := put(test.path, test.token, test.body, test.headers...); status != test.want {
			t.Errorf("%s is answered with %d, want %d", name, status, test.want)
		}
	}
	if status, _, _ := do(t, http.MethodDelete, h.URL+"/generic/acme/a", "Authorization", "Bearer "+token); status != http.StatusForbidden {
		t.Errorf("who may only publish deletes: %d", status)
	}
	if status, _, body := get(t, h.URL+"/generic/acme/a"); status != http.StatusOK || string(body) != "one" {
		t.Errorf("in the end the file is answered with %d %s", status, body)
	}
	if status, _, _ := get(t, h.URL+"/generic/acme/b"); status != http.StatusNotFound {
		t.Errorf("something that was refused is there: %d", status)
	}
	if up.Total() > 0 {
		t.Errorf("upstream was asked for names of ours: %v", up.Requests())
	}
}

// TestHostingGenericDirectory serves a tree as it lies there.
func TestHostingGenericDirectory(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	for name, body := range map[string]string{"top.bin": "top", "a/one.bin": "one of a", "b/one.bin": "one of b", "b/two words.bin": "two"} {
		file := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	up, h := hostingGeneric(t, fmt.Sprintf("hosted { names = [\"*\"] }\ndirectory %q {}", tree))
	eventually(t, "to find the files", func() bool {
		status, _, body := get(t, h.URL+"/generic/b/")
		return status == http.StatusOK && strings.Contains(string(body), "two%20words.bin")
	})
	for path, want := range map[string]string{"/top.bin": "top", "/a/one.bin": "one of a", "/b/one.bin": "one of b", "/b/two%20words.bin": "two"} {
		if status, _, body := get(t, h.URL+"/generic"+path); status != http.StatusOK || string(body) != want {
			t.Errorf("%s is answered with %d %s", path, status, body)
		}
	}
	if up.Total() > 0 {
		t.Errorf("upstream was asked: %v", up.Requests())
	}
}

// TestLengthIsTold has every answer's head tell how long its body is, whatever its
// size: clients show it, and see by it that a body was cut.
func TestLengthIsTold(t *testing.T) {
	t.Parallel()
	_, h := hostingGeneric(t, `hosted { names = ["acme/*"] }`)
	token := h.token(t, "ci", "--allow", "publish:generic:acme/*")
	for _, size := range []int{0, 1, 2047, 2048, 2049, 4096, 64 << 10, 64<<10 + 1} {
		at := fmt.Sprintf("%s/generic/acme/f/%d.bin", h.URL, size)
		for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodGet, http.MethodHead} {
			var sent io.Reader
			if method == http.MethodPut {
				sent = strings.NewReader(strings.Repeat("x", size))
			}
			req, err := http.NewRequest(method, at, sent)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept-Encoding", "identity")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if method != http.MethodPut && (resp.StatusCode != http.StatusOK || resp.ContentLength != int64(size)) {
				t.Errorf("%s of %d bytes is answered with %d and a length of %d", method, size, resp.StatusCode, resp.ContentLength)
			}
		}
	}
}
