package intake

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// tarFile writes a tar, compressed where its name says so.
func tarFile(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range []struct{ name, body, link string }{
		{"list.json", "[]", ""},
		{"./one/layer.tar", strings.Repeat("layer one ", 1000), ""},
		{"two/layer.tar", "", "../one/layer.tar"},
		{"packed", string(zipped(t, []byte("packed before"))), ""},
		{"large", string(zipped(t, incompressible())), ""},
	} {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body)), Typeflag: tar.TypeReg}
		if m.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		}
		err := w.WriteHeader(h)
		if _, again := io.WriteString(w, m.body); err != nil || again != nil {
			t.Fatal(err, again)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	body := b.String()
	if strings.HasSuffix(name, ".gz") {
		body = string(zipped(t, []byte(body)))
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// incompressible are more bytes than are read at once.
func incompressible() []byte {
	b := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// content is what a part comes to.
func (taken *Taken) content(t *testing.T, file string) string {
	t.Helper()
	at, offset := file, taken.Offset
	if taken.Copy != nil {
		at, offset = taken.Copy.Writer.Path(), 0
	}
	f, err := os.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.NewSectionReader(f, offset, taken.Size))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(body); string(sum[:]) != string(taken.Digests["sha256"]) {
		t.Errorf("%d bytes at %d of %s are not those that were measured", taken.Size, offset, at)
	}
	return string(body)
}

// TestParts takes members out of archives as they are and compressed.
func TestParts(t *testing.T) {
	t.Parallel()
	b, _ := bodies(t)
	for _, name := range []string{"a.tar", "a.tar.gz"} {
		file := tarFile(t, name)
		p := NewParts(file, b)
		defer p.Abort()
		part := func(name, encoding string) *pb.Part { return &pb.Part{Name: name, Encoding: encoding} }
		plain, small, linked, before, missing, large := part("one/layer.tar", ""), part("one/layer.tar", "gzip"), part("two/layer.tar", "gzip"), part("packed", "gzip"), part("three", ""), part("large", "")
		members, measured, err := p.Take([]string{"list.json"}, []*pb.Part{plain, small, linked, before, missing, large})
		if err != nil {
			t.Fatal(err)
		}
		if len(members) != 1 || string(members[0].Body) != "[]" || len(measured) != 6 || measured[4].GetDigests() != nil {
			t.Fatalf("%s: taken is %v %v", name, members, measured)
		}
		layer := strings.Repeat("layer one ", 1000)
		if got := p.Get(plain).content(t, file); got != layer {
			t.Errorf("%s: a member is %d bytes", name, len(got))
		}
		r, err := gzip.NewReader(strings.NewReader(p.Get(small).content(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != layer || err != nil {
			t.Errorf("%s: a compressed member unpacks to %d bytes (%v)", name, len(got), err)
		}
		if p.Get(linked).content(t, file) != p.Get(small).content(t, file) {
			t.Errorf("%s: a link is something else than what it leads to", name)
		}
		if p.Get(before).content(t, file) != string(zipped(t, []byte("packed before"))) {
			t.Errorf("%s: what was compressed is compressed again", name)
		}
		sum := sha256.Sum256([]byte(layer))
		for about, m := range map[string]*pb.Measured{"as it is": measured[0], "compressed": measured[1], "linked": measured[2]} {
			if !slices.ContainsFunc(m.GetContent(), func(d *pb.Digest) bool { return d.GetAlgorithm() == "sha256" && string(d.GetSum()) == string(sum[:]) }) {
				t.Errorf("%s: a member %s has the content %v", name, about, m.GetContent())
			}
		}
		if measured[3].GetContent() != nil || measured[5].GetContent() != nil {
			t.Errorf("%s: of what was compressed the content is told: %v", name, measured)
		}
		if inPlace := name == "a.tar"; (p.Get(plain).Copy == nil) != inPlace || (p.Get(before).Copy == nil) != inPlace {
			t.Errorf("%s: what lies in the file as it is is copied, or what does not is not", name)
		}
	}
}

// TestPartsOfBrokenArchives takes parts of an archive that was cut.
func TestPartsOfBrokenArchives(t *testing.T) {
	t.Parallel()
	b, _ := bodies(t)
	file := tarFile(t, "a.tar")
	if err := os.Truncate(file, 4000); err != nil {
		t.Fatal(err)
	}
	p := NewParts(file, b)
	defer p.Abort()
	if _, _, err := p.Take(nil, []*pb.Part{{Name: "one/layer.tar", Encoding: "gzip"}}); !errors.Is(err, ErrArchive) {
		t.Errorf("of an archive that was cut: %v", err)
	}
}
