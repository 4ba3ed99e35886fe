package cache

import (
	"context"
	"io"
	"os"
)

// Follower reads a file on its way.
type Follower struct {
	flight *flight
	file   *os.File
}

// Available waits until bytes from an offset may be read, and returns how
// many may be read in all; io.EOF when there are no more.
func (r *Follower) Available(ctx context.Context, offset int64) (int64, error) {
	for {
		r.flight.mu.Lock()
		shown, done, err, changed := r.flight.shown, r.flight.done, r.flight.err, r.flight.changed
		r.flight.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case shown > offset:
			return shown, nil
		case done:
			return shown, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// File is the growing file, with an offset of the follower's own.
func (r *Follower) File() *os.File { return r.file }

// Close ends following.
func (r *Follower) Close() { r.file.Close() }
