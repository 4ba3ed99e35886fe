package cache

import (
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestALostBodyCostsASnapshotOneState removes the lists of a snapshot's states,
// one after the other.
func TestALostBodyCostsASnapshotOneState(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	const path = "/suite"
	name := snapshotName(repo, path)
	s := &snapshot{Path: path, Name: "suite", parts: map[blobs.Digest][]*pb.Fact{}}
	for _, version := range []string{"1", "2"} {
		facts := []*pb.Fact{{Path: "/part", Version: version}}
		list, err := c.putParts(name, facts)
		if err != nil {
			t.Fatal(err)
		}
		s.States = append(s.States, &state{Version: version, Seen: time.Now(), Parts: list})
		s.parts[list.Digest] = facts
	}
	if err := c.putSnapshot(repo, nil, s); err != nil {
		t.Fatal(err)
	}
	rendered := renderingName(repo, path, "http://localhost")
	for left := len(s.States) - 1; left >= 0; left-- {
		if err := c.putRendering(rendered, &Rendering{}); err != nil {
			t.Fatal(err)
		}
		c.blobs.Remove(s.States[left].Parts.Digest)
		c.snapshots.Clear() // as after a start
		got, err := c.snapshotAt(repo, path)
		if err != nil || (got != nil) != (left > 0) || got != nil && len(got.States) != left {
			t.Fatalf("with %d lists there are the states %v, %v", left, got, err)
		}
		if c.knownRendering(rendered) != nil {
			t.Errorf("with %d lists what upstream shows is not looked at again", left)
		}
	}
	kept, err := c.keptSnapshot(repo, path)
	if err != nil || kept == nil || len(kept.bodies()) != 2 {
		t.Errorf("what is pinned for lost states is %v, %v", kept, err)
	}
}
