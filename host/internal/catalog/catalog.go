// Package catalog keeps what is published here: packages with their tags,
// owners and files.
//
// A package is one record with a revision that counts its changes, and a record
// for each of its files, so that a publication writes little however many
// versions there are. All records of a publication are written in one
// transaction and synced before anybody is told. Bodies are pinned, so that
// they are never evicted.
package catalog

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/memory"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Package is a hosted package. It is immutable; a change makes a new one.
type Package struct {
	// Name in canonical form.
	Name string
	// Revision grows with each change.
	Revision uint64
	// Tags are versions by tag.
	Tags map[string]string `json:"-"`
	// Owners are users.
	Owners []string `json:",omitempty"`
	// Extra is the plugin's.
	Extra []byte `json:",omitempty"`
	// Next is the number of the next file.
	Next uint64
	// Files by number.
	Files []*File `json:"-"`

	index index
	few   map[string]string      // tags that stand in its record
	moved map[string]bool        // tags that a change under way changes
	needs func() map[string]bool // made when first needed
}

// File is a file of a hosted package, or a version without files.
type File struct {
	// Number orders the files of a package.
	Number uint64 `json:"-"`
	// Version that it is of.
	Version string
	// Canonical is what it has in common with other spellings; empty: there are
	// none.
	Canonical string `json:",omitempty"`
	// Path is its canonical address in the repository; empty: none.
	Path string `json:",omitempty"`
	// Extra is the plugin's.
	Extra []byte `json:",omitempty"`
	// Digests by algorithm.
	Digests map[string][]byte `json:",omitempty"`
	// Body is the sha256 that it is kept by.
	Body blobs.Digest
	// Source is the file in a directory that it lies in, as it was at Modified;
	// empty: it is kept by its digest.
	Source   string    `json:",omitempty"`
	Modified time.Time `json:",omitzero"`
	// Offset is where it begins in the Source, which has Whole bytes; 0: it is
	// all of it.
	Offset int64 `json:",omitempty"`
	Whole  int64 `json:",omitempty"`
	// Archive is the file in a directory that it was taken out of; empty: none.
	Archive string `json:",omitempty"`
	// Size in bytes.
	Size int64
	// Published is when it was stored.
	Published time.Time
	// Yanked is whether its version is yanked.
	Yanked bool `json:",omitempty"`
	// Message says why it is yanked or deprecated.
	Message string `json:",omitempty"`
	// Type is the content type; empty: as the artifact's plan says.
	Type string `json:",omitempty"`
	// Needs are paths of loose files of the package.
	Needs []string `json:",omitempty"`
	// Loose is whether it goes when no file needs it.
	Loose bool `json:",omitempty"`
}

// Records of this package in the store.
const (
	packageKey = "hosted/package/" // repository, name → Package
	fileKey    = "hosted/file/"    // repository, name, number → File
	pathKey    = "hosted/path/"    // repository, path → name, number
	epochKey   = "hosted/epoch/"   // repository → number
	pinKey     = "pin/"            // as cache has it: digest, owner
)

// Catalog is all that is hosted.
type Catalog struct {
	// Freed is told of a body that a package no longer has; nil: nobody is.
	Freed func(blobs.Digest)

	db       *store.DB
	packages *memory.Cache[*Package]
	locks    [64]sync.Mutex // of packages, by name
	epochs   sync.Map       // repository → *atomic.Uint64
	rooms    sync.Map       // repository → *room
	spelled  sync.Map       // repository → *spellings

	followers sync.Map // repository → func()
}

// New makes a catalogue of what is in a store.
func New(db *store.DB) *Catalog {
	return &Catalog{db: db, packages: memory.New(memory.Options[*Package]{
		Weight: 128 << 20, Weigh: func(_ string, p *Package) uint32 { return p.weight() },
	})}
}

func (p *Package) weight() uint32 {
	n := 200 + len(p.Extra)
	for _, f := range p.Files {
		n += 1200 + len(f.Extra) // most of it digests
	}
	return uint32(min(n, 1<<30))
}

func key(parts ...string) string { return strings.Join(parts, "\x00") }

func number(n uint64) string { return fmt.Sprintf("%016x", n) }

// Epoch changes whenever anything hosted in a repository does.
func (c *Catalog) Epoch(repository string) uint64 { return c.epoch(repository).Load() }

func (c *Catalog) epoch(repository string) *atomic.Uint64 {
	if e, ok := c.epochs.Load(repository); ok {
		return e.(*atomic.Uint64)
	}
	e := &atomic.Uint64{}
	if value, err := c.db.Get(epochKey + repository); err == nil && len(value) == 8 {
		e.Store(binary.BigEndian.Uint64(value))
	}
	known, _ := c.epochs.LoadOrStore(repository, e)
	return known.(*atomic.Uint64)
}

// advance has the epoch change with a change, whose records it is added to; done
// is called when they are written.
func (c *Catalog) advance(repository string, now time.Time, records store.Change) (done func()) {
	epoch := c.epoch(repository)
	next := max(epoch.Load()+1, uint64(now.UnixNano()))
	records[epochKey+repository] = binary.BigEndian.AppendUint64(nil, next)
	return func() { epoch.Store(max(next, epoch.Load()+1)) }
}

// Package returns a package; nil: there is none.
func (c *Catalog) Package(repository, name string) (*Package, error) {
	if p, known := c.remembered(repository, name); known {
		return p, nil
	}
	// What is read while a change is written must not be kept.
	defer c.lock(repository, []string{name})()
	return c.load(repository, name)
}

