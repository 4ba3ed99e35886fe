package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// TestClientsLearnNothingOfFilesAndRecords turns errors of both kinds into
// failures.
func TestClientsLearnNothingOfFilesAndRecords(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	_, open := os.Open(filepath.Join(c.dir.Path, "nothing"))
	for _, err := range []error{
		open, fmt.Errorf("reading: %w", open),
		c.dir.Cache.Apply(store.Change{strings.Repeat("k", 1<<17): {}}),
	} {
		if f := AsFailure(err); err == nil || f != nil {
			t.Errorf("of %v clients are told %v", err, f)
		}
	}
	if f := AsFailure(fmt.Errorf("%w: 1 byte free on the disk of %s", blobs.ErrNoSpace, c.dir.Path)); f == nil || strings.Contains(f.Message, c.dir.Path) {
		t.Errorf("of a full disk clients are told %v", f)
	}
	if f := AsFailure(fmt.Errorf("plugin x renders nothing")); f == nil || f.Message != "plugin x renders nothing" {
		t.Errorf("of a plugin's fault clients are told %v", f)
	}
}
