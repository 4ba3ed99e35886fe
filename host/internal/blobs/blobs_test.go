package blobs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

func openDir(t testing.TB, path string) *store.Dir {
	t.Helper()
	d, err := store.Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openStore(t testing.TB, d *store.Dir, o Options) *Store {
	t.Helper()
	s, err := Open(d, o, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *Store, body []byte, records store.Change) Digest {
	t.Helper()
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	d, err := w.Commit(records, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func files(t *testing.T, dir string) (n int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBodyIsKeptUnderItsDigestWithItsRecords(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	body := []byte("some bytes")
	digest := put(t, s, body, store.Change{"r": []byte("1")})
	if digest != sha256.Sum256(body) {
		t.Errorf("digest is %s", digest)
	}
	if got, err := s.Read(digest, int64(len(body))); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%q, %v", got, err)
	}
	if v, err := d.Cache.Get("r"); err != nil || string(v) != "1" {
		t.Errorf("its record: %q, %v", v, err)
	}
	if put(t, s, body, nil) != digest || files(t, s.dir) != 1 || s.Used() != int64(len(body)) {
		t.Errorf("the same bytes twice: %d files, %d bytes used", files(t, s.dir), s.Used())
	}
	if files(t, s.tmp) != 0 {
		t.Error("temporary files are left")
	}
	if err := s.Verify(digest); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(s.path(digest), []byte("some bytez"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(digest); err == nil {
		t.Error("other bytes of the same size are verified")
	}
}

func TestAbortedBodyLeavesNothing(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if files(t, s.tmp)+files(t, s.dir) != 0 {
		t.Error("an aborted body leaves files")
	}
}

func TestWrongSizeIsFoundWhetherOrNotTheFileIsOpen(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	for _, warm := range []bool{false, true} {
		body := fmt.Appendf(nil, "some bytes, open before: %t", warm)
		digest := put(t, s, body, nil)
		if warm {
			f, err := s.Open(digest, int64(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			f.Release()
		}
		if err := os.Truncate(s.path(digest), 3); err != nil {
			t.Fatal(err)
		}
		if f, err := s.Open(digest, int64(len(body))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open before %t: a file that was cut is opened: %v %v", warm, f, err)
		}
		if s.Has(digest) {
			t.Errorf("open before %t: a damaged body is still there", warm)
		}
	}
	if s.Used() != 0 {
		t.Errorf("%d bytes used", s.Used())
	}
}

func TestOtherBytesAreFoundOnceTheFileHasChanged(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	for name, read := range map[string]func(Digest, int) ([]byte, error){
		"Open": func(digest Digest, size int) ([]byte, error) {
			f, err := s.Open(digest, int64(size))
			if err != nil {
				return nil, err
			}
			defer f.Release()
			return io.ReadAll(f)
		},
		"Read": func(digest Digest, size int) ([]byte, error) { return s.Read(digest, int64(size)) },
	} {
		for _, warm := range []bool{false, true} {
			body := fmt.Appendf(nil, "some bytes, %s before: %t", name, warm)
			digest := put(t, s, body, nil)
			if warm {
				if _, err := read(digest, len(body)); err != nil {
					t.Fatal(err)
				}
			}
			other := bytes.ToUpper(body)
			later := time.Now().Add(time.Minute) // however coarse the file system's clock is
			if err := errors.Join(os.WriteFile(s.path(digest), other, 0o600), os.Chtimes(s.path(digest), later, later)); err != nil {
				t.Fatal(err)
			}
			if got, err := read(digest, len(body)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, before %t: other bytes are read: %q, %v", name, warm, got, err)
			}
			if s.Has(digest) {
				t.Errorf("%s, before %t: a damaged body is still there", name, warm)
			}
			// The same bytes with another time are no damage.
			put(t, s, body, nil)
			if err := os.Chtimes(s.path(digest), later, later); err != nil {
				t.Fatal(err)
			}
			if got, err := read(digest, len(body)); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s, before %t: stored again: %q, %v", name, warm, got, err)
			}
		}
	}
}

func TestReaderFinishesWhileItsBodyIsRemoved(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	body := bytes.Repeat([]byte("x"), 100_000)
	digest := put(t, s, body, nil)
	f, err := s.Open(digest, int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	s.Remove(digest)
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f.Release()
	if s.Has(digest) {
		t.Error("the body is there")
	}
}

func TestSweepTakesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := openDir(t, path)
	s := openStore(t, d, Options{Limit: 1 << 20})
	whole := put(t, s, []byte("whole"), nil)
	// In the midst of a write.
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half of")); err != nil {
		t.Fatal(err)
	}
	// After the rename, before the record.
	orphan := Digest(sha256.Sum256([]byte("orphan")))
	if err := d.Cache.Apply(store.Change{intentKey + orphan.String(): {}}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path(orphan)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(orphan), []byte("orphan"), 0o600); err != nil {
		t.Fatal(err)
	}
	// An intent whose record was written, and one without a file.
	for _, digest := range []Digest{whole, sha256.Sum256([]byte("nothing"))} {
		if err := d.Cache.Apply(store.Change{intentKey + digest.String(): {}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, path)
	defer d.Close()
	s = openStore(t, d, Options{Limit: 1 << 20})
	if !s.Has(whole) || s.Has(orphan) || files(t, s.tmp) != 0 || files(t, s.dir) != 1 {
		t.Errorf("whole there %t, orphan there %t, %d temporary files, %d bodies", s.Has(whole), s.Has(orphan), files(t, s.tmp), files(t, s.dir))
	}
	left := 0
	if err := d.Cache.Each(intentKey, true, func(string, []byte) bool { left++; return true }); err != nil || left != 0 {
		t.Errorf("%d intents are left (%v)", left, err)
	}
}

func TestEvictionTakesTheLeastRecentlyUsedAndNothingPinned(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	var pinned Digest
	s := openStore(t, d, Options{Limit: 10_000, Pinned: func(d Digest) bool { return d == pinned }})
	var all []Digest
	for i := range 20 {
		digest := put(t, s, bytes.Repeat([]byte{byte(i)}, 1000), nil)
		all = append(all, digest)
		if err := d.Cache.Apply(store.Change{blobKey + digest.String(): encodeBlob(1000, int64(1000+i))}); err != nil {
			t.Fatal(err)
		}
	}
	pinned = all[0]
	s.evict()
	for i, digest := range all {
		if want := i == 0 || i >= 12; s.Has(digest) != want {
			t.Errorf("body %d of 20 is there: %t, want %t", i, s.Has(digest), want)
		}
	}
	if s.Used() != 9000 || s.Evicted() != 11 {
		t.Errorf("%d bytes used after %d evictions", s.Used(), s.Evicted())
	}
}

func TestEvictionForOthersOnAFullDiskIsNotTried(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	digest := put(t, s, []byte("some bytes"), nil)
	s.reserve.Store(1 << 60) // no disk has that
	if _, err := s.Create(); !errors.Is(err, ErrNoSpace) {
		t.Errorf("writing without space: %v", err)
	}
	s.evict()
	if !s.Has(digest) {
		t.Error("a body was evicted although all of them would not make the space")
	}
}

func TestConcurrentCommitsReadsAndEvictions(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 20_000})
	var all sync.WaitGroup
	done := make(chan struct{})
	var evicting sync.WaitGroup
	evicting.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.evict()
				runtime.Gosched()
			}
		}
	})
	for worker := range 4 {
		all.Go(func() {
			for i := range 100 {
				body := bytes.Repeat([]byte{byte(i % 30), byte(worker % 2)}, 1000)
				w, err := s.Create()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.Write(body); err != nil {
					t.Error(err)
				}
				digest, err := w.Commit(nil, false)
				if err != nil {
					t.Error(err)
				}
				got, err := s.Read(digest, int64(len(body)))
				if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	all.Wait()
	close(done)
	evicting.Wait()
	s.evict()
	if s.Used() > 20_000 || s.Used() < 0 {
		t.Errorf("%d bytes used", s.Used())
	}
	// Every record has its file and every file its record.
	records := 0
	if err := d.Cache.Each(blobKey, true, func(k string, _ []byte) bool {
		records++
		name := k[len(blobKey):]
		if _, err := os.Stat(filepath.Join(s.dir, name[:2], name[2:])); err != nil {
			t.Errorf("a record has no file: %v", err)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if n := files(t, s.dir); n != records {
		t.Errorf("%d files and %d records", n, records)
	}
}
