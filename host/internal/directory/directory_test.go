package directory

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// tree is a directory of files that say "name version", and a scanner whose
// plugin reads them so.
type tree struct {
	*Scanner
	t        testing.TB
	root     string
	repo     *cache.Repository
	log      strings.Builder
	inspects atomic.Int64
	clock    time.Time
}

func newTree(t testing.TB, match ...string) *tree {
	t.Helper()
	dir, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	bodies, err := blobs.Open(dir, blobs.Options{Limit: 1 << 30}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(dir.Keep)
	tr := &tree{t: t, root: t.TempDir(), clock: time.Now().Add(-time.Hour)}
	tr.Scanner = New(c, bodies, dir.Keep, hclog.New(&hclog.LoggerOptions{Output: &tr.log, DisableTime: true}))
	tr.inspect = func(_ context.Context, _ *cache.Repository, file *pb.PackageFile, _ []wire.Member, _ ...*pb.Measured) (*pb.InspectResponse, error) {
		tr.inspects.Add(1)
		text, _, _ := strings.Cut(path.Base(file.GetName()), ".")
		name, version, ok := strings.Cut(text, "_")
		if !ok {
			return &pb.InspectResponse{Failure: &pb.Failure{Message: "it is no package"}}, nil
		}
		return &pb.InspectResponse{Entry: &pb.Entry{
			Version: &pb.Version{Name: name, Version: version}, Path: "/" + version, Extra: []byte("of " + name),
		}}, nil
	}
	tr.repo = &cache.Repository{
		Repository: &config.Repository{Name: "r", Hosted: &config.Hosted{}, Directories: []*config.Directory{{Path: tr.root, Match: match}}},
		Describe:   &pb.DescribeResponse{},
		Upstreams:  &upstream.Set{},
	}
	return tr
}

// write makes files, each a minute younger than the one before.
func (tr *tree) write(names ...string) {
	tr.t.Helper()
	for _, name := range names {
		file := filepath.Join(tr.root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			tr.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			tr.t.Fatal(err)
		}
		tr.clock = tr.clock.Add(time.Minute / 4)
		if err := os.Chtimes(file, tr.clock, tr.clock); err != nil {
			tr.t.Fatal(err)
		}
	}
}

// scans expects what a scan finds.
func (tr *tree) scans(want Result) {
	tr.t.Helper()
	got, err := tr.Scan(tr.t.Context(), tr.repo)
	if err != nil || got != want {
		tr.t.Errorf("a scan finds %+v (%v), want %+v", got, err, want)
	}
}

// has expects the files that are served, as "name version".
func (tr *tree) has(want ...string) {
	tr.t.Helper()
	var got []string
	names, err := tr.catalog.Names("r", "*")
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, name := range names {
		p, err := tr.catalog.Package("r", name)
		if err != nil {
			tr.t.Fatal(err)
		}
		for _, f := range p.Files {
			got = append(got, name+" "+f.Version)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		tr.t.Errorf("%v are served, want %v", got, want)
	}
}

func TestScansFollowATree(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("boat_1.tgz", "deep/down/boat_2.tgz", "readme", ".hidden_9.tgz", ".git/boat_8.tgz")
	tr.scans(Result{Files: 3, Added: 2, Bad: 1})
	tr.has("boat 1", "boat 2")
	if n := tr.inspects.Load(); n != 3 || strings.Count(tr.log.String(), "readme") != 1 {
		t.Errorf("%d files are looked into:\n%s", n, tr.log.String())
	}
	tr.scans(Result{Files: 3})
	if n := tr.inspects.Load(); n != 3 {
		t.Errorf("an unchanged tree is looked into: %d", n-3)
	}
	tr.write("boat_1.tgz", "ship_1a.tgz")
	if err := os.RemoveAll(filepath.Join(tr.root, "deep")); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 3, Added: 2, Removed: 1})
	tr.has("boat 1", "ship 1a")
	p, err := tr.catalog.Package("r", "boat")
	if err != nil || !p.Files[0].Published.Before(tr.clock) || p.Files[0].Source != filepath.Join(tr.root, "boat_1.tgz") {
		t.Errorf("the file is %+v (%v)", p.Files[0], err)
	}
	tr.repo.Directories = nil
	tr.scans(Result{Removed: 2})
	tr.has()
}

