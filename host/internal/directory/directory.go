// Package directory serves package files that lie in directories: it finds
// them, has their plugin look into them and puts them into the catalogue, and
// follows when they change or go. The directories are only read.
//
// What was seen of a file, its size and time, is remembered, so that a tree
// that did not change costs one look at each file.
package directory

import (
	"context"
	"crypto/md5"  //nolint:gosec // what some registries give
	"crypto/sha1" //nolint:gosec // what some registries give
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Scanner follows directories.
type Scanner struct {
	catalog *catalog.Catalog
	keep    *store.DB
	log     hclog.Logger
}

// New makes a scanner.
func New(c *catalog.Catalog, keep *store.DB, log hclog.Logger) *Scanner {
	return &Scanner{catalog: c, keep: keep, log: log}
}

// seen is what is remembered of a file.
type seen struct {
	Size     int64
	Modified time.Time
	// Problem is why it is not served; empty: it is.
	Problem string `json:",omitempty"`
	// Name, Version and Path are those of its entry.
	Name, Version, Path string `json:",omitempty"`
}

const seenKey = "directory/" // repository, file → seen

func seenName(repository, file string) string { return seenKey + repository + "\x00" + file }

// Result counts what a scan found.
type Result struct {
	Files, Added, Removed, Bad int
}

// batch is how many files are put into the catalogue together.
const batch = 100

// Scan looks at all directories of a repository. An error says that it could
// not be finished; what was found until then is served.
func (s *Scanner) Scan(ctx context.Context, repo *cache.Repository) (Result, error) {
	known, err := s.known(repo.Name)
	if err != nil {
		return Result{}, err
	}
	w := &walk{Scanner: s, ctx: ctx, repo: repo, known: known, met: map[string]bool{}}
	var failed error
	for _, d := range repo.Directories {
		if err := w.directory(d); err != nil {
			failed = errors.Join(failed, fmt.Errorf("directory %s: %w", d.Path, err))
		}
	}
	if err := w.flush(); err != nil || ctx.Err() != nil {
		return w.result, errors.Join(failed, err, ctx.Err())
	}
	if failed != nil {
		return w.result, failed // what could not be looked at is not gone
	}
	return w.result, w.removeGone()
}

func (s *Scanner) known(repository string) (map[string]seen, error) {
	known := map[string]seen{}
	prefix := seenName(repository, "")
	var broken error
	err := s.keep.Each(prefix, false, func(k string, value []byte) bool {
		var f seen
		broken = json.Unmarshal(value, &f)
		known[strings.TrimPrefix(k, prefix)] = f
		return broken == nil
	})
	return known, errors.Join(err, broken)
}

// walk is a scan under way.
type walk struct {
	*Scanner
	ctx    context.Context
	repo   *cache.Repository
	known  map[string]seen
	met    map[string]bool
	found  []found
	result Result
}

// found is a file to be put into the catalogue.
type found struct {
	file  string
	seen  seen
	entry *pb.Entry
	body  catalog.Body
}

func (w *walk) directory(d *config.Directory) error {
	if info, err := os.Stat(d.Path); err != nil || !info.IsDir() {
		return errors.Join(err, errors.New("it is no directory that can be read"))
	}
	return filepath.WalkDir(d.Path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			w.log.Warn("part of a directory cannot be read", "repository", w.repo.Name, "path", file, "error", err)
			return err
		case strings.HasPrefix(entry.Name(), ".") && file != d.Path:
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular() || !chosen(d, file):
			return nil
		}
		return w.file(file, entry)
	})
}

// chosen reports whether a file is one that its directory's patterns choose.
func chosen(d *config.Directory, file string) bool {
	if len(d.Match) == 0 {
		return true
	}
	below, err := filepath.Rel(d.Path, file)
	return err == nil && slices.ContainsFunc(d.Match, func(pattern string) bool {
		return wire.Glob(pattern).MatchString(filepath.ToSlash(below))
	})
}

// file looks at a file, and into it when it is new or has changed.
func (w *walk) file(file string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return nil //nolint:nilerr // it went this moment
	}
	w.met[file] = true
	w.result.Files++
	if was, ok := w.known[file]; ok && was.Size == info.Size() && was.Modified.Equal(info.ModTime()) {
		return nil
	}
	f := found{file: file, seen: seen{Size: info.Size(), Modified: info.ModTime()}}
	if err := w.inspect(&f); err != nil {
		return err
	}
	w.found = append(w.found, f)
	if len(w.found) >= batch {
		return w.flush()
	}
	return nil
}

