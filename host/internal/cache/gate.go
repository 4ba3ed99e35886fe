package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Gate keeps a repository from asking upstream until its directories were
// looked at once: until then nobody knows which names are ours.
type Gate struct {
	opened chan struct{}
	once   sync.Once

	mu      sync.Mutex
	problem error
}

// NewGate makes a gate that is closed.
func NewGate() *Gate { return &Gate{opened: make(chan struct{})} }

// Open lets everybody through. Opening no gate is no error.
func (g *Gate) Open() {
	if g != nil {
		g.once.Do(func() { close(g.opened) })
	}
}

// Fail says why the gate is still closed, and reports whether it is.
func (g *Gate) Fail(err error) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problem = err
	select {
	case <-g.opened:
		return false
	default:
		return true
	}
}

// How long a request waits at a gate, and after how long it may try again.
const (
	gateWait  = 10 * time.Second
	gateRetry = 15 * time.Second
)

// pass waits until upstream may be asked about packages. Names that are ours, or
// both ours and upstream's, need not wait, nor what is in the catalogue.
func (c *Cache) pass(ctx context.Context, repo *Repository, names ...string) error {
	g := repo.Gate
	if g == nil || repo.Hosted == nil {
		return nil
	}
	select {
	case <-g.opened:
		return nil
	default:
	}
	waits := len(names) == 0
	for _, name := range names {
		if name != "" && (repo.Names.Any(repo.Hosted.Names, name) || repo.Names.Any(repo.Hosted.Merge, name)) {
			continue
		}
		ours, err := c.catalog.Ours(repo.Name, name, repo.Names)
		if err != nil {
			return err
		}
		waits = waits || !ours
	}
	if !waits {
		return nil
	}
	late := time.NewTimer(gateWait)
	defer late.Stop()
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, RetryAfter: time.Now().Add(gateRetry)}
	f.Message = fmt.Sprintf("the directories of repository %q are being looked at for the first time; until that is done upstream is not asked for names that may be ours", repo.Name)
	if g.problem != nil {
		f.Message = fmt.Sprintf("the directories of repository %q could not be looked at, so upstream is not asked for names that may be ours: %v", repo.Name, g.problem)
	}
	return f
}
