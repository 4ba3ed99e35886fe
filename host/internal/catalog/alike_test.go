package catalog

import (
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestAlikeNames has packages found by names that are the same, as they come,
// go, and are there after a restart.
func TestAlikeNames(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	rules := names.Rules{IgnoreCase: true, Alike: "-_"}
	alike := func(name string, want bool) {
		t.Helper()
		if got, err := s.Alike("r", name, rules); err != nil || got != want {
			t.Errorf("something like %s is there: %t (%v), want %t", name, got, err, want)
		}
	}
	alike("acme-lamp", false)
	s.must(t, []string{"1"}, stored("acme_lamp", "1.0.0", "/acme_lamp-1.0.0", 0))
	s.must(t, []string{"2"}, stored("tide-gauge", "1.0.0", "/tide-gauge-1.0.0", 0))
	for range 2 {
		for _, name := range []string{"acme_lamp", "acme-lamp", "ACME-Lamp", "tide-gauge", "tide_gauge"} {
			alike(name, true)
		}
		alike("acmelamp", false)
		alike("acme--lamp", false)
		if got, err := s.Alike("r", "acme-lamp", names.Rules{}); err != nil || got {
			t.Errorf("acme-lamp is there where each name is only itself (%v)", err)
		}
		if got, err := s.Alike("other", "acme-lamp", rules); err != nil || got {
			t.Errorf("acme-lamp is there in another repository (%v)", err)
		}
		s.reopen(t)
	}
	alike("acme-lamp", true)
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "acme_lamp", "", ""))
	alike("acme-lamp", false)
}
