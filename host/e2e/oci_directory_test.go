package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tarOf writes an archive under another name first, so that it appears whole.
func tarOf(t testing.TB, path string, files map[string][]byte) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, body := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(hidden, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, path); err != nil {
		t.Fatal(err)
	}
}

// tarLayout is an image layout in an archive.
func (c *ociContent) tarLayout(t testing.TB, path, tag string) {
	t.Helper()
	dir := t.TempDir()
	c.layout(t, dir, tag)
	files := map[string][]byte{}
	err := filepath.Walk(dir, func(file string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		name, _ := filepath.Rel(dir, file)
		files[filepath.ToSlash(name)], err = os.ReadFile(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tarOf(t, path, files)
}

// tarSaved is an image as "docker save" wrote it for long: layers are not
// compressed.
func (c *ociContent) tarSaved(t testing.TB, path string, references ...string) (layer []byte) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(c.blobs[1].body))
	if err != nil {
		t.Fatal(err)
	}
	if layer, err = io.ReadAll(zip); err != nil {
		t.Fatal(err)
	}
	tarOf(t, path, map[string][]byte{
		"manifest.json":  marshal(t, []any{map[string]any{"Config": "config.json", "RepoTags": references, "Layers": []string{"abc/layer.tar"}}}),
		"config.json":    c.blobs[0].body,
		"abc/layer.tar":  layer,
		"abc/VERSION":    []byte("1.0"),
		"repositories":   []byte("{}"),
		"abc/other.json": []byte("{}"),
	})
	return layer
}

// TestOCIImagesInDirectories serves archives of images, and follows when they go.
func TestOCIImagesInDirectories(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	multi := ociIndex(t, ociImage(t, "boat", "amd64", 5000), ociImage(t, "boat", "arm64", 5000))
	multi.tarLayout(t, filepath.Join(tree, "boat.tar"), "1.5.0")
	layer := ociImage(t, "ship", "amd64", 100_000).tarSaved(t, filepath.Join(tree, "saved.tar"), "docker.io/acme/ship:2.0.0", "acme/ship:2.1.0-rc1")
	if err := os.WriteFile(filepath.Join(tree, "cut.tar"), []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := ociConfig("7d", ociOurs, `directory "`+tree+`" {}`, `options { auto_tags = true }`)
	h := startHost(t, config)
	boat, ship := h.URL+"/v2/boat", h.URL+"/v2/acme/ship"
	eventually(t, "to serve what is in the directory", func() bool {
		return faultTry(t, "GET", ship+"/tags/list").Status == 200 && faultTry(t, "GET", boat+"/tags/list").Status == 200
	})

	multi.served(t, boat)
	if a := answered(t, 200, boat+"/manifests/latest"); !bytes.Equal(a.Body, multi.body) || a.Header.Get("Content-Type") != ociIndexType {
		t.Errorf("the tag that was added is %v %s", a.Header, a.Body)
	}
	if tags := ociTags(t, ship+"/tags/list"); !slices.Equal(tags, []string{"2.0.0", "2.1.0-rc1", "latest", "prerelease"}) {
		t.Errorf("the tags are %v", tags)
	}
	saved := answered(t, 200, ship+"/manifests/2.0.0")
	var m struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal(saved.Body, &m); err != nil || len(m.Layers) != 1 {
		t.Fatalf("the manifest is %s (%v)", saved.Body, err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(answered(t, 200, ship+"/blobs/"+m.Layers[0].Digest).Body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(zip); err != nil || !bytes.Equal(got, layer) {
		t.Errorf("the layer unpacks to %d bytes (%v), want %d", len(got), err, len(layer))
	}
	eventually(t, "to say why a file is not served", func() bool { return strings.Contains(h.log.String(), "cut.tar") })
	// Its digest stays the same.
	h.Stop()
	h = startHostIn(t, h.Dir, config)
	boat, ship = h.URL+"/v2/boat", h.URL+"/v2/acme/ship"
	if again := answered(t, 200, ship+"/manifests/2.0.0"); !bytes.Equal(again.Body, saved.Body) {
		t.Errorf("after a restart the manifest is %s", again.Body)
	}

	// What lies in a directory is only read.
	token := h.token(t, "joe", "--allow", "read,publish,delete")
	for _, address := range []string{boat + "/manifests/1.5.0", boat + "/manifests/" + multi.digest, ship + "/manifests/2.0.0", boat + "/blobs/" + multi.manifests[0].blobs[1].digest} {
		a := ociSend(t, "DELETE", address, token, nil)
		if a.Status != 403 || !strings.Contains(string(a.Body), "in a directory, which is only read") {
			t.Errorf("DELETE %s answers %d %s", address, a.Status, a.Body)
		}
		answered(t, 200, address)
	}

	// Two archives share content: when one goes the other's stays.
	multi.manifests[0].tarLayout(t, filepath.Join(tree, "part.tar"), "boat:part")
	eventually(t, "to serve a new archive", func() bool { return faultTry(t, "GET", boat+"/manifests/part").Status == 200 })
	if err := os.Remove(filepath.Join(tree, "boat.tar")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to notice that an archive went", func() bool { return faultTry(t, "GET", boat+"/manifests/1.5.0").Status == 404 })
	eventually(t, "to serve what another archive has as well", func() bool {
		return faultTry(t, "GET", boat+"/blobs/"+multi.manifests[0].blobs[1].digest).Status == 200
	})
	multi.manifests[0].served(t, boat)
}

// TestOCIPushesOutliveTheDirectoriesTheyShare pushes what an archive in a
// directory has already: its image by another tag, another manifest of its
// blobs, and an index of its image. None of it goes when the archive goes, nor is
// changed when it comes back.
func TestOCIPushesOutliveTheDirectoriesTheyShare(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	image, other := ociImage(t, "boat", "amd64", 5000), ociImage(t, "raft", "amd64", 5000)
	archive := filepath.Join(tree, "boat.tar")
	image.tarLayout(t, archive, "v1")
	h := startHost(t, ociConfig("7d", ociOurs, `directory "`+tree+`" {}`))
	token := h.token(t, "joe", "--allow", "read,publish")
	boat := h.URL + "/v2/boat"
	eventually(t, "to serve what is in the directory", func() bool { return faultTry(t, "GET", boat+"/manifests/v1").Status == 200 })

	alike := manifestOf(t, image.blobs[0], image.blobs[1:], map[string]any{"annotations": map[string]string{"by": "joe"}})
	index := ociIndex(t, image)
	pushed := map[string]*ociContent{"like": alike, "index": index, "same": image}
	if a := ociPut(t, boat+"/manifests/v1", token, alike); a.Status != 403 || !strings.Contains(string(a.Body), "in a directory") {
		t.Errorf("a tag of the archive is moved: %d %s", a.Status, a.Body)
	}
	for _, tag := range []string{"index", "like", "same"} { // the blobs are there, as HEAD tells
		if a := ociPut(t, boat+"/manifests/"+tag, token, pushed[tag]); a.Status != 201 {
			t.Fatalf("%s is not taken: %d %s", tag, a.Status, a.Body)
		}
	}
	whole := func(when string) {
		t.Helper()
		for tag, want := range pushed {
			if a := answered(t, 200, boat+"/manifests/"+tag); !bytes.Equal(a.Body, want.body) {
				t.Errorf("%s %s is %s", tag, when, a.Body)
			}
			want.served(t, boat)
		}
	}
	whole("when it was pushed")
	if err := os.Rename(archive, filepath.Join(tree, ".boat.tar")); err != nil {
		t.Fatal(err)
	}
	other.tarLayout(t, filepath.Join(tree, "raft.tar"), "v1")
	eventually(t, "to look at the directory again", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/raft/manifests/v1").Status == 200
	})
	whole("when the archive went")
	if err := os.Rename(filepath.Join(tree, ".boat.tar"), archive); err != nil {
		t.Fatal(err)
	}
	other.tarLayout(t, filepath.Join(tree, "punt.tar"), "v1")
	eventually(t, "to look at the directory again", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/punt/manifests/v1").Status == 200
	})
	whole("when the archive came back")
	if strings.Contains(h.log.String(), "is not served") {
		t.Error("an archive is not served whose content was pushed as well")
	}
}

// TestOCILayoutsInFolders serves image layouts that lie unpacked in a directory,
// whose folders are parts of their repository's name.
func TestOCILayoutsInFolders(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	first, second := ociIndex(t, ociImage(t, "boat", "amd64", 5000)), ociImage(t, "raft", "amd64", 5000)
	layout := filepath.Join(tree, "team", "Boat")
	place := func(c *ociContent, tag string) { // appears whole
		t.Helper()
		hidden := filepath.Join(tree, ".new")
		c.layout(t, hidden, tag)
		if err := errors.Join(os.MkdirAll(filepath.Dir(layout), 0o700), os.Rename(hidden, layout)); err != nil {
			t.Fatal(err)
		}
	}
	place(first, "1.5.0")
	if err := os.Mkdir(filepath.Join(tree, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	second.tarLayout(t, filepath.Join(tree, "other", "raft.tar"), "v1")
	h := startHost(t, ociConfig("7d", ociOurs, `directory "`+tree+`" {}`))
	boat, raft := h.URL+"/v2/team/boat", h.URL+"/v2/other/raft"
	eventually(t, "to serve what is in the directory", func() bool {
		return faultTry(t, "GET", boat+"/manifests/1.5.0").Status == 200 && faultTry(t, "GET", raft+"/manifests/v1").Status == 200
	})
	first.served(t, boat)
	second.served(t, raft)
	token := h.token(t, "joe", "--allow", "read,publish,delete")
	if a := ociSend(t, "DELETE", boat+"/manifests/1.5.0", token, nil); a.Status != 403 {
		t.Errorf("DELETE answers %d %s", a.Status, a.Body)
	}
	// The layout is written anew.
	if err := os.RemoveAll(layout); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to notice that the layout went", func() bool { return faultTry(t, "GET", boat+"/manifests/1.5.0").Status == 404 })
	place(second, "2.0.0")
	eventually(t, "to serve the new layout", func() bool { return faultTry(t, "GET", boat+"/manifests/2.0.0").Status == 200 })
	second.served(t, boat)
}

// TestOCILayoutsThatLackALayer leaves out what could not be pulled whole, and
// says so once.
func TestOCILayoutsThatLackALayer(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	image := ociImage(t, "boat", "amd64", 5000)
	layout := filepath.Join(tree, "boat")
	image.layout(t, layout, "v1")
	layer := filepath.Join(layout, "blobs", strings.Replace(image.blobs[1].digest, ":", "/", 1))
	aside := filepath.Join(t.TempDir(), "layer")
	if err := os.Rename(layer, aside); err != nil {
		t.Fatal(err)
	}
	ociImage(t, "raft", "amd64", 5000).tarLayout(t, filepath.Join(tree, "raft.tar"), "v1")
	h := startHost(t, ociConfig("7d", `hosted { names = ["*"] }`, `directory "`+tree+`" {}`))
	eventually(t, "to serve what is whole", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/raft/manifests/v1").Status == 200
	})
	reason := "its blob " + image.blobs[1].digest + " is missing"
	eventually(t, "to say what is not served", func() bool { return strings.Contains(h.log.String(), reason) })
	answered(t, 404, h.URL+"/v2/boat/manifests/v1")
	answered(t, 404, h.URL+"/v2/boat/tags/list")
	if a := answered(t, 200, h.URL+"/v2/_catalog"); strings.Contains(string(a.Body), "boat") {
		t.Errorf("the catalogue is %s", a.Body)
	}
	if err := os.Rename(aside, layer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "to serve the image once its layer is there", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/boat/manifests/v1").Status == 200
	})
	image.served(t, h.URL+"/v2/boat")
	if n := strings.Count(h.log.String(), reason); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}

// TestOCIArchivesOfOtherRegistries serves an archive that names the registry it is of
// as clients ask for that: by its name where it is an upstream here, also when it
// becomes one.
func TestOCIArchivesOfOtherRegistries(t *testing.T) {
	t.Parallel()
	g := startOCIRegistry(t)
	tree := t.TempDir()
	ociImage(t, "ship", "amd64", 1000).tarSaved(t, filepath.Join(tree, "saved.tar"), "quay.example.com/acme/ship:1.0")
	config := func(more ...string) string {
		return ociConfig("0", append(more, ociFrom("docker.io", g.URL), `directory "`+tree+`" {}`)...)
	}
	h := startHost(t, config())
	plain, named, mirrored := "/v2/acme/ship/manifests/1.0", "/v2/quay.example.com/acme/ship/manifests/1.0", "/v2/acme/ship/manifests/1.0?ns=quay.example.com:443"
	serves := func(want map[string]int) {
		t.Helper()
		eventually(t, "to serve the archive", func() bool { return faultTry(t, "GET", h.URL+named).Status == want[named] })
		before := g.Total()
		for path, status := range want {
			answered(t, status, h.URL+path)
		}
		if g.Total() != before {
			t.Error("upstream is asked for what is ours")
		}
	}
	eventually(t, "to serve the archive", func() bool { return faultTry(t, "GET", h.URL+plain).Status == 200 })
	serves(map[string]int{plain: 200, named: 404})
	h.Stop()
	h = startHostIn(t, h.Dir, config(ociFrom("quay.example.com", g.URL)))
	serves(map[string]int{plain: 404, named: 200, mirrored: 200})
}

// TestOCIArchivesWhoseLayersDoNotFit leaves out images whose layers are not those
// that their configuration names, and says so once.
func TestOCIArchivesWhoseLayersDoNotFit(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	boat, raft := ociImage(t, "boat", "amd64", 5000), ociImage(t, "raft", "amd64", 5000)
	swapped := *boat
	swapped.blobs = []*ociContent{boat.blobs[0], raft.blobs[1]}
	swapped.tarSaved(t, filepath.Join(tree, "boat.tar"), "acme/boat:v1")
	raft.tarSaved(t, filepath.Join(tree, "raft.tar"), "acme/raft:v1")
	h := startHost(t, ociConfig("7d", ociOurs, `directory "`+tree+`" {}`))
	eventually(t, "to serve what fits", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/acme/raft/manifests/v1").Status == 200
	})
	const reason = "its configuration names sha256:"
	eventually(t, "to say what is not served", func() bool { return strings.Contains(h.log.String(), reason) })
	answered(t, 404, h.URL+"/v2/acme/boat/manifests/v1")
	boat.tarSaved(t, filepath.Join(tree, "boat.tar"), "acme/boat:v1")
	eventually(t, "to serve the image once it fits", func() bool {
		return faultTry(t, "GET", h.URL+"/v2/acme/boat/manifests/v1").Status == 200
	})
	if n := strings.Count(h.log.String(), reason); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}
