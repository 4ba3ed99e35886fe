package cache

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// sightings are what we saw of a document over time. They cannot be fetched
// again, so they are kept in the store, and their bodies are pinned.
type sightings struct {
	// First and Last are when upstream first and last showed the document. First
	// zero: it never did, when it was asked last.
	First, Last time.Time
	// Asked are the upstreams that did not have it, where none ever showed it.
	Asked string `json:",omitempty"`
	// Known are the marks of every file seen, sorted; inline while small.
	Known  []byte `json:",omitempty"`
	Digest blobs.Digest
	Size   int64
	// Floors are files that were not there at the first look and appeared not
	// before the instant given.
	Floors []floor `json:",omitempty"`
	// Earlier are files of a document with a history, oldest first.
	Earlier []earlier `json:",omitempty"`

	lost bool // Known could not be read
}

type floor struct {
	Name, Version, Path string
	At                  time.Time
}

// earlier is a file that a document with a history told of.
type earlier struct {
	Fact  []byte // as it was seen last
	First time.Time
	// Gone says that upstream withdrew it since, see [Cache.withdraw].
	Gone bool `json:",omitempty"`
}

// maxEarlier bounds a history.
const maxEarlier = 64

// remember takes over a history and adds what is seen now. Where that is what was
// new last, nothing was withdrawn.
func (s *sightings) remember(before *sightings, facts []*pb.Fact, at time.Time) {
	index := map[cooldown.Key]int{}
	if before != nil {
		for _, k := range before.known() {
			index[keyOf(k.GetFact())] = len(s.Earlier)
			s.Earlier = append(s.Earlier, before.Earlier[len(s.Earlier)])
		}
	}
	for _, f := range facts {
		value, err := proto.Marshal(f)
		if err != nil {
			continue // what came over the wire can be written again
		}
		if i, ok := index[keyOf(f)]; ok {
			s.Earlier[i].Fact, s.Earlier[i].Gone = value, false
			continue
		}
		index[keyOf(f)] = len(s.Earlier)
		s.Earlier = append(s.Earlier, earlier{Fact: value, First: at})
	}
	if before != nil && len(before.Earlier) > 0 {
		last := len(before.Earlier) - 1
		if before.Earlier[last].Gone && !s.Earlier[last].Gone {
			for i := range s.Earlier {
				s.Earlier[i].Gone = false
			}
		}
	}
	if extra := len(s.Earlier) - maxEarlier; extra > 0 {
		s.Earlier = s.Earlier[extra:]
	}
}

// known is a history as plugins get it.
func (s *sightings) known() []*pb.Known {
	if s == nil {
		return nil
	}
	out := make([]*pb.Known, len(s.Earlier))
	for i, e := range s.Earlier {
		f := &pb.Fact{}
		if err := proto.Unmarshal(e.Fact, f); err != nil {
			f = &pb.Fact{} // a record of another format tells nothing
		}
		out[i] = &pb.Known{Fact: f, FirstMs: e.First.UnixMilli()}
	}
	return out
}

const (
	sightingsKey = "seen/"
	pinKey       = "pin/"
	knownSize    = 8       // bytes of a hash
	inlineKnown  = 2 << 10 // bytes kept in the record itself
)

func sightingsName(repo *Repository, path string) string { return key(sightingsKey+repo.Name, path) }

// sightings returns what was seen of a document; nil: never observed.
func (c *Cache) sightings(repo *Repository, path string) (*sightings, error) {
	if path == "" {
		return nil, nil
	}
	s, err := c.sightingsAt(sightingsName(repo, path))
	if s != nil && s.Size > 0 {
		if s.Known, err = c.blobs.Read(s.Digest, s.Size); lost(err) {
			c.log.Error("the list of files seen before is gone; what is there now counts as known", "repository", repo.Name, "document", path)
			s.lost, err = true, nil
		}
	}
	return s, err
}

// sightingsAt is a record of sightings as it is kept; nil: there is none.
func (c *Cache) sightingsAt(name string) (*sightings, error) {
	value, err := c.dir.Keep.Get(name)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	s := &sightings{}
	if err := json.Unmarshal(value, s); err != nil {
		return nil, err
	}
	return s, nil
}

// floors as policy wants them.
func (s *sightings) floors() map[cooldown.Key]time.Time {
	if s == nil {
		return nil
	}
	out := make(map[cooldown.Key]time.Time, len(s.Floors))
	for _, f := range s.Floors {
		out[cooldown.Key{Name: f.Name, Version: f.Version, Path: f.Path}] = f.At
	}
	return out
}

// marks are short hashes of what is known of a file: that it was seen, with
// which digest algorithms, and with which digests. A digest of an algorithm
// that was seen before with another sum means that the bytes were replaced.
func marks(f *pb.Fact) (file [knownSize]byte, digests [][2][knownSize]byte) {
	k := keyOf(f)
	id := key(k.Name, k.Version, k.Path)
	for _, d := range f.GetDigests() {
		digests = append(digests, [2][knownSize]byte{
			shortHash(key(id, d.GetAlgorithm())),
			shortHash(key(id, d.GetAlgorithm(), string(d.GetSum()))),
		})
	}
	return shortHash(id), digests
}

// longestMemory is for how long what was seen is kept where no longer cool-down
// needs it: one may be made longer.
const longestMemory = 31 * 24 * time.Hour

