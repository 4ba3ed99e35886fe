package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// formatOf is what a data directory says of itself.
func formatOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path, formatFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestNewerFormatIsRefusedWithBothNamed(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, formatFile), []byte("entrepot data 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openWith(path, make([]upgrade, 2), hclog.NewNullLogger())
	var refused *FormatError
	if !errors.As(err, &refused) || refused.Have != 7 || refused.Known != 3 {
		t.Fatalf("format 7 under format 3: %v", err)
	}
	for _, want := range []string{path, "format 7", "up to 3", "use the version that wrote it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// TestOlderFormatIsUpgraded makes a directory of format 1 and opens it with a
// program of format 3, whose second step fails once, as if it had been killed.
func TestOlderFormatIsUpgraded(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d, err := openWith(path, nil, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep.Apply(Change{"boat": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := formatOf(t, path); got != "entrepot data 1" {
		t.Fatalf("a new directory is %q", got)
	}

	var taken []string
	fails := true
	rename := func(d *Dir) error {
		taken = append(taken, "rename")
		value, err := d.Keep.Get("boat")
		if err != nil {
			return err
		}
		return d.Keep.Apply(Change{"ship": value, "boat": nil})
	}
	double := func(d *Dir) error {
		taken = append(taken, "double")
		if err := d.Keep.Apply(Change{"ship": []byte("11")}); err != nil || !fails {
			return err
		}
		return errors.New("power failure")
	}
	steps := []upgrade{rename, double}
	if _, err := openWith(path, steps, hclog.NewNullLogger()); err == nil || !strings.Contains(err.Error(), "from format 2 to 3") {
		t.Fatalf("a step that fails: %v", err)
	}
	if got := formatOf(t, path); got != "entrepot data 2" {
		t.Errorf("after the first of two steps it is %q", got)
	}
	fails = false
	for range 2 {
		if d, err = openWith(path, steps, hclog.NewNullLogger()); err != nil {
			t.Fatal(err)
		}
		if v, err := d.Keep.Get("ship"); err != nil || string(v) != "11" {
			t.Errorf("what was kept is %q (%v)", v, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(taken, " "); got != "rename double double" {
		t.Errorf("steps taken: %s", got)
	}
	if got := formatOf(t, path); got != "entrepot data 3" {
		t.Errorf("after all steps it is %q", got)
	}
	if _, err := openWith(path, steps[:1], hclog.NewNullLogger()); err == nil {
		t.Error("a program of before the upgrade opens it")
	}
}
