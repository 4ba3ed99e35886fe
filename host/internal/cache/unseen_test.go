package cache

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestWhatUpstreamNeverHadIsRememberedWithinBounds has more documents be missing
// than are remembered: those that appeared since are not forgotten for them.
func TestWhatUpstreamNeverHadIsRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	now := time.Now()
	put := func(path string) {
		t.Helper()
		if err := c.putUnseen(repo, &pb.Document{Path: path}, now); err != nil {
			t.Fatal(err)
		}
	}
	put("/tags/appeared")
	if s, err := c.sightings(repo, "/tags/appeared"); err != nil || !s.unseenAt(repo, &pb.Document{Path: "/tags/appeared"}) {
		t.Fatalf("what is remembered is %v, %v", s, err)
	}
	if err := c.putSightings(repo, "/tags/appeared", &sightings{First: now, Last: now}, false); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * unseenPlaces {
		put(fmt.Sprintf("/tags/%d", i))
	}
	unseen := 0
	err := c.dir.Keep.Each(sightingsKey, true, func(string, []byte) bool { unseen++; return true })
	if err != nil || unseen < unseenPlaces/2 || unseen > unseenPlaces+1 {
		t.Errorf("%d are remembered of %d places: %v", unseen, unseenPlaces, err)
	}
	if s, err := c.sightings(repo, "/tags/appeared"); err != nil || s == nil || s.unseen() {
		t.Errorf("what appeared is %v, %v", s, err)
	}
}
