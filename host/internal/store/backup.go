package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/go-hclog"
)

// Backup writes all records of the database as they are at one instant, while
// they go on changing, and calls visit with each key. What it writes is
// Badger's own backup format.
func (db *DB) Backup(ctx context.Context, w io.Writer, visit func(key string)) error {
	stream := db.badger.NewStream()
	stream.NumGo = 1 // each would read at an instant of its own
	var unread error
	stream.ChooseKey = func(item *badger.Item) bool {
		if unread != nil || ctx.Err() != nil {
			return false
		}
		if item.IsDeletedOrExpired() {
			return true
		}
		// Badger itself only logs that a value cannot be read, and leaves it out.
		if err := item.Value(func([]byte) error { return nil }); err != nil {
			unread = fmt.Errorf("record %q: %w", item.Key(), err)
		}
		visit(string(item.Key()))
		return true
	}
	_, err := stream.Backup(w, 0)
	return errors.Join(err, unread, ctx.Err())
}

// Load reads what Backup wrote into an empty database.
func (db *DB) Load(r io.Reader) error {
	if err := db.badger.Load(r, 16); err != nil {
		return err
	}
	return db.badger.Sync()
}

// ErrNotEmpty says that there is something in a data directory already.
var ErrNotEmpty = errors.New("the data directory is not empty")

// Restoring is a data directory into which a backup is restored. Until it is
// finished [Open] refuses it.
type Restoring struct {
	*Dir
	log hclog.Logger
}

// Restore begins to restore a backup into an empty directory, or one that does
// not exist yet; [ErrNotEmpty] says that something is there. One of Finish and
// Abort must be called.
func Restore(path string, log hclog.Logger) (*Restoring, error) {
	if err := empty(path); err != nil {
		return nil, err
	}
	d, err := lock(path)
	if err != nil {
		return nil, err
	}
	r := &Restoring{d, log}
	if err := d.setFormat(unfinished); err != nil {
		return nil, errors.Join(err, r.Abort())
	}
	if err := d.open(log); err != nil {
		return nil, errors.Join(err, r.Abort())
	}
	return r, nil
}

// empty refuses a directory with anything in it but what the root of a file
// system has.
func empty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fmt.Errorf("%w: %s has %s; a backup is restored into an empty one", ErrNotEmpty, path, e.Name())
		}
	}
	return nil
}

// Finish makes the directory one of a format, closes it and, if the format is
// an old one, upgrades it.
func (r *Restoring) Finish(format int) error {
	if err := r.Keep.Sync(); err != nil {
		return errors.Join(err, r.Abort())
	}
	if err := r.setFormat(formatWords + strconv.Itoa(format)); err != nil {
		return errors.Join(err, r.Abort())
	}
	if err := r.Close(); err != nil {
		return err
	}
	d, err := Open(r.Path, r.log)
	if err != nil {
		return err
	}
	return d.Close()
}

// Abort closes the directory and removes all that was written into it.
func (r *Restoring) Abort() error {
	err := r.Close()
	entries, more := os.ReadDir(r.Path)
	err = errors.Join(err, more)
	// The mark of an unfinished one goes last.
	for _, marks := range []bool{false, true} {
		for _, e := range entries {
			if mark := e.Name() == formatFile; mark == marks && e.Name() != "lost+found" {
				err = errors.Join(err, os.RemoveAll(filepath.Join(r.Path, e.Name())))
			}
		}
	}
	return err
}
