package blobs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// publish stores a body as what cannot be fetched again is: pinned and durably.
func publish(t *testing.T, s *Store, keep *store.DB, body []byte) Digest {
	t.Helper()
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := keep.Apply(store.Change{"pin/" + w.Digest().String(): {}}); err != nil {
		t.Fatal(err)
	}
	d, err := w.Commit(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pinnedIn(keep *store.DB) func(Digest) bool {
	return func(d Digest) bool {
		_, err := keep.Get("pin/" + d.String())
		return err == nil
	}
}

// refused are records that cannot be written, because of a key's length.
var refused = store.Change{strings.Repeat("k", 1<<16): {}}

func TestAFailedCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("a body")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(refused, false); err == nil {
		t.Fatal("its records were written")
	}
	if n := files(t, s.dir) + files(t, s.tmp); n != 0 || s.Used() != 0 {
		t.Errorf("%d files are left, %d bytes are counted", n, s.Used())
	}
}

// TestAPublicationSurvivesAFailedCommit publishes a body whose file is there
// without a record.
func TestAPublicationSurvivesAFailedCommit(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := openDir(t, path)
	s := openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	body := []byte("a layer")
	// What an end of the process leaves between the rename and the record.
	digest := put(t, s, body, nil)
	if err := d.Cache.Apply(store.Change{blobKey + digest.String(): nil, intentKey + digest.String(): {}}); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(refused, false); err == nil {
		t.Fatal("its records were written")
	}
	publish(t, s, d.Keep, body)
	if value, err := d.Cache.Get(blobKey + digest.String()); err != nil || len(value) == 0 {
		t.Errorf("the published body has no record: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, path)
	defer d.Close()
	s = openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	if got, err := s.Read(digest, int64(len(body))); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after the next start it holds %q, %v", got, err)
	}
}

// TestAPublicationSurvivesAPowerFailure loses the end of what was written to the
// cache database, which is never synced.
func TestAPublicationSurvivesAPowerFailure(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := openDir(t, path)
	s := openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	digest := publish(t, s, d.Keep, []byte("a published body"))
	if err := d.Cache.Apply(store.Change{blobKey + digest.String(): nil, intentKey + digest.String(): {}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, path)
	defer d.Close()
	s = openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	s.count()
	if !s.Has(digest) || s.Used() != 16 {
		t.Errorf("it is there: %t; %d bytes are counted", s.Has(digest), s.Used())
	}
}

// TestARemovedBodyIsNotServedAgain repairs a damaged body while it is read.
func TestARemovedBodyIsNotServedAgain(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	good := bytes.Repeat([]byte("good"), 1000)
	digest := put(t, s, good, nil)
	reader, err := s.Open(digest, int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path(digest), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("evil"), 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s.Remove(digest)
	reader.Release()
	if _, err := reader.Stat(); err == nil {
		t.Error("the removed file is still open after its reader ended")
	}
	put(t, s, good, nil)
	again, err := s.Open(digest, int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if got, err := io.ReadAll(again); err != nil || !bytes.Equal(got, good) {
		t.Errorf("it holds %q, %v", got, err)
	}
}

// TestLostRecordsAreMadeUpFor begins the cache database anew beside bodies.
func TestLostRecordsAreMadeUpFor(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := openDir(t, path)
	s := openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	put(t, s, []byte("what can be fetched again"), nil)
	digest := publish(t, s, d.Keep, []byte("a published body"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(path, "cache")); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, path)
	openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	if err := d.Close(); err != nil { // before it is done
		t.Fatal(err)
	}
	d = openDir(t, path)
	defer d.Close()
	s = openStore(t, d, Options{Limit: 1 << 20, Pinned: pinnedIn(d.Keep)})
	if err := s.recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.count()
	if !s.Has(digest) || files(t, s.dir) != 1 || s.Used() != 16 {
		t.Errorf("the published body is there: %t; of %d bodies %d bytes are counted", s.Has(digest), files(t, s.dir), s.Used())
	}
	s.Remove(digest)
	digest = put(t, s, []byte("later"), nil)
	if err := s.recover(t.Context()); err != nil || !s.Has(digest) {
		t.Errorf("it is done again, or not at all: %v", err)
	}
}

// TestAFullDiskIsLookedThroughNowAndThen writes while there is no space to be
// had.
func TestAFullDiskIsLookedThroughNowAndThen(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20, Reserve: 1 << 60})
	asked := func() bool {
		if _, err := s.Create(); err == nil {
			t.Fatal("there is space")
		}
		select {
		case <-s.kick:
			return true
		default:
			return false
		}
	}
	if !asked() {
		t.Fatal("nobody looks for space")
	}
	s.evict()
	if asked() {
		t.Error("it is looked for again although there was none")
	}
}

// TestBodiesLargerThanTheDisk asks whether bodies fit that do, and do not.
func TestBodiesLargerThanTheDisk(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	for size, want := range map[int64]error{-1: nil, 1: nil, 1 << 60: ErrNoSpace} {
		if err := s.Fits(size); !errors.Is(err, want) {
			t.Errorf("a body of %d bytes: %v, want %v", size, err, want)
		}
	}
	s.SetLimits(1<<20, 1<<60)
	if err := s.Fits(1); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a body beside a reserve of all: %v", err)
	}
}
