package catalog

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Body is a file put aside, to be stored.
type Body struct {
	// Digest that it is kept by.
	Digest blobs.Digest
	// Size in bytes.
	Size int64
	// Digests by algorithm.
	Digests map[string][]byte
	// Source is the file that it lies in, of which Modified is the time; empty:
	// it is kept by its digest.
	Source   string
	Modified time.Time
	// Offset is where it begins in the Source, which has Whole bytes; 0: it is
	// all of it.
	Offset, Whole int64
	// Archive is the file in a directory that it was taken out of; empty: none.
	Archive string
}

// Change is what a publication does.
type Change struct {
	// Repository that it is made in.
	Repository string
	// Operations in order.
	Operations []*pb.Operation
	// Bodies that operations number.
	Bodies []Body
	// Revisions are those of the packages that the decision was made on, which
	// need not be all that are changed, nor only those.
	Revisions map[string]uint64
	// Now is when it happens.
	Now time.Time
	// Published is when what operations store was published, by their number;
	// zero, or none: now.
	Published []time.Time
	// Overwrite allows files to be replaced that were published.
	Overwrite bool
	// Quota is how many bytes what is published in the repository may take; 0: any.
	Quota int64
	// Underway is how many bytes of that are taken by what is yet to be published.
	Underway int64
	// Records are written along with it.
	Records store.Change
	// Blind allows packages to be changed that nobody looked at, because what is
	// done does not depend on them.
	Blind bool
	// Scan says that it is made by who looks at directories, so that it may change
	// what is served from them. What it deletes is what is served from the file in
	// a directory that an operation's value names; it tells of what it leaves.
	Scan bool
	// Tell is told, of a scan, which tags stay what was published; nil: nobody is.
	Tell func(name, tag string)
	// Rules say which names of packages are the same.
	Rules names.Rules
	// Gone are files that were deleted for good elsewhere, by package and path.
	Gone map[string]Graves
	// Unsynced leaves it to the caller to have it survive a power failure.
	Unsynced bool
}

