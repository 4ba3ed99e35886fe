package publish

import (
	"context"
	"errors"
	"testing"
)

// TestTurnsAreTakenOneByOne has a publication wait for another of its package, and
// not for longer than its client does.
func TestTurnsAreTakenOneByOne(t *testing.T) {
	turns := newTurns()
	done, err := turns.take(context.Background(), "main", "tide")
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, err := turns.take(gone, "main", "tide"); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left gets the turn of another: %v", err)
	}
	next := make(chan error)
	go func() {
		after, err := turns.take(context.Background(), "main", "tide")
		if err == nil {
			after()
		}
		next <- err
	}()
	done()
	if err := <-next; err != nil {
		t.Error(err)
	}
}
