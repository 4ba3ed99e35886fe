package cli

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// limitMemory has the collector work harder before the host grows beyond what
// its caches and its work need, unless GOMEMLIMIT says otherwise.
func limitMemory(c *config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(512<<20 + c.MemoryCache)
	}
}

// How much garbage there may be before the collector runs: half of what is in
// use, but not so little that it runs all the time. Of a busy host it may be as
// much as is in use, within bounds, so that it runs every two seconds.
const (
	leastGarbage = 3 << 20
	mostGarbage  = 64 << 20 // for being busy
	lookAtHeap   = time.Second
	looksToRest  = 10 // in a row, with less than the least garbage made
)

// pace has the collector run for garbage in proportion to what is in use, until
// the context ends, unless GOGC says otherwise. It would go by all that is
// reserved, and most of that are tables of the databases, which are hardly
// written to: there would be as much garbage as they are large. For the same
// reason Go would keep memory that it needed while busy; a host at rest gives it
// back.
func pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(lookAtHeap)
	defer tick.Stop()
	var before uint64
	for last, calm := 0, 0; ; {
		metrics.Read(sample)
		live, all := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		allocated := all - before
		before = all
		if percent := garbage(live, allocated); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		if calm++; allocated > leastGarbage {
			calm = 0
		}
		if calm == looksToRest {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// garbage is how much there may be, in per cent of the heap that was live when it
// was looked at last, which is 0 before the first look. Allocated is how many
// bytes were allocated within the last second.
func garbage(live, allocated uint64) int {
	live = max(live, store.Reserved)
	used := live - store.Reserved
	return int(100 * max(leastGarbage, used/2, min(2*allocated, used, mostGarbage)) / live)
}