// TestOneBadFileDoesNotSpoilItsBatch has files that cannot be served beside
// others: the same path twice, and another package's.
func TestOneBadFileDoesNotSpoilItsBatch(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("a/boat_1.tgz", "b/boat_1.tgz", "c/ship_1.tgz", "c/ship_2.tgz")
	tr.scans(Result{Files: 4, Added: 2, Bad: 2})
	tr.has("boat 1", "ship 2")
	for _, want := range []string{"another file is served as /1", "/1 belongs to another package: boat"} {
		if strings.Count(tr.log.String(), want) != 1 {
			t.Errorf("%q is not said once:\n%s", want, tr.log.String())
		}
	}
	tr.scans(Result{Files: 4})
}

// TestMovedFilesAreServedFromWhereTheyAre has files that change their places,
// also for each other's, and one that is copied before it goes.
func TestMovedFilesAreServedFromWhereTheyAre(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("b/boat_1.tgz", "b/boat_2.tgz")
	tr.scans(Result{Files: 2, Added: 2})
	if err := os.Rename(filepath.Join(tr.root, "b"), filepath.Join(tr.root, "a")); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 2, Added: 2, Removed: 2})
	tr.has("boat 1", "boat 2")
	p, err := tr.catalog.Package("r", "boat")
	if err != nil || filepath.Dir(p.Files[0].Source) != filepath.Join(tr.root, "a") {
		t.Errorf("it is served from %s (%v)", p.Files[0].Source, err)
	}
	if tr.log.Len() > 0 {
		t.Errorf("it says %s", tr.log.String())
	}
}

func TestPatternsChoose(t *testing.T) {
	t.Parallel()
	tr := newTree(t, "release/**.tgz", "*.whl")
	tr.write("boat_1.tgz", "release/boat_2.tgz", "release/deep/boat_3.tgz", "release/boat_4.zip", "boat_5.whl", "deep/boat_6.whl")
	tr.scans(Result{Files: 3, Added: 3})
	tr.has("boat 2", "boat 3", "boat 5")
}

func TestManyFilesOfOnePackage(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	var want []string
	for i := range 3*batch + 7 {
		tr.write(fmt.Sprintf("boat_%d.tgz", i))
		want = append(want, fmt.Sprintf("boat %d", i))
	}
	tr.scans(Result{Files: len(want), Added: len(want)})
	tr.has(want...)
	tr.scans(Result{Files: len(want)})
}

// TestFileBeingWrittenIsWaitedFor has a file that is no package, and is young.
func TestFileBeingWrittenIsWaitedFor(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("half")
	now := time.Now()
	if err := os.Chtimes(filepath.Join(tr.root, "half"), now, now); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 1, Unsettled: 1})
	if tr.log.Len() > 0 {
		t.Errorf("it says %s", tr.log.String())
	}
	tr.write("half") // which is old now
	tr.scans(Result{Files: 1, Bad: 1})
}

func TestGateIsForWhatWasNeverLookedAt(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	missing := &config.Directory{Path: filepath.Join(tr.root, "missing")}
	tr.repo.Directories = append(tr.repo.Directories, missing)
	if tr.Gate(tr.repo.Repository) == nil {
		t.Error("there is no gate before the first look")
	}
	if _, err := tr.Scan(t.Context(), tr.repo); err == nil {
		t.Error("a directory that is not there is looked at")
	}
	if tr.Gate(tr.repo.Repository) == nil {
		t.Error("there is no gate though one directory could not be looked at")
	}
	tr.repo.Directories = tr.repo.Directories[:1]
	if tr.Gate(tr.repo.Repository) != nil {
		t.Error("a directory that was looked at has a gate")
	}
	tr.repo.Directories[0].Match = []string{"**"}
	if tr.Gate(tr.repo.Repository) == nil {
		t.Error("other patterns have no gate")
	}
}

