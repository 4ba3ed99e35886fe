package server

import (
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// TestHeadFollowsWhatIsShown has a head made anew when anything that it tells of
// changes, and only then.
func TestHeadFollowsWhatIsShown(t *testing.T) {
	rt, repo := &route{}, &cache.Repository{}
	first := shown{digest: [32]byte{1}, size: 10, typ: "application/json", modified: time.Unix(1e9, 0)}
	h := rt.headOf(repo, first)
	if again := rt.headOf(repo, first); again != h {
		t.Error("the head of the same is made again")
	}
	for name, change := range map[string]func(*shown){
		"digest":   func(s *shown) { s.digest[0] = 2 },
		"size":     func(s *shown) { s.size = 11 },
		"encoding": func(s *shown) { s.encoding = cache.Gzip },
		"type":     func(s *shown) { s.typ = "text/plain" },
		"modified": func(s *shown) { s.modified = time.Unix(2e9, 0) },
	} {
		other := first
		change(&other)
		if got := rt.headOf(repo, other); got.fields == h.fields {
			t.Errorf("the head is the same with another %s: %q", name, got.fields)
		}
	}
}
