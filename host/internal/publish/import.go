package publish

import (
	"context"
	"crypto/md5"  //nolint:gosec // what some registries give
	"crypto/sha1" //nolint:gosec // what some registries give
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/transfer"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Imported says what was done with a package's files.
type Imported struct {
	// Added files, and files that were there already.
	Added   int `json:"added"`
	Present int `json:"present"`
	// Problems are why others were not taken.
	Problems []string `json:"problems,omitempty"`
}

// Import publishes a package of an export. What is there already stays as it
// is; what is lacking is added. Next is called for the content of each file, in
// order. An error says why the rest was not taken; what was added until then is
// there, and importing it again goes on.
func (p *Publisher) Import(ctx context.Context, repo *cache.Repository, about *transfer.Package, files []*transfer.File, next func() (io.Reader, error)) (Imported, error) {
	if about.Plugin != repo.Plugin {
		return Imported{}, fmt.Errorf("%s is a package of plugin %s, but repository %q is of %s", about.Name, about.Plugin, repo.Name, repo.Plugin)
	}
	if f := repo.MayPublish(about.Name); f != nil {
		return Imported{}, f
	}
	known, err := p.cache.Catalog().Package(repo.Name, about.Name)
	if err != nil {
		return Imported{}, err
	}
	if known == nil {
		known = &catalog.Package{Name: about.Name}
	}
	m := &importing{ctx: ctx, p: p, repo: repo, about: about, known: known, set: newAside()}
	defer func() { p.release(m.set) }()
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return m.done, err
		}
		if err := m.file(f, next); err != nil {
			return m.done, err
		}
	}
	if err := m.flush(); err != nil {
		return m.done, err
	}
	return m.done, m.mark(files)
}

// importing is an import of a package under way.
type importing struct {
	ctx   context.Context
	p     *Publisher
	repo  *cache.Repository
	about *transfer.Package
	known *catalog.Package // as it was before
	done  Imported

	// What is added together.
	set       *aside
	writers   []*blobs.Writer
	adding    []*pb.Operation
	published []time.Time
	extra     int
}

// Bounds of what is added in one transaction.
const (
	importFiles = 100
	importExtra = 256 << 10 // bytes of the plugin's own data
)

// has is the file that is there in the place of one.
func (m *importing) has(f *transfer.File) *catalog.File {
	for _, k := range m.known.Files {
		if k.Version == f.Version && k.Path == f.Path {
			return k
		}
	}
	return nil
}

// file adds a file, unless it is there.
func (m *importing) file(f *transfer.File, next func() (io.Reader, error)) error {
	var from io.Reader
	if f.Path != "" {
		var err error
		if from, err = next(); err != nil {
			return err
		}
	}
	if k := m.has(f); k != nil && (f.Path == "" || k.Body.String() == f.Digests["sha256"]) {
		m.done.Present++
		return nil
	} else if k != nil && !m.repo.Hosted.Overwrite {
		m.done.Problems = append(m.done.Problems, fmt.Sprintf("%s is there already, with other bytes, and what is published does not change", f.Path))
		return nil
	}
	if at := m.known.Placed(f.Version, f.Path, f.Digests["sha256"]); at != "" && !m.repo.Hosted.Overwrite {
		m.done.Problems = append(m.done.Problems, fmt.Sprintf("%s is of a version that is served from %s in a directory", f.Path, at))
		return nil
	}
	if f.Canonical == "" && f.Path != "" && m.repo.Describe.GetCapabilities().GetHost() { // exports of before have none
		var err error
		if f.Canonical, _, err = m.p.cache.Form(m.ctx, m.repo, f.Path); err != nil {
			return fmt.Errorf("asking which version the file at %s is of: %w", f.Path, err)
		}
	}
	if other := m.known.Spelled(f.Version, f.Canonical); other != "" {
		m.done.Problems = append(m.done.Problems, (&catalog.SpelledError{Name: m.about.Name, Version: f.Version, Other: other}).Error())
		return nil
	}
	number := int32(-1)
	if f.Path != "" {
		w, digests, err := m.read(f, from)
		if err != nil {
			return err
		}
		if w == nil {
			return nil
		}
		if why, err := m.foreign(f, w, digests); why != "" || err != nil {
			w.Abort()
			if err == nil {
				m.done.Problems = append(m.done.Problems, why)
			}
			return err
		}
		number = int32(len(m.set.bodies))
		m.writers = append(m.writers, w)
		m.set.bodies = append(m.set.bodies, catalog.Body{Digest: w.Digest(), Size: w.Size(), Digests: digests})
	}
	m.adding = append(m.adding, &pb.Operation{
		Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: m.about.Name, Version: f.Version, Canonical: f.Canonical}, Path: f.Path, Extra: f.Extra,
		ContentType: f.Type, Needs: f.Needs, Loose: f.Loose, File: number,
	})
	m.published = append(m.published, f.Published)
	if m.extra += len(f.Extra); len(m.adding) >= importFiles || m.extra >= importExtra {
		return m.flush()
	}
	return nil
}

