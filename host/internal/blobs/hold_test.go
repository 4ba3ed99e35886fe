package blobs

import (
	"bytes"
	"os"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

func TestHeldBodiesAreNotEvicted(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 30})
	first, second := put(t, s, bytes.Repeat([]byte("1"), 1000), nil), put(t, s, bytes.Repeat([]byte("2"), 1000), nil)
	all := s.Hold()
	some := s.Hold()
	some.Only(map[Digest]struct{}{first: {}})
	s.SetLimits(1, 0)
	there := func(one, two bool) {
		t.Helper()
		s.evict()
		if s.Has(first) != one || s.Has(second) != two {
			t.Errorf("there are %t and %t, want %t and %t", s.Has(first), s.Has(second), one, two)
		}
	}
	there(true, true)
	all.Release()
	there(true, false)
	some.Release()
	there(false, false)
}

func TestDiscardLeavesWhatIsPinned(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	var pinned Digest
	s := openStore(t, d, Options{Limit: 1 << 30, Pinned: func(d Digest) bool { return d == pinned }})
	a, b := put(t, s, []byte("a"), nil), put(t, s, []byte("bb"), nil)
	pinned = a
	if s.Discard(a) || !s.Discard(b) || !s.Has(a) || s.Has(b) || s.Used() != 1 {
		t.Errorf("of a and b %t and %t are there, %d bytes", s.Has(a), s.Has(b), s.Used())
	}
}

// TestDurableCommitReplacesWhatRotted stores bytes that are there already, of
// which the file was damaged meanwhile.
func TestDurableCommitReplacesWhatRotted(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 30})
	at := put(t, s, []byte("good"), nil)
	f, err := s.Open(at, 4)
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	// From the second time on it was durable already.
	for _, rotten := range []string{"evil", "go", ""} {
		if err := os.WriteFile(s.path(at), []byte(rotten), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := s.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("good")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(store.Change{"x": {}}, true); err != nil {
			t.Fatal(err)
		}
		if body, err := s.Read(at, 4); err != nil || string(body) != "good" || s.Used() != 4 {
			t.Errorf("after %q it holds %q (%v), %d bytes are counted", rotten, body, err, s.Used())
		}
	}
}

// TestCommitLeavesADurableBodyAlone caches bytes after a restart that were published
// before: what takes the place of a synced file could be lost with the power.
func TestCommitLeavesADurableBodyAlone(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	var at Digest
	var before os.FileInfo
	for _, durable := range []bool{true, false} {
		s := openStore(t, d, Options{Limit: 1 << 30}) // which knows nothing of the one before
		w, err := s.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("good")); err != nil {
			t.Fatal(err)
		}
		if at, err = w.Commit(store.Change{"x": {}}, durable); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.path(at))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !os.SameFile(before, info) {
			t.Error("another file took its place")
		}
		before = info
	}
}
