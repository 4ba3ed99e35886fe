package cli

import (
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// TestGarbage has a heap with the tables of the databases and something besides.
func TestGarbage(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, c := range []struct{ besides, allocated, want uint64 }{
		{0, 0, 3 * mib}, {4 * mib, 0, 3 * mib}, {6 * mib, 0, 3 * mib}, {100 * mib, 0, 50 * mib}, {1000 * mib, 0, 500 * mib},
		{6 * mib, mib, 3 * mib}, {5 * mib, 2 * mib, 4 * mib}, {30 * mib, 10 * mib, 20 * mib}, {30 * mib, 500 * mib, 30 * mib}, {100 * mib, 10 * mib, 50 * mib}, {100 * mib, 500 * mib, 64 * mib},
	} {
		live := store.Reserved + c.besides
		got := uint64(garbage(live, c.allocated)) * live / 100
		if got > c.want || got < c.want-live/100 {
			t.Errorf("with %d bytes besides and %d allocated within a second there may be %d bytes of garbage, want %d", c.besides, c.allocated, got, c.want)
		}
	}
	if garbage(0, 0) <= 0 {
		t.Error("before the first look the collector runs all the time")
	}
}
