// Package memory keeps values that were read or made lately, by name, within
// bounds.
package memory

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
)

// Cache keeps values of a type. Below, all caches are of one type, because the
// compiler makes a copy of the library, of 80 KB, for each.
type Cache[V any] struct{ kept *otter.Cache[string, any] }

// Options are the bounds of a cache: Size or Weight, and one of the times or none.
type Options[V any] struct {
	// Size is how many values are kept.
	Size int
	// Weight is how much what is kept may weigh together, as Weigh says.
	Weight uint64
	Weigh  func(key string, value V) uint32
	// Unread is after how long a value goes that nobody asks for, Unwritten after
	// how long one goes in any case.
	Unread, Unwritten time.Duration
}

// New makes an empty cache.
func New[V any](o Options[V]) *Cache[V] {
	options := &otter.Options[string, any]{MaximumSize: o.Size, MaximumWeight: o.Weight}
	if o.Weigh != nil {
		options.Weigher = func(key string, value any) uint32 { return o.Weigh(key, value.(V)) }
	}
	switch {
	case o.Unread > 0:
		options.ExpiryCalculator = otter.ExpiryAccessing[string, any](o.Unread)
	case o.Unwritten > 0:
		options.ExpiryCalculator = otter.ExpiryWriting[string, any](o.Unwritten)
	}
	return &Cache[V]{otter.Must(options)}
}

// Get returns the value of a key, if it is kept.
func (c *Cache[V]) Get(key string) (value V, kept bool) {
	v, kept := c.kept.GetIfPresent(key)
	if kept {
		value = v.(V)
	}
	return value, kept
}

// Set keeps a value in place of the one before.
func (c *Cache[V]) Set(key string, value V) { c.kept.Set(key, value) }

// Drop forgets a value.
func (c *Cache[V]) Drop(key string) { c.kept.Invalidate(key) }

// Clear forgets all.
func (c *Cache[V]) Clear() { c.kept.InvalidateAll() }

// Load returns what is kept of a key, else what read returns, which is kept unless
// there was an error. Of several at once one reads. If the key is set or dropped
// meanwhile, what was read may be older than that, and is not kept; whoever
// changes what is read therefore does that first.
func (c *Cache[V]) Load(key string, read func() (V, error)) (value V, err error) {
	if value, kept := c.Get(key); kept {
		return value, nil
	}
	v, err := c.kept.Get(context.Background(), key, otter.LoaderFunc[string, any](func(context.Context, string) (any, error) {
		return read()
	}))
	if err != nil {
		return value, err
	}
	return v.(V), nil
}

// Find is [Cache.Load] of what may not be there, as read says with false; then it
// returns the zero value, of which nothing is kept.
func (c *Cache[V]) Find(key string, read func() (V, bool)) V {
	value, _ := c.Load(key, func() (V, error) { // no other error
		v, found := read()
		if !found {
			return v, otter.ErrNotFound
		}
		return v, nil
	})
	return value
}
