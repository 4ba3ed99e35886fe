package main

import (
	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// lister records the files of a page and says what of them is shown.
type lister struct {
	in        *sdk.Input
	project   string
	addresses *addresses
	normal    versions
	// kept are versions with a file that is shown, in normal form.
	kept map[string]bool
}

// newLister makes a lister of a project's page, by the address that the page came
// from.
func newLister(in *sdk.Input, project, page string) (lister, error) {
	a, err := newAddresses(page)
	return lister{in: in, project: project, addresses: a, normal: versions{}, kept: map[string]bool{}}, err
}

// entry is a file that is shown.
type entry struct {
	*file
	path string // here
	// metadata is its raw core-metadata; empty: none is advertised.
	metadata string
	// provenance is the address of its provenance; empty: none.
	provenance string
}

// list records a file, with what stands beside it, and reports of which version
// it is, in normal form, and whether it is shown. A file of another project is
// neither: no installer would take it, and its name leads to that project's
// page.
func (l *lister) list(f *file) (e entry, version string, shown bool) {
	name, ok := versionOf(f.name, l.project)
	if !ok {
		return entry{}, "", false
	}
	path, upstream, ok := l.addresses.place(f.url, f.name)
	if !ok {
		return entry{}, "", false
	}
	v := sdk.Version{
		Name:      l.project,
		Version:   l.normal.normal(name),
		Published: f.published,
		Yanked:    truthy(f.yanked),
	}
	kept := l.in.Keep(v, sdk.File{
		Path:    path,
		URL:     upstream,
		Digests: digests(f.hashes),
		Size:    gjson.Parse(f.size).Int(),
	})
	e = entry{file: f, path: path}
	if truthy(f.metadata) {
		beside := sdk.File{Path: path + ".metadata", URL: withSuffix(upstream, ".metadata"), Digests: digests(f.metadata)}
		if l.in.Keep(v, beside) {
			e.metadata = f.metadata
		}
	}
	if truthy(f.signature) {
		l.in.Keep(v, sdk.File{Path: path + ".asc", URL: withSuffix(upstream, ".asc")})
	}
	if address := text(f.provenance); address != "" {
		here, upstream, ok := l.addresses.provenance(address, l.project, f.name)
		switch {
		case !ok:
			e.provenance = address
		case l.in.Keep(v, sdk.File{Path: here, URL: upstream}):
			e.provenance = l.in.URL(here)
		}
	}
	if kept {
		l.kept[v.Version] = true
	}
	return e, v.Version, kept
}
