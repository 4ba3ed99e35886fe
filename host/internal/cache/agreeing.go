package cache

import (
	"errors"
	"net/http"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
)

func (r *Rendering) staleAt(now time.Time) bool { return now.UnixMilli() >= r.freshUntil.Load() }

func staleBetter(err error) bool {
	return upstreamFailed(err) || errors.Is(err, plugins.ErrDown)
}

// withinMaxStale reports whether the sources of a rendering were confirmed
// recently enough for it to be served unconfirmed. That something does not
// exist is not believed beyond its time, unless upstream could not be asked.
func (c *Cache) withinMaxStale(repo *Repository, r *Rendering) bool {
	if r.missing() {
		return false
	}
	now := time.Now()
	for _, u := range r.Sources {
		if u.Status != http.StatusOK || u.Here {
			continue
		}
		s := c.knownSource(sourceName(repo, u.wire()))
		if s == nil || now.After(s.Checked.Add(repo.TTL+repo.MaxStale)) {
			return false
		}
	}
	return true
}

// mayServeOld reports whether a rendering that no longer agrees may be served
// because no new one can be made. Never when the rules changed: the new ones
// may be tighter. Time alone only loosens.
func (c *Cache) mayServeOld(repo *Repository, r *Rendering, err error) bool {
	return staleBetter(err) && r.Policy == c.policyKey(repo, r.Names) && (repo.Hosted == nil || c.agreesHosted(repo, r)) && c.withinMaxStale(repo, r)
}

func (c *Cache) policyKey(repo *Repository, names []string) string {
	return policy.Key(c.policy.For(repo.eco(), names, time.Now()))
}

// agrees reports whether a rendering was made by the plugin and under the
// rules in force, and no held version has come free since.
func (c *Cache) agrees(repo *Repository, r *Rendering, now time.Time) bool {
	if !r.Next.IsZero() && !now.Before(r.Next) {
		return false
	}
	if repo.Hosted != nil && !c.agreesHosted(repo, r) {
		return false
	}
	epoch := c.policy.Epoch()
	if r.epoch.Load() == epoch {
		return repo.made(r.Plugin)
	}
	// The key holds what of the rules concerns these packages, exemptions that
	// have ended excluded.
	if !repo.made(r.Plugin) || r.Policy != policy.Key(c.policy.For(repo.eco(), r.Names, now)) {
		return false
	}
	r.epoch.Store(epoch)
	return true
}

// agreesHosted reports whether nothing of ours in a rendering has changed.
func (c *Cache) agreesHosted(repo *Repository, r *Rendering) bool {
	epoch := c.catalog.Epoch(repo.Name)
	if r.hosted.Load() == epoch+1 {
		return true
	}
	now, err := c.hostedKey(repo, r.Names, r.Pattern)
	if err != nil || now != r.Hosted {
		return false
	}
	r.hosted.Store(epoch + 1)
	return true
}

// withinTTL accepts sources that need not be asked for again yet.
func (r *Repository) withinTTL(s *source) bool { return s.fresh(r, time.Now()) }
