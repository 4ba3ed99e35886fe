// Package directory serves package files that lie in directories: it finds
// them, has their plugin look into them and puts them into the catalogue, and
// follows when they change or go. The directories are only read.
//
// What was seen of a file, its size and time, is remembered, so that a tree
// that did not change costs one look at each file. In memory a scan holds a few
// bytes a file, and the files of one batch.
package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Scanner follows directories.
type Scanner struct {
	catalog *catalog.Catalog
	blobs   *blobs.Store
	keep    *store.DB
	log     hclog.Logger
	// inspect asks a repository's plugin what a file is.
	inspect func(context.Context, *cache.Repository, *pb.PackageFile, []wire.Member, ...*pb.Measured) (*pb.InspectResponse, error)

	events *events
}

// New makes a scanner.
func New(c *catalog.Catalog, b *blobs.Store, keep *store.DB, log hclog.Logger) *Scanner {
	return &Scanner{catalog: c, blobs: b, keep: keep, log: log, events: newEvents(maxWatches, log),
		inspect: func(ctx context.Context, repo *cache.Repository, file *pb.PackageFile, members []wire.Member, measured ...*pb.Measured) (*pb.InspectResponse, error) {
			return repo.Ecosystem.Inspect(ctx, file, members, measured...)
		},
	}
}

// Join has a repository with directories looked at again when something that was
// published in it goes: a file may have been refused for that.
func (s *Scanner) Join(r *config.Repository) {
	if len(r.Directories) == 0 {
		s.catalog.Follow(r.Name, nil)
		return
	}
	s.catalog.Follow(r.Name, func() { s.events.tell(r.Name) })
}

// Result counts what a scan found.
type Result struct {
	Files, Added, Removed, Bad int
	// Unsettled are files that are being written; they are looked at again soon.
	Unsettled int
}

// Scan looks at all directories of a repository. An error says that it could
// not be finished; what was found until then is served.
func (s *Scanner) Scan(ctx context.Context, repo *cache.Repository) (Result, error) {
	known, err := s.known(repo.Name, rolesOf(repo))
	if err != nil {
		return Result{}, err
	}
	parted, err := s.catalog.Parted(repo.Name)
	if err != nil {
		return Result{}, err
	}
	defer s.events.scan(repo.Name)()
	w := &walk{Scanner: s, ctx: ctx, repo: repo, known: known, waits: map[string]bool{}, lost: map[string]bool{}}
	var failed error
	var whole []*config.Directory
	for _, d := range repo.Directories {
		if err := w.directory(d); err != nil {
			failed = errors.Join(failed, fmt.Errorf("directory %s: %w", d.Path, err))
			continue
		}
		whole = append(whole, d)
	}
	if err := w.flush(); err != nil || ctx.Err() != nil {
		return w.result, errors.Join(failed, err, ctx.Err())
	}
	if failed == nil { // what could not be looked at is not gone
		for _, f := range parted.Files {
			w.lose([]part{{Name: f.Name, Path: f.Path}})
		}
		if failed = w.removeGone(); failed == nil {
			failed = errors.Join(w.putTaken(), w.tellParted())
		}
		if failed == nil {
			failed = s.catalog.Settle(parted)
		}
	}
	return w.result, errors.Join(failed, s.note(repo, whole))
}

// lookedKey is where directories are remembered that were looked at: by
// repository, path and patterns.
const lookedKey = "looked/"

func lookedName(repository string, d *config.Directory) string {
	return lookedKey + strings.Join(append([]string{repository, d.Path}, d.Match...), "\x00")
}

// note remembers directories that were looked at completely.
func (s *Scanner) note(repo *cache.Repository, whole []*config.Directory) error {
	change := store.Change{}
	for _, d := range whole {
		name := lookedName(repo.Name, d)
		if _, err := s.keep.Get(name); err != nil {
			change[name] = []byte{}
		}
	}
	if len(change) == 0 {
		return nil
	}
	return errors.Join(s.keep.Apply(change), s.keep.Sync())
}

// Gate is what keeps a repository from asking upstream until all of its
// directories were looked at; nil: they were, now or at an earlier start.
func (s *Scanner) Gate(r *config.Repository) *cache.Gate {
	for _, d := range r.Directories {
		if _, err := s.keep.Get(lookedName(r.Name, d)); err != nil {
			return cache.NewGate()
		}
	}
	return nil
}
