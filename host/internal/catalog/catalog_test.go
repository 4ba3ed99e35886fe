package catalog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// shelf is a catalogue on disk that can be opened again.
type shelf struct {
	*Catalog
	dir  *store.Dir
	path string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{path: t.TempDir()}
	s.open(t)
	t.Cleanup(func() { s.dir.Close() })
	return s
}

func (s *shelf) open(t *testing.T) {
	t.Helper()
	var err error
	if s.dir, err = store.Open(s.path, hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	s.Catalog = New(s.dir.Keep)
}

// reopen is what a restart does.
func (s *shelf) reopen(t *testing.T) {
	t.Helper()
	if err := s.dir.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(t)
}

// noon is when the first change of a test happens.
var noon = time.Date(2025, 6, 10, 12, 0, 0, 0, time.UTC)

// change makes a change of one repository on what is there now.
func (s *shelf) change(t *testing.T, bodies []string, operations ...*pb.Operation) Change {
	t.Helper()
	ch := Change{Repository: "r", Operations: operations, Revisions: map[string]uint64{}, Now: noon}
	for _, body := range bodies {
		d := blobs.Digest(sha256.Sum256([]byte(body)))
		ch.Bodies = append(ch.Bodies, Body{Digest: d, Size: int64(len(body)), Digests: map[string][]byte{"sha256": d[:]}})
	}
	for _, name := range Names(operations) {
		ch.Revisions[name] = s.revision(t, name)
	}
	return ch
}

func (s *shelf) revision(t *testing.T, name string) uint64 {
	t.Helper()
	p, err := s.Package("r", name)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		return 0
	}
	return p.Revision
}

// must applies operations.
func (s *shelf) must(t *testing.T, bodies []string, operations ...*pb.Operation) {
	t.Helper()
	if err := s.Apply(s.change(t, bodies, operations...)); err != nil {
		t.Fatal(err)
	}
}

func operation(kind pb.Operation_Kind, name, version, value string) *pb.Operation {
	return &pb.Operation{Kind: kind, Version: &pb.Version{Name: name, Version: version}, Value: value}
}

func stored(name, version, path string, file int32) *pb.Operation {
	return &pb.Operation{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: name, Version: version}, Path: path, Extra: []byte("extra of " + version), File: file}
}

// described is all that is kept of a package.
func (s *shelf) described(t *testing.T, name string) string {
	t.Helper()
	p, err := s.Package("r", name)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		return ""
	}
	var b strings.Builder
	for _, tag := range slices.Sorted(maps.Keys(p.Tags)) {
		fmt.Fprintf(&b, "%s=%s ", tag, p.Tags[tag])
	}
	fmt.Fprintf(&b, "%v %s\n", p.Owners, p.Extra)
	for _, f := range p.Files {
		fmt.Fprintf(&b, "%d %s %s %s %d %t %s\n", f.Number, f.Version, f.Path, f.Extra, f.Size, f.Yanked, f.Message)
	}
	return b.String()
}

