package cli

import (
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// TestGarbage has a heap with the tables of the databases and something besides.
func TestGarbage(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for besides, want := range map[uint64]uint64{0: 6 * mib, 4 * mib: 6 * mib, 12 * mib: 6 * mib, 100 * mib: 50 * mib, 1000 * mib: 500 * mib} {
		live := store.Reserved + besides
		got := uint64(garbage(live)) * live / 100
		if got > want || got < want-live/100 {
			t.Errorf("with %d bytes besides there may be %d bytes of garbage, want %d", besides, got, want)
		}
	}
	if garbage(0) <= 0 {
		t.Error("before the first look the collector runs all the time")
	}
}
