package directory

import (
	"cmp"
	"context"
	"crypto/md5"  //nolint:gosec // what some registries give
	"crypto/sha1" //nolint:gosec // what some registries give
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/peek"
	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// walk is a scan under way.
type walk struct {
	*Scanner
	ctx    context.Context
	repo   *cache.Repository
	known  *index
	found  []*found
	before []func(file string) bool // whether directories before have a file
	taken  []string                 // files in whose place others are served
	waits  map[string]bool          // which of them are to be looked into
	lost   map[string]bool          // addresses and names of what went
	parted []string                 // packages of which a file went
	result Result
}

// found is a file to be put into the catalogue.
type found struct {
	file string
	// folder is what the file makes stand for an archive; empty: nothing.
	folder string
	below  string // its directory
	seen   seen
	entry  *pb.Entry
	body   catalog.Body
	// unpacked is what an archive holds; nil: it is one file.
	unpacked *unpacked
	// failed is why the plugin could not look into it; nil: it could.
	failed error
	// unsettled is whether it is being written.
	unsettled bool
}

// batch is how many files are looked into and put into the catalogue together.
const batch = 200

// directory looks at one directory. What cannot be read of it is an error at the
// end, and the rest is served.
func (w *walk) directory(d *config.Directory) error {
	if info, err := os.Stat(d.Path); err != nil || !info.IsDir() {
		return errors.Join(err, errors.New("it is no directory that can be read"))
	}
	chosen := choice(d)
	var failed error
	before := w.before
	w.before = append(before[:len(before):len(before)], func(file string) bool { return within(d, file) && chosen(file) })
	root := d.Path + string(filepath.Separator) // also where it is a link
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		file = filepath.Clean(file)
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			failed = errors.Join(failed, err)
			if entry == nil || entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case hidden(file) && file != d.Path:
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			w.events.watch(w.repo.Name, file) // before it is read, so that nothing is missed
			return w.folder(d, file, chosen)
		case !entry.Type().IsRegular() || !chosen(file):
			return nil
		case slices.ContainsFunc(before, func(met func(string) bool) bool { return met(file) }):
			return nil // as a file of a directory named before
		}
		return w.meet(&found{file: file, below: below(d, file)})
	})
	return errors.Join(failed, err)
}

// within reports whether a file lies in a directory, at whatever depth.
func within(d *config.Directory, file string) bool {
	path, err := filepath.Rel(d.Path, file)
	return err == nil && filepath.IsLocal(path)
}

// folder looks at a folder that stands for an archive, and has what lies in it
// skipped.
func (w *walk) folder(d *config.Directory, folder string, chosen func(string) bool) error {
	file := w.marked(folder)
	if file == "" || !chosen(folder) && !chosen(file) {
		return nil
	}
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			w.events.watch(w.repo.Name, file)
		}
		return err
	})
	if err == nil {
		err = w.meet(w.at(d, file))
	}
	return cmp.Or(err, fs.SkipDir)
}

// marked is the file that makes a folder stand for an archive; empty: none does.
func (w *walk) marked(folder string) string {
	if !w.repo.Describe.GetCapabilities().GetUnpack() {
		return ""
	}
	for _, name := range peek.Folders(w.repo.Describe.GetCapabilities().GetPeek()) {
		file := filepath.Join(folder, name)
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// stat is how a file looks, or what lies in the folder that it makes stand for an
// archive.
func (f *found) stat() (now stamp, err error) {
	if f.folder == "" {
		info, err := os.Stat(f.file)
		if err != nil {
			return now, err
		}
		return stamp{info.Size(), info.ModTime(), changed(info)}, nil
	}
	err = filepath.WalkDir(f.folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		now.Size += info.Size()
		now.Modified, now.Changed = later(now.Modified, info.ModTime()), later(now.Changed, changed(info))
		return nil
	})
	return now, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// at is a file in a directory, or the folder that it makes stand for an archive.
func (w *walk) at(d *config.Directory, file string) *found {
	f := &found{file: file, below: below(d, file)}
	if w.marked(filepath.Dir(file)) == file {
		f.folder = filepath.Dir(file)
		if f.below = below(d, f.folder); f.below == "." {
			f.below = filepath.Base(f.folder)
		}
	}
	return f
}

// hidden files are those of tools that copy, of editors and of file systems.
func hidden(file string) bool {
	base := filepath.Base(file)
	return strings.HasPrefix(base, ".") || base == "lost+found"
}

// choice reports of files whether their directory's patterns choose them.
func choice(d *config.Directory) func(file string) bool {
	if len(d.Match) == 0 {
		return func(string) bool { return true }
	}
	var patterns []*regexp.Regexp
	for _, pattern := range d.Match {
		patterns = append(patterns, wire.Glob(pattern))
	}
	return func(file string) bool {
		return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(below(d, file)) })
	}
}

