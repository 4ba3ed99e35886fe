package cache

import (
	"context"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// remake makes a rendering, or waits for one that is being made, once more where
// that was begun under rules that have changed since.
func (c *Cache) remake(ctx context.Context, repo *Repository, d *pb.Document, base, name string, accept func(*source) bool) (*Rendering, error) {
	for tries := renderTries; ; tries-- {
		v, err := c.shared(ctx, key("remake", name), func(ctx context.Context) (any, error) {
			return c.make(ctx, repo, d, base, name, accept)
		})
		if err != nil {
			return nil, err
		}
		r := v.(*Rendering)
		if tries == 1 || r.epoch.Load() == c.policy.Epoch() || c.agrees(repo, r, time.Now()) {
			return r, nil
		}
	}
}

// joins reports whether a document is a list, of no package alone, in which
// packages of ours stand beside upstream's. What is about one package is none:
// without a part of its versions, clients would choose another.
func joins(d *pb.Document) bool { return d.GetHosted() != "" && len(d.GetNames()) == 0 }

// alone makes a list of what is ours while upstream fails, as the error says,
// which comes back where there is nothing of ours to list.
func (c *Cache) alone(ctx context.Context, repo *Repository, d *pb.Document, base string, failed error) (*Rendering, error) {
	name := renderingName(repo, d.GetPath(), base)
	v, err := c.shared(ctx, key("alone", name), func(ctx context.Context) (any, error) {
		m := newMaking(c, repo, d, base, anyKept)
		m.without = failed
		r, err := m.render(ctx)
		if err != nil {
			return nil, err
		}
		r.epoch.Store(m.epoch)
		r.freshUntil.Store(m.freshUntil().UnixMilli())
		if !r.unkept {
			c.renderings.Set(name, r)
		}
		c.log.Warn("a list is answered with what is ours alone: upstream's cannot be had", "repository", repo.Name, "document", d.GetPath(), "error", failed)
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*Rendering), nil
}

// anyKept accepts every source that is kept.
func anyKept(*source) bool { return true }

// make gets the sources of a document and renders it if anything it depends on
// changed.
func (c *Cache) make(ctx context.Context, repo *Repository, d *pb.Document, base, name string, accept func(*source) bool) (*Rendering, error) {
	old := c.knownRendering(name)
	if ttl := accept; d.GetImmutable() {
		accept = func(s *source) bool { return s.found() || ttl(s) }
	}
	m := newMaking(c, repo, d, base, accept)
	var err error
	if m.own, err = m.ownNames(ctx); err != nil {
		return nil, err
	}
	if old != nil && !old.Partial && c.agrees(repo, old, time.Now()) {
		unchanged, err := m.confirm(ctx, old)
		if err != nil {
			return nil, err
		}
		if unchanged && c.bodiesThere(old) {
			old.unconfirmed.Store(m.stale != nil)
			old.complaint.Store(nil)
			if err := m.observeLogs(old.Logs); err != nil {
				return nil, err
			}
			old.freshUntil.Store(m.freshUntil().UnixMilli())
			if d.GetSnapshot() {
				c.complete(ctx, repo, d.GetPath())
			}
			if lasting(d) && m.stale == nil {
				return old, c.confirm(repo, d.GetPath(), m.checked())
			}
			return old, nil
		}
	}
	fresh, err := m.render(ctx)
	if err != nil {
		return nil, err
	}
	fresh.epoch.Store(m.epoch)
	fresh.unconfirmed.Store(m.stale != nil)
	fresh.freshUntil.Store(m.freshUntil().UnixMilli())
	if fresh.unkept {
		return fresh, nil
	}
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	// Questions, and names that do not exist, are without end. The record is
	// written before anybody can add an encoding to it.
	if lasting(d) && (!fresh.missing() || old != nil) {
		if err := c.putRendering(name, fresh); err != nil {
			return nil, err
		}
	}
	c.renderings.Set(name, fresh)
	return fresh, nil
}
