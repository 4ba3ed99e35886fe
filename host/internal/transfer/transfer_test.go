package transfer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// shelf has one package, "boat", with a file at each path that holds its path.
func shelf(t *testing.T, paths ...string) Source {
	t.Helper()
	dir, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	c := catalog.New(dir.Keep)
	ch := catalog.Change{Repository: "r", Now: time.Now(), Blind: true}
	for i, path := range paths {
		d := blobs.Digest(sha256.Sum256([]byte(path)))
		ch.Bodies = append(ch.Bodies, catalog.Body{Digest: d, Size: int64(len(path))})
		ch.Operations = append(ch.Operations, &pb.Operation{
			Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: "boat", Version: "1"}, Path: path, File: int32(i),
		})
	}
	if err := c.Apply(ch); err != nil {
		t.Fatal(err)
	}
	return Source{Catalog: c, Spool: t.TempDir(), Open: func(f *catalog.File) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(f.Path)), nil
	}}
}

func (s Source) all(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Export(t.Context(), &b, []Chosen{{"r", "boats", []string{"boat"}, func(string, string) bool { return true }}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEveryFileHasAPlace exports files whose addresses are no names of files, or
// are in each other's way.
func TestEveryFileHasAPlace(t *testing.T) {
	t.Parallel()
	paths := []string{
		"/plain.tgz", "/deep/down/x.tgz", "/deep", "/deep/down", "/file", "/file/below", "/../../escape", "/a/../../../b", "/with space", "/what?x=1", "/dir/",
		"/" + strings.Repeat("long", 100), "/" + ListName, "/x" + partSuffix, "/.entrepot/abc", "/back\\slash", "/Größe",
	}
	dir := filepath.Join(t.TempDir(), "out")
	end, err := Unpack(t.Context(), bytes.NewReader(shelf(t, paths...).all(t)), dir)
	if err != nil || end.Files != len(paths) || end.Problems != nil {
		t.Fatalf("%+v (%v)", end, err)
	}
	found, places := map[string]string{}, map[string]bool{}
	if _, err := Read(dir, func(p *Package, files []*File) error {
		for _, f := range files {
			body, err := f.Open(dir)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(body)
			body.Close()
			if err != nil {
				return err
			}
			found[f.Path] = string(text)
			if places[f.File] {
				t.Errorf("two files lie at %s", f.File)
			}
			places[f.File] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if found[path] != path {
			t.Errorf("%s holds %q", path, found[path])
		}
	}
	for _, want := range []string{"r/plain.tgz", "r/deep/down/x.tgz", "r/file", "r/with space", "r/Größe"} {
		if !places[want] {
			t.Errorf("no file lies at %s", want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("beside the export there are %v (%v)", left, err)
	}
}

func TestExportThatIsCutOffHasNoList(t *testing.T) {
	t.Parallel()
	whole := shelf(t, "/one", "/two").all(t)
	dir := t.TempDir()
	for _, at := range []int{0, 512, 1500, len(whole) / 2} {
		if _, err := Unpack(t.Context(), bytes.NewReader(whole[:at]), dir); err == nil {
			t.Errorf("cut off after %d bytes it is unpacked", at)
		}
		if _, err := Read(dir, func(*Package, []*File) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cut off after %d bytes it has a list (%v)", at, err)
		}
	}
	if _, err := Unpack(t.Context(), bytes.NewReader(whole), dir); err != nil {
		t.Errorf("unpacking it again: %v", err)
	}
	list, err := os.ReadFile(filepath.Join(dir, ListName))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(list), "\n"), "\n")
	for name, text := range map[string]string{
		"without its end":     strings.Join(lines[:len(lines)-1], ""),
		"without a file":      strings.Join(append(lines[:2:2], lines[3:]...), ""),
		"without a beginning": strings.Join(lines[1:], ""),
		"of a newer format":   strings.Replace(string(list), `"format":1`, `"format":2`, 1),
	} {
		if _, err := readList(strings.NewReader(text), func(*Package, []*File) error { return nil }); err == nil {
			t.Errorf("%s it is read", name)
		}
	}
}

func TestUnpackingStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../out", "/etc/x", "a/../../b", ""} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := Unpack(t.Context(), &b, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no file below it") {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := (&File{File: name}).Open(t.TempDir()); err == nil {
			t.Errorf("%q of a list is opened", name)
		}
	}
}

// TestFilesOfAnExportAreItsOwn opens what is no file of an export, or another than
// it was.
func TestFilesOfAnExportAreItsOwn(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside.txt")
	for name, text := range map[string]string{outside: "outside", filepath.Join(dir, "good"): "inside"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"out": outside, "in": "good"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file  File
		wrong string
	}{
		{File{File: "good", Size: 6}, ""}, {File{File: "in", Size: 6}, ""},
		{File{File: "good", Size: 7}, "it has 6 bytes, but the list says 7"},
		{File{File: "out", Size: 7}, "escapes"}, {File{File: ".", Size: 6}, "no file"}, {File{File: "gone", Size: 6}, "no such file"},
	} {
		body, err := c.file.Open(dir)
		if err == nil {
			body.Close()
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%+v: %v, want %q", c.file, err, c.wrong)
		}
	}
}

// TestUnreadableFilesAreTold has one file that is gone and one that changed.
func TestUnreadableFilesAreTold(t *testing.T) {
	t.Parallel()
	s := shelf(t, "/good", "/gone", "/evil")
	s.Open = func(f *catalog.File) (io.ReadCloser, error) {
		switch f.Path {
		case "/gone":
			return nil, fmt.Errorf("it is gone: %w", fs.ErrNotExist)
		case "/evil":
			return io.NopCloser(strings.NewReader("/live")), nil
		}
		return io.NopCloser(strings.NewReader(f.Path)), nil
	}
	end, err := Unpack(t.Context(), bytes.NewReader(s.all(t)), t.TempDir())
	if err != nil || end.Files != 1 || len(end.Problems) != 2 || !strings.Contains(end.Problems[0], "gone") || !strings.Contains(end.Problems[1], "other bytes") {
		t.Errorf("%+v (%v)", end, err)
	}
}
