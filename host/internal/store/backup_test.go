package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestBackupIsOfOneInstant has two far records change together, always, while
// backups are made: none may have one change without the other.
func TestBackupIsOfOneInstant(t *testing.T) {
	t.Parallel()
	d, err := Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	filling := Change{}
	for i := range 20_000 {
		filling[fmt.Sprintf("m/%05d", i)] = bytes.Repeat([]byte("x"), 100)
	}
	if err := d.Keep.ApplyAll(filling); err != nil {
		t.Fatal(err)
	}
	if err := d.Keep.Apply(Change{"a": []byte("first"), "z": []byte("first")}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			value := []byte(fmt.Sprint(i))
			if err := d.Keep.Apply(Change{"a": value, "z": value, fmt.Sprintf("n/%d", i): nil}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var copies []bytes.Buffer
	for range 5 {
		var b bytes.Buffer
		keys := 0
		if err := d.Keep.Backup(t.Context(), &b, func(string) { keys++ }); err != nil {
			t.Fatal(err)
		}
		if keys < 20_000 || keys > 20_002 {
			t.Errorf("%d keys are told", keys)
		}
		copies = append(copies, b)
	}
	close(stop)
	writer.Wait()
	for _, b := range copies {
		r, err := Restore(filepath.Join(t.TempDir(), "data"), hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Keep.Load(&b); err != nil {
			t.Fatal(err)
		}
		if err := r.Finish(Format()); err != nil {
			t.Fatal(err)
		}
		back, err := Open(r.Path, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		first, err := back.Keep.Get("a")
		last, more := back.Keep.Get("z")
		if err := errors.Join(err, more); err != nil || !bytes.Equal(first, last) {
			t.Errorf("of one change it has %q and %q (%v)", first, last, err)
		}
		if v, err := back.Keep.Get("m/19999"); err != nil || len(v) != 100 {
			t.Errorf("a record is %q (%v)", v, err)
		}
		if err := back.Keep.Apply(Change{"a": []byte("new")}); err != nil {
			t.Error(err)
		}
		if v, err := back.Keep.Get("a"); err != nil || string(v) != "new" {
			t.Errorf("a record changed afterwards is %q (%v)", v, err)
		}
		if err := back.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestoringRefusesWhatIsThereAndCleansUp(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.Mkdir(filepath.Join(path, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(path, hclog.NewNullLogger()); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("restoring twice: %v", err)
	}
	if err := r.Keep.Apply(Change{"a": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	// As if it had been killed here.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, hclog.NewNullLogger()); err == nil || !strings.Contains(err.Error(), "not restored to its end") {
		t.Errorf("opening what was half restored: %v", err)
	}
	if err := r.Abort(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(path)
	if err != nil || len(left) != 1 || left[0].Name() != "lost+found" {
		t.Errorf("after an abort %v is left (%v)", left, err)
	}
}
