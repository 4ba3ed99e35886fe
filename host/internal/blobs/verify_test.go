package blobs

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

func TestVerifyAllDropsWhatIsDamaged(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	var all []Digest
	for i := range 20 {
		all = append(all, put(t, s, bytes.Repeat([]byte{byte(i)}, 1000), nil))
	}
	// One with other bytes, one that is cut, one that is gone.
	if err := os.WriteFile(s.path(all[3]), bytes.Repeat([]byte{7}, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.path(all[5]), 10); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path(all[8])); err != nil {
		t.Fatal(err)
	}
	want := []string{all[3].String(), all[5].String(), all[8].String()}
	slices.Sort(want)
	var got []string
	checked, damaged, err := s.VerifyAll(t.Context(), func(digest string) { got = append(got, digest) })
	if err != nil || checked != 20 || damaged != 3 || !slices.Equal(got, want) {
		t.Errorf("%d checked, %d damaged (%v): %q, want %q", checked, damaged, err, got, want)
	}
	if s.Has(all[3]) || s.Has(all[5]) || !s.Has(all[4]) || s.Used() != 17_000 {
		t.Errorf("what is damaged stays, or what is not goes; %d bytes used", s.Used())
	}
	if checked, damaged, err := s.VerifyAll(t.Context(), nil); err != nil || checked != 17 || damaged != 0 {
		t.Errorf("again: %d checked, %d damaged (%v)", checked, damaged, err)
	}
}

func TestSetLimitsEvictsWhatIsOver(t *testing.T) {
	t.Parallel()
	d := openDir(t, t.TempDir())
	defer d.Close()
	s := openStore(t, d, Options{Limit: 1 << 20})
	for i := range 20 {
		put(t, s, bytes.Repeat([]byte{byte(i)}, 1000), nil)
	}
	s.evict()
	if s.Used() != 20_000 {
		t.Fatalf("%d bytes used", s.Used())
	}
	s.SetLimits(10_000, 0)
	if len(s.kick) == 0 {
		t.Error("nobody is told to evict")
	}
	s.evict()
	if s.Used() != 9000 {
		t.Errorf("%d bytes used beyond 10000", s.Used())
	}
}
