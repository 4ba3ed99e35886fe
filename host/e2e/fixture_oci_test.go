package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Media types of images (image specification, "Media Types").
const (
	ociIndexType    = "application/vnd.oci.image.index.v1+json"
	ociManifestType = "application/vnd.oci.image.manifest.v1+json"
	ociConfigType   = "application/vnd.oci.image.config.v1+json"
	ociLayerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociEmptyType    = "application/vnd.oci.empty.v1+json"
)

// ociContent is a manifest, an index or a blob.
type ociContent struct {
	mediaType string
	digest    string
	body      []byte
	// artifact is what kind of artifact a manifest is; empty: an image.
	artifact string
	// subject is the digest of the manifest that this one is about; empty: none.
	subject string
	// platform is the architecture of an image; empty: none in particular.
	platform string
	// blobs of a manifest, or manifests of an index.
	blobs, manifests []*ociContent
}

func newOCIContent(mediaType string, body []byte) *ociContent {
	return &ociContent{mediaType: mediaType, digest: "sha256:" + sha256Hex(body), body: body}
}

// descriptor points at the content (image specification, "Content Descriptors").
func (c *ociContent) descriptor() map[string]any {
	d := map[string]any{"mediaType": c.mediaType, "digest": c.digest, "size": len(c.body)}
	if c.platform != "" {
		d["platform"] = map[string]any{"architecture": c.platform, "os": "linux"}
	}
	if c.artifact != "" {
		d["artifactType"] = c.artifact
	}
	return d
}

// all are the content and everything that it points at.
func (c *ociContent) all() []*ociContent {
	all := []*ociContent{c}
	for _, of := range [][]*ociContent{c.blobs, c.manifests} {
		for _, part := range of {
			all = append(all, part.all()...)
		}
	}
	return all
}

// manifestOf is a manifest of a configuration and layers; more are further
// fields.
func manifestOf(t testing.TB, config *ociContent, layers []*ociContent, more map[string]any) *ociContent {
	t.Helper()
	listed := []any{}
	for _, l := range layers {
		listed = append(listed, l.descriptor())
	}
	m := map[string]any{"schemaVersion": 2, "mediaType": ociManifestType, "config": config.descriptor(), "layers": listed}
	for name, value := range more {
		m[name] = value
	}
	c := newOCIContent(ociManifestType, marshal(t, m))
	c.blobs = append([]*ociContent{config}, layers...)
	return c
}

// ociImage is an image whose only layer has a file "data.bin" of a size, made
// of the seed. Its layer can be unpacked.
func ociImage(t testing.TB, seed, architecture string, size int) *ociContent {
	t.Helper()
	data := bytes.Repeat(release{name: seed, version: architecture}.data(), size/(200<<10)+1)[:size]
	if size > 200<<10 {
		data = faultBytes(uint64(len(seed)), size)
	}
	var plain, packed bytes.Buffer
	tw := tar.NewWriter(&plain)
	for name, body := range map[string][]byte{"data.bin": data} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: time.Unix(1, 0), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	zw, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(plain.Bytes())
	config := newOCIContent(ociConfigType, marshal(t, map[string]any{
		"architecture": architecture, "os": "linux", "created": "2020-01-01T00:00:00Z",
		"config":  map[string]any{"Cmd": []string{"/" + seed}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
		"history": []any{map[string]any{"created": "2020-01-01T00:00:00Z", "created_by": "a test"}},
	}))
	c := manifestOf(t, config, []*ociContent{newOCIContent(ociLayerType, packed.Bytes())}, nil)
	c.platform = architecture
	return c
}

// ociIndex is an image of several platforms.
func ociIndex(t testing.TB, images ...*ociContent) *ociContent {
	t.Helper()
	var listed []any
	for _, i := range images {
		listed = append(listed, i.descriptor())
	}
	c := newOCIContent(ociIndexType, marshal(t, map[string]any{"schemaVersion": 2, "mediaType": ociIndexType, "manifests": listed}))
	c.manifests = images
	return c
}

// ociArtifact is something attached to a manifest, as a signature is.
func ociArtifact(t testing.TB, kind, text string, subject *ociContent) *ociContent {
	t.Helper()
	c := manifestOf(t, newOCIContent(ociEmptyType, []byte("{}")), []*ociContent{newOCIContent("text/plain", []byte(text))}, map[string]any{
		"artifactType": kind, "subject": subject.descriptor(),
	})
	c.artifact, c.subject = kind, subject.digest
	return c
}

// layout writes an image layout (image specification, "Image Layout") with one
// tag.
func (c *ociContent) layout(t testing.TB, dir, tag string) {
	t.Helper()
	d := c.descriptor()
	d["annotations"] = map[string]string{"org.opencontainers.image.ref.name": tag}
	files := map[string][]byte{
		"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json": marshal(t, map[string]any{"schemaVersion": 2, "mediaType": ociIndexType, "manifests": []any{d}}),
	}
	for _, part := range c.all() {
		files["blobs/"+strings.Replace(part.digest, ":", "/", 1)] = part.body
	}
	for name, body := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// layoutHas fails unless an image layout that a client wrote has some content
// with all that it points at.
func layoutHas(t testing.TB, dir string, c *ociContent) {
	t.Helper()
	for _, part := range c.all() {
		body, err := os.ReadFile(filepath.Join(dir, "blobs", filepath.FromSlash(strings.Replace(part.digest, ":", "/", 1))))
		if err != nil || !bytes.Equal(body, part.body) {
			t.Errorf("%s (%s) was not pulled: %v", part.digest, part.mediaType, err)
		}
	}
}

// ociTags reads a list of tags.
func ociTags(t *testing.T, address string, headers ...string) []string {
	t.Helper()
	var list struct{ Tags []string }
	a := answered(t, 200, address, headers...)
	if err := json.Unmarshal(a.Body, &list); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return list.Tags
}