// read takes the bytes of a file and compares them with its digests; nil: they
// are not right, which is a problem of the file.
func (m *importing) read(f *transfer.File, from io.Reader) (w *blobs.Writer, digests map[string][]byte, err error) {
	if w, err = m.p.blobs.Create(); err != nil {
		return nil, nil, err
	}
	defer func() {
		if digests == nil {
			w.Abort()
			w = nil
		}
	}()
	hashes := map[string]hash.Hash{"sha512": sha512.New(), "sha384": sha512.New384(), "sha1": sha1.New(), "md5": md5.New(), "blake2b-256": intake.NewBLAKE2b()}
	to := []io.Writer{w}
	for algorithm, h := range hashes {
		if f.Digests[algorithm] == "" {
			delete(hashes, algorithm)
			continue
		}
		to = append(to, h)
	}
	n, err := io.Copy(io.MultiWriter(to...), io.LimitReader(from, m.repo.MaxArtifact+1))
	if err != nil {
		return w, nil, err
	}
	if n > m.repo.MaxArtifact {
		m.done.Problems = append(m.done.Problems, fmt.Sprintf("%s is larger than max_artifact (%d bytes)", f.Path, m.repo.MaxArtifact))
		return w, nil, nil
	}
	sum := w.Digest()
	found := map[string][]byte{"sha256": sum[:]}
	for algorithm, h := range hashes {
		found[algorithm] = h.Sum(nil)
	}
	for _, algorithm := range slices.Backward(slices.Sorted(maps.Keys(found))) { // so that a sha is told of before md5
		got := found[algorithm]
		if want := f.Digests[algorithm]; want != hex.EncodeToString(got) {
			m.done.Problems = append(m.done.Problems, fmt.Sprintf("%s is damaged: its %s is %x, but the list says %q", f.Path, algorithm, got, want))
			return w, nil, nil
		}
	}
	return w, found, nil
}

// flush publishes the files that were read, in one transaction.
func (m *importing) flush() error {
	defer func() {
		for _, w := range m.writers {
			w.Abort()
		}
		m.writers, m.adding, m.published, m.extra, m.set = nil, nil, nil, 0, newAside()
	}()
	if len(m.adding) == 0 {
		return nil
	}
	set := m.set
	defer m.p.release(set)
	var sums []blobs.Digest
	for _, b := range set.bodies {
		sums = append(sums, b.Digest)
	}
	if len(sums) > 0 {
		if err := m.p.pin(set, sums, store.Change{}); err != nil {
			return err
		}
	}
	for _, w := range m.writers {
		if d := w.Digest(); !m.p.blobs.Has(d) {
			set.fresh = append(set.fresh, d)
		}
		if _, err := w.Commit(nil, true); err != nil {
			return err
		}
	}
	err := m.apply(m.adding, set, nil)
	if err == nil {
		m.done.Added += len(m.adding)
		set.pins = nil
	}
	return err
}

