// Package store keeps records: small values under keys, in two Badger
// databases below one data directory.
//
// Cache holds what can be fetched again and is not synced; Keep holds what
// cannot (first-seen times, pins, exemptions), and [DB.Sync] is called before
// anybody relies on it. Values above a few KiB belong into blobs.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/gofrs/flock"
	"github.com/hashicorp/go-hclog"
)

// Dir is an open, locked data directory.
type Dir struct {
	// Path of the directory.
	Path string
	// Cache is disposable.
	Cache *DB
	// Keep is not.
	Keep *DB
	// Anew says that Cache was begun anew: what it knew of bodies is lost.
	Anew bool

	lock *flock.Flock
}

// ErrLocked says that another process has the data directory open.
var ErrLocked = errors.New("another entrepot has the data directory open")

// Open locks a data directory, checks its format, opens its databases and
// upgrades an older format. A directory that does not exist is made. A
// [*FormatError] says that this program cannot use it.
func Open(path string, log hclog.Logger) (*Dir, error) { return openWith(path, upgrades(), log) }

func openWith(path string, steps []upgrade, log hclog.Logger) (*Dir, error) {
	d, err := lock(path)
	if err != nil {
		return nil, err
	}
	have, err := d.format(len(steps))
	if err == nil {
		err = d.open(log)
	}
	if err == nil {
		err = d.upgrade(have, steps, log)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// A command has a data directory open for a moment, where no host runs: whoever
// comes then waits for it.
const (
	lockPatience = 2 * time.Second
	lockAgain    = 20 * time.Millisecond
)

// lock makes a data directory if there is none, and locks it.
func lock(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock := flock.New(filepath.Join(path, lockFile))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	ok, err := lock.TryLockContext(ctx, lockAgain)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("locking data directory %s: %w", path, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	}
	return &Dir{Path: path, lock: lock}, nil
}

const lockFile = "lock"

func (d *Dir) open(log hclog.Logger) error {
	var err error
	if d.Keep, err = openDB(filepath.Join(d.Path, "store"), log); err != nil {
		return err
	}
	cache := filepath.Join(d.Path, "cache")
	if _, err := os.Stat(cache); errors.Is(err, fs.ErrNotExist) {
		d.Anew = true
	}
	if d.Cache, err = openDB(cache, log); err != nil {
		// It may be thrown away, and a damaged one must not keep us from serving.
		log.Warn("cache records cannot be opened; beginning with an empty cache", "error", err)
		if err := os.RemoveAll(cache); err != nil {
			return err
		}
		d.Anew = true
		if d.Cache, err = openDB(cache, log); err != nil {
			return err
		}
	}
	return nil
}

// closeTime bounds how long Close waits for each database. What was
// acknowledged is in its log by then.
const closeTime = 20 * time.Second

// Close closes the databases and unlocks the directory. An error says that one
// of them could not write what it had: with its files gone Badger would try for
// ever.
func (d *Dir) Close() error { return d.closeWithin(closeTime) }

func (d *Dir) closeWithin(bound time.Duration) error {
	var errs [2]error
	var all sync.WaitGroup
	for i, db := range []*DB{d.Cache, d.Keep} {
		if db != nil {
			all.Go(func() { errs[i] = db.close(bound) })
		}
	}
	all.Wait()
	return errors.Join(errs[0], errs[1], d.lock.Unlock())
}

func (db *DB) close(bound time.Duration) error {
	closed := make(chan error, 1)
	go func() { closed <- db.badger.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(bound):
		return fmt.Errorf("the database %s could not be closed within %s: are its files still there?", db.path, bound)
	}
}

// DB is one database.
type DB struct {
	badger *badger.DB
	path   string

	running sync.Mutex // one sync at a time
	mu      sync.Mutex // guards next
	next    *syncing   // the one that has not begun; nil: nobody waits
}

// ErrNoSpace says that the disk is too full to write.
var ErrNoSpace = errors.New("no space left on the disk of the data directory")

// Badger writes through mapped memory, so that a disk without space would end
// the process. Nothing is written with less space than it may take soon.
const (
	spaceToWrite  = 32 << 20
	spaceToDelete = 1 << 20
)

// ErrDatabase says that a database cannot do what it is asked to.
var ErrDatabase = errors.New("database")

func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDatabase, err)
}

func (db *DB) room(c Change) error {
	need := int64(spaceToDelete)
	for _, value := range c {
		if value != nil {
			need = spaceToWrite
			break
		}
	}
	free, err := FreeSpace(db.path)
	if err != nil || free >= need {
		return nil // where free space is unknown, writing tells
	}
	return fmt.Errorf("%w: %d bytes are free, records need %d", ErrNoSpace, free, need)
}