// inspect has the plugin look into a file. A file that is no package is
// remembered with the reason; an error is not the file's.
func (w *walk) inspect(f *found) error {
	digests, err := hashFile(f.file)
	if err != nil {
		f.seen.Problem = err.Error()
		return nil
	}
	members, err := intake.Members(f.file, w.repo.Describe.GetCapabilities().GetPeek())
	if err != nil {
		f.seen.Problem = err.Error()
		return nil
	}
	f.body = catalog.Body{Size: f.seen.Size, Digests: digests, Source: f.file, Modified: f.seen.Modified}
	copy(f.body.Digest[:], digests["sha256"])
	file := &pb.PackageFile{Repository: w.repo.Plain(""), Name: filepath.Base(f.file), Size: f.seen.Size}
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		file.Digests = append(file.Digests, &pb.Digest{Algorithm: algorithm, Sum: digests[algorithm]})
	}
	said, err := w.repo.Ecosystem.Inspect(w.ctx, file, members)
	if err != nil {
		return err
	}
	f.entry = said.GetEntry()
	switch {
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
	a, b, c, d := sha512.New(), sha256.New(), sha1.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(a, b, c, d), f); err != nil {
		return nil, err
	}
	return map[string][]byte{"sha512": a.Sum(nil), "sha256": b.Sum(nil), "sha1": c.Sum(nil), "md5": d.Sum(nil)}, nil
}

// flush puts what was found into the catalogue.
func (w *walk) flush() error {
	for _, f := range w.found {
		if err := w.put(f); err != nil {
			return err
		}
	}
	w.found = nil
	return w.keep.Sync()
}

// put puts one file into the catalogue, in the place of what it was before.
func (w *walk) put(f found) error {
	var operations []*pb.Operation
	if was, ok := w.known[f.file]; ok && was.Problem == "" {
		operations = append(operations, remove(was))
	}
	if f.entry != nil {
		operations = append(operations, &pb.Operation{
			Kind: pb.Operation_KIND_STORE, Version: f.entry.GetVersion(), Path: f.entry.GetPath(), Extra: f.entry.GetExtra(),
		})
	}
	problem := f.seen.Problem
	if problem == "" {
		err := w.apply(operations, f)
		var exists *catalog.ExistsError
		if errors.As(err, &exists) {
			problem = "another file is served as " + exists.Path
		} else if err != nil {
			return err
		}
	}
	if problem == "" {
		w.result.Added++
		return nil
	}
	w.result.Bad++
	w.log.Warn("a file in a directory is not served", "repository", w.repo.Name, "file", f.file, "reason", problem)
	f.seen = seen{Size: f.seen.Size, Modified: f.seen.Modified, Problem: problem}
	if len(operations) > 0 && operations[0].GetKind() == pb.Operation_KIND_DELETE {
		return w.apply(operations[:1], f)
	}
	record, err := json.Marshal(f.seen)
	if err != nil {
		return err
	}
	return w.keep.Apply(store.Change{seenName(w.repo.Name, f.file): record})
}

func remove(was seen) *pb.Operation {
	return &pb.Operation{Kind: pb.Operation_KIND_DELETE, Version: &pb.Version{Name: was.Name, Version: was.Version}, Path: was.Path}
}

// apply makes a change of the catalogue, with what is remembered of the file.
func (w *walk) apply(operations []*pb.Operation, f found) error {
	record, err := json.Marshal(f.seen)
	if err != nil {
		return err
	}
	change := catalog.Change{
		Repository: w.repo.Name, Operations: operations, Bodies: []catalog.Body{f.body}, Now: f.seen.Modified,
		Records: store.Change{seenName(w.repo.Name, f.file): record}, Blind: true, Unsynced: true,
	}
	return w.catalog.Apply(change)
}

// removeGone takes files that are no longer there out of the catalogue.
func (w *walk) removeGone() error {
	for file, was := range w.known {
		if w.met[file] {
			continue
		}
		change := store.Change{seenName(w.repo.Name, file): nil}
		if was.Problem != "" {
			if err := w.keep.Apply(change); err != nil {
				return err
			}
			continue
		}
		w.result.Removed++
		err := w.catalog.Apply(catalog.Change{
			Repository: w.repo.Name, Operations: []*pb.Operation{remove(was)}, Now: time.Now(), Records: change, Blind: true, Unsynced: true,
		})
		if err != nil {
			return err
		}
	}
	return w.keep.Sync()
}
