package daemon

import (
	"context"
	"time"
)

// watchBinaries has plugins whose file changed replaced.
func (d *Daemon) watchBinaries(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed := false
		for _, p := range d.state.Load().plugins {
			changed = changed || p.Changed()
		}
		if !changed {
			continue
		}
		d.log.Info("a plugin binary changed")
		if err := d.applyAgain(); err != nil {
			d.log.Error("the changed plugin is not used", "error", err)
		}
	}
}

func (d *Daemon) tidyStore(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.dir.Cache.Tidy()
			d.dir.Keep.Tidy()
			d.publisher.SweepSessions()
		}
	}
}

// sweepUnused drops files that were published for others which never came, or
// have gone. It looks more often than files may be unused.
func (d *Daemon) sweepUnused(ctx context.Context) {
	for {
		every := time.Hour
		for _, repo := range d.repositories() {
			if repo.Hosted != nil {
				every = min(every, max(repo.Hosted.Unused/2, time.Second))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		for _, repo := range d.repositories() {
			if repo.Hosted == nil {
				continue
			}
			now := time.Now()
			since := now.Add(-repo.Hosted.Unused)
			files, bytes, err := d.cache.Catalog().Sweep(repo.Name, since, now, d.publisher.Uploading(repo.Name, since))
			if err != nil {
				d.log.Error("files that nothing needs cannot be dropped", "repository", repo.Name, "error", err)
			}
			if files > 0 {
				d.log.Info("files that nothing needs were dropped", "repository", repo.Name, "files", files, "bytes", bytes)
			}
		}
	}
}

// watchSnapshots looks at snapshots, and at documents that plugins name, also
// while nobody asks for them: what they were earlier is what a cool-down serves,
// or judges by.
func (d *Daemon) watchSnapshots(ctx context.Context) {
	tick := time.NewTicker(15 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.relook: // by a configuration, which may have new repositories
		case <-tick.C:
			for _, repo := range d.repositories() {
				d.cache.Look(ctx, repo)
			}
		}
		for _, repo := range d.repositories() {
			d.cache.Watch(ctx, repo)
		}
	}
}
