package directory

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// publishes changes the catalogue as clients do.
func (tr *tree) publishes(overwrite bool, o *pb.Operation) error {
	d := blobs.Digest(sha256.Sum256([]byte("published")))
	return tr.catalog.Apply(catalog.Change{
		Repository: "r", Now: time.Now(), Blind: true, Overwrite: overwrite, Operations: []*pb.Operation{o},
		Bodies: []catalog.Body{{Digest: d, Size: 9, Digests: map[string][]byte{"sha256": d[:]}}},
	})
}

func stores(name, version, path string) *pb.Operation {
	return &pb.Operation{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: name, Version: version}, Path: path}
}

func deletes(name, version string) *pb.Operation {
	return &pb.Operation{Kind: pb.Operation_KIND_DELETE, Version: &pb.Version{Name: name, Version: version}, ForGood: true}
}

func (tr *tree) removes(file string) {
	tr.t.Helper()
	if err := os.Remove(filepath.Join(tr.root, file)); err != nil {
		tr.t.Fatal(err)
	}
}

// says expects a reason once in the log.
func (tr *tree) says(reason string) {
	tr.t.Helper()
	if n := strings.Count(tr.log.String(), reason); n != 1 {
		tr.t.Errorf("%q is said %d times:\n%s", reason, n, tr.log.String())
	}
}

// TestPublishedVersionsGetNoFiles has a version published, and then deleted, of
// which a file lies in a directory.
func TestPublishedVersionsGetNoFiles(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	if err := tr.publishes(false, stores("boat", "1", "/published")); err != nil {
		t.Fatal(err)
	}
	tr.write("boat_1.tgz", "boat_2.tgz")
	tr.scans(Result{Files: 2, Added: 1, Bad: 1})
	tr.has("boat 1", "boat 2")
	tr.says("boat 1 is published here")
	if p, err := tr.catalog.Package("r", "boat"); err != nil || p.At("/1") != nil || p.At("/published") == nil {
		t.Errorf("a published version has files %v (%v)", p.Files, err)
	}
	if err := tr.publishes(false, deletes("boat", "1")); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 2})
	tr.has("boat 2")
	tr.write("boat_1.tgz", "boat_1.tar")
	tr.scans(Result{Files: 3, Bad: 2})
	tr.has("boat 2")
	if n := strings.Count(tr.log.String(), "boat 1 was published here and deleted"); n != 2 {
		t.Errorf("of two files it is said %d times that they were deleted:\n%s", n, tr.log.String())
	}
	tr.scans(Result{Files: 3})
	if p, err := tr.catalog.Package("r", "boat"); err != nil || len(p.Files) != 1 {
		t.Errorf("there are %d files (%v)", len(p.Files), err)
	}
}

// TestVersionsInDirectoriesAreNotPublished publishes into versions of which a file
// lies in a directory, where that is not allowed and where it is.
func TestVersionsInDirectoriesAreNotPublished(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("boat_1.tgz", "boat_2.tgz")
	tr.scans(Result{Files: 2, Added: 2})
	for _, path := range []string{"/1", "/other"} {
		if err := tr.publishes(false, stores("boat", "1", path)); err == nil {
			t.Errorf("%s is published beside what lies in a directory", path)
		}
	}
	for _, o := range []*pb.Operation{stores("boat", "1", "/1"), stores("boat", "2", "/other")} {
		if err := tr.publishes(true, o); err != nil {
			t.Fatal(err)
		}
	}
	published := func() {
		t.Helper()
		p, err := tr.catalog.Package("r", "boat")
		if err != nil || p == nil || len(p.Files) != 2 || p.At("/1") == nil || p.At("/1").Source != "" || p.At("/other") == nil {
			t.Fatalf("what was published is %+v (%v)", p, err)
		}
	}
	published()
	// What goes from the directory was not published.
	tr.write("boat_2.tgz")
	tr.removes("boat_1.tgz")
	tr.scans(Result{Files: 1, Bad: 1, Removed: 1})
	published()
}

// TestAnotherTakesOver has files that were refused for others, which go.
func TestAnotherTakesOver(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.repo.Names = names.Rules{IgnoreCase: true}
	tr.write("a/boat_1.tgz", "a/ship_2.tgz", "b/boat_1.tgz", "b/SHIP_3.tgz")
	tr.scans(Result{Files: 4, Added: 2, Bad: 2})
	tr.has("boat 1", "ship 2")
	tr.says("another file is served as /1")
	tr.says("the name SHIP means the same as ship")
	tr.removes("a/boat_1.tgz")
	tr.removes("a/ship_2.tgz")
	tr.scans(Result{Files: 2, Removed: 2, Added: 2})
	tr.has("boat 1", "SHIP 3")
	tr.write("a/ship_4.tgz")
	tr.scans(Result{Files: 3, Bad: 1})
	tr.says("the name ship means the same as SHIP")
}

// TestWhatWasRefusedForAPublicationComesBack has publications go for which files
// were refused: of their version, with their path, called like them, and of a
// version that is spelled otherwise. It is followed, and what was not followed
// when the host was killed is made up for by the next scan.
func TestWhatWasRefusedForAPublicationComesBack(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.repo.Names = names.Rules{IgnoreCase: true}
	tr.Join(tr.repo.Repository)
	spelled := stores("ship", "2.0", "/ship")
	spelled.Version.Canonical = "2"
	for _, o := range []*pb.Operation{stores("boat", "1", "/published"), stores("raft", "9", "/3"), stores("TUG", "8", "/8"), spelled} {
		if err := tr.publishes(false, o); err != nil {
			t.Fatal(err)
		}
	}
	tr.write("boat_1.tgz", "ship_2.tgz", "oar_3.tgz", "tug_4.tgz")
	tr.scans(Result{Files: 4, Bad: 4})
	tr.scans(Result{Files: 4})
	if woken := tr.events.take(); len(woken) != 0 {
		t.Errorf("nothing went, and %v are to be looked at", woken)
	}
	for name, version := range map[string]string{"boat": "1", "raft": "9", "TUG": "8", "ship": "2.0"} {
		o := deletes(name, version)
		o.ForGood = false
		if err := tr.publishes(false, o); err != nil {
			t.Fatal(err)
		}
	}
	if woken := tr.events.take(); !slices.Equal(woken, []string{"r"}) {
		t.Errorf("%v are to be looked at again", woken)
	}
	tr.scans(Result{Files: 4, Added: 4})
	tr.has("boat 1", "ship 2", "oar 3", "tug 4")
	// What was deleted for good comes back as it was, or not at all.
	tr.write("oar_7.tgz", "oar_9.tgz")
	content := blobs.Digest(sha256.Sum256([]byte("oar_7.tgz")))
	for version, d := range map[string]blobs.Digest{"7": content, "9": {}} {
		if err := tr.catalog.Apply(catalog.Change{Repository: "r", Now: time.Now(), Blind: true, Operations: []*pb.Operation{stores("oar", version, "/"+version)}, Bodies: []catalog.Body{{Digest: d}}}); err != nil {
			t.Fatal(err)
		}
	}
	tr.scans(Result{Files: 6, Bad: 2})
	for _, version := range []string{"7", "9"} {
		if err := tr.publishes(false, deletes("oar", version)); err != nil {
			t.Fatal(err)
		}
	}
	tr.scans(Result{Files: 6, Added: 1, Bad: 1})
	tr.has("boat 1", "ship 2", "oar 3", "tug 4", "oar 7")
	before := tr.inspects.Load()
	tr.scans(Result{Files: 6})
	if n := tr.inspects.Load() - before; n != 0 {
		t.Errorf("%d files are looked into once more", n)
	}
}
