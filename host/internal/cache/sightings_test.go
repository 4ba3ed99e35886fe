package cache

import (
	"testing"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestWhatIsNewBeginsItsCooldown looks at a document again after longer than any
// window: what upstream dates is no older than the look before, what it does not
// date begins now, or when a log was seen to have it.
func TestWhatIsNewBeginsItsCooldown(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	again, logged := first.Add(30*24*time.Hour), first.Add(20*24*time.Hour)
	dated := &pb.Fact{Name: "a", Version: "dated", PublishedMs: first.Add(-time.Hour).UnixMilli()}
	claimed := &pb.Fact{Name: "a", Version: "claimed", PublishedMs: first.Add(-time.Hour).UnixMilli(), Claimed: true}
	undated := &pb.Fact{Name: "a", Version: "undated"}
	ofLog := &pb.Fact{Name: "a", Version: "logged", Log: "l"}
	facts := []*pb.Fact{dated, claimed, undated, ofLog}
	at := func(when time.Time) look {
		return look{at: when, undated: func(f *pb.Fact, at time.Time) time.Time {
			if f.GetLog() != "" {
				return logged
			}
			return at
		}}
	}
	before, _ := (*sightings)(nil).observe([]*pb.Fact{{Name: "a", Version: "old"}}, at(first))
	after, fresh := before.observe(facts, at(again))
	if !fresh {
		t.Error("nothing is new")
	}
	floors := after.floors()
	for f, want := range map[*pb.Fact]time.Time{dated: first, claimed: again, undated: again, ofLog: logged} {
		if got := floors[keyOf(f)]; !got.Equal(want) {
			t.Errorf("%s begins its cool-down at %v, want %v", f.GetVersion(), got, want)
		}
	}
	for _, hold := range []bool{false, true} {
		l := at(first)
		l.holdFirst = hold
		s, _ := (*sightings)(nil).observe(facts, l)
		floors := s.floors()
		if len(floors) != 0 && !hold || hold && (len(floors) != 3 || !floors[keyOf(undated)].Equal(first)) {
			t.Errorf("at a first look that holds what is undated (%t) the floors are %v", hold, floors)
		}
	}
}
