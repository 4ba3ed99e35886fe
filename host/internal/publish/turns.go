package publish

import (
	"context"
	"hash/maphash"
)

// turns have publications of one package decided one after another, so that none of
// many at once is decided again and again because another one was faster. What
// keeps them right is the catalogue alone: packages may share a turn, and one
// publication may change several.
type turns struct {
	seed maphash.Seed
	of   [256]chan struct{} // each holds one while a publication has the turn
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.of {
		t.of[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the turn of a package, which done gives to the next one.
func (t *turns) take(ctx context.Context, repository, name string) (done func(), err error) {
	turn := t.of[maphash.String(t.seed, repository+"\x00"+name)%uint64(len(t.of))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
