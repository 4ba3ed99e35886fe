package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// tagsOf fails unless a package has some tags: as many, and those.
func (s *shelf) tagsOf(t *testing.T, name string, n int, some map[string]string) {
	t.Helper()
	for range 2 {
		p, err := s.Package("r", name)
		if err != nil || p == nil {
			t.Fatal(p, err)
		}
		if len(p.Tags) != n {
			t.Errorf("%s has %d tags, want %d", name, len(p.Tags), n)
		}
		for tag, version := range some {
			if p.Tags[tag] != version {
				t.Errorf("%s %s is %q, want %q", name, tag, p.Tags[tag], version)
			}
		}
		s.reopen(t)
	}
}

// recordOf is the record of a package.
func (s *shelf) recordOf(t *testing.T, name string) []byte {
	t.Helper()
	value, err := s.dir.Keep.Get(key(packageKey+"r", name))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestManyTags gives a package more tags than stand in its record, moves some and
// takes some away.
func TestManyTags(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"1", "2"}, stored("boat", "1", "/1", 0), stored("boat", "2", "/2", 1))
	const n = 500
	for i := range n {
		s.must(t, nil, operation(pb.Operation_KIND_TAG, "boat", "1", fmt.Sprint("t", i)))
	}
	s.tagsOf(t, "boat", n, map[string]string{"t0": "1", "t499": "1"})
	if size := len(s.recordOf(t, "boat")); size > 2000 {
		t.Errorf("with %d tags each change writes a record of %d bytes", n, size)
	}
	var former struct{ Tags map[string]string } // as it was before there were others
	if json.Unmarshal(s.recordOf(t, "boat"), &former) == nil {
		t.Error("a program that knows no other tags takes these for all")
	}
	s.must(t, nil,
		operation(pb.Operation_KIND_TAG, "boat", "2", "t0"), operation(pb.Operation_KIND_TAG, "boat", "2", "t499"), operation(pb.Operation_KIND_TAG, "boat", "2", "new"),
		operation(pb.Operation_KIND_UNTAG, "boat", "", "t1"), operation(pb.Operation_KIND_UNTAG, "boat", "", "t498"))
	s.tagsOf(t, "boat", n-1, map[string]string{"t0": "2", "t499": "2", "new": "2", "t1": "", "t498": "", "t2": "1", "t497": "1"})
	s.must(t, nil, operation(pb.Operation_KIND_TAG, "boat", "2", "t1"), operation(pb.Operation_KIND_TAG, "boat", "2", "t498"))
	s.tagsOf(t, "boat", n+1, map[string]string{"t1": "2", "t498": "2"})

	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "1", ""))
	s.tagsOf(t, "boat", 5, map[string]string{"t0": "2", "t1": "2", "t498": "2", "t499": "2", "new": "2"})
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "2", "")) // and so everything
	if left := strings.Join(s.records(t), "\n"); strings.Contains(left, "boat") {
		t.Errorf("of a package that was deleted there are\n%s", left)
	}
	s.must(t, []string{"3"}, stored("boat", "3", "/3", 0), operation(pb.Operation_KIND_TAG, "boat", "3", "t7"))
	s.tagsOf(t, "boat", 1, map[string]string{"t7": "3"})
}

// TestManyTagsOfOlderRecords opens a package whose record has all of its tags, and
// changes it.
func TestManyTagsOfOlderRecords(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"1", "2"}, stored("boat", "1", "/1", 0), stored("boat", "2", "/2", 1))
	const n = 2500
	old := map[string]any{}
	if err := json.Unmarshal(s.recordOf(t, "boat"), &old); err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprint("t", i)] = "1"
	}
	old["Tags"] = tags
	value, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dir.Keep.Apply(map[string][]byte{key(packageKey+"r", "boat"): value}); err != nil {
		t.Fatal(err)
	}
	s.reopen(t)
	s.tagsOf(t, "boat", n, map[string]string{"t0": "1", "t2499": "1"})
	for i := range 4 {
		s.must(t, nil, operation(pb.Operation_KIND_TAG, "boat", "2", fmt.Sprint("t", i)), operation(pb.Operation_KIND_UNTAG, "boat", "", fmt.Sprint("t", n-1-i)))
		s.tagsOf(t, "boat", n-1-i, map[string]string{fmt.Sprint("t", i): "2", fmt.Sprint("t", n-1-i): "", "t1000": "1"})
	}
	if size := len(s.recordOf(t, "boat")); size > 2000 {
		t.Errorf("after some changes each writes a record of %d bytes", size)
	}
}
