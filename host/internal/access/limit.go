package access

import (
	"net/netip"
	"sync"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/memory"
)

// Bounds of failures: more than these from one network within the time are too
// many.
const (
	maxFailures  = 10
	failuresTime = time.Minute
	maxNetworks  = 10_000 // that are remembered
)

// Limiter counts failures by address, IPv6 ones by their network of 64 bits.
//
// Only failures are bounded: a right token is accepted also from where many
// wrong ones come from, as from behind a company's one address, because no
// number of guesses finds 178 bits.
type Limiter struct {
	mu     sync.Mutex
	counts *memory.Cache[*count]
}

type count struct {
	began    time.Time
	failures int
}

// NewLimiter makes a limiter that has seen no failure.
func NewLimiter() *Limiter {
	return &Limiter{counts: memory.New(memory.Options[*count]{Size: maxNetworks})}
}

// Failed counts a failure and returns when the address may fail again; zero:
// now.
func (l *Limiter) Failed(from netip.Addr, now time.Time) time.Time {
	bits := 32
	if from.Is6() {
		bits = 64
	}
	prefix, _ := from.Prefix(bits) // addresses that are none share a count
	network := prefix.String()
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.counts.Get(network)
	if !ok || now.Sub(c.began) >= failuresTime {
		c = &count{began: now}
		l.counts.Set(network, c)
	}
	c.failures++
	if c.failures > maxFailures {
		return c.began.Add(failuresTime)
	}
	return time.Time{}
}