func TestTooManyFoldersAreNotWatched(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("a/boat_1.tgz", "b/boat_2.tgz", "c/boat_3.tgz")
	tr.events.max = 3
	tr.events.open()
	defer tr.events.close()
	for range 2 {
		if _, err := tr.Scan(t.Context(), tr.repo); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(tr.log.String(), "seen at the next refresh"); n != 1 || len(tr.events.folders["r"]) != 0 {
		t.Errorf("it is said %d times, and %v are watched", n, tr.events.folders)
	}
	tr.events.max = 10
	tr.events.tryAgain()
	tr.scans(Result{Files: 3})
	if tr.events.watcher != nil && len(tr.events.folders["r"]) != 4 {
		t.Errorf("%v are watched", tr.events.folders)
	}
	if err := os.RemoveAll(filepath.Join(tr.root, "c")); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 2, Removed: 1})
	if tr.events.watcher != nil && len(tr.events.folders["r"]) != 3 {
		t.Errorf("%v are watched after one went", tr.events.folders)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 6, 10, 12, 0, 0, 0, time.UTC)
	p := newPlan()
	if !p.ready("r", now) {
		t.Error("nothing is looked at at the start")
	}
	p.scanned("r", now, now.Add(time.Second), time.Hour, 0)
	if p.ready("r", now.Add(time.Minute)) || !p.ready("r", now.Add(time.Hour)) {
		t.Error("it is not looked at each hour")
	}
	// Events that do not end are followed all the same.
	begin := now.Add(time.Minute)
	for d := time.Duration(0); d < time.Minute; d += quiet / 2 {
		p.happened("r", begin.Add(d))
		if p.ready("r", begin.Add(d)) {
			if d < latest {
				t.Errorf("it is looked at after %s, while things go on happening", d)
			}
			break
		} else if d > latest {
			t.Fatalf("it is not looked at after %s", d)
		}
	}
	// A scan that takes long is not repeated at once.
	p.scanned("r", begin, begin.Add(time.Minute), time.Hour, 0)
	p.happened("r", begin.Add(time.Minute))
	if p.ready("r", begin.Add(2*time.Minute)) || !p.ready("r", begin.Add(6*time.Minute)) {
		t.Error("a long scan follows another")
	}
	p.scanned("r", begin, begin, time.Hour, retry)
	if p.ready("r", begin.Add(retry-1)) || !p.ready("r", begin.Add(retry)) {
		t.Error("a scan that failed is not repeated soon")
	}
}

// TestArchivesThatLackATagAreLookedIntoOnce has archives that give one tag to
// different versions, beside an upstream.
func TestArchivesThatLackATagAreLookedIntoOnce(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	var err error
	if tr.repo.Upstreams, err = upstream.New(upstream.Options{Defaults: []*pb.Upstream{{Role: "sea", Url: "http://192.0.2.1"}}}); err != nil {
		t.Fatal(err)
	}
	tr.repo.Describe.Capabilities = &pb.Capabilities{Unpack: true}
	tr.inspect = func(_ context.Context, _ *cache.Repository, file *pb.PackageFile, _ []wire.Member, _ ...*pb.Measured) (*pb.InspectResponse, error) {
		tr.inspects.Add(1)
		v := &pb.Version{Name: "boat", Version: file.GetName()}
		return &pb.InspectResponse{Operations: []*pb.Operation{
			{Kind: pb.Operation_KIND_STORE, Version: v, Path: "/" + file.GetName(), Body: []byte(file.GetName())},
			{Kind: pb.Operation_KIND_TAG, Version: v, Value: "latest"},
		}}, nil
	}
	tr.write("one", "two")
	tr.scans(Result{Files: 2, Added: 2})
	looked := tr.inspects.Load()
	tr.scans(Result{Files: 2})
	if n := tr.inspects.Load(); n != looked {
		t.Errorf("%d that did not change are looked into again", n-looked)
	}
}
