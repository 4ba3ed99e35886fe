package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ociSend sends a request with a token; headers are names and values in turn.
func ociSend(t testing.TB, method, address, token string, body []byte, headers ...string) faultAnswer {
	t.Helper()
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return faultAnswer{Err: err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return faultAnswer{resp.StatusCode, resp.Header, answer, err}
}

// ociIssued is a token for a scope, as a client that logs in asks for it.
func ociIssued(t testing.TB, h *Host, token, scope string) string {
	t.Helper()
	return ociIssuedAt(t, h.URL+"/v2", token, scope)
}

// ociIssuedAt is one of the token service of a repository.
func ociIssuedAt(t testing.TB, repository, token, scope string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, repository+"/_token?scope="+url.QueryEscape(scope), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("joe", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var issued struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&issued); err != nil || issued.Token == "" {
		t.Fatalf("no token for %s: %d %v", scope, resp.StatusCode, err)
	}
	return issued.Token
}

// ociPut pushes a manifest to an address.
func ociPut(t testing.TB, address, token string, c *ociContent) faultAnswer {
	t.Helper()
	return ociSend(t, http.MethodPut, address, token, c.body, "Content-Type", c.mediaType)
}

// ociStore pushes content with all that it points at, without a client.
func ociStore(t testing.TB, repository, token string, c *ociContent, tag string) {
	t.Helper()
	for _, blob := range c.blobs {
		if a := ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+blob.digest, token, blob.body, "Content-Type", "application/octet-stream"); a.Status != http.StatusCreated {
			t.Fatalf("a blob is not taken: %d %v %s", a.Status, a.Err, a.Body)
		}
	}
	for _, m := range c.manifests {
		ociStore(t, repository, token, m, m.digest)
	}
	if a := ociPut(t, repository+"/manifests/"+tag, token, c); a.Status != http.StatusCreated || a.Header.Get("Docker-Content-Digest") != c.digest {
		t.Fatalf("the manifest is not taken: %d %v %s", a.Status, a.Err, a.Body)
	}
}

// TestOCIUploadsSurviveAKill kills the host between the chunks of an upload and
// in the middle of one.
func TestOCIUploadsSurviveAKill(t *testing.T) {
	t.Parallel()
	h, token := ociHosting(t)
	blob := newOCIContent(ociLayerType, faultBytes(1, 5<<20))
	location := func(a faultAnswer, status int) string {
		t.Helper()
		if a.Err != nil || a.Status != status {
			t.Fatalf("%d %v %s", a.Status, a.Err, a.Body)
		}
		_, path, _ := strings.Cut(strings.TrimPrefix(a.Header.Get("Location"), "http://"), "/")
		return "/" + path
	}
	restart := func() {
		t.Helper()
		h.Kill()
		h = startHostIn(t, h.Dir, ociConfig("3d", ociOurs, `anonymous = ["read"]`))
	}
	at := location(ociSend(t, http.MethodPost, h.URL+"/v2/acme/tide/blobs/uploads/", token, nil), 202)
	const first = 2 << 20
	a := ociSend(t, http.MethodPatch, h.URL+at, token, blob.body[:first], "Content-Type", "application/octet-stream", "Content-Range", fmt.Sprintf("0-%d", first-1))
	at = location(a, 202)
	if got := a.Header.Get("Range"); got != fmt.Sprintf("0-%d", first-1) {
		t.Fatalf("after the first chunk the range is %s", got)
	}
	restart()
	a = ociSend(t, http.MethodGet, h.URL+at, token, nil)
	at = location(a, 204)
	if got := a.Header.Get("Range"); got != fmt.Sprintf("0-%d", first-1) {
		t.Fatalf("after a restart the range is %s", got)
	}

	// The second chunk breaks off, and what came of it is gone on with.
	begun, broken := make(chan struct{}), make(chan error, 1)
	chunk, feed := io.Pipe()
	req, err := http.NewRequest(http.MethodPatch, h.URL+at, chunk)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/octet-stream")
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		broken <- err
	}()
	go func() {
		_, _ = feed.Write(blob.body[first : first+1<<20]) // the host may be gone before it took all
		close(begun)
	}()
	<-begun
	h.Kill()
	feed.Close()
	<-broken
	h = startHostIn(t, h.Dir, ociConfig("3d", ociOurs, `anonymous = ["read"]`))
	a = ociSend(t, http.MethodGet, h.URL+at, token, nil)
	at = location(a, 204)
	var last int
	if _, err := fmt.Sscanf(a.Header.Get("Range"), "0-%d", &last); err != nil || last < first-1 || last >= first+1<<20 {
		t.Fatalf("after the second kill the range is %q", a.Header.Get("Range"))
	}
	if a := ociSend(t, http.MethodPatch, h.URL+at, token, blob.body[:10], "Content-Range", "0-9"); a.Status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a chunk that is there already: %d %s", a.Status, a.Body)
	}
	a = ociSend(t, http.MethodPut, h.URL+at+"?digest="+blob.digest, token, blob.body[last+1:], "Content-Type", "application/octet-stream")
	if a.Status != http.StatusCreated || a.Header.Get("Docker-Content-Digest") != blob.digest {
		t.Fatalf("the commit: %d %v %s", a.Status, a.Err, a.Body)
	}
	restart()
	faultGet(t, h.URL+"/v2/acme/tide/blobs/"+blob.digest, blob.body)
	if a := ociSend(t, http.MethodGet, h.URL+at, token, nil); a.Status != http.StatusNotFound {
		t.Errorf("the upload that ended is answered with %d", a.Status)
	}
}

