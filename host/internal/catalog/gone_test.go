package catalog

import (
	"errors"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// forGood is a deletion for good.
func forGood(name, version string) *pb.Operation {
	o := operation(pb.Operation_KIND_DELETE, name, version, "")
	o.ForGood = true
	return o
}

// TestWhatIsDeletedForGoodComesBackAsItWas deletes for good, and publishes again
// with other bytes, with the same, and where published files may be replaced.
func TestWhatIsDeletedForGoodComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one", "two"}, stored("boat", "1", "/1", 0), stored("boat", "2", "/2", 1))
	s.must(t, nil, forGood("boat", "1"))
	s.must(t, nil, forGood("boat", ""))
	for range 2 {
		for _, v := range []string{"1", "2"} {
			replace := stored("boat", v, "/"+v, 0)
			replace.Replace = true // which is for what is there
			err := s.Apply(s.change(t, []string{"other"}, replace))
			if gone := (*GoneError)(nil); !errors.As(err, &gone) || gone.Name != "boat" || gone.Version != v {
				t.Errorf("other bytes in the place of version %s: %v", v, err)
			}
		}
		s.reopen(t)
	}
	s.must(t, []string{"other"}, stored("boat", "3", "/3", 0))
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "1", "")) // not for good, but it was
	if err := s.Apply(s.change(t, []string{"other"}, stored("boat", "1", "/1", 0))); err == nil {
		t.Error("bytes that came back can be replaced by deleting them again")
	}
	overwriting := s.change(t, []string{"other"}, stored("boat", "1", "/1", 0))
	overwriting.Overwrite = true
	if err := s.Apply(overwriting); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Gone("r", "boat"); err != nil || len(gone) != 1 || gone["/2"].Version != "2" {
		t.Errorf("gone are %v (%v), want that of version 2", gone, err)
	}
	if names, err := s.GoneNames("r"); err != nil || len(names) != 1 || names[0] != "boat" {
		t.Errorf("files are gone of %q (%v)", names, err)
	}
}

// TestNothingIsBuriedThatIsNotDeletedForGood deletes as protocols do in which
// what was deleted can be put anew.
func TestNothingIsBuriedThatIsNotDeletedForGood(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "", ""))
	s.must(t, []string{"other"}, stored("boat", "1", "/1", 0))
	if names, err := s.GoneNames("r"); err != nil || len(names) > 0 {
		t.Errorf("files are gone of %q (%v)", names, err)
	}
}

// TestGravesAreInherited has what was deleted for good elsewhere not published
// here, unless it is there.
func TestGravesAreInherited(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	graves := Graves{"/1": {Version: "1"}, "/2": {Version: "2"}}
	if err := s.Apply(Change{Repository: "r", Now: noon, Gone: map[string]Graves{"boat": graves, "raft": graves}}); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Gone("r", "boat"); err != nil || len(gone) != 1 || gone["/2"].Version != "2" {
		t.Errorf("gone are %v (%v), want that of version 2", gone, err)
	}
	if err := s.Apply(s.change(t, []string{"other"}, stored("boat", "2", "/2", 0))); err == nil {
		t.Error("what is gone elsewhere is published")
	}
	if p, err := s.Package("r", "raft"); p != nil || err != nil {
		t.Errorf("a package of which all is gone is %v (%v)", p, err)
	}
}