func versionMark(f *pb.Fact) [knownSize]byte {
	return shortHash(key(f.GetName(), f.GetVersion(), ""))
}

func shortHash(s string) [knownSize]byte {
	h := sha256.Sum256([]byte(s))
	return [knownSize]byte(h[:knownSize])
}

// A look is one at a document, of which a cool-down begins for what is new there.
type look struct {
	// at is when upstream showed the document so.
	at time.Time
	// undated is since when a file is there of which nobody but its author says
	// when it was published, as far as can be told at this look; nil: since it.
	undated func(f *pb.Fact, at time.Time) time.Time
	// holdFirst says that such files begin their cool-down also at the first look
	// at a document.
	holdFirst bool
	// elsewhere says that the facts are of another document than the one looked
	// at, which may name versions without their files.
	elsewhere bool
	// keep is after what time floors are forgotten, but none of the last month:
	// windows may be made longer.
	keep time.Duration
}

// since is when the cool-down of a file begins that is new at a look; zero: its
// own time alone counts. Where upstream says when it was published, it is no
// older than the last look without it. Where nobody says so, that look may be
// long ago, and it is as old as we know it.
func (l *look) since(f *pb.Fact, before *sightings) time.Time {
	first := before == nil || before.lost
	switch {
	case f.GetPublishedMs() != 0 && !f.GetClaimed():
		if first {
			return time.Time{}
		}
		return before.Last
	case first && !l.holdFirst:
		return time.Time{}
	case l.undated != nil:
		return l.undated(f, l.at)
	}
	return l.at
}

// observe returns the sightings after a look at a document, and whether any
// floor is new.
func (s *sightings) observe(facts []*pb.Fact, l look) (*sightings, bool) {
	at := l.at
	next := &sightings{First: at, Last: at}
	known := map[[knownSize]byte]bool{}
	if s != nil {
		next.Digest, next.Size = s.Digest, s.Size
		if !s.unseen() {
			next.First = s.First
		}
		if s.Last.After(at) {
			next.Last = s.Last
		}
		for i := 0; i+knownSize <= len(s.Known); i += knownSize {
			known[[knownSize]byte(s.Known[i:])] = true
		}
		for _, f := range s.Floors {
			if at.Sub(f.At) < max(l.keep, longestMemory) {
				next.Floors = append(next.Floors, f)
			}
		}
	}
	added := false
	for _, f := range facts {
		k := keyOf(f)
		file, digests := marks(f)
		fresh := !known[file] && !(l.elsewhere && known[versionMark(f)])
		known[file] = true
		for _, d := range digests {
			fresh = fresh || known[d[0]] && !known[d[1]]
			known[d[0]], known[d[1]] = true, true
		}
		if !fresh {
			continue
		}
		floorAt := l.since(f, s)
		if floorAt.IsZero() {
			continue
		}
		next.Floors = append(next.Floors, floor{k.Name, k.Version, k.Path, floorAt})
		added = true
	}
	hashes := make([][knownSize]byte, 0, len(known))
	for h := range known {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b [knownSize]byte) int { return slices.Compare(a[:], b[:]) })
	for _, h := range hashes {
		next.Known = append(next.Known, h[:]...)
	}
	return next, added
}

// putSightings keeps sightings; they are synced when a file is new, because a
// lost floor would let it out early.
func (c *Cache) putSightings(repo *Repository, path string, s *sightings, durable bool) error {
	name := sightingsName(repo, path)
	change := store.Change{}
	record := *s
	if len(s.Known) > inlineKnown {
		w, err := c.blobs.Create()
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := w.Write(s.Known); err != nil {
			return err
		}
		record.Known, record.Digest, record.Size = nil, w.Digest(), int64(len(s.Known))
		// Pinned first: a body that nobody pins may be evicted at once.
		if err := c.dir.Keep.Apply(store.Change{pinName(record.Digest, name): {}}); err != nil {
			return err
		}
		if _, err := w.Commit(nil, durable); err != nil {
			return err
		}
	}
	if s.Size > 0 && s.Digest != record.Digest {
		change[pinName(s.Digest, name)] = nil
	}
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	change[name] = value
	if err := c.dir.Keep.Apply(change); err != nil {
		return err
	}
	if durable {
		return c.dir.Keep.Sync()
	}
	return nil
}

func pinName(d blobs.Digest, owner string) string { return key(pinKey+d.String(), owner) }

// Pinned reports whether a body must not be evicted.
func Pinned(keep *store.DB) func(blobs.Digest) bool {
	return func(d blobs.Digest) bool {
		found := false
		err := keep.Each(pinKey+d.String(), true, func(string, []byte) bool {
			found = true
			return false
		})
		return found || err != nil
	}
}

// confirm notes that upstream still shows a document as it was.
func (c *Cache) confirm(repo *Repository, path string, at time.Time) error {
	mu := c.lockRecord(sightingsName(repo, path))
	mu.Lock()
	defer mu.Unlock()
	s, err := c.sightingsAt(sightingsName(repo, path))
	if s == nil || err != nil || !at.After(s.Last) {
		return err
	}
	s.Last = at
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return c.dir.Keep.Apply(store.Change{sightingsName(repo, path): value})
}

func ignoreMissing(err error) error {
	if lost(err) {
		return nil
	}
	return err
}
