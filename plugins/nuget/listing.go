package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// A hive is one of the registrations that a feed has (NuGet v3 API, package
// metadata, versioning).
type hive struct {
	// path is its address here.
	path string
	// output is the name of its output of a listing.
	output string
	// all is whether versions of SemVer 2.0.0 are in it.
	all bool
}

var (
	semVer2 = hive{path: "/v3/registration/", all: true}
	semVer1 = hive{path: "/v3/registration-semver1/", output: "semver1"}
)

// versionsOutput is the output of a listing for the flat container.
const versionsOutput = "versions"

func (h hive) index(id string) string { return h.path + url.PathEscape(id) + "/index.json" }

func (h hive) page(id string, n int) string {
	return h.path + url.PathEscape(id) + "/page/" + strconv.Itoa(n) + ".json"
}

func (h hive) leaf(id, version string) string {
	return h.path + url.PathEscape(id) + "/" + url.PathEscape(version) + ".json"
}

// listing is all versions of a package, by its lower-case name: the index of its
// registration in both hives, and the versions in the flat container.
func (f feed) listing(id string) sdk.Document {
	return sdk.Document{
		Path:   semVer2.index(id),
		Name:   id,
		From:   []sdk.Source{f.index},
		Render: func(in *sdk.Input) error { return renderListing(in, id) },
	}
}

// planRegistration serves a registration's index.
func (f feed) planRegistration(h hive) func(sdk.Request) sdk.Plan {
	return func(r sdk.Request) sdk.Plan {
		id, ok := idOf(r)
		if !ok {
			return noPackage
		}
		d := f.listing(id)
		d.Output = h.output
		return d
	}
}

// planPage serves a page of a registration.
func (f feed) planPage(h hive) func(sdk.Request) sdk.Plan {
	return func(r sdk.Request) sdk.Plan {
		id, ok := idOf(r)
		if !ok {
			return noPackage
		}
		n, err := strconv.ParseUint(r.Get("page"), 10, 16)
		if err != nil {
			return noPage
		}
		return sdk.Document{
			Path:   h.page(id, int(n)),
			Name:   id,
			From:   []sdk.Source{f.index},
			Query:  true,
			Render: func(in *sdk.Input) error { return h.renderPage(in, id, int(n)) },
		}
	}
}

// planVersions serves the versions of a package that are in the flat container.
func (f feed) planVersions(r sdk.Request) sdk.Plan {
	id, ok := idOf(r)
	if !ok {
		return noPackage
	}
	d := f.listing(id)
	d.Output = versionsOutput
	return d
}

// idOf returns the package that a request is about. False: none is called so.
func idOf(r sdk.Request) (string, bool) {
	id := strings.ToLower(r.Get("id"))
	return id, packageID.MatchString(id)
}

var (
	noPackage = sdk.NotFound("no package has such a name")
	noPage    = sdk.NotFound("a registration has no such page")
)

func renderListing(in *sdk.Input, id string) error {
	r, ok, err := whole(in, id)
	switch {
	case !ok:
		return err
	case len(r.pages) == 0:
		return in.Held()
	}
	for _, h := range []hive{semVer2, semVer1} {
		if err := h.write(in, r); err != nil {
			return err
		}
	}
	return writeVersions(in, r)
}

// writeVersions writes what the flat container has of a package (NuGet v3 API,
// package content).
func writeVersions(in *sdk.Input, r *registration) error {
	versions := []string{}
	for _, e := range r.entries() {
		versions = append(versions, e.version)
	}
	slices.SortStableFunc(versions, compare)
	return write(in, versionsOutput, map[string]any{"versions": versions})
}

// write writes a value as an output in JSON.
func write(in *sdk.Input, output string, v any) error {
	return json.NewEncoder(in.Output(output, "application/json")).Encode(v)
}

// writtenPage is a page as it is written.
type writtenPage struct {
	ID     string   `json:"@id"`
	Type   string   `json:"@type"`
	Count  int      `json:"count"`
	Items  []object `json:"items,omitempty"`
	Lower  string   `json:"lower"`
	Upper  string   `json:"upper"`
	Parent string   `json:"parent"`
	Commit string   `json:"commitTimeStamp,omitempty"`

	apart bool
}