// TestOCIOneOfSeveralTagsWins puts one tag from several sides at once.
func TestOCIOneOfSeveralTagsWins(t *testing.T) {
	t.Parallel()
	h, token := ociHosting(t)
	repository := h.URL + "/v2/acme/tide"
	images := []*ociContent{ociImage(t, "ebb", "amd64", 1000), ociImage(t, "flow", "amd64", 1000)}
	for _, image := range images {
		ociStore(t, repository, token, image, image.digest)
	}
	for range 10 {
		var all sync.WaitGroup
		for _, image := range images {
			all.Go(func() {
				if a := ociPut(t, repository+"/manifests/v1", token, image); a.Status != http.StatusCreated {
					t.Errorf("%d %v %s", a.Status, a.Err, a.Body)
				}
			})
		}
		all.Wait()
		a := answered(t, 200, repository+"/manifests/v1")
		if got := a.Header.Get("Docker-Content-Digest"); got != "sha256:"+sha256Hex(a.Body) || got != images[0].digest && got != images[1].digest {
			t.Errorf("the tag is %s, whose body has %s", got, sha256Hex(a.Body))
		}
	}
	for _, image := range images {
		faultGet(t, repository+"/manifests/"+image.digest, image.body)
	}
}

func TestOCIWrongDigestsAreRefused(t *testing.T) {
	t.Parallel()
	h, token := ociHosting(t)
	repository := h.URL + "/v2/acme/tide"
	image := ociImage(t, "tide", "amd64", 100<<10)
	layer, other := image.blobs[1], newOCIContent("", []byte("another"))
	wrong := func(a faultAnswer, status int, code string) {
		t.Helper()
		if a.Status != status || !strings.Contains(string(a.Body), `"code":"`+code+`"`) {
			t.Errorf("%d %v %s, want %d %s", a.Status, a.Err, a.Body, status, code)
		}
	}
	wrong(ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+other.digest, token, layer.body), 400, "DIGEST_INVALID")
	wrong(ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest=sha256:12", token, layer.body), 400, "DIGEST_INVALID")
	opened := ociSend(t, http.MethodPost, repository+"/blobs/uploads/", token, nil)
	wrong(ociSend(t, http.MethodPut, opened.Header.Get("Location")+"?digest="+other.digest, token, layer.body), 400, "DIGEST_INVALID")
	for _, digest := range []string{layer.digest, other.digest} {
		answered(t, 404, repository+"/blobs/"+digest)
	}
	if faultKept(h, layer.body) {
		t.Error("what was refused is kept")
	}
	// Its layer is there, its configuration is not.
	ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+layer.digest, token, layer.body)
	for _, tag := range []string{"v1", image.digest} {
		wrong(ociPut(t, repository+"/manifests/"+tag, token, image), 404, "MANIFEST_BLOB_UNKNOWN")
	}
	wrong(ociPut(t, repository+"/manifests/v1", token, ociIndex(t, image)), 404, "MANIFEST_BLOB_UNKNOWN")
	answered(t, 404, repository+"/manifests/v1")
	ociStore(t, repository, token, image, "v1")
	wrong(ociPut(t, repository+"/manifests/"+other.digest, token, image), 400, "DIGEST_INVALID")
	wrong(ociSend(t, http.MethodPut, repository+"/manifests/v2", token, []byte("{"), "Content-Type", ociManifestType), 400, "MANIFEST_INVALID")
	wrong(ociSend(t, http.MethodPut, repository+"/manifests/v2", token, image.body, "Content-Type", ociIndexType), 400, "MANIFEST_INVALID")
	answered(t, 404, repository+"/manifests/v2")
	faultGet(t, repository+"/manifests/v1", image.body)
}

