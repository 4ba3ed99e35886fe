package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// pubArchive is a package archive with a pubspec.
func pubArchive(t *testing.T, name, version string) []byte {
	t.Helper()
	return pubArchiveOf(t, name, version, 0)
}

// pubArchiveOf is one with that many bytes besides, which do not compress.
func pubArchiveOf(t *testing.T, name, version string, size int) []byte {
	t.Helper()
	noise := make([]byte, size)
	rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", name+version)))).Read(noise)
	var body bytes.Buffer
	zip, err := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(zip)
	for name, text := range map[string]string{"pubspec.yaml": fmt.Sprintf("name: %s\nversion: %s\n", name, version), "noise": string(noise)} {
		if text == "" {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

// publishPub uploads an archive as the protocol says, and returns the status
// and body of the upload.
func publishPub(t *testing.T, url string, archive []byte) (int, string) {
	t.Helper()
	status, _, body := get(t, url+"/api/packages/versions/new")
	var begin struct{ URL string }
	if err := json.Unmarshal(body, &begin); err != nil || status != http.StatusOK {
		t.Fatalf("an upload begins with %d %s", status, body)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "package.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Post(begin.URL, w.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode == http.StatusNoContent {
		if status, _, body := get(t, r.Header.Get("Location")); status != http.StatusOK || !strings.Contains(string(body), "success") {
			t.Errorf("an upload ends with %d %s", status, body)
		}
	}
	return r.StatusCode, string(said)
}

// TestThirdPartysPluginHostsPackages publishes to a plugin of another module.
func TestThirdPartysPluginHostsPackages(t *testing.T) {
	t.Parallel()
	plugins := t.TempDir()
	buildExample(t, "pubhost", plugins)
	shelf := newShelf()
	up := startUpstream(t, shelf)
	shelf.put("/api/packages/acme_lamp", "application/json", []byte(`{"name":"acme_lamp","versions":[{"version":"99.0.0","published":"2020-01-01T00:00:00Z","archive_url":"https://files.example.com/evil.tar.gz","pubspec":{}}]}`))
	config := fmt.Sprintf("plugin_dir = %q\nrepository \"pubhost\" {\n  upstream \"main\" { url = %q }\n  anonymous = [\"read\", \"publish\"]\n  hosted { names = [\"acme_*\"] }\n}\n", plugins, up.URL)
	h := startHost(t, config)
	url := h.URL + "/pubhost"

	archive := pubArchive(t, "acme_lamp", "1.0.0")
	if status, body := publishPub(t, url, archive); status != http.StatusNoContent {
		t.Fatalf("publishing is answered with %d %s", status, body)
	}
	served := func() {
		t.Helper()
		status, _, body := get(t, url+"/api/packages/acme_lamp")
		if status != http.StatusOK || !strings.Contains(string(body), `"1.0.0"`) || strings.Contains(string(body), "99.0.0") {
			t.Errorf("the listing is %d %s", status, body)
		}
		if status, _, body := get(t, url+"/api/archives/acme_lamp-1.0.0.tar.gz"); status != http.StatusOK || !bytes.Equal(body, archive) {
			t.Errorf("the archive is answered with %d and %d bytes, want %d", status, len(body), len(archive))
		}
	}
	served()

	if status, body := publishPub(t, url, archive); status != http.StatusConflict {
		t.Errorf("publishing the same version again is answered with %d %s", status, body)
	}
	if status, body := publishPub(t, url, pubArchive(t, "retry", "9.0.0")); status != http.StatusForbidden || !strings.Contains(body, "acme_*") {
		t.Errorf("publishing a public name is answered with %d %s", status, body)
	}
	if n := up.Total(); n != 0 {
		t.Errorf("upstream was asked %d times for names that are ours", n)
	}

	h.Kill()
	h = startHostIn(t, h.Dir, config)
	url = h.URL + "/pubhost"
	served()
}
