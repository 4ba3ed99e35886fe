package cache

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// That upstream did not have a document with a history is a look at it too: what
// it has there later is new. Names that do not exist are without end, so that as
// many are remembered as there are places; what comes to a place that is taken
// has the one before forgotten.
const (
	unseenKey    = "unseen/"
	unseenPlaces = 1 << 12
)

// unseen reports whether upstream was asked for the document and never had it.
func (s *sightings) unseen() bool { return s != nil && s.First.IsZero() }

// unseenAt reports whether the upstreams that a document is asked of now were asked
// for it and never had it. That others did not have it says nothing.
func (s *sightings) unseenAt(repo *Repository, d *pb.Document) bool {
	return s.unseen() && s.Asked == askedOf(repo, d.GetSources()...)
}

// askedOf are the upstreams that sources are asked of.
func askedOf(repo *Repository, sources ...*pb.Source) string {
	var all []string
	for _, s := range sources {
		all = append(all, repo.Upstreams.Of(s.GetRole())...)
	}
	return key(all...)
}

// lacking reports whether upstream said of all sources that it has no such thing.
func (m *making) lacking() bool {
	for _, s := range m.used {
		if s.Status != http.StatusNotFound && s.Status != http.StatusGone {
			return false
		}
	}
	return len(m.used) > 0 && m.lack == nil && m.stale == nil && m.without == nil
}

// noteLacking remembers that upstream does not have the document, or a list empty:
// what it was is withdrawn or, where nothing else was seen of it, what it will be is
// new.
func (m *making) noteLacking(failure *pb.Failure, empty bool) error {
	list := isList(m.d)
	lacking := failure.GetKind() == pb.ErrorKind_ERROR_KIND_NOT_FOUND && m.lacking()
	empty = empty && list && !m.own && m.stale == nil && m.without == nil
	if !lacking && !empty || !list && !m.d.GetHistory() || len(m.d.GetNames()) != 1 {
		return nil
	}
	if m.known != nil && !m.known.unseen() {
		if list {
			return nil
		}
		return m.c.withdrawAll(m.repo, m.d)
	}
	if m.known.unseenAt(m.repo, m.d) || !m.c.coolsDown(m.repo, m.d.GetNames()[0]) {
		return nil
	}
	return m.c.putUnseen(m.repo, m.d, m.checked())
}

// isList reports whether a document lists what documents with a history are.
func isList(d *pb.Document) bool { return d.GetListing() == d.GetPath() && !d.GetQuery() }

// lookAtEmpty looks once more at a list that was missing or empty, before a document
// that may be in it is looked at first: one that lists it then was without it before,
// and one that still does not is none that tells of it.
func (c *Cache) lookAtEmpty(ctx context.Context, repo *Repository, d *pb.Document, base string, seen *sightings) {
	if !d.GetHistory() || d.GetListing() == "" || seen != nil && !seen.unseen() {
		return
	}
	list, err := c.sightings(repo, d.GetListing())
	if err != nil || !list.unseen() {
		return
	}
	since := time.Now()
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: http.MethodGet, Path: d.GetListing()})
	if of := plan.GetDocument(); err == nil && of != nil {
		_, err = c.remake(ctx, repo, of, base, renderingName(repo, of.GetPath(), base), func(kept *source) bool { return kept.Checked.After(since) })
	}
	if err != nil {
		c.log.Debug("a list that was empty cannot be looked at again", "repository", repo.Name, "document", d.GetListing(), "error", err)
	}
}

// putUnseen is not synced: who loses it is where a fresh install is.
func (c *Cache) putUnseen(repo *Repository, d *pb.Document, at time.Time) error {
	name := sightingsName(repo, d.GetPath())
	h := shortHash(name)
	place := fmt.Sprintf("%s%03x", unseenKey, binary.BigEndian.Uint32(h[:])%unseenPlaces)
	c.unseenMu.Lock()
	defer c.unseenMu.Unlock()
	before, err := c.dir.Keep.Get(place)
	if ignoreMissing(err) != nil {
		return err
	}
	if former := string(before); former != "" && former != name {
		if err := c.changeUnseen(former, nil); err != nil {
			return err
		}
	}
	if err := c.dir.Keep.Apply(store.Change{place: []byte(name)}); err != nil {
		return err
	}
	return c.changeUnseen(name, &sightings{Last: at, Asked: askedOf(repo, d.GetSources()...)})
}

// changeUnseen replaces what is remembered under a name, or removes it, unless
// more was seen of the document meanwhile.
func (c *Cache) changeUnseen(name string, to *sightings) error {
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	now, err := c.sightingsAt(name)
	if err != nil || now != nil && !now.unseen() {
		return err
	}
	var value []byte
	if to != nil {
		if value, err = json.Marshal(to); err != nil {
			return err
		}
	}
	return c.dir.Keep.Apply(store.Change{name: value})
}

// sinceUnseen is since when a document with a history is there that upstream was
// once seen without: when a list was first seen to have it that it was not in
// before, or this look at it; zero: it was never seen without. Listed says that a
// list had it from the first look on.
func (c *Cache) sinceUnseen(repo *Repository, d *pb.Document, before *sightings, at time.Time) (since time.Time, listed bool, err error) {
	since, listed, err = c.listedSince(repo, d, at)
	if before.unseenAt(repo, d) && since.IsZero() {
		return at, false, err
	}
	return since, listed, err
}