// TestOCIChunksThatDoNotFitAreRefused sends a blob in chunks that is larger than
// there is room for: it need not come whole to be refused.
func TestOCIChunksThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{"quota": `quota = "300000"`, "size": "}\n max_artifact = \"250000\"\n upstream \"none\" {\n url = \"http://127.0.0.1:1\""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, ociConfig("0", "hosted {\n names = [\"*\"]\n "+line+"\n}"))
			token := h.token(t, "joe", "--allow", "read,publish,delete")
			repository := h.URL + "/v2/acme/tide"
			there := newOCIContent("", faultBytes(1, 200_000))
			if a := ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+there.digest, token, there.body); a.Status != http.StatusCreated {
				t.Fatalf("a blob that fits: %d %s", a.Status, a.Body)
			}
			at := ociSend(t, http.MethodPost, repository+"/blobs/uploads/", token, nil).Header.Get("Location")
			room := 90_000
			if name == "size" {
				room = 240_000
			}
			if a := ociSend(t, http.MethodPatch, at, token, faultBytes(2, room)); a.Status != http.StatusAccepted {
				t.Errorf("a chunk that fits: %d %s", a.Status, a.Body)
			}
			if a := ociSend(t, http.MethodPatch, at, token, faultBytes(3, 50_000)); a.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("a chunk that does not: %d %s", a.Status, a.Body)
			}
			// It is over, and others have the room that it took.
			if a := ociSend(t, http.MethodGet, at, token, nil); a.Status != http.StatusNotFound {
				t.Errorf("an upload that was refused: %d %s", a.Status, a.Body)
			}
			other := newOCIContent("", faultBytes(4, 100_000))
			if a := ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+other.digest, token, other.body); a.Status != http.StatusCreated {
				t.Errorf("another blob that fits: %d %s", a.Status, a.Body)
			}
		})
	}
}

// TestOCITypesOfManifestsStay pushes the bytes of a manifest that does not say what
// it is as something else.
func TestOCITypesOfManifestsStay(t *testing.T) {
	t.Parallel()
	h, token := ociHosting(t)
	repository := h.URL + "/v2/acme/tide"
	image := ociImage(t, "tide", "amd64", 1000)
	ociStore(t, repository, token, image, "whole")
	body := bytes.Replace(image.body, []byte(`"mediaType":"`+ociManifestType+`",`), nil, 1)
	if bytes.Equal(body, image.body) {
		t.Fatalf("%s does not say what it is", body)
	}
	put := func(tag, contentType string) int {
		return ociSend(t, http.MethodPut, repository+"/manifests/"+tag, token, body, "Content-Type", contentType).Status
	}
	for _, contentType := range []string{"text/html", "image/svg+xml", "application/vnd.docker.distribution.manifest.v1+prettyjws"} {
		if got := put("odd", contentType); got != http.StatusBadRequest {
			t.Errorf("a manifest that is sent as %s is answered %d", contentType, got)
		}
	}
	if got := put("good", ociManifestType); got != http.StatusCreated {
		t.Fatalf("it is answered %d", got)
	}
	if got := put("again", ociManifestType); got != http.StatusCreated {
		t.Errorf("as what it is, it is answered %d", got)
	}
	if got := put("evil", "application/vnd.example.manifest+json"); got != http.StatusBadRequest {
		t.Errorf("as something else, it is answered %d", got)
	}
	a := answered(t, 200, repository+"/manifests/good")
	if a.Header.Get("Content-Type") != ociManifestType || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("it is served as %v", a.Header)
	}
}