// remembered is a package that is in memory, or nil where it is known there that
// there is none.
func (c *Catalog) remembered(repository, name string) (p *Package, known bool) {
	p, known = c.packages.Get(key(packageKey+repository, name))
	if known && p.Revision == 0 {
		return nil, true
	}
	return p, known
}

// load is a package of which the lock is held, so that what is in memory is what
// is written.
func (c *Catalog) load(repository, name string) (*Package, error) {
	if p, known := c.remembered(repository, name); known {
		return p, nil
	}
	id := key(packageKey+repository, name)
	value, err := c.db.Get(id)
	if errors.Is(err, fs.ErrNotExist) {
		c.packages.Set(id, newPackage(name)) // asked for again by every request
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := newPackage(name)
	r := record{Package: p}
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("package %s of %s: %w", name, repository, err)
	}
	if err := c.readTags(repository, r); err != nil {
		return nil, fmt.Errorf("tags of %s in %s: %w", name, repository, err)
	}
	var broken error
	err = c.db.Each(key(fileKey+repository, name, ""), false, func(k string, value []byte) bool {
		f := &File{}
		if broken = json.Unmarshal(value, f); broken != nil {
			return false
		}
		_, broken = fmt.Sscanf(k[strings.LastIndexByte(k, 0)+1:], "%x", &f.Number)
		p.put(f)
		return broken == nil
	})
	if err = errors.Join(err, broken); err != nil {
		return nil, fmt.Errorf("files of %s in %s: %w", name, repository, err)
	}
	c.remember(repository, p)
	return p, nil
}

// remember keeps a package of which the lock is held in memory.
func (c *Catalog) remember(repository string, p *Package) {
	p.needs = sync.OnceValue(p.needed)
	c.packages.Set(key(packageKey+repository, p.Name), p)
}

// Names are those of the packages of a repository that match a pattern, as in
// [names.Match], sorted.
func (c *Catalog) Names(repository, pattern string) ([]string, error) {
	return c.named(packageKey, repository, pattern)
}

// At returns the file at a path, with its package; nil: there is none. Where
// it is a file of the package named, it is found in memory.
func (c *Catalog) At(repository, path, name string) (*Package, *File, error) {
	if name != "" {
		if p, err := c.Package(repository, name); err != nil || p != nil && p.At(path) != nil {
			return p, p.At(path), err
		}
	}
	value, err := c.db.Get(key(pathKey+repository, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	owner, _, _ := strings.Cut(string(value), "\x00")
	p, err := c.Package(repository, owner)
	return p, p.At(path), err
}

// Holders are the packages of a repository that have a file with a body, as
// far as it is kept by its digest; they may have lost it meanwhile.
func (c *Catalog) Holders(repository string, d blobs.Digest) ([]string, error) {
	var names []string
	prefix := key(pinKey+d.String(), fileKey+repository, "")
	err := c.db.Each(prefix, true, func(k string, _ []byte) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(k, prefix), "\x00")
		names = append(names, name)
		return true
	})
	return names, err
}

// inDirectory is the file in a directory that it is taken out of, or is; empty:
// it was published.
func (f *File) inDirectory() string { return cmp.Or(f.Archive, f.Source) }

// published reports whether it was published, rather than found in a directory.
func (f *File) published() bool { return f.inDirectory() == "" }

// Fleeting reports whether it goes when a file in a directory goes.
func (f *File) Fleeting() bool { return f != nil && !f.published() }

// owner is the name of the package that has a file at a path; empty: none.
func (c *Catalog) owner(repository, path string) (string, error) {
	value, err := c.db.Get(key(pathKey+repository, path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	name, _, _ := strings.Cut(string(value), "\x00")
	return name, err
}

// canonical is what all spellings of the file's version have in common.
func (f *File) canonical() string { return cmp.Or(f.Canonical, f.Version) }

// clone is a copy to be changed, whose files may be replaced but not changed.
func (p *Package) clone() *Package {
	next := *p
	next.index = p.index.copy()
	next.Owners = slices.Clone(p.Owners)
	next.Files = slices.Clone(p.Files)
	return &next
}

// Wire is a package as plugins get it.
func (p *Package) Wire() *pb.HostedPackage {
	out := p.head()
	out.Tags = p.Tags
	for _, f := range p.Files {
		out.Entries = append(out.Entries, f.wire(p.Name))
	}
	return out
}

// Excerpt is what a plugin gets that asked for some of a package.
func (p *Package) Excerpt(asked *pb.Excerpt) *pb.HostedPackage {
	out := p.head()
	out.Excerpt, out.Tags = asked, map[string]string{}
	for _, path := range asked.GetPaths() {
		if f := p.At(path); f != nil {
			out.Entries = append(out.Entries, f.wire(p.Name))
		}
	}
	for _, tag := range asked.GetTags() {
		if version, there := p.Tags[tag]; there {
			out.Tags[tag] = version
		}
	}
	return out
}

func (p *Package) head() *pb.HostedPackage {
	return &pb.HostedPackage{Name: p.Name, Revision: p.Revision, Owners: p.Owners, Extra: p.Extra}
}

func (f *File) wire(name string) *pb.Entry {
	e := &pb.Entry{
		Version: &pb.Version{Name: name, Version: f.Version}, Path: f.Path, Extra: f.Extra, Size: f.Size,
		PublishedMs: f.Published.UnixMilli(), Yanked: f.Yanked, Message: f.Message, ContentType: f.Type,
	}
	for _, algorithm := range slices.Sorted(maps.Keys(f.Digests)) {
		e.Digests = append(e.Digests, &pb.Digest{Algorithm: algorithm, Sum: f.Digests[algorithm]})
	}
	return e
}