// Names are those of the packages that operations change, sorted.
func Names(operations []*pb.Operation) []string {
	var names []string
	for _, o := range operations {
		if name := o.GetVersion().GetName(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// Apply makes a change: all of it, or nothing. [ErrChanged], [*ExistsError],
// [*GoneError], [*DirectoryError], [*AlikeError], [*SpelledError], [*MissingError], [*ScanError] and [*QuotaError]
// say why it is not made.
func (c *Catalog) Apply(ch Change) error {
	changed := Names(ch.Operations)
	locked := slices.Concat(slices.Collect(maps.Keys(ch.Revisions)), slices.Collect(maps.Keys(ch.Gone)), changed)
	for _, name := range changed {
		locked = append(locked, ch.Rules.Fold(name)) // so that no two that are the same are new at once
	}
	defer c.lock(ch.Repository, locked)()
	e := edit{Change: ch, catalog: c, records: store.Change{}, packages: map[string]*Package{}, paths: map[string]string{}, graves: map[string]Graves{}, former: map[string]bool{}}
	for k, v := range ch.Records {
		e.records[k] = v
	}
	before := map[string]*Package{}
	for name, revision := range ch.Revisions {
		p, err := c.load(ch.Repository, name)
		if err != nil {
			return err
		}
		if p == nil {
			p = newPackage(name)
		}
		if revision != p.Revision {
			return fmt.Errorf("%w: %s", ErrChanged, name)
		}
		before[name] = p
	}
	for _, name := range changed {
		if before[name] == nil && !ch.Blind {
			return fmt.Errorf("%s is changed without a look at it", name)
		}
		if before[name] == nil {
			p, err := c.load(ch.Repository, name)
			if err != nil {
				return err
			}
			if before[name] = p; p == nil {
				before[name] = newPackage(name)
			}
		}
		e.packages[name] = before[name].clone()
	}
	for i, o := range ch.Operations {
		e.at = ch.Now
		if i < len(ch.Published) && !ch.Published[i].IsZero() {
			e.at = ch.Published[i]
		}
		if err := e.apply(o); err != nil {
			return err
		}
	}
	if err := e.inherit(); err != nil {
		return err
	}
	if err := e.finish(before); err != nil {
		return err
	}
	if err := e.write(); err != nil {
		return err
	}
	if ch.Unsynced {
		return nil
	}
	return c.db.Sync()
}

// lock locks packages in an order that all agree on.
func (c *Catalog) lock(repository string, names []string) (unlock func()) {
	var at []int
	for _, name := range names {
		h := fnv.New32a()
		h.Write([]byte(key(repository, name)))
		if i := int(h.Sum32() % uint32(len(c.locks))); !slices.Contains(at, i) {
			at = append(at, i)
		}
	}
	sort.Ints(at)
	for _, i := range at {
		c.locks[i].Lock()
	}
	return func() {
		for _, i := range at {
			c.locks[i].Unlock()
		}
	}
}

// edit is a change under way.
type edit struct {
	Change
	catalog  *Catalog
	packages map[string]*Package
	paths    map[string]string // of files that are stored, with their package
	graves   map[string]Graves // that were looked at
	former   map[string]bool   // packages that have nothing more
	records  store.Change
	freed    []blobs.Digest
	at       time.Time // when what is stored was published
	added    int64     // bytes that are published besides
	wake     func()    // who follows what goes; nil: nothing does
}

func (e *edit) apply(o *pb.Operation) error {
	p := e.packages[o.GetVersion().GetName()]
	version := o.GetVersion().GetVersion()
	switch o.GetKind() {
	case pb.Operation_KIND_STORE:
		return e.store(p, o)
	case pb.Operation_KIND_TAG:
		if len(p.versionOf(version)) == 0 {
			return &MissingError{p.Name, version}
		}
		at := p.Tags[o.GetValue()]
		if e.Scan && at != version && p.published(at) {
			if e.Tell != nil {
				e.Tell(p.Name, o.GetValue())
			}
			return nil
		}
		if err := e.spare(p, o.GetValue(), at, version); err != nil {
			return err
		}
		p.tag(o.GetValue(), version)
	case pb.Operation_KIND_UNTAG:
		if e.Scan && p.published(p.Tags[o.GetValue()]) {
			return nil
		}
		if err := e.spare(p, o.GetValue(), p.Tags[o.GetValue()], ""); err != nil {
			return err
		}
		p.tag(o.GetValue(), "")
	case pb.Operation_KIND_YANK:
		return p.mark(version, func(f *File) { f.Yanked, f.Message = true, o.GetValue() })
	case pb.Operation_KIND_UNYANK:
		return p.mark(version, func(f *File) { f.Yanked, f.Message = false, "" })
	case pb.Operation_KIND_DEPRECATE:
		return p.mark(version, func(f *File) { f.Message = o.GetValue() })
	case pb.Operation_KIND_DELETE:
		for _, f := range p.Files {
			if at := f.inDirectory(); at != "" && !e.Scan && f.is(version, o.GetPath()) {
				return &DirectoryError{strings.TrimSpace(p.Name + " " + f.Version), at}
			}
		}
		return e.remove(p, version, o)
	case pb.Operation_KIND_OWN:
		if !slices.Contains(p.Owners, o.GetValue()) {
			p.Owners = append(p.Owners, o.GetValue())
		}
	case pb.Operation_KIND_DISOWN:
		p.Owners = slices.DeleteFunc(p.Owners, func(s string) bool { return s == o.GetValue() })
	case pb.Operation_KIND_EXTRA:
		p.Extra = o.GetExtra()
	default:
		return fmt.Errorf("operation %s is not known here; update entrepot", o.GetKind())
	}
	return nil
}

func (e *edit) store(p *Package, o *pb.Operation) error {
	f := &File{
		Version: o.GetVersion().GetVersion(), Canonical: o.GetVersion().GetCanonical(), Path: o.GetPath(), Extra: o.GetExtra(), Published: e.at, Number: p.Next,
		Type: o.GetContentType(), Needs: o.GetNeeds(), Loose: o.GetLoose(),
	}
	if n := o.GetFile(); n >= 0 {
		if int(n) >= len(e.Bodies) || f.Path == "" {
			return fmt.Errorf("plugin stores file %d of %d at %q", n, len(e.Bodies), f.Path)
		}
		b := e.Bodies[n]
		f.Body, f.Size, f.Digests = b.Digest, b.Size, b.Digests
		f.Source, f.Modified, f.Offset, f.Whole, f.Archive = b.Source, b.Modified, b.Offset, b.Whole, b.Archive
		owner, err := e.owner(f.Path)
		if err != nil {
			return err
		}
		if owner != "" && owner != p.Name {
			return &TakenError{f.Path, owner}
		}
		if f.inDirectory() != "" {
			if admitted, err := e.admit(p, f); !admitted || err != nil {
				return err
			}
		} else if err := e.risen(p, f); err != nil {
			return err
		}
		e.paths[f.Path] = p.Name
	}
	if err := e.unlike(p); err != nil {
		return err
	}
	if other := p.Spelled(f.Version, f.Canonical); other != "" {
		return &SpelledError{p.Name, f.Version, other}
	}
	if f.inDirectory() == "" {
		if err := e.clear(p, f); err != nil {
			return err
		}
	}
	if of := p.versionOf(f.Version); len(of) > 0 {
		f.Yanked, f.Message = of[0].Yanked, of[0].Message // which are the version's
	}
	for _, other := range p.versionOf(f.Version) {
		if other.Path != f.Path {
			continue
		}
		byItself := f.Source != "" && f.Archive == "" && other.Archive != ""
		if !o.GetReplace() && !e.Overwrite && !byItself {
			return &ExistsError{p.Name, f.Version, f.Path}
		}
		f.Number = other.Number
		p.put(f)
		return nil
	}
	p.put(f)
	p.Next++
	return nil
}

// owner is the package that has a path now; empty: none.
func (e *edit) owner(path string) (string, error) {
	if name := e.paths[path]; name != "" {
		return name, nil
	}
	name, err := e.catalog.owner(e.Repository, path)
	if p := e.packages[name]; p != nil && p.At(path) == nil {
		return "", err // it is given up here
	}
	return name, err
}

// mark changes the files of a version.
func (p *Package) mark(version string, change func(*File)) error {
	all := p.versionOf(version)
	for _, f := range all {
		marked := *f
		change(&marked)
		p.put(&marked)
	}
	if len(all) == 0 {
		return &MissingError{p.Name, version}
	}
	return nil
}

// spare says why a tag may not be moved from one version to another, or be taken
// away; nil: it may. Single files in directories have none of their own.
func (e *edit) spare(p *Package, tag, from, to string) error {
	if e.Scan || from == "" || from == to {
		return nil
	}
	for _, f := range p.versionOf(from) {
		if at := f.Archive; at != "" {
			return &DirectoryError{"tag " + tag + " of " + p.Name, at}
		}
	}
	return nil
}

// is reports whether it is a file of a version at a path; empty: any.
func (f *File) is(version, path string) bool {
	return (version == "" || f.Version == version) && (path == "" || f.Path == path)
}

// remove removes a file, a version, or, without a version, everything.
func (e *edit) remove(p *Package, version string, o *pb.Operation) error {
	path := o.GetPath()
	goes := func(f *File) bool {
		return f.is(version, path) && (!e.Scan || f.inDirectory() == o.GetValue())
	}
	for _, f := range p.Files {
		if goes(f) && o.GetForGood() {
			if err := e.bury(p, f); err != nil {
				return err
			}
		}
	}
	touched := map[string]bool{}
	p.drop(func(f *File) bool {
		if !goes(f) {
			return false
		}
		touched[f.Version] = true
		return true
	})
	all := version == "" && path == ""
	for tag, v := range p.Tags {
		if all || touched[v] && len(p.versionOf(v)) == 0 {
			p.tag(tag, "")
		}
	}
	if all {
		p.Owners, p.Extra = nil, nil
	}
	return nil
}

// finish turns the packages as they are now into records.
func (e *edit) finish(before map[string]*Package) error {
	for name, p := range e.packages {
		p.noteFreed(before[name], e.Now)
		gone, fresh := differ(before[name].Files, p.Files)
		for _, f := range gone {
			e.added -= f.room()
			e.forget(p, f)
			if _, replaced := numbered(fresh, f.Number); !replaced {
				e.depart(p, f)
			}
		}
		for _, f := range fresh {
			e.added += f.room()
			if err := e.put(p, f); err != nil {
				return err
			}
		}
		e.part(before[name], p)
		if err := e.putPackage(before[name], p); err != nil {
			return err
		}
	}
	return nil
}

func (e *edit) putPackage(before, p *Package) error {
	id := key(packageKey+e.Repository, p.Name)
	e.putTags(before, p)
	if len(p.Files) == 0 && len(p.Owners) == 0 && len(p.Extra) == 0 {
		e.records[id] = nil
		for tag := range p.Tags {
			e.putTag(p, tag, "")
		}
		p.Revision = 0
		return nil
	}
	p.Revision = max(before.Revision+1, uint64(e.Now.UnixNano())) // also after it was deleted
	value, err := json.Marshal(record{p, p.few, len(p.Tags) - len(p.few)})
	e.records[id] = value
	return err
}

// put writes the records of a file. It must not hide another package's.
func (e *edit) put(p *Package, f *File) error {
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	e.records[key(fileKey+e.Repository, p.Name, number(f.Number))] = value
	if f.Path != "" {
		e.records[key(pathKey+e.Repository, f.Path)] = []byte(key(p.Name, number(f.Number)))
		if f.Source == "" {
			e.records[e.pin(p, f)] = []byte{}
		}
	}
	return nil
}

// forget deletes the records of a file, unless others were written since.
func (e *edit) forget(p *Package, f *File) {
	e.free(f)
	for _, k := range []string{key(fileKey+e.Repository, p.Name, number(f.Number)), key(pathKey+e.Repository, f.Path), e.pin(p, f)} {
		if e.records[k] == nil {
			e.records[k] = nil
		}
	}
}

func (e *edit) pin(p *Package, f *File) string {
	return key(pinKey+f.Body.String(), fileKey+e.Repository, p.Name, number(f.Number))
}