// TestOCIUnknownUploadsAreNamedSo asks for an upload that there is not.
func TestOCIUnknownUploadsAreNamedSo(t *testing.T) {
	t.Parallel()
	h, token := ociHosting(t)
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		address := h.URL + "/v2/acme/tide/blobs/uploads/AAAAAAAAAAAAAAAAAAAAAAAAAA?digest=" + newOCIContent(ociLayerType, nil).digest
		if a := ociSend(t, method, address, token, nil); a.Status != http.StatusNotFound || !strings.Contains(string(a.Body), `"BLOB_UPLOAD_UNKNOWN"`) {
			t.Errorf("%s answers %d %s", method, a.Status, a.Body)
		}
	}
}

// TestOCIUploadsUnderWayKeepTheirRoom publishes at once, by each way there is,
// while an upload in several requests has taken most of what is left.
func TestOCIUploadsUnderWayKeepTheirRoom(t *testing.T) {
	t.Parallel()
	h := startHost(t, ociConfig("0", "hosted {\n names = [\"*\"]\n quota = \"100000\"\n}"))
	token := h.token(t, "joe", "--allow", "read,publish,delete")
	repository := h.URL + "/v2/acme/tide"
	small := newOCIContent("", faultBytes(1, 20_000))
	blob, large := newOCIContent("", faultBytes(2, 70_000)), newOCIContent("", faultBytes(3, 50_000))
	takes := func(what string, want int, a faultAnswer) faultAnswer {
		t.Helper()
		if a.Status != want {
			t.Errorf("%s is answered with %d %s, want %d", what, a.Status, a.Body, want)
		}
		return a
	}
	post := func(repository string, c *ociContent) faultAnswer {
		return ociSend(t, http.MethodPost, repository+"/blobs/uploads/?digest="+c.digest, token, c.body)
	}
	takes("a blob that fits", http.StatusCreated, post(repository, small))
	at := takes("an upload", http.StatusAccepted, ociSend(t, http.MethodPost, repository+"/blobs/uploads/", token, nil)).Header.Get("Location")
	at = takes("most of a blob", http.StatusAccepted, ociSend(t, http.MethodPatch, at, token, blob.body[:65_000])).Header.Get("Location")

	if a := takes("a blob at once", http.StatusRequestEntityTooLarge, post(repository, large)); !strings.Contains(string(a.Body), "its quota is 100000") {
		t.Errorf("it is refused so: %s", a.Body)
	}
	takes("a blob of another repository", http.StatusRequestEntityTooLarge, ociSend(t, http.MethodPost, h.URL+"/v2/acme/boat/blobs/uploads/?mount="+small.digest+"&from=acme/tide", token, nil))
	config := newOCIContent("application/vnd.oci.image.config.v1+json", small.body)
	image := manifestOf(t, config, nil, map[string]any{"annotations": map[string]string{"filler": strings.Repeat("x", 40_000)}})
	takes("a manifest", http.StatusRequestEntityTooLarge, ociPut(t, repository+"/manifests/v1", token, image))

	takes("the rest of the blob", http.StatusCreated, ociSend(t, http.MethodPut, at+"?digest="+blob.digest, token, blob.body[65_000:]))
	takes("what fits after it", http.StatusCreated, post(repository, newOCIContent("", faultBytes(4, 10_000))))
	takes("one byte more", http.StatusRequestEntityTooLarge, post(repository, newOCIContent("", []byte("x"))))

	// Uploads of clients that seem to be gone make place.
	takes("a deletion", http.StatusAccepted, ociSend(t, http.MethodDelete, repository+"/blobs/"+blob.digest, token, nil))
	at = takes("another upload", http.StatusAccepted, ociSend(t, http.MethodPost, repository+"/blobs/uploads/", token, nil)).Header.Get("Location")
	at = takes("most of it", http.StatusAccepted, ociSend(t, http.MethodPatch, at, token, blob.body[:65_000])).Header.Get("Location")
	takes("a blob at once", http.StatusRequestEntityTooLarge, post(repository, large))
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(h.Dir, "data", "uploads", path.Base(at)), then, then); err != nil {
		t.Fatal(err)
	}
	takes("a blob at once, in the room of who is gone", http.StatusCreated, post(repository, large))
	takes("what made place", http.StatusNotFound, ociSend(t, http.MethodGet, at, token, nil))
}
