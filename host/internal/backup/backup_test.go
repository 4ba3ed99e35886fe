package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// source is a data directory with records and pinned bodies.
type source struct {
	dir   *store.Dir
	blobs *blobs.Store
}

func newSource(t *testing.T, bodies ...string) *source {
	t.Helper()
	d, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b, err := blobs.Open(d, blobs.Options{Limit: 1 << 30}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	s := &source{d, b}
	for _, body := range bodies {
		s.put(t, body)
	}
	if err := d.Keep.Apply(store.Change{"boat": []byte("afloat")}); err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a body that a package needs.
func (s *source) put(t *testing.T, body string) blobs.Digest {
	t.Helper()
	w, err := s.blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	d, err := w.Commit(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	s.pin(t, d, "hosted/file/r")
	return d
}

func (s *source) pin(t *testing.T, d blobs.Digest, owner string) {
	t.Helper()
	if err := s.dir.Keep.Apply(store.Change{pinKey + d.String() + "\x00" + owner: {}}); err != nil {
		t.Fatal(err)
	}
}

func (s *source) backup(t *testing.T) ([]byte, End) {
	t.Helper()
	var b bytes.Buffer
	end, err := Write(t.Context(), &b, s.dir, s.blobs, "test")
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), end
}

// restored opens what a backup was restored to.
func restored(t *testing.T, path string) *source {
	t.Helper()
	d, err := store.Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b, err := blobs.Open(d, blobs.Options{Limit: 1 << 30}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return &source{d, b}
}

func TestWhatIsRestoredIsWhatWas(t *testing.T) {
	t.Parallel()
	s := newSource(t, "one", strings.Repeat("two", 100_000), "")
	w, err := s.blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("cached")); err != nil {
		t.Fatal(err)
	}
	cached, err := w.Commit(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	// A publication that is under way has pinned what is not there yet.
	s.pin(t, blobs.Digest{1}, "aside/x")
	s.pin(t, blobs.Digest{2}, "seen/x")
	copied, end := s.backup(t)
	if end.Bodies != 3 || end.Bytes != 300_003 || end.Missing != nil || end.Damaged != nil {
		t.Errorf("the backup says %+v", end)
	}
	if head, again, err := Check(t.Context(), bytes.NewReader(copied)); err != nil || again.Bodies != 3 || head.Entrepot != "test" {
		t.Errorf("checking it: %v %v %v", head, again, err)
	}
	path := filepath.Join(t.TempDir(), "a", "data")
	if _, _, err := Restore(t.Context(), path, bytes.NewReader(copied), hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Restore(t.Context(), path, bytes.NewReader(copied), hclog.NewNullLogger()); !errors.Is(err, store.ErrNotEmpty) || !strings.Contains(err.Error(), path) {
		t.Errorf("restoring it once more: %v", err)
	}
	back := restored(t, path)
	if v, err := back.dir.Keep.Get("boat"); err != nil || string(v) != "afloat" {
		t.Errorf("a record is %q (%v)", v, err)
	}
	for _, body := range []string{"one", strings.Repeat("two", 100_000), ""} {
		if got, err := back.blobs.Read(sha256.Sum256([]byte(body)), int64(len(body))); err != nil || string(got) != body {
			t.Errorf("a body of %d bytes has %d (%v)", len(body), len(got), err)
		}
	}
	if back.blobs.Has(cached) {
		t.Error("what was only cached is in the backup")
	}
}

// names are those of an archive's members, in order.
func names(t *testing.T, archive []byte) []string {
	t.Helper()
	var all []string
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h.Name)
	}
}

// edited is an archive with members changed; nil leaves one out.
func edited(t *testing.T, archive []byte, change func(name string, body []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if body = change(h.Name, body); body == nil {
			continue
		}
		h.Size = int64(len(body))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBadBackupsAreRefusedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	s := newSource(t, "one", "two", strings.Repeat("x", 5000))
	whole, _ := s.backup(t)
	all := names(t, whole)
	leaveOut := func(left string) []byte {
		return edited(t, whole, func(name string, body []byte) []byte {
			if name == left {
				return nil
			}
			return body
		})
	}
	replaced := func(of string, old, with string) []byte {
		return edited(t, whole, func(name string, body []byte) []byte {
			if name == of {
				return bytes.Replace(body, []byte(old), []byte(with), 1)
			}
			return body
		})
	}
	flipped := func(of string) []byte {
		return edited(t, whole, func(name string, body []byte) []byte {
			if name == of {
				body[len(body)/2] ^= 1
			}
			return body
		})
	}
	rows := map[string]struct {
		archive []byte
		says    string
	}{
		"nothing":            {nil, "does not begin as one"},
		"something else":     {bytes.Repeat([]byte("no archive"), 1000), "does not begin as one"},
		"without its end":    {leaveOut(all[len(all)-1]), "cut off"},
		"without a body":     {leaveOut(all[2]), "bodies"},
		"without records":    {leaveOut(all[1]), "where its records should be"},
		"with another body":  {flipped(all[3]), "holds other bytes"},
		"with other records": {flipped(all[1]), "its records have not the sha256"},
		"of a newer format":  {replaced(headName, `"format":1`, `"format":9`), "the backup has format 9, but this entrepot understands up to 1"},
		"of newer data":      {replaced(headName, `"data_format":1`, `"data_format":8`), "the data directory in the backup has format 8, but this entrepot understands up to 1"},
	}
	for _, at := range []int{600, 1500, len(whole) / 2, len(whole) - 3000} {
		rows[fmt.Sprintf("cut off after %d bytes", at)] = struct {
			archive []byte
			says    string
		}{whole[:at], "cut off"}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			_, _, err := Restore(t.Context(), path, bytes.NewReader(row.archive), hclog.NewNullLogger())
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("restoring it: %v, which does not say %q", err, row.says)
			}
			if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
				t.Errorf("%v is left (%v)", left, err)
			}
			if _, _, checked := Check(t.Context(), bytes.NewReader(row.archive)); checked == nil || checked.Error() != err.Error() {
				t.Errorf("checking says %v, restoring %v", checked, err)
			}
		})
	}
}

