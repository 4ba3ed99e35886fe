package catalog

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// within makes a change under a quota.
func (s *shelf) within(t *testing.T, quota int64, bodies []string, operations ...*pb.Operation) error {
	t.Helper()
	ch := s.change(t, bodies, operations...)
	ch.Quota = quota
	return s.Apply(ch)
}

func (s *shelf) uses(t *testing.T, want int64) {
	t.Helper()
	if size, err := s.Size("r"); size != want || err != nil {
		t.Errorf("the repository has %d bytes (%v), want %d", size, err, want)
	}
}

func TestQuotaRefusesWhatHasNoRoomAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := s.within(t, 10, []string{"123456"}, stored("boat", "1", "/1", 0)); err != nil {
		t.Fatal(err)
	}
	before, records := s.described(t, "boat"), strings.Join(s.records(t), "\n")
	err := s.within(t, 10, []string{"12345"}, stored("boat", "2", "/2", 0), operation(pb.Operation_KIND_TAG, "boat", "2", "latest"))
	var full *QuotaError
	if !errors.As(err, &full) || *full != (QuotaError{"r", 6, 5, 10}) {
		t.Fatalf("5 bytes beside 6 of 10: %v", err)
	}
	if after := strings.Join(s.records(t), "\n"); after != records || s.described(t, "boat") != before {
		t.Errorf("a refused publication left\n%s\nbefore there was\n%s", after, records)
	}
	s.uses(t, 6)
	if err := s.within(t, 10, []string{"1234"}, stored("ship", "1", "/s1", 0)); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	s.uses(t, 10)
	s.reopen(t)
	s.uses(t, 10)
	// What takes no room is done also when there is none.
	if err := s.within(t, 5, nil, operation(pb.Operation_KIND_TAG, "boat", "1", "old")); err != nil {
		t.Errorf("a tag in a full repository: %v", err)
	}
	replace := stored("boat", "1", "/1", 0)
	replace.Replace = true
	if err := s.within(t, 5, []string{"12"}, replace); err != nil {
		t.Errorf("a smaller file in a full repository: %v", err)
	}
	s.uses(t, 6)
	if err := s.within(t, 5, nil, operation(pb.Operation_KIND_DELETE, "ship", "", "")); err != nil {
		t.Errorf("deleting in a full repository: %v", err)
	}
	s.uses(t, 2)
	if err := s.within(t, 5, []string{"123"}, stored("ship", "2", "/s2", 0)); err != nil {
		t.Errorf("what fits after a deletion: %v", err)
	}
}

// TestRaceForTheLastRoomHasOneWinner publishes many packages at once of which
// each fits, but no two do.
func TestRaceForTheLastRoomHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		name := fmt.Sprint("boat", i)
		ch := s.change(t, []string{"123456"}, stored(name, "1", "/"+name, 0))
		ch.Quota = 10
		all.Go(func() {
			err := s.Apply(ch)
			var full *QuotaError
			if err == nil {
				won.Add(1)
			} else if !errors.As(err, &full) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 20 had room for one", won.Load())
	}
	s.uses(t, 6)
	s.reopen(t)
	s.uses(t, 6)
}

// TestDirectoriesTakeNoRoom has a file that lies in a directory.
func TestDirectoriesTakeNoRoom(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ch := s.change(t, []string{strings.Repeat("x", 1000)}, stored("boat", "1", "/1", 0))
	ch.Bodies[0].Source, ch.Bodies[0].Modified, ch.Quota = "/srv/packages/boat.tgz", noon, 10
	if err := s.Apply(ch); err != nil {
		t.Fatal(err)
	}
	s.uses(t, 0)
	s.reopen(t)
	s.uses(t, 0)
}