// below is a file's path below its directory, with slashes.
func below(d *config.Directory, file string) string {
	path, err := filepath.Rel(d.Path, file)
	if err != nil {
		return filepath.Base(file)
	}
	return filepath.ToSlash(path)
}

// foundAt is a file that lies in one of the directories.
func (w *walk) foundAt(file string) *found {
	for _, d := range w.repo.Directories {
		if within(d, file) {
			return w.at(d, file)
		}
	}
	return &found{file: file, below: filepath.Base(file)}
}

// meet looks at a file, and puts it down to be looked into when it is new or has
// changed.
func (w *walk) meet(f *found) error {
	now, err := f.stat()
	if err != nil {
		return nil //nolint:nilerr // it went this moment
	}
	w.result.Files++
	if _, unchanged := w.known.met(f.file, now); unchanged {
		return nil
	}
	f.seen.stamp = now
	w.found = append(w.found, f)
	if len(w.found) >= batch {
		return w.flush()
	}
	return nil
}

// rolesOf are the roles of the upstreams that there are beside directories.
func rolesOf(repo *cache.Repository) string { return strings.Join(repo.Upstreams.Roles(), " ") }

// flush looks into the files that were found and puts them into the catalogue.
func (w *walk) flush() error {
	if len(w.found) == 0 {
		return nil
	}
	work, ctx := errgroup.WithContext(w.ctx)
	work.SetLimit(runtime.GOMAXPROCS(0) + 1)
	for _, f := range w.found {
		work.Go(func() error { return w.look(ctx, f) })
	}
	err := work.Wait()
	w.found = slices.DeleteFunc(w.found, func(f *found) bool {
		if f.failed != nil { // it, or another that was looked into beside it
			w.wait(f.file)
		}
		return f.failed != nil
	})
	if err == nil {
		err = w.put(w.found)
	}
	w.found = nil
	return errors.Join(err, w.keep.Sync())
}

// settles is how long after its last change a file that is no package is taken
// for one that is being written.
const settles = 2 * time.Second

// look has the plugin look into a file. A file that is no package gets the
// reason; an error is not the file's.
func (w *walk) look(ctx context.Context, f *found) error {
	if err := w.ask(ctx, f); err != nil {
		return err
	}
	now, err := f.stat()
	changed := err != nil || !now.same(f.seen.stamp)
	young := time.Since(f.seen.Modified).Abs() < settles
	f.unsettled = changed || f.seen.Problem != "" && young
	return nil
}

func (w *walk) ask(ctx context.Context, f *found) error {
	if !utf8.ValidString(f.file) {
		f.seen.Problem = "its name is not in UTF-8"
		return nil
	}
	digests, err := hashFile(f.file)
	if err != nil {
		f.seen.Problem, f.seen.Again = err.Error(), true
		return nil
	}
	members, err := peek.Members(f.file, w.repo.Describe.GetCapabilities())
	if err != nil {
		f.seen.Problem, f.seen.Again = err.Error(), !errors.Is(err, intake.ErrArchive)
		return nil
	}
	f.body = catalog.Body{Size: f.seen.Size, Digests: digests, Source: f.file, Modified: f.seen.Modified}
	copy(f.body.Digest[:], digests["sha256"])
	file := &pb.PackageFile{Repository: w.repo.Plain(""), Name: f.below, Size: f.seen.Size}
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		file.Digests = append(file.Digests, &pb.Digest{Algorithm: algorithm, Sum: digests[algorithm]})
	}
	ask := func() (*pb.InspectResponse, error) { return w.inspect(ctx, w.repo, file, members) }
	if w.repo.Describe.GetCapabilities().GetUnpack() {
		ask = func() (*pb.InspectResponse, error) { return w.unpack(ctx, f, file, members) }
	}
	said, err := ask()
	if err != nil && (ctx.Err() != nil || errors.Is(err, plugins.ErrDown)) {
		return err
	}
	if err != nil {
		f.failed = err
		return nil
	}
	f.entry = said.GetEntry()
	switch {
	case f.unpacked != nil && !f.single():
	case f.entry == nil:
		f.seen.Problem = said.GetFailure().GetMessage()
	case f.entry.GetVersion().GetName() == "" || f.entry.GetPath() == "":
		f.seen.Problem = "the plugin gives it no name or no address"
		f.entry = nil
	default:
		f.seen.Name, f.seen.Version, f.seen.Path = f.entry.GetVersion().GetName(), f.entry.GetVersion().GetVersion(), f.entry.GetPath()
	}
	return nil
}

func hashFile(file string) (map[string][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return hashAll(f)
}

// hashAll are the digests of what can be read.
func hashAll(r io.Reader) (map[string][]byte, error) {
	a, b, c, d := sha512.New(), sha256.New(), sha1.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(a, b, c, d), r); err != nil {
		return nil, err
	}
	return map[string][]byte{"sha512": a.Sum(nil), "sha256": b.Sum(nil), "sha1": c.Sum(nil), "md5": d.Sum(nil)}, nil
}
