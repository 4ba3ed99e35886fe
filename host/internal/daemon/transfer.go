package daemon

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/publish"
	"github.com/entrepot-registry/entrepot/host/internal/transfer"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// Exporting says which packages to export.
type Exporting struct {
	// Repository narrows it to one; empty: all.
	Repository string `json:"repository,omitempty"`
	// PURLs are patterns of packages, with or without a version, of which one
	// must fit; none: all packages.
	PURLs []string `json:"purls,omitempty"`
}

// export answers with packages as a tar of files. One that cannot be finished
// is cut off.
func (d *Daemon) export(w http.ResponseWriter, r *http.Request) {
	var q Exporting
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	chosen, err := d.choose(r.Context(), q)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	from := transfer.Source{Catalog: d.cache.Catalog(), Open: d.openHosted, Spool: filepath.Join(d.dir.Path, "tmp"), Entrepot: d.o.Version}
	answer := &begun{Writer: w}
	w.Header().Set("Content-Type", "application/x-tar")
	end, err := from.Export(r.Context(), answer, chosen)
	if err != nil {
		d.log.Error("an export was not finished", "error", err)
		answer.fail(w, err)
		return
	}
	d.log.Info("packages exported", "packages", end.Packages, "files", end.Files, "bytes", end.Bytes, "problems", len(end.Problems))
}

func (d *Daemon) openHosted(f *catalog.File) (io.ReadCloser, error) {
	content, err := d.cache.OpenHosted(f)
	if err != nil {
		return nil, err
	}
	return opened{content.Reader(), content}, nil
}

// opened is a body that is given back when it was read.
type opened struct {
	io.Reader
	content *cache.Content
}

// Close gives it back.
func (o opened) Close() error {
	o.content.Close()
	return nil
}

// choose finds the packages to export.
func (d *Daemon) choose(ctx context.Context, q Exporting) ([]transfer.Chosen, error) {
	var rules []config.PackageRule
	for _, text := range q.PURLs {
		rule, err := config.ParsePackagePattern(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		rules = append(rules, rule)
	}
	var all []transfer.Chosen
	found := false
	for _, repo := range d.repositories() {
		if q.Repository != "" && repo.Name != q.Repository {
			continue
		}
		found = true
		chosen, err := d.chooseIn(ctx, repo, rules)
		if err != nil {
			return nil, err
		}
		if len(chosen.Names) > 0 {
			all = append(all, chosen)
		}
	}
	if !found {
		return nil, d.checkRepository(q.Repository, "")
	}
	if len(all) == 0 {
		return nil, errors.New("nothing that is hosted here fits")
	}
	return all, nil
}

func (d *Daemon) chooseIn(ctx context.Context, repo *cache.Repository, rules []config.PackageRule) (transfer.Chosen, error) {
	chosen := transfer.Chosen{Repository: repo.Name, Plugin: repo.Plugin}
	var own []config.PackageRule
	for _, rule := range rules {
		if rule.Type != repo.Describe.GetPurlType() {
			continue
		}
		if !strings.ContainsAny(rule.Name, "*?") {
			name, err := d.cache.Canonical(ctx, repo, rule.Name)
			if err != nil {
				return chosen, err
			}
			rule.Name = name
		}
		own = append(own, rule)
	}
	chosen.Versions = func(name, version string) bool {
		for _, rule := range own {
			if repo.Names.Match(rule.Name, name) && (rule.Version == "" || cooldown.Match(rule.Version, version)) {
				return true
			}
		}
		return len(rules) == 0
	}
	names, err := d.cache.Catalog().Names(repo.Name, "*")
	if err != nil {
		return chosen, err
	}
	gone, err := d.cache.Catalog().GoneNames(repo.Name)
	names = append(names, gone...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		fits := len(rules) == 0
		for _, rule := range own {
			fits = fits || repo.Names.Match(rule.Name, name)
		}
		if fits {
			chosen.Names = append(chosen.Names, name)
		}
	}
	return chosen, err
}

// RepositoryInfo says what a repository is.
type RepositoryInfo struct {
	Name   string `json:"name"`
	Plugin string `json:"plugin"`
}

func (d *Daemon) repositoryInfos(context.Context, struct{}) ([]RepositoryInfo, error) {
	all := []RepositoryInfo{}
	for _, repo := range d.repositories() {
		all = append(all, RepositoryInfo{repo.Name, repo.Plugin})
	}
	return all, nil
}

// Importing is a package to be imported; the contents of its files follow.
type Importing struct {
	Repository string            `json:"repository"`
	Package    *transfer.Package `json:"package"`
	Files      []*transfer.File  `json:"files"`
}

// maxImported bounds what is said of one package, in bytes.
const maxImported = 256 << 20

// importPackage takes a package: a tar of what it is, and of the contents of
// its files in order.
func (d *Daemon) importPackage(w http.ResponseWriter, r *http.Request) {
	done, err := d.imported(r)
	// Who still sends may otherwise not hear the answer.
	_, _ = io.Copy(io.Discard, r.Body)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(done)
}

func (d *Daemon) imported(r *http.Request) (done publish.Imported, err error) {
	archive := tar.NewReader(r.Body)
	if _, err := archive.Next(); err != nil {
		return done, err
	}
	var q Importing
	if err := json.NewDecoder(io.LimitReader(archive, maxImported)).Decode(&q); err != nil {
		return done, err
	}
	for _, repo := range d.repositories() {
		if repo.Name != q.Repository {
			continue
		}
		if q.Package == nil || q.Package.Name == "" {
			return done, errors.New("a package has no name")
		}
		if name, err := d.cache.Canonical(r.Context(), repo, q.Package.Name); err == nil && name != q.Package.Name {
			return done, fmt.Errorf("%q is no name of a package as plugin %s writes it: that would be %q", q.Package.Name, repo.Plugin, name)
		}
		return d.publisher.Import(r.Context(), repo, q.Package, q.Files, func() (io.Reader, error) {
			_, err := archive.Next()
			return archive, err
		})
	}
	return done, d.checkRepository(q.Repository, "")
}
