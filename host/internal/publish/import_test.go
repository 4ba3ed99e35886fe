package publish

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/transfer"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// shop is a publisher with one repository.
type shop struct {
	*Publisher
	repo *cache.Repository
}

func newShop(t *testing.T) *shop {
	t.Helper()
	dir, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	b, err := blobs.Open(dir, blobs.Options{Limit: 1 << 30, Pinned: cache.Pinned(dir.Keep)}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.New(config.Cooldown{}, dir.Keep)
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(cache.Options{Dir: dir, Blobs: b, Policy: rules, Log: hclog.NewNullLogger()})
	t.Cleanup(c.Close)
	p, err := New(c, b, dir.Keep, filepath.Join(dir.Path, "uploads"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return &shop{p, &cache.Repository{Repository: &config.Repository{
		Name: "r", Plugin: "boats", MaxArtifact: 1000, Hosted: &config.Hosted{Names: []string{"boat*"}},
	}}}
}

var launched = time.Date(2020, 2, 3, 4, 5, 6, 7000, time.UTC)

// exported is a file of an export, whose path and content are its version.
func exported(version string) *transfer.File {
	sum := sha256.Sum256([]byte(version))
	return &transfer.File{
		Version: version, Path: "/" + version, Size: int64(len(version)), Digests: map[string]string{"sha256": fmt.Sprintf("%x", sum)},
		Published: launched, Extra: []byte("of " + version),
	}
}

// imports imports a package whose files hold what content makes of their
// versions.
func (s *shop) imports(t *testing.T, about *transfer.Package, content func(string) string, files ...*transfer.File) (Imported, error) {
	t.Helper()
	i := 0
	return s.Import(t.Context(), s.repo, about, files, func() (io.Reader, error) {
		for files[i].Path == "" {
			i++
		}
		i++
		return strings.NewReader(content(files[i-1].Version)), nil
	})
}

func plain(version string) string { return version }

func boat(tags map[string]string) *transfer.Package {
	return &transfer.Package{Repository: "elsewhere", Plugin: "boats", Name: "boat", Tags: tags, Owners: []string{"joe"}, Extra: []byte("extra")}
}

// described is all that is hosted of the package.
func (s *shop) described(t *testing.T) string {
	t.Helper()
	p, err := s.cache.Catalog().Package("r", "boat")
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
	fmt.Fprintf(&b, "%v %s", p.Owners, p.Extra)
	for _, f := range p.Files {
		fmt.Fprintf(&b, "\n%s %s %s %t %q %s", f.Version, f.Path, f.Extra, f.Yanked, f.Message, f.Published.UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

// bodies counts those on the disk, and what is put aside.
func (s *shop) bodies(t *testing.T) (n int) {
	t.Helper()
	for _, prefix := range []string{asideKey, pinKey} {
		if err := s.keep.Each(prefix, true, func(k string, _ []byte) bool {
			if prefix == asideKey || strings.Contains(k, asideKey) {
				t.Errorf("%q is left", k)
			}
			n++
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestImportOfVeryManyTags has more of them than fit one change.
func TestImportOfVeryManyTags(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tags := map[string]string{}
	for i := range 30000 {
		tags[fmt.Sprint("tag-", i)] = "1"
	}
	if _, err := s.imports(t, boat(tags), plain, exported("1")); err != nil {
		t.Fatal(err)
	}
	p, err := s.cache.Catalog().Package("r", "boat")
	if err != nil || !maps.Equal(p.Tags, tags) || !slices.Equal(p.Owners, []string{"joe"}) {
		t.Errorf("there are %d tags and the owners %v (%v)", len(p.Tags), p.Owners, err)
	}
}

func TestImportTellsAllAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	yanked, old := exported("2"), exported("1")
	yanked.Yanked, yanked.Message, old.Message = true, "it sank", "old"
	bare := &transfer.File{Version: "4", Published: launched, Extra: []byte("of 4")}
	about := boat(map[string]string{"latest": "3"})
	want := "latest=3 [joe] extra"
	for _, line := range []string{`1 /1 of 1 false "old"`, `2 /2 of 2 true "it sank"`, `3 /3 of 3 false ""`, `4  of 4 false ""`} {
		want += "\n" + line + " 2020-02-03T04:05:06.000007Z"
	}
	for i, counts := range []Imported{{Added: 4}, {Present: 4}} {
		done, err := s.imports(t, about, plain, old, yanked, exported("3"), bare)
		if err != nil || done.Added != counts.Added || done.Present != counts.Present || done.Problems != nil {
			t.Errorf("import %d: %+v (%v), want %+v", i, done, err, counts)
		}
		if got := s.described(t); got != want {
			t.Errorf("after import %d it is\n%s\nwant\n%s", i, got, want)
		}
	}
	if n := s.bodies(t); n != 3 {
		t.Errorf("%d bodies are kept, want 3", n)
	}
	p, err := s.cache.Catalog().Package("r", "boat")
	if err != nil {
		t.Fatal(err)
	}
	before := p.Revision
	if _, err := s.imports(t, about, plain, old, yanked, exported("3"), bare); err != nil {
		t.Fatal(err)
	}
	if p, err = s.cache.Catalog().Package("r", "boat"); err != nil || p.Revision != before {
		t.Errorf("an import of what is there changes the package (%v)", err)
	}
}

func TestImportKeepsWhatWentItsOwnWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.imports(t, boat(map[string]string{"latest": "1"}), plain, exported("1")); err != nil {
		t.Fatal(err)
	}
	// The export's package went on: its tags are followed.
	if _, err := s.imports(t, boat(map[string]string{"latest": "2"}), plain, exported("1"), exported("2")); err != nil {
		t.Fatal(err)
	}
	if got := s.described(t); !strings.HasPrefix(got, "latest=2 ") {
		t.Errorf("it is %s", got)
	}
	// Ours went on: it stays where it is, also yanked.
	if err := s.cache.Catalog().Apply(catalog.Change{Repository: "r", Blind: true, Now: time.Now(), Operations: []*pb.Operation{
		{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: "boat", Version: "9"}, File: -1},
		{Kind: pb.Operation_KIND_TAG, Version: &pb.Version{Name: "boat", Version: "9"}, Value: "latest"},
		{Kind: pb.Operation_KIND_YANK, Version: &pb.Version{Name: "boat", Version: "1"}, Value: "it burns"},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.imports(t, boat(map[string]string{"latest": "2", "old": "1"}), plain, exported("1"), exported("2")); err != nil {
		t.Fatal(err)
	}
	if got := s.described(t); !strings.HasPrefix(got, "latest=9 old=1 ") || !strings.Contains(got, `1 /1 of 1 true "it burns"`) {
		t.Errorf("it is %s", got)
	}
}

// TestImportKeepsSpellingsApart has an export bring a version that is the same as
// one that is here.
func TestImportKeepsSpellingsApart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	first, again, other := exported("1.0"), exported("1"), exported("2")
	first.Canonical, again.Canonical = "1", "1"
	if _, err := s.imports(t, boat(nil), plain, first); err != nil {
		t.Fatal(err)
	}
	got, err := s.imports(t, boat(nil), plain, again, other)
	if err != nil || got.Added != 1 || len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "boat 1 is the same version as 1.0") {
		t.Errorf("it is imported as %+v (%v)", got, err)
	}
	if got := s.described(t); strings.Contains(got, "\n1 ") || !strings.Contains(got, "\n1.0 ") || !strings.Contains(got, "\n2 ") {
		t.Errorf("it is %s", got)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.imports(t, boat(nil), plain, exported("1")); err != nil {
		t.Fatal(err)
	}
	before := s.described(t)
	changed := exported("1")
	changed.Digests = map[string]string{"sha256": strings.Repeat("0", 64)}
	odd := exported("2")
	odd.Digests["md5"] = "00"
	large := exported(strings.Repeat("x", 1001))
	for name, row := range map[string]struct {
		file    *transfer.File
		content func(string) string
		says    string
	}{
		"other bytes of what is there": {changed, plain, "what is published does not change"},
		"bytes with another digest":    {exported("2"), func(string) string { return "evil" }, "is damaged: its sha256"},
		"one wrong digest of several":  {odd, plain, "is damaged: its md5"},
		"what is too large":            {large, plain, "larger than max_artifact"},
	} {
		done, err := s.imports(t, boat(nil), row.content, row.file)
		if err != nil || len(done.Problems) != 1 || !strings.Contains(done.Problems[0], row.says) || done.Added != 0 {
			t.Errorf("%s: %+v (%v), want %q", name, done, err, row.says)
		}
		if got := s.described(t); got != before {
			t.Errorf("%s: it is\n%s", name, got)
		}
	}
	other := boat(nil)
	other.Plugin = "ships"
	if _, err := s.imports(t, other, plain, exported("2")); err == nil || !strings.Contains(err.Error(), "of plugin ships") {
		t.Errorf("another plugin's package: %v", err)
	}
	public := boat(nil)
	public.Name = "ferry"
	var refused *cache.Failure
	if _, err := s.imports(t, public, plain, exported("2")); !errors.As(err, &refused) || refused.Kind != pb.ErrorKind_ERROR_KIND_REFUSED {
		t.Errorf("a name that is not ours: %v", err)
	}
	s.repo.Hosted.Quota = 3
	if _, err := s.imports(t, boat(nil), plain, exported("2"), exported("333")); !errors.As(err, &refused) || refused.Kind != pb.ErrorKind_ERROR_KIND_TOO_LARGE {
		t.Errorf("beyond the quota: %v", err)
	}
	if got := s.described(t); got != before {
		t.Errorf("beyond the quota it is\n%s", got)
	}
	if s.bodies(t) != 1 || s.blobs.Has(sha256.Sum256([]byte("333"))) {
		t.Error("what was refused is on the disk")
	}
}

// TestWhatIsGoneElsewhereIsGone imports a package of which a version was deleted
// for good.
func TestWhatIsGoneElsewhereIsGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	about := boat(nil)
	about.Gone = map[string]transfer.Gone{"/2": {Version: "2", SHA256: exported("2").Digests["sha256"]}, "/3": {Version: "3", SHA256: exported("3").Digests["sha256"]}}
	if done, err := s.imports(t, about, plain, exported("1")); err != nil || done.Added != 1 {
		t.Fatalf("%+v (%v)", done, err)
	}
	other := exported("other")
	other.Version, other.Path = "2", "/2"
	if _, err := s.imports(t, boat(nil), func(string) string { return "other" }, other); err == nil || !strings.Contains(err.Error(), "was published with other bytes and deleted") {
		t.Errorf("other bytes: %v", err)
	}
	if done, err := s.imports(t, boat(nil), plain, exported("3")); err != nil || done.Added != 1 {
		t.Errorf("the same bytes: %+v (%v)", done, err)
	}
	about.Gone["/4"] = transfer.Gone{SHA256: "x"}
	if _, err := s.imports(t, about, plain); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a list that is damaged: %v", err)
	}
}

// TestStartDropsWhatWasPutAside has a host that was killed between writing files
// and publishing them.
func TestStartDropsWhatWasPutAside(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	w, err := s.blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("aside")); err != nil {
		t.Fatal(err)
	}
	d := w.Digest()
	if err := s.pin(newAside(), []blobs.Digest{d}, store.Change{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(nil, true); err != nil {
		t.Fatal(err)
	}
	if err := s.sweep(); err != nil {
		t.Fatal(err)
	}
	if n := s.bodies(t); n != 0 || s.blobs.Has(d) {
		t.Errorf("%d pins and the body (%t) are left", n, s.blobs.Has(d))
	}
}