// records are all records of hosted things.
func (s *shelf) records(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, prefix := range []string{packageKey, fileKey, pathKey, tagKey, pinKey} {
		if err := s.dir.Keep.Each(prefix, true, func(k string, _ []byte) bool {
			all = append(all, strings.ReplaceAll(k, "\x00", " "))
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// holds fails unless a package is as it should be, now and after a restart.
func (s *shelf) holds(t *testing.T, name, want string) {
	t.Helper()
	if got := s.described(t, name); got != want {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
	s.reopen(t)
	if got := s.described(t, name); got != want {
		t.Errorf("after a restart %s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestPublicationsAreKept(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one", "four"},
		stored("boat", "1.0.0", "/boat-1.tgz", 0), stored("boat", "1.0.0", "/boat-1.whl", 1),
		operation(pb.Operation_KIND_TAG, "boat", "1.0.0", "latest"), operation(pb.Operation_KIND_OWN, "boat", "", "joe"),
		&pb.Operation{Kind: pb.Operation_KIND_EXTRA, Version: &pb.Version{Name: "boat"}, Extra: []byte("extra")})
	s.must(t, []string{"two"}, stored("boat", "2.0.0", "/boat-2.tgz", 0), operation(pb.Operation_KIND_TAG, "boat", "2.0.0", "latest"))
	s.holds(t, "boat", "latest=2.0.0 [joe] extra\n0 1.0.0 /boat-1.tgz extra of 1.0.0 3 false \n1 1.0.0 /boat-1.whl extra of 1.0.0 4 false \n2 2.0.0 /boat-2.tgz extra of 2.0.0 3 false \n")

	p, f, err := s.At("r", "/boat-1.whl", "")
	if err != nil || p == nil || f == nil || p.Name != "boat" || f.Body != sha256.Sum256([]byte("four")) || !f.Published.Equal(noon) {
		t.Errorf("at its path there is %v %v (%v)", p, f, err)
	}
	if p, f, err := s.At("other", "/boat-1.whl", ""); p != nil || f != nil || err != nil {
		t.Errorf("another repository has it too: %v %v %v", p, f, err)
	}
	if size, err := s.Size("r"); size != 10 || err != nil {
		t.Errorf("the repository has %d bytes (%v), want 10", size, err)
	}
	s.must(t, []string{"x"}, stored("bolt", "1", "/bolt", 0))
	s.must(t, []string{"x"}, stored("@a/boat", "1", "/a-boat", 0))
	for pattern, want := range map[string][]string{"*": {"@a/boat", "boat", "bolt"}, "bo*": {"boat", "bolt"}, "boa": nil} {
		if names, err := s.Names("r", pattern); !slices.Equal(names, want) || err != nil {
			t.Errorf("%q are %v (%v)", pattern, names, err)
		}
	}
	wire := p.Wire()
	if len(wire.GetEntries()) != 3 || wire.GetRevision() != p.Revision || wire.GetEntries()[1].GetPublishedMs() != noon.UnixMilli() || len(wire.GetEntries()[1].GetDigests()) != 1 {
		t.Errorf("plugins get %v", wire)
	}
}

func TestMarksAreOfVersions(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one", "two"}, stored("boat", "1", "/1a", 0), stored("boat", "1", "/1b", 1), stored("boat", "2", "/2", 0))
	s.must(t, nil, operation(pb.Operation_KIND_YANK, "boat", "1", "it sank"), operation(pb.Operation_KIND_DEPRECATE, "boat", "2", "old"))
	s.must(t, []string{"three"}, stored("boat", "1", "/1c", 0))
	s.holds(t, "boat", "[] \n0 1 /1a extra of 1 3 true it sank\n1 1 /1b extra of 1 3 true it sank\n2 2 /2 extra of 2 3 false old\n3 1 /1c extra of 1 5 true it sank\n")
	s.must(t, nil, operation(pb.Operation_KIND_UNYANK, "boat", "1", ""), operation(pb.Operation_KIND_DEPRECATE, "boat", "2", ""))
	s.holds(t, "boat", "[] \n0 1 /1a extra of 1 3 false \n1 1 /1b extra of 1 3 false \n2 2 /2 extra of 2 3 false \n3 1 /1c extra of 1 5 false \n")
}

func TestMarksOfMissingVersions(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	for _, kind := range []pb.Operation_Kind{pb.Operation_KIND_TAG, pb.Operation_KIND_YANK, pb.Operation_KIND_UNYANK, pb.Operation_KIND_DEPRECATE} {
		var missing *MissingError
		if err := s.Apply(s.change(t, nil, operation(kind, "boat", "2", "x"))); !errors.As(err, &missing) || missing.Name != "boat" || missing.Version != "2" {
			t.Errorf("%s of a version that is not there: %v", kind, err)
		}
	}
}

// TestVersionsAreSpelledOnce has versions that are the same to clients, one after
// the other and at once, and one in the place of another.
func TestVersionsAreSpelledOnce(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	spelled := func(version, canonical string, file int32) *pb.Operation {
		o := stored("boat", version, "/"+version, file)
		o.Version.Canonical = canonical
		return o
	}
	s.must(t, []string{"one"}, spelled("1.0", "1", 0))
	s.reopen(t)
	for _, bodies := range [][]string{{"one"}, {"other"}} {
		var same *SpelledError
		if err := s.Apply(s.change(t, bodies, spelled("1", "1", 0))); !errors.As(err, &same) || same.Other != "1.0" {
			t.Errorf("1 beside 1.0: %v", err)
		}
	}
	if err := s.Apply(s.change(t, []string{"a", "b"}, spelled("2.0", "2", 0), spelled("2", "2", 1))); err == nil {
		t.Error("two spellings are stored at once")
	}
	s.must(t, []string{"more"}, operation(pb.Operation_KIND_DELETE, "boat", "1.0", ""), spelled("1", "1", 0))
	s.holds(t, "boat", "[] \n1 1 /1 extra of 1 4 false \n")
}

func TestTagsAndOwners(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0), stored("boat", "2", "/2", 0))
	s.must(t, nil,
		operation(pb.Operation_KIND_TAG, "boat", "1", "old"), operation(pb.Operation_KIND_TAG, "boat", "2", "latest"), operation(pb.Operation_KIND_TAG, "boat", "2", "gone"),
		operation(pb.Operation_KIND_UNTAG, "boat", "", "gone"), operation(pb.Operation_KIND_UNTAG, "boat", "", "never"),
		operation(pb.Operation_KIND_OWN, "boat", "", "joe"), operation(pb.Operation_KIND_OWN, "boat", "", "joe"), operation(pb.Operation_KIND_OWN, "boat", "", "ann"),
		operation(pb.Operation_KIND_DISOWN, "boat", "", "joe"))
	s.holds(t, "boat", "latest=2 old=1 [ann] \n0 1 /1 extra of 1 3 false \n1 2 /2 extra of 2 3 false \n")
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "2", ""))
	s.holds(t, "boat", "old=1 [ann] \n0 1 /1 extra of 1 3 false \n")
}

func TestDeleting(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one", "two"}, stored("boat", "1", "/1a", 0), stored("boat", "1", "/1b", 1), stored("boat", "2", "/2", 0), operation(pb.Operation_KIND_OWN, "boat", "", "joe"))
	s.must(t, []string{"one"}, stored("other", "1", "/other", 0))
	other := s.records(t)
	file := operation(pb.Operation_KIND_DELETE, "boat", "1", "")
	file.Path = "/1a"
	s.must(t, nil, file)
	s.holds(t, "boat", "[joe] \n1 1 /1b extra of 1 3 false \n2 2 /2 extra of 2 3 false \n")
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "1", ""))
	s.holds(t, "boat", "[joe] \n2 2 /2 extra of 2 3 false \n")
	if p, f, err := s.At("r", "/1b", "boat"); p != nil || f != nil || err != nil {
		t.Errorf("at the path of a deleted file there is %v %v %v", p, f, err)
	}
	before := s.revision(t, "boat")
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "", ""))
	s.holds(t, "boat", "")
	other = slices.DeleteFunc(other, func(k string) bool {
		return strings.Contains(k, "boat") || strings.Contains(k, "/1") || strings.Contains(k, "/2")
	})
	if left := s.records(t); !slices.Equal(left, other) {
		t.Errorf("a deleted package leaves\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(other, "\n"))
	}
	ch := s.change(t, []string{"new"}, stored("boat", "1", "/1a", 0))
	ch.Now = noon.Add(time.Second)
	if err := s.Apply(ch); err != nil {
		t.Fatal(err)
	}
	if s.revision(t, "boat") <= before {
		t.Error("a package that is published again has a revision that it had before")
	}
}

