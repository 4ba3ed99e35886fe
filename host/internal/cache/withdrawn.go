package cache

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// What a document with a history was is served while what it is now is held back,
// but not what upstream withdrew: what it was before upstream had no such document,
// unless it comes back as the last of that, and files that upstream drops before they
// are kept. When it was seen still counts, for who asks for it by itself.

// withdraw marks what a document was as withdrawn, as far as chosen.
func (c *Cache) withdraw(repo *Repository, d *pb.Document, chosen func(*pb.Fact) bool) error {
	name := sightingsName(repo, d.GetPath())
	mu := c.lockRecord(name)
	mu.Lock()
	defer mu.Unlock()
	s, err := c.sightingsAt(name)
	if s == nil || err != nil {
		return err
	}
	changed := false
	for i, k := range s.known() {
		if !s.Earlier[i].Gone && chosen(k.GetFact()) {
			s.Earlier[i].Gone, changed = true, true
		}
	}
	if !changed {
		return nil
	}
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := c.dir.Keep.Apply(store.Change{name: value}); err != nil {
		return err
	}
	return c.dir.Keep.Sync()
}

// withdrawAll marks all that a document was as withdrawn, and has it no more be
// shown for what cannot be had.
func (c *Cache) withdrawAll(repo *Repository, d *pb.Document) error {
	if err := c.withdraw(repo, d, func(*pb.Fact) bool { return true }); err != nil || repo.ServeRemoved {
		return err
	}
	forget := store.Change{}
	err := c.dir.Cache.Each(shownKey+renderingName(repo, d.GetPath(), ""), true, func(k string, _ []byte) bool {
		forget[strings.Clone(k)] = nil
		return true
	})
	if err != nil || len(forget) == 0 {
		return err
	}
	return c.dir.Cache.Apply(forget)
}

// hidden are the numbers of what was seen before that the document is not to be
// shown as, because it was withdrawn. Who asks for it by itself is judged by all.
func (m *making) hidden() map[int]bool {
	hidden := map[int]bool{}
	if m.d.GetQuery() {
		return hidden
	}
	for i, k := range m.known.known() {
		path := k.GetFact().GetPath()
		kept := path == "" || m.c.knownArtifact(m.repo, artifactName(m.repo, path)) != nil
		if m.known.Earlier[i].Gone && !(m.repo.ServeRemoved && kept) {
			hidden[i] = true
		}
	}
	return hidden
}

// unlessGone asks upstream whether it has the file that a rendering ends in while
// another is held back. Where it has not, the file is withdrawn and the document made
// anew: the error is for the client then. Nil: it has, or does not say, or that file
// is all there is.
func (c *Cache) unlessGone(ctx context.Context, repo *Repository, d *pb.Document, base string, r *Rendering, file *pb.Artifact) (*Answer, error) {
	f, err := c.Head(ctx, repo, file, base)
	if f != nil && f.Content != nil {
		f.Content.Close()
	}
	if !isNotFound(err) {
		r.there.Store(err == nil)
		return nil, nil
	}
	if err := c.withdraw(repo, d, func(f *pb.Fact) bool { return f.GetPath() == file.GetPath() }); err != nil {
		return nil, err
	}
	name := renderingName(repo, d.GetPath(), base)
	c.dropRendering(name)
	fresh, err := c.remake(ctx, repo, d, base, name, repo.withinTTL)
	if err != nil {
		return nil, err
	}
	answer, err := fresh.answer(repo, d, false, false)
	if err == nil && (answer.Instead.GetArtifact() == nil || answer.Instead.GetArtifact().GetPath() == file.GetPath()) {
		return nil, nil
	}
	return answer, err
}
