package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// How soon a scan follows what happened in a directory.
const (
	quiet   = 250 * time.Millisecond // after the last event
	latest  = 3 * time.Second        // after the first
	respite = 5                      // times as long as the last scan took
	// retry is how soon a scan follows one that failed while others wait for it.
	retry = 10 * time.Second
)

// plan is when repositories are looked at.
type plan struct {
	next map[string]time.Time     // for the sake of refreshing
	due  map[string]time.Time     // because something happened
	from map[string]time.Time     // since when
	took map[string]time.Duration // by the last scan
	done map[string]time.Time     // when it ended
}

func newPlan() *plan {
	return &plan{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}, map[string]time.Duration{}, map[string]time.Time{}}
}

// happened plans a scan soon, but not while things go on happening, nor again
// and again where a scan takes long.
func (p *plan) happened(repository string, now time.Time) {
	if p.from[repository].IsZero() {
		p.from[repository] = now
	}
	due := now.Add(quiet)
	if last := p.from[repository].Add(latest); due.After(last) {
		due = last
	}
	if first := p.done[repository].Add(respite * p.took[repository]); due.Before(first) {
		due = first
	}
	p.due[repository] = due
}

// ready reports whether a repository is to be looked at.
func (p *plan) ready(repository string, now time.Time) bool {
	next, known := p.next[repository]
	due, waits := p.due[repository]
	return !known || !now.Before(next) || waits && !now.Before(due)
}

// scanned plans the next scan after one; soon, unless zero, is when it is
// repeated.
func (p *plan) scanned(repository string, began, ended time.Time, refresh, soon time.Duration) {
	delete(p.due, repository)
	delete(p.from, repository)
	p.took[repository], p.done[repository] = ended.Sub(began), ended
	p.next[repository] = began.Add(min(refresh, 100*365*24*time.Hour))
	if soon > 0 {
		p.due[repository] = ended.Add(soon)
	}
}

// wait is how long nothing is to be done.
func (p *plan) wait(now time.Time) time.Duration {
	wait := time.Minute
	for _, all := range []map[string]time.Time{p.next, p.due} {
		for _, at := range all {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(wait, time.Millisecond)
}

// Follow looks at the directories of repositories until the context ends: at
// the start, when their time has come, when something happened in them, and
// whenever something comes from again.
func (s *Scanner) Follow(ctx context.Context, repositories func() []*cache.Repository, again <-chan struct{}) {
	s.events.open()
	defer s.events.close()
	select {
	case <-again: // the configuration that is begun with
	default:
	}
	plan := newPlan()
	failed := map[string]string{} // what was last said of a repository
	for {
		there := map[string]bool{}
		for _, repo := range repositories() {
			there[repo.Name] = true
			if ctx.Err() == nil && plan.ready(repo.Name, time.Now()) {
				began := time.Now()
				soon, err := s.look(ctx, repo)
				plan.scanned(repo.Name, began, time.Now(), refresh(repo), soon)
				if said := fmt.Sprint(err); err == nil {
					delete(failed, repo.Name)
				} else if failed[repo.Name] != said {
					failed[repo.Name] = said
					s.log.Error("directories cannot be looked at completely", "repository", repo.Name, "error", err)
				}
			}
		}
		for name := range plan.next {
			if !there[name] {
				delete(plan.next, name)
				delete(plan.due, name)
			}
		}
		timer := time.NewTimer(plan.wait(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-again:
			s.events.tryAgain()
			plan = newPlan()
		case <-s.events.wake:
			for _, name := range s.events.take() {
				plan.happened(name, time.Now())
			}
		case <-timer.C:
		}
		timer.Stop()
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

// look scans a repository, says what was found and opens its gate. Soon, unless
// zero, is when it should be done again.
func (s *Scanner) look(ctx context.Context, repo *cache.Repository) (soon time.Duration, err error) {
	if len(repo.Directories) == 0 && repo.Hosted == nil {
		return 0, nil
	}
	began := time.Now()
	found, err := s.Scan(ctx, repo)
	about := []any{"repository", repo.Name, "files", found.Files, "added", found.Added, "removed", found.Removed, "refused", found.Bad,
		"seconds", time.Since(began).Round(time.Millisecond).Seconds()}
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case err != nil:
		if repo.Gate.Fail(err) {
			soon = retry
		}
		return soon, err
	case found.Added+found.Removed+found.Bad > 0:
		s.log.Info("directories looked at", about...)
	case len(repo.Directories) > 0:
		s.log.Debug("directories looked at", about...)
	}
	repo.Gate.Open()
	if found.Unsettled > 0 {
		soon = settles
	}
	return soon, nil
}
