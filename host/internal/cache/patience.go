package cache

import (
	"sync"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// How long a client waits for a revalidation before it gets the stale answer: long
// enough for an upstream that answers as it usually does, and not as long as an
// outage takes. It waits longer for a snapshot, of which all that clients ask for is
// fetched first, and hardly where another has just waited in vain.
const (
	revalidateWait = 700 * time.Millisecond
	laggingWait    = 100 * time.Millisecond
	lagging        = 5 * time.Second
	snapshotWait   = 5 * time.Second
	// usable is what an upstream may usually take for clients to wait twice as long.
	usable = 1200 * time.Millisecond
)

// patience is what is known of how long upstreams take, by their role.
type patience struct {
	mu    sync.Mutex
	roles map[string]*slowness
}

type slowness struct {
	lags    time.Time     // until when clients hardly wait
	usually time.Duration // what revalidations took lately
}

func (p *patience) of(d *pb.Document) *slowness {
	role := ""
	if s := d.GetSources(); len(s) > 0 {
		role = s[0].GetRole()
	}
	s := p.roles[role]
	if s == nil {
		s = &slowness{}
		if p.roles == nil {
			p.roles = map[string]*slowness{}
		}
		p.roles[role] = s
	}
	return s
}

// wait is how long a client waits for a document to be revalidated.
func (p *patience) wait(d *pb.Document) time.Duration {
	if d.GetSnapshot() {
		return snapshotWait
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(d)
	switch {
	case time.Now().Before(s.lags):
		return laggingWait
	case s.usually <= usable:
		return max(revalidateWait, 2*s.usually)
	}
	return revalidateWait
}

// ranOut notes that a client waited in vain for as long as wait said.
func (p *patience) ranOut(d *pb.Document, waited time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waited > laggingWait { // else one slow moment would never end
		p.of(d).lags = time.Now().Add(lagging)
	}
}

// answered notes how long upstream took.
func (p *patience) answered(d *pb.Document, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(d)
	s.lags, s.usually = time.Time{}, max(took, s.usually*3/4)
}
