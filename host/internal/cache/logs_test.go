package cache

import (
	"slices"
	"testing"
	"time"
)

// TestLogEnds notes the ends of a log, and dates entries by them.
func TestLogEnds(t *testing.T) {
	t.Parallel()
	start := time.Date(2025, 6, 10, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	var ends []logEnd
	for _, e := range []struct {
		minutes int
		size    int64
		noted   bool
	}{
		{0, 100, true},
		{15, 100, true},  // the first stays
		{30, 120, true},  // in the place of the one before
		{40, 110, false}, // an old answer
		{30, 130, false}, // not after the last
		{70, 150, true},
		{600, 150, true},
		{600 + 7*60, 200, true},
	} {
		var changed bool
		if ends, changed = withEnd(ends, logEnd{at(e.minutes), e.size}, 10*time.Hour); changed != e.noted {
			t.Fatalf("after %d minutes: noted %t", e.minutes, changed)
		}
	}
	want := []logEnd{{at(600), 150}, {at(600 + 7*60), 200}}
	if !slices.Equal(ends, want) {
		t.Fatalf("%v is kept, want %v", ends, want)
	}
	for entry, want := range map[int64][2]time.Time{
		0:   {{}, at(600)},
		149: {{}, at(600)},
		150: {at(600), at(600 + 7*60)},
		199: {at(600), at(600 + 7*60)},
		200: {at(600 + 7*60), {}},
	} {
		if not, had := notBefore(ends, entry), firstHad(ends, entry); not != want[0] || had != want[1] {
			t.Errorf("entry %d is dated %s, %s; want %s", entry, not, had, want)
		}
	}
}