// TestWhatIsLostAlreadyDoesNotSpoilTheBackup has bodies that are missing or
// damaged: they are told, and the rest can be restored.
func TestWhatIsLostAlreadyDoesNotSpoilTheBackup(t *testing.T) {
	t.Parallel()
	s := newSource(t, "one", "two", "three")
	gone, rotten := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))
	s.blobs.Remove(gone)
	f, err := s.blobs.Raw(rotten)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.WriteFile(f.Name(), []byte("tow"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied, end := s.backup(t)
	if len(end.Missing) != 1 || end.Missing[0] != blobs.Digest(gone).String() || len(end.Damaged) != 1 || end.Damaged[0] != blobs.Digest(rotten).String() {
		t.Errorf("the end says %+v", end)
	}
	path := filepath.Join(t.TempDir(), "data")
	if _, _, err := Restore(t.Context(), path, bytes.NewReader(copied), hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	back := restored(t, path)
	if got, err := back.blobs.Read(sha256.Sum256([]byte("three")), 5); err != nil || string(got) != "three" {
		t.Errorf("the body that was whole is %q (%v)", got, err)
	}
	if back.blobs.Has(gone) || back.blobs.Has(rotten) {
		t.Error("a body that was lost is there")
	}
}

// TestPaddingAtTheEndIsNotNeeded cuts off what only fills the archive's last
// block: two empty records, of 512 bytes each, that end a tar file.
func TestPaddingAtTheEndIsNotNeeded(t *testing.T) {
	t.Parallel()
	s := newSource(t, "one", "two")
	whole, _ := s.backup(t)
	if padding := whole[len(whole)-1024:]; !bytes.Equal(padding, make([]byte, 1024)) {
		t.Fatalf("a backup ends with %q", padding)
	}
	for _, lacks := range []int{1, 1000, 1024} {
		if _, end, err := Restore(t.Context(), t.TempDir(), bytes.NewReader(whole[:len(whole)-lacks]), hclog.NewNullLogger()); err != nil || end.Bodies == 0 {
			t.Errorf("without its last %d bytes: %+v (%v)", lacks, end, err)
		}
	}
}
