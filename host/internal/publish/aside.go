package publish

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// aside are files of a publication that are on disk, pinned until it ends.
type aside struct {
	id     string
	pins   []string
	bodies []catalog.Body
	// mounted is how many of the bodies were here before.
	mounted int
	// fresh are bodies that were not on the disk before.
	fresh []blobs.Digest
}

func newAside() *aside { return &aside{id: rand.Text()} }

const (
	asideKey = "aside/" // id → pins, of publications under way
	pinKey   = "pin/"
)

// putAside commits files to disk. What is written there is recorded first, so
// that what a killed host leaves is found.
func (p *Publisher) putAside(set *aside, files []*intake.File) error {
	if len(files) == 0 {
		return nil
	}
	var sums []blobs.Digest
	for _, f := range files {
		sums = append(sums, f.Writer.Digest())
		set.bodies = append(set.bodies, catalog.Body{Digest: sums[len(sums)-1], Size: f.Writer.Size(), Digests: f.Digests()})
	}
	if err := p.pin(set, sums, store.Change{}); err != nil {
		return err
	}
	for _, f := range files {
		if d := f.Writer.Digest(); !p.blobs.Has(d) {
			set.fresh = append(set.fresh, d)
		}
		if _, err := f.Writer.Commit(nil, true); err != nil {
			return err
		}
	}
	return nil
}

// pin keeps bodies from being evicted until the publication ends.
func (p *Publisher) pin(set *aside, bodies []blobs.Digest, change store.Change) error {
	for _, d := range bodies {
		pin := pinKey + d.String() + "\x00" + asideKey + set.id
		set.pins = append(set.pins, pin)
		change[pin] = []byte{}
	}
	record, err := json.Marshal(set.pins)
	if err != nil {
		return err
	}
	change[asideKey+set.id] = record
	return p.keep.Apply(change)
}

// released are the records by which files are no longer put aside.
func (a *aside) released() store.Change {
	change := store.Change{}
	if len(a.pins) > 0 {
		change[asideKey+a.id] = nil
	}
	for _, pin := range a.pins {
		change[pin] = nil
	}
	return change
}

// release ends a publication. What it did not make part of a package does not
// stay.
func (p *Publisher) release(set *aside) {
	if len(set.pins) > 0 {
		if err := p.keep.Apply(set.released()); err != nil {
			p.log.Error("files of a publication stay on disk until the next start", "error", err)
			return
		}
	}
	for _, d := range set.fresh {
		p.blobs.Discard(d)
	}
}

// sweep drops what was put aside when the host was killed.
func (p *Publisher) sweep() error {
	change := store.Change{}
	var left []blobs.Digest
	err := p.keep.Each(asideKey, false, func(k string, value []byte) bool {
		change[k] = nil
		var pins []string
		if json.Unmarshal(value, &pins) == nil {
			for _, pin := range pins {
				change[pin] = nil
				left = append(left, pinnedBy(pin))
			}
		}
		return true
	})
	if err != nil || len(change) == 0 {
		return err
	}
	if err := p.keep.ApplyAll(change); err != nil {
		return err
	}
	for _, d := range left {
		p.blobs.Discard(d)
	}
	return nil
}

// pinnedBy is the digest in the name of a pin.
func pinnedBy(pin string) (d blobs.Digest) {
	name, _, _ := strings.Cut(strings.TrimPrefix(pin, pinKey), "\x00")
	if raw, err := hex.DecodeString(name); err == nil {
		copy(d[:], raw)
	}
	return d
}
