package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestDirectoryIsLockedAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "data")
	d, err := Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, hclog.NewNullLogger()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("opening it twice: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if err := d.Keep.Apply(Change{"a": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(path, hclog.NewNullLogger()); err != nil {
		t.Fatalf("opening it after it was closed: %v", err)
	}
	defer d.Close()
	if v, err := d.Keep.Get("a"); err != nil || string(v) != "1" {
		t.Errorf("what was kept is %q (%v)", v, err)
	}
}

// TestDirectoryIsWaitedFor opens a directory that another has open for a moment.
func TestDirectoryIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	first, err := Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { closed <- first.Close() })
	second, err := Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatalf("opening it while another has it for a moment: %v", err)
	}
	if err := errors.Join(<-closed, second.Close()); err != nil {
		t.Error(err)
	}
}

func TestUnknownFormatIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"entrepot data 2\n", "entrepot data 0\n", "something else", ""} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, "format"), []byte(format), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := Open(path, hclog.NewNullLogger()); err == nil {
			d.Close()
			t.Errorf("format %q is opened", format)
		}
		for _, name := range []string{"store", "cache"} {
			if _, err := os.Stat(filepath.Join(path, name)); err == nil {
				t.Errorf("format %q: %s was made", format, name)
			}
		}
	}
}

func TestDamagedCacheIsBegunAnewAndDamagedStoreIsNot(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{"cache": false, "store": true} {
		path := t.TempDir()
		d, err := Open(path, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Keep.Apply(Change{"a": []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, name, "MANIFEST"), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err = Open(path, hclog.NewNullLogger())
		if (err != nil) != refused {
			t.Errorf("with a damaged %s: %v", name, err)
		}
		if err == nil {
			if v, err := d.Keep.Get("a"); err != nil || string(v) != "1" {
				t.Errorf("with a damaged %s what was kept is %q (%v)", name, v, err)
			}
			d.Close()
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	d, err := Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Cache.Get("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := d.Cache.Apply(Change{"p/a": []byte("1"), "p/b": []byte("2"), "q": {}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Keep.Get("p/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the two databases are one")
	}
	var keys []string
	collect := func(k string, v []byte) bool {
		keys = append(keys, k+"="+string(v))
		return true
	}
	if err := d.Cache.Each("p/", false, collect); err != nil || strings.Join(keys, " ") != "p/a=1 p/b=2" {
		t.Errorf("%v %v", keys, err)
	}
	keys = nil
	first := func(k string, _ []byte) bool { keys = append(keys, k); return false }
	if err := d.Cache.Each("p/", true, first); err != nil || strings.Join(keys, " ") != "p/a" {
		t.Errorf("%v %v", keys, err)
	}
	if err := d.Cache.Apply(Change{"p/a": nil, "p/absent": nil}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Cache.Get("p/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was deleted: %v", err)
	}
	if v, err := d.Cache.Get("q"); err != nil || len(v) != 0 {
		t.Errorf("an empty value is %q (%v)", v, err)
	}
}

// TestCloseEnds closes a data directory that was deleted meanwhile.
func TestCloseEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data")
	d, err := Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Cache.Apply(Change{"a": []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := d.closeWithin(100 * time.Millisecond); err == nil {
		t.Error("it says that all was written")
	}
}