// memTable is how many bytes of records a database gathers in memory before it
// writes a table of them. It reserves about a third more.
const memTable = 16 << 20

// Reserved is how many bytes of memory an open [Dir] reserves, most of which are
// not written to.
const Reserved = 2 * memTable * 4 / 3

func openDB(path string, log hclog.Logger) (*DB, error) {
	// Measured with a million records: these settings take 30 MB where the
	// default ones take 600 MB, and reads stay at a few microseconds.
	o := badger.DefaultOptions(path).
		WithLogger(quiet{log.Named("badger")}).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithValueLogFileSize(64 << 20).
		WithValueThreshold(64 << 10).
		WithMetricsEnabled(false)
	db, err := badger.Open(o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return &DB{badger: db, path: path}, nil
}

// Get returns a copy of a value; fs.ErrNotExist when there is none.
func (db *DB) Get(key string) (value []byte, err error) {
	err = db.badger.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(key))
		if err != nil {
			return err
		}
		value, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, fs.ErrNotExist
	}
	return value, failed(err)
}

// Change is a set of writes that happen together. A nil value deletes.
type Change map[string][]byte

// Apply makes a change, all of it or nothing. It must fit a transaction: some
// thousand small records.
func (db *DB) Apply(c Change) error {
	if err := db.room(c); err != nil {
		return err
	}
	return failed(db.badger.Update(func(txn *badger.Txn) error {
		for key, value := range c {
			var err error
			if value == nil {
				err = txn.Delete([]byte(key))
			} else {
				err = txn.Set([]byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// ApplyAll writes many records without holding them together.
func (db *DB) ApplyAll(c Change) error {
	if err := db.room(c); err != nil {
		return err
	}
	batch := db.badger.NewWriteBatch()
	defer batch.Cancel()
	for key, value := range c {
		var err error
		if value == nil {
			err = batch.Delete([]byte(key))
		} else {
			err = batch.Set([]byte(key), value)
		}
		if err != nil {
			return failed(err)
		}
	}
	return failed(batch.Flush())
}

// Sync makes everything written so far survive a power failure. Who comes while
// a sync is under way waits for the next one, together with all others.
func (db *DB) Sync() error {
	db.mu.Lock()
	s, first := db.next, db.next == nil
	if first {
		s = &syncing{done: make(chan struct{})}
		db.next = s
	}
	db.mu.Unlock()
	if !first {
		<-s.done
		return s.err
	}
	db.running.Lock()
	defer db.running.Unlock()
	db.mu.Lock()
	db.next = nil // who comes from now on may have written what this one misses
	db.mu.Unlock()
	s.err = failed(db.badger.Sync())
	close(s.done)
	return s.err
}

// syncing is a sync that somebody waits for.
type syncing struct {
	done chan struct{}
	err  error // set before done is closed
}

// Each calls visit for the records whose key has a prefix, in order of keys,
// until it returns false. Value is valid during the call only; it is nil with
// keysOnly.
func (db *DB) Each(prefix string, keysOnly bool, visit func(key string, value []byte) bool) error {
	return failed(db.badger.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = []byte(prefix)
		o.PrefetchValues = false
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			var value []byte
			if !keysOnly {
				var err error
				if value, err = item.ValueCopy(nil); err != nil {
					return err
				}
			}
			if !visit(string(item.Key()), value) {
				return nil
			}
		}
		return nil
	}))
}

// Drop deletes every record whose key has a prefix.
func (db *DB) Drop(prefix string) error { return db.badger.DropPrefix([]byte(prefix)) }

// Tidy gives space of overwritten values back; called now and then.
func (db *DB) Tidy() {
	for db.badger.RunValueLogGC(0.5) == nil {
	}
}

// quiet passes on what Badger says when something is wrong; its running
// commentary is for debugging.
type quiet struct{ log hclog.Logger }

func (q quiet) Errorf(f string, a ...any)   { q.log.Error(strings.TrimSpace(fmt.Sprintf(f, a...))) }
func (q quiet) Warningf(f string, a ...any) { q.log.Warn(strings.TrimSpace(fmt.Sprintf(f, a...))) }
func (q quiet) Infof(f string, a ...any)    { q.log.Trace(strings.TrimSpace(fmt.Sprintf(f, a...))) }
func (q quiet) Debugf(f string, a ...any)   { q.log.Trace(strings.TrimSpace(fmt.Sprintf(f, a...))) }
