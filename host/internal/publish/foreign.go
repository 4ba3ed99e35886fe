package publish

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/peek"
	"github.com/entrepot-registry/entrepot/host/internal/transfer"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// foreign says why a file of an export, which anybody may have edited, is none of
// the package that the list has it as: its address is another's, or what it
// carries is; empty: nothing speaks against it.
func (m *importing) foreign(f *transfer.File, w *blobs.Writer, sums map[string][]byte) (string, error) {
	able := m.repo.Describe.GetCapabilities()
	if !able.GetHost() {
		return "", nil
	}
	plan, err := m.p.cache.Plan(m.ctx, m.repo, "", &pb.Request{Method: "GET", Path: f.Path})
	if err != nil {
		return "", fmt.Errorf("asking whose address %s is: %w", f.Path, err)
	}
	served := plan.GetDocument().GetNames()
	if a := plan.GetArtifact(); a != nil {
		served = []string{a.GetVersion().GetName()}
	}
	if len(served) > 0 && !slices.ContainsFunc(served, m.same) {
		return fmt.Sprintf("%s is not taken: it is an address of %s, but the list has it as one of %s", f.Path, served[0], m.about.Name), nil
	}
	members, err := peek.Members(w.Path(), able)
	if err != nil {
		return fmt.Sprintf("%s is not taken: %v", f.Path, err), nil
	}
	place, err := url.PathUnescape(strings.TrimPrefix(f.Path, "/")) // as that of a file in a directory
	if err != nil {
		return fmt.Sprintf("%s is not taken: it is no path", f.Path), nil
	}
	said, err := m.repo.Ecosystem.Inspect(m.ctx, &pb.PackageFile{
		Repository: m.repo.Plain(""), Name: place, Size: w.Size(), Digests: digests(sums),
	}, members)
	if err != nil {
		return "", fmt.Errorf("looking into %s: %w", f.Path, err)
	}
	// What stands beside a package's file is no package, and says nothing.
	if carried := said.GetEntry().GetVersion().GetName(); carried != "" && !m.same(carried) {
		return fmt.Sprintf("%s is not taken: it is a file of %s, but the list has it as one of %s", f.Path, carried, m.about.Name), nil
	}
	return "", nil
}

// same reports whether a name is that of the package.
func (m *importing) same(name string) bool {
	return m.repo.Names.Fold(name) == m.repo.Names.Fold(m.about.Name)
}
