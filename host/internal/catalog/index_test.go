package catalog

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestPublicationsStayCheap publishes into a package of few files and of many: it
// must not be read, nor made, anew.
func TestPublicationsStayCheap(t *testing.T) {
	s := newShelf(t)
	next := 0
	publish := func() {
		next++
		version := fmt.Sprint(next)
		d := blobs.Digest(sha256.Sum256([]byte(version)))
		err := s.Apply(Change{
			Repository: "r", Now: time.Now(), Blind: true,
			Operations: []*pb.Operation{stored("boat", version, "/"+version, 0), operation(pb.Operation_KIND_TAG, "boat", version, "t"+version)},
			Bodies:     []Body{{Digest: d, Digests: map[string][]byte{"sha256": d[:]}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func(n int) {
		for next < n {
			publish()
		}
	}
	fill(100)
	few := testing.AllocsPerRun(20, publish)
	fill(1500)
	if many := testing.AllocsPerRun(20, publish); many > 2*few {
		t.Errorf("a publication takes %.0f allocations with 100 files, and %.0f with 1500", few, many)
	}
}

// TestFilesAreFound finds files as they were when a package was looked at, while it
// goes on changing.
func TestFilesAreFound(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"1", "2"}, stored("boat", "1", "/1", 0), stored("boat", "2", "/2", 1))
	was, err := s.Package("r", "boat")
	if err != nil {
		t.Fatal(err)
	}
	one, two := was.At("/1"), was.At("/2")
	replaced := stored("boat", "1", "/1", 0)
	replaced.Replace = true
	s.must(t, []string{"3"}, replaced, stored("boat", "3", "/3", 0), operation(pb.Operation_KIND_DELETE, "boat", "2", ""))
	if was.At("/1") != one || was.At("/2") != two || was.At("/3") != nil || !was.Has("2", "") || was.Has("3", "") {
		t.Error("a package changes that was looked at before")
	}
	for range 2 {
		is, err := s.Package("r", "boat")
		if err != nil {
			t.Fatal(err)
		}
		if is.At("/1") == one || is.At("/1") == nil || is.At("/2") != nil || is.At("/3") == nil || is.Has("2", "") || !is.Has("3", "") {
			t.Error("a package is not as it was changed to be")
		}
		x := is.Excerpt(&pb.Excerpt{Name: "boat", Paths: []string{"/3", "/4"}, Tags: []string{"none"}})
		if len(x.GetEntries()) != 1 || x.GetEntries()[0].GetPath() != "/3" || len(x.GetTags()) != 0 || x.GetRevision() != is.Revision {
			t.Errorf("an excerpt is %v", x)
		}
		s.reopen(t)
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	files := func(numbers ...uint64) (all []*File) {
		for _, n := range numbers {
			all = append(all, &File{Number: n})
		}
		return all
	}
	before := files(1, 3, 5, 7)
	replacing, last := &File{Number: 5}, &File{Number: 9}
	gone, fresh := differ(before, []*File{before[0], replacing, before[3], last})
	if !slices.Equal(gone, []*File{before[1], before[2]}) || !slices.Equal(fresh, []*File{replacing, last}) {
		t.Errorf("gone are %v, and there are %v", gone, fresh)
	}
	if gone, fresh := differ(before, before); gone != nil || fresh != nil {
		t.Errorf("of the same, gone are %v, and there are %v", gone, fresh)
	}
	if gone, fresh := differ(before, nil); len(gone) != 4 || fresh != nil {
		t.Errorf("of all, gone are %v, and there are %v", gone, fresh)
	}
}
