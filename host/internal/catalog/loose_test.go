package catalog

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// loose is a file that goes when nothing needs it.
func loose(name, path string, file int32) *pb.Operation {
	o := stored(name, path, path, file)
	o.Loose, o.Replace = true, true
	return o
}

// needing is a file that needs others.
func needing(name, version string, file int32, paths ...string) *pb.Operation {
	o := stored(name, version, "/of-"+version, file)
	o.Needs = paths
	return o
}

// paths are those of a package's files.
func (s *shelf) paths(t *testing.T, name string) string {
	t.Helper()
	p, err := s.Package("r", name)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		return ""
	}
	var all []string
	for _, f := range p.Files {
		all = append(all, f.Path)
	}
	return strings.Join(all, " ")
}

func (s *shelf) swept(t *testing.T, since time.Time, want int) {
	t.Helper()
	files, _, err := s.Sweep("r", since, since.Add(time.Hour), nil)
	if err != nil || files != want {
		t.Errorf("%d files are swept (%v), want %d", files, err, want)
	}
}

func TestLooseFilesGoWhenNothingNeedsThem(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var freed []blobs.Digest
	s.Freed = func(d blobs.Digest) { freed = append(freed, d) }
	s.must(t, []string{"a", "b", "c", "m"}, loose("boat", "/a", 0), loose("boat", "/b", 1), loose("boat", "/c", 2), needing("boat", "1", 3, "/a", "/b"))

	s.swept(t, noon.Add(-time.Second), 0)
	if got := s.paths(t, "boat"); got != "/a /b /c /of-1" {
		t.Errorf("before its time %s is there", got)
	}
	s.swept(t, noon.Add(time.Second), 1)
	if got := s.paths(t, "boat"); got != "/a /b /of-1" {
		t.Errorf("after it %s is there", got)
	}
	if want := blobs.Digest(sha256.Sum256([]byte("c"))); !slices.Equal(freed, []blobs.Digest{want}) {
		t.Errorf("freed are %v", freed)
	}

	// What is freed stays for as long as what is new.
	gone := s.change(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "1", ""))
	gone.Now = noon.Add(2 * time.Hour)
	if err := s.Apply(gone); err != nil {
		t.Fatal(err)
	}
	s.reopen(t)
	s.swept(t, noon.Add(time.Hour), 0)
	if got := s.paths(t, "boat"); got != "/a /b" {
		t.Errorf("what was freed a moment ago is gone: %s is there", got)
	}
	s.swept(t, noon.Add(3*time.Hour), 2)
	if left := s.records(t); len(left) != 0 {
		t.Errorf("of a package without files is left %q", left)
	}
}

func TestWhatSomebodyReliesOnStays(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"a", "b"}, loose("boat", "/a", 0), loose("boat", "/b", 1))
	if err := s.Use("r", "boat", "/a", noon.Add(2*time.Hour), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.swept(t, noon.Add(time.Hour), 1)
	if got := s.paths(t, "boat"); got != "/a" {
		t.Errorf("%s is there, want /a", got)
	}
	before := s.revision(t, "boat")
	if err := s.Use("r", "boat", "/a", noon.Add(2*time.Hour+time.Second), time.Minute); err != nil || s.revision(t, "boat") != before {
		t.Errorf("a use a moment later is written again (%v)", err)
	}
	// A decision that was made before the sweep is made again.
	late := s.change(t, []string{"m"}, needing("boat", "1", 0, "/a"))
	s.swept(t, noon.Add(3*time.Hour), 1)
	if err := s.Apply(late); err == nil {
		t.Error("a version is published whose files were swept meanwhile")
	}
}

// TestNeedsOfNeeds has a loose file need another.
func TestNeedsOfNeeds(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	middle := loose("boat", "/middle", 0)
	middle.Needs = []string{"/end", "/middle"}
	s.must(t, []string{"a", "b", "m"}, middle, loose("boat", "/end", 1), needing("boat", "1", 2, "/middle"))
	s.swept(t, noon.Add(time.Hour), 0)
}

// TestLooseFilesGoInAPackageThatIsInUse deletes one version after another: each
// time only what that one needed begins its time anew.
func TestLooseFilesGoInAPackageThatIsInUse(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(t, []string{"a", "b", "m", "n"},
		loose("boat", "/a", 0), loose("boat", "/b", 1), needing("boat", "1", 2, "/a"), needing("boat", "2", 3, "/b"))
	for i, version := range []string{"1", "2"} {
		gone := s.change(t, nil, operation(pb.Operation_KIND_DELETE, "boat", version, ""))
		gone.Now = noon.Add(time.Duration(i+1) * time.Hour)
		if err := s.Apply(gone); err != nil {
			t.Fatal(err)
		}
	}
	s.swept(t, noon.Add(90*time.Minute), 1)
	if got := s.paths(t, "boat"); got != "/b" {
		t.Errorf("after what freed /a, and before what freed /b, %s is there", got)
	}
}

// TestLooseFilesThatAnUploadMayRelyOn keeps what was in use when an upload began
// that has not ended, and nothing else.
func TestLooseFilesThatAnUploadMayRelyOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		began time.Duration // after what is there was published
		want  int
	}{
		"one that began while it was in use":       {59 * time.Minute, 0},
		"one that began when that was long ago":    {61 * time.Minute, 1},
		"one that began before it was there":       {-time.Hour, 0},
		"one that began just now, of a busy place": {3 * time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			s.must(t, []string{"a"}, loose("boat", "/a", 0))
			now := noon.Add(3 * time.Hour)
			files, _, err := s.Sweep("r", now.Add(-time.Hour), now, map[string]time.Time{"boat": noon.Add(test.began)})
			if err != nil || files != test.want {
				t.Errorf("%d files are swept (%v), want %d", files, err, test.want)
			}
		})
	}
}
