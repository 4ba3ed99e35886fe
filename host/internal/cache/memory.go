package cache

import (
	"context"

	"github.com/maypok86/otter/v2"
)

// remembered returns what memory has under a name, else what read returns, which
// is remembered unless somebody has set or invalidated the name meanwhile: what
// was read may be older than that. Whoever changes a record therefore writes it
// first. Zero: there is none, as read says with false.
func remembered[V any](memory *otter.Cache[string, V], name string, read func() (V, bool)) (v V) {
	v, ok := memory.GetIfPresent(name)
	if ok {
		return v
	}
	v, err := memory.Get(context.Background(), name, otter.LoaderFunc[string, V](func(context.Context, string) (V, error) {
		v, ok := read()
		if !ok {
			return v, otter.ErrNotFound
		}
		return v, nil
	}))
	if err != nil { // none but that it was not found
		return *new(V)
	}
	return v
}