func TestPublishedFilesDoNotChange(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	err := s.Apply(s.change(t, []string{"longer"}, stored("boat", "1", "/1", 0)))
	var exists *ExistsError
	if !errors.As(err, &exists) || exists.Version != "1" {
		t.Fatalf("storing it twice: %v", err)
	}
	s.holds(t, "boat", "[] \n0 1 /1 extra of 1 3 false \n")

	ch := s.change(t, []string{"longer"}, stored("boat", "1", "/1", 0))
	ch.Overwrite = true
	if err := s.Apply(ch); err != nil {
		t.Fatal(err)
	}
	s.holds(t, "boat", "[] \n0 1 /1 extra of 1 6 false \n")
	again := stored("boat", "1", "/1", 0)
	again.Replace = true
	s.must(t, []string{"the longest"}, again)
	s.holds(t, "boat", "[] \n0 1 /1 extra of 1 11 false \n")
	pins := 0
	for _, k := range s.records(t) {
		if strings.HasPrefix(k, pinKey) {
			pins++
		}
	}
	if pins != 1 {
		t.Errorf("of a file that was replaced twice %d bodies are pinned, want 1", pins)
	}
}

// TestAllOrNothing has the last of several operations fail.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"one"}, stored("boat", "1", "/1", 0))
	s.must(t, []string{"one"}, stored("taken", "1", "/taken", 0))
	before, epoch := s.records(t), s.Epoch("r")
	good := func() []*pb.Operation {
		return []*pb.Operation{stored("boat", "2", "/2", 0), operation(pb.Operation_KIND_TAG, "boat", "2", "latest"), stored("new", "1", "/new", 0)}
	}
	for name, bad := range map[string]*pb.Operation{
		"a version that exists":            stored("boat", "1", "/1", 0),
		"a path of another package":        stored("boat", "3", "/taken", 0),
		"a file that was not uploaded":     stored("boat", "3", "/3", 7),
		"a file without a path":            stored("boat", "3", "", 0),
		"a tag on nothing":                 operation(pb.Operation_KIND_TAG, "boat", "9", "next"),
		"a yank of nothing":                operation(pb.Operation_KIND_YANK, "boat", "9", ""),
		"a deprecation of nothing":         operation(pb.Operation_KIND_DEPRECATE, "boat", "9", "old"),
		"an operation that is not known":   operation(99, "boat", "1", ""),
		"an operation that says not which": operation(0, "boat", "1", ""),
	} {
		ch := s.change(t, []string{"two"}, append(good(), bad)...)
		ch.Records = store.Change{pinKey + "by the way": []byte{}}
		if err := s.Apply(ch); err == nil {
			t.Errorf("%s is done", name)
		}
		if after := s.records(t); !slices.Equal(after, before) || s.Epoch("r") != epoch {
			t.Fatalf("%s leaves\n%s", name, strings.Join(after, "\n"))
		}
	}
	s.must(t, []string{"two"}, good()...)
	if s.described(t, "new") == "" || s.Epoch("r") == epoch {
		t.Error("a change of two packages is not there, or cannot be noticed")
	}
}