func (m *importing) apply(operations []*pb.Operation, set *aside, gone catalog.Graves) error {
	var graves map[string]catalog.Graves
	if len(gone) > 0 {
		graves = map[string]catalog.Graves{m.about.Name: gone}
	}
	return unapplied(m.p.apply(catalog.Change{
		Repository: m.repo.Name, Operations: operations, Bodies: set.bodies, Published: m.published, Now: time.Now(),
		Overwrite: m.repo.Hosted.Overwrite, Quota: m.repo.Hosted.Quota, Records: set.released(), Blind: true, Rules: m.repo.Names, Gone: graves,
	}, false))
}

// mark gives versions their marks, and the package its tags, owners and extra,
// as far as they are lacking. What went its own way here since keeps its tags.
func (m *importing) mark(files []*transfer.File) error {
	versions := map[string]*transfer.File{}
	for _, f := range files {
		versions[f.Version] = f
	}
	now, err := m.p.cache.Catalog().Package(m.repo.Name, m.about.Name)
	if err != nil {
		return err
	}
	if now == nil {
		now = &catalog.Package{Name: m.about.Name}
	}
	there, ownWay := map[string]*catalog.File{}, false
	for _, f := range now.Files {
		there[f.Version] = f
		ownWay = ownWay || versions[f.Version] == nil
	}
	var todo []*pb.Operation
	order := func(kind pb.Operation_Kind, version, value string, extra []byte) {
		todo = append(todo, &pb.Operation{Kind: kind, Version: &pb.Version{Name: m.about.Name, Version: version}, Value: value, Extra: extra})
	}
	for version, f := range versions {
		switch k := there[version]; {
		case k == nil, k.Yanked:
		case f.Yanked:
			order(pb.Operation_KIND_YANK, version, f.Message, nil)
		case f.Message != "" && k.Message == "":
			order(pb.Operation_KIND_DEPRECATE, version, f.Message, nil)
		}
	}
	for tag, version := range m.about.Tags {
		if at, ok := now.Tags[tag]; there[version] != nil && (!ok || at != version && !ownWay) {
			order(pb.Operation_KIND_TAG, version, tag, nil)
		}
	}
	for _, owner := range m.about.Owners {
		if !slices.Contains(now.Owners, owner) {
			order(pb.Operation_KIND_OWN, "", owner, nil)
		}
	}
	if len(m.about.Extra) > 0 && string(now.Extra) != string(m.about.Extra) && (len(now.Extra) == 0 || !ownWay) {
		order(pb.Operation_KIND_EXTRA, "", "", m.about.Extra)
	}
	gone, err := m.gone()
	if err != nil || len(todo) == 0 && len(gone) == 0 {
		return err
	}
	for len(todo) > maxMarks {
		if err := m.apply(todo[:maxMarks], newAside(), nil); err != nil {
			return err
		}
		todo = todo[maxMarks:]
	}
	return m.apply(todo, newAside(), gone)
}

// maxMarks is how many marks, tags and owners are given in one transaction.
const maxMarks = 1000

// gone are the files that were deleted for good where the package comes from.
func (m *importing) gone() (catalog.Graves, error) {
	var graves catalog.Graves
	for path, g := range m.about.Gone {
		sum, err := hex.DecodeString(g.SHA256)
		if err != nil || len(sum) != len(blobs.Digest{}) {
			return nil, fmt.Errorf("the list is damaged: %q is no SHA-256 of what was deleted", g.SHA256)
		}
		if graves == nil {
			graves = catalog.Graves{}
		}
		graves[path] = catalog.Grave{Version: g.Version, Body: blobs.Digest(sum)}
	}
	return graves, nil
}
