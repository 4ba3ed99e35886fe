package daemon

import (
	"context"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/directory"
)

// watchDirectories looks at directories at the start, when their time has come
// and when a configuration is put in force.
func (d *Daemon) watchDirectories(ctx context.Context) {
	scanner := directory.New(d.cache.Catalog(), d.dir.Keep, d.log)
	looked := map[string]time.Time{} // by repository
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, repo := range d.repositories() {
			if at, ok := looked[repo.Name]; ok && time.Since(at) < refresh(repo) || ctx.Err() != nil {
				continue
			}
			looked[repo.Name] = time.Now()
			d.scan(ctx, scanner, repo)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.rescan:
			clear(looked)
		case <-tick.C:
		}
	}
}

// refresh is how often a repository's directories are looked at.
func refresh(repo *cache.Repository) time.Duration {
	shortest := time.Duration(1<<63 - 1)
	for _, dir := range repo.Directories {
		shortest = min(shortest, dir.Refresh)
	}
	return shortest
}

func (d *Daemon) scan(ctx context.Context, scanner *directory.Scanner, repo *cache.Repository) {
	if len(repo.Directories) == 0 && repo.Hosted == nil {
		return
	}
	began := time.Now()
	found, err := scanner.Scan(ctx, repo)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.log.Error("directories cannot be looked at completely", "repository", repo.Name, "error", err)
	case found.Added+found.Removed+found.Bad > 0:
		d.log.Info("directories looked at", "repository", repo.Name, "files", found.Files, "added", found.Added,
			"removed", found.Removed, "refused", found.Bad, "took", time.Since(began).Round(time.Millisecond))
	}
}
