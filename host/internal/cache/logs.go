package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// An append-only log of all that upstream has tells the age of what nobody here
// looked at before: an entry that is beyond the end which the log had at an
// instant was added after it. The ends that were seen cannot be fetched again,
// so they are kept in the store.

// logEnd is how many entries a log had at an instant.
type logEnd struct {
	At   time.Time
	Size int64
}

const (
	logKey = "log/"
	// logSpacing is how close to each other ends are kept.
	logSpacing = time.Hour
)

func logName(repo *Repository, log string) string { return key(logKey+repo.Name, log) }

// logEnds are the ends that a log was seen to have, oldest first; nil: it was
// never looked at.
func (c *Cache) logEnds(repo *Repository, log string) ([]logEnd, error) {
	name := logName(repo, log)
	if ends, ok := c.logs.Load(name); ok {
		return ends.([]logEnd), nil
	}
	value, err := c.dir.Keep.Get(name)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var ends []logEnd
	if err := json.Unmarshal(value, &ends); err != nil {
		return nil, err
	}
	c.logs.Store(name, ends)
	return ends, nil
}

// observeLog notes which end a log had at an instant.
func (c *Cache) observeLog(repo *Repository, head *pb.LogHead, at time.Time) error {
	name := logName(repo, head.GetLog())
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	ends, err := c.logEnds(repo, head.GetLog())
	if err != nil {
		return err
	}
	next, changed := withEnd(ends, logEnd{at, head.GetSize()}, max(2*c.policy.Longest(), longestMemory))
	if !changed {
		return nil
	}
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := c.dir.Keep.Apply(store.Change{name: value}); err != nil {
		return err
	}
	c.logs.Store(name, next)
	return nil
}

// observeLogs notes what a document tells of logs, if upstream has confirmed it.
func (m *making) observeLogs(heads []*pb.LogHead) error {
	if m.stale != nil {
		return nil
	}
	for _, head := range heads {
		if err := m.c.observeLog(m.repo, head, m.checked()); err != nil {
			return fmt.Errorf("noting the length of the log %s: %w", head.GetLog(), err)
		}
	}
	return nil
}

// withEnd adds an end to those seen before, of which the old ones and some in
// between are dropped. A log that seems shorter than before is an old answer,
// and does not count.
func withEnd(ends []logEnd, end logEnd, keep time.Duration) (next []logEnd, changed bool) {
	n := len(ends)
	if n > 0 && (end.Size < ends[n-1].Size || !end.At.After(ends[n-1].At)) {
		return ends, false
	}
	for _, e := range ends {
		if end.At.Sub(e.At) < keep {
			next = append(next, e)
		}
	}
	if n = len(next); n > 1 && end.At.Sub(next[n-2].At) < logSpacing {
		next = next[:n-1]
	}
	return append(next, end), true
}

// notBefore is the last instant at which a log did not have an entry yet; zero:
// it had it whenever it was seen.
func notBefore(ends []logEnd, entry int64) time.Time {
	var at time.Time
	for _, e := range ends {
		if e.Size <= entry {
			at = e.At
		}
	}
	return at
}

// firstHad is the first instant at which a log was seen to have an entry; zero:
// it was not.
func firstHad(ends []logEnd, entry int64) time.Time {
	for _, e := range ends {
		if e.Size > entry {
			return e.At
		}
	}
	return time.Time{}
}

// withLogs adds to floors those of facts that a log has.
func (c *Cache) withLogs(repo *Repository, floors map[cooldown.Key]time.Time, facts []*pb.Fact) (map[cooldown.Key]time.Time, error) {
	for _, f := range facts {
		if f.GetLog() == "" {
			continue
		}
		ends, err := c.logEnds(repo, f.GetLog())
		if err != nil {
			return nil, err
		}
		if at := notBefore(ends, f.GetEntry()); at.After(floors[keyOf(f)]) {
			if floors == nil {
				floors = map[cooldown.Key]time.Time{}
			}
			floors[keyOf(f)] = at
		}
	}
	return floors, nil
}

// look is one at a document of a repository.
func (c *Cache) look(repo *Repository, at time.Time) look {
	return look{at: at, holdFirst: repo.HoldUnknown, keep: 2 * c.policy.Longest(), undated: func(f *pb.Fact, at time.Time) time.Time {
		if f.GetLog() != "" {
			if ends, err := c.logEnds(repo, f.GetLog()); err == nil {
				if had := firstHad(ends, f.GetEntry()); !had.IsZero() && had.Before(at) {
					return had
				}
			}
		}
		return at
	}}
}

// Watch looks at the documents that a plugin wants looked at also while nobody
// asks for them: what they were earlier is what a cool-down judges by.
func (c *Cache) Watch(ctx context.Context, repo *Repository) {
	if c.policy.Longest() == 0 {
		return
	}
	for _, path := range repo.Watch {
		d, err := c.factsDocument(ctx, repo, path, "")
		if err == nil {
			_, _, _, err = c.rendering(ctx, repo, d, "")
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("a document that tells the age of others cannot be looked at", "repository", repo.Name, "document", path, "error", err)
		}
	}
}
