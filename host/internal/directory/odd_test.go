package directory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// at makes a directory of another path, which is the same.
func (tr *tree) at(paths ...string) {
	tr.repo.Directories = nil
	for _, path := range paths {
		tr.repo.Directories = append(tr.repo.Directories, &config.Directory{Path: path})
	}
}

// elsewhere skips a test on systems whose files cannot be like that.
func elsewhere(t *testing.T, err error) {
	t.Helper()
	if runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func TestDirectoryThatIsALink(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(tr.root, link); err != nil {
		elsewhere(t, err)
	}
	tr.write("boat_1.tgz", "deep/boat_2.tgz", ".hidden_9.tgz")
	tr.at(link)
	tr.scans(Result{Files: 2, Added: 2})
	p, err := tr.catalog.Package("r", "boat")
	if err != nil || p.At("/1") == nil || p.At("/1").Source != filepath.Join(link, "boat_1.tgz") {
		t.Errorf("it is served from %+v (%v)", p, err)
	}
	tr.scans(Result{Files: 2})
}

// TestLinksInDirectoriesAreNotFollowed has links to files, to folders and to what
// they lie in, and things that are no files.
func TestLinksInDirectoriesAreNotFollowed(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("boat_1.tgz")
	for name, target := range map[string]string{"boat_2.tgz": "boat_1.tgz", "loop": tr.root, "deep": "/", "boat_3.tgz": "boat_3.tgz", "boat_4.tgz": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(tr.root, name)); err != nil {
			elsewhere(t, err)
		}
	}
	tr.scans(Result{Files: 1, Added: 1})
}

// TestDirectoriesThatOverlap has one directory in another, and one named twice.
func TestDirectoriesThatOverlap(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.write("boat_1.tgz", "deep/boat_2.tgz")
	tr.at(filepath.Join(tr.root, "deep"), tr.root, tr.root)
	tr.scans(Result{Files: 2, Added: 2})
	tr.scans(Result{Files: 2})
	tr.has("boat 1", "boat 2")
	if n := tr.inspects.Load(); n != 2 {
		t.Errorf("two files are looked into %d times", n)
	}
}

// TestUnreadablePartsLoseNothing has a folder that cannot be read for a while, and
// a file.
func TestUnreadablePartsLoseNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("SKIPPED: everything can be read")
	}
	tr := newTree(t)
	tr.write("a/boat_1.tgz", "b/boat_2.tgz", "c/boat_3.tgz")
	tr.scans(Result{Files: 3, Added: 3})
	tr.write("c/boat_4.tgz", "c/boat_5.tgz")
	tr.may("b", 0)
	tr.may("c/boat_5.tgz", 0)
	for range 2 {
		got, err := tr.Scan(t.Context(), tr.repo)
		if err == nil || !strings.Contains(err.Error(), filepath.Join(tr.root, "b")) || got.Removed > 0 {
			t.Errorf("a scan finds %+v (%v)", got, err)
		}
		tr.has("boat 1", "boat 2", "boat 3", "boat 4")
	}
	tr.says("permission denied")
	tr.may("b", 0o755)
	tr.may("c/boat_5.tgz", 0o644)
	tr.scans(Result{Files: 5, Added: 1})
	tr.has("boat 1", "boat 2", "boat 3", "boat 4", "boat 5")
}

func (tr *tree) may(name string, mode os.FileMode) {
	tr.t.Helper()
	if err := os.Chmod(filepath.Join(tr.root, name), mode); err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { _ = os.Chmod(filepath.Join(tr.root, name), 0o755) })
}

// TestReplacedFilesAreNoticed has another file put in a file's place, of the same
// size and time.
func TestReplacedFilesAreNoticed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the system does not tell")
	}
	tr := newTree(t)
	tr.write("boat_1.tgz")
	tr.scans(Result{Files: 1, Added: 1})
	file := filepath.Join(tr.root, "boat_1.tgz")
	if err := os.WriteFile(filepath.Join(tr.root, ".new"), []byte("boat_1.tgZ"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chtimes(filepath.Join(tr.root, ".new"), tr.clock, tr.clock), os.Rename(filepath.Join(tr.root, ".new"), file)); err != nil {
		t.Fatal(err)
	}
	tr.scans(Result{Files: 1, Added: 1})
	tr.scans(Result{Files: 1})
}

// TestNamesThatAreNoText has a file name that is not in UTF-8.
func TestNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	if err := os.WriteFile(filepath.Join(tr.root, "boat_\xff.tgz"), nil, 0o644); err != nil {
		elsewhere(t, err)
	}
	if err := os.Chtimes(filepath.Join(tr.root, "boat_\xff.tgz"), tr.clock, tr.clock); err != nil {
		t.Fatal(err)
	}
	tr.write("boat_1.tgz", "boat_2\n.tgz")
	tr.scans(Result{Files: 3, Added: 2, Bad: 1})
	tr.says("UTF-8")
	tr.scans(Result{Files: 3})
}

// TestFilesThatPluginsFailOn has a plugin fail on one file whenever it sees it, and
// on what it sees meanwhile.
func TestFilesThatPluginsFailOn(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	inspect, first := tr.inspect, true
	tr.inspect = func(ctx context.Context, repo *cache.Repository, file *pb.PackageFile, members []wire.Member, measured ...*pb.Measured) (*pb.InspectResponse, error) {
		if strings.HasPrefix(file.GetName(), "killer") || strings.HasPrefix(file.GetName(), "boat_1") && first {
			first = first && !strings.HasPrefix(file.GetName(), "boat_1")
			return nil, errors.New("the plugin ended")
		}
		return inspect(ctx, repo, file, members, measured...)
	}
	tr.write("boat_1.tgz", "boat_2.tgz", "killer_7.tgz")
	tr.scans(Result{Files: 3, Added: 2, Bad: 1})
	tr.scans(Result{Files: 3})
	tr.has("boat 1", "boat 2")
	tr.says("the plugin ended")
	tr.inspect = inspect
	tr.scans(Result{Files: 3, Added: 1})
	tr.has("boat 1", "boat 2", "killer 7")
}