// pages are a registration's pages as they are written.
func (h hive) pages(in *sdk.Input, r *registration) []writtenPage {
	pages := []writtenPage{}
	for _, p := range r.pages {
		entries := slices.DeleteFunc(slices.Clone(p.entries), func(e *entry) bool { return !h.all && e.semVer2() })
		if len(entries) == 0 {
			continue
		}
		w := writtenPage{
			ID:     in.URL(h.page(r.id, len(pages))),
			Type:   "catalog:CatalogPage",
			Count:  len(entries),
			Lower:  entries[0].version,
			Upper:  entries[len(entries)-1].version,
			Parent: in.URL(h.index(r.id)),
			apart:  p.apart,
		}
		for _, e := range entries {
			w.Items = append(w.Items, h.item(in, r.id, e))
			w.Commit = max(w.Commit, e.item.text("commitTimeStamp"))
		}
		pages = append(pages, w)
	}
	return pages
}

// write writes a registration's index, without the items of pages that upstream
// has apart.
func (h hive) write(in *sdk.Input, r *registration) error {
	pages := h.pages(in, r)
	for i := range pages {
		if pages[i].apart {
			pages[i].Items = nil
		}
	}
	return write(in, h.output, map[string]any{
		"@id":   in.URL(h.index(r.id)),
		"@type": []string{"catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"},
		"count": len(pages),
		"items": pages,
	})
}

func (h hive) renderPage(in *sdk.Input, id string, n int) error {
	r, ok, err := whole(in, id)
	if !ok {
		return err
	}
	pages := h.pages(in, r)
	if n >= len(pages) {
		return noPage
	}
	return in.JSON(pages[n])
}

// item is an entry as it is written: upstream's, with addresses of ours.
func (h hive) item(in *sdk.Input, id string, e *entry) object {
	catalog := clone(e.catalog)
	catalog.set("@id", in.URL(catalogPath(id, e.version)))
	catalog.set("packageContent", in.URL(packagePath(id, e.version)))
	catalog.rewriteDependencies(in, h)
	item := clone(e.item)
	item.set("@id", in.URL(h.leaf(id, e.version)))
	item.set("packageContent", in.URL(packagePath(id, e.version)))
	item.set("registration", in.URL(h.index(id)))
	item.set("catalogEntry", catalog)
	return item
}

func clone(o object) object {
	c := make(object, len(o))
	for name, value := range o {
		c[name] = value
	}
	return c
}

// rewriteDependencies has dependencies point to registrations of ours.
func (o object) rewriteDependencies(in *sdk.Input, h hive) {
	groups := o.groups()
	if groups == nil {
		return
	}
	for _, g := range groups {
		delete(g, "@id")
		dependencies := g.dependencies()
		for _, d := range dependencies {
			delete(d, "@id")
			delete(d, "registration")
			if id := strings.ToLower(d.text("id")); packageID.MatchString(id) {
				d.set("registration", in.URL(h.index(id)))
			}
		}
		if dependencies != nil {
			g.set("dependencies", dependencies)
		}
	}
	o.set("dependencyGroups", groups)
}

// groups are the groups of dependencies of a catalog entry.
func (o object) groups() []object { return o.objects("dependencyGroups") }

// dependencies are those of a group.
func (o object) dependencies() []object { return o.objects("dependencies") }

// objects returns a member that is a list of objects; nil: it is none.
func (o object) objects(name string) []object {
	var all []object
	_ = json.Unmarshal(o[name], &all) // what is no list stays empty
	return slices.DeleteFunc(all, func(o object) bool { return o == nil })
}

// semVer2 reports whether clients of old would not understand the version or
// one that it needs.
func (e *entry) semVer2() bool {
	if isSemVer2(e.original) {
		return true
	}
	for _, g := range e.catalog.groups() {
		for _, d := range g.dependencies() {
			if slices.ContainsFunc(rangeVersions(d.text("range")), isSemVer2) {
				return true
			}
		}
	}
	return false
}