func TestDecisionsOnOldStatesAreRefused(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first := s.change(t, []string{"one"}, stored("boat", "1", "/1", 0))
	second := s.change(t, []string{"two"}, stored("boat", "2", "/2", 0))
	unseen := s.change(t, []string{"two"}, stored("boat", "2", "/2", 0))
	unseen.Revisions = nil
	if err := s.Apply(first); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(second); !errors.Is(err, ErrChanged) {
		t.Errorf("a change that was decided before another: %v", err)
	}
	if err := s.Apply(unseen); err == nil {
		t.Error("a package is changed that nobody looked at")
	}
	s.holds(t, "boat", "[] \n0 1 /1 extra of 1 3 false \n")
	s.must(t, []string{"two"}, stored("boat", "2", "/2", 0))
}

// TestAtOnce has many publish at once: each version once, and each revision
// decided on once.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	const rivals, versions = 4, 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[string]int{}
	for i := range rivals * versions {
		version := fmt.Sprint(i % versions)
		wg.Go(func() {
			for {
				err := s.Apply(s.change(t, []string{fmt.Sprint(i)}, stored("boat", version, "/"+version, 0), operation(pb.Operation_KIND_TAG, "boat", version, "latest")))
				var exists *ExistsError
				switch {
				case errors.Is(err, ErrChanged):
					continue
				case err == nil:
					mu.Lock()
					won[version]++
					mu.Unlock()
				case !errors.As(err, &exists):
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	for version, n := range won {
		if n != 1 {
			t.Errorf("version %s was published %d times", version, n)
		}
	}
	s.reopen(t)
	p, err := s.Package("r", "boat")
	if err != nil || len(p.Files) != versions || len(won) != versions || p.Tags["latest"] == "" {
		t.Errorf("there is %v (%v)", p, err)
	}
}
