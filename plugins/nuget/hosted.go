package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// ownPage is a page of a registration with the versions published here; nil:
// there are none. From there on they are like upstream's.
func ownPage(ours *sdk.HostedPackage) (*page, error) {
	if ours == nil {
		return nil, nil
	}
	p := &page{Items: []object{}}
	for _, f := range ours.Files {
		e, err := ownEntry(f)
		if err != nil {
			return nil, err
		}
		p.entries = append(p.entries, e)
		p.Commit = max(p.Commit, timestamp(f.Version.Published))
	}
	slices.SortStableFunc(p.entries, func(a, b *entry) int { return compare(a.version, b.version) })
	if len(p.entries) == 0 {
		return nil, nil
	}
	p.Lower, p.Upper = p.entries[0].version, p.entries[len(p.entries)-1].version
	return p, nil
}

// timestamp is an instant as registrations have it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ownNuspec is the manifest of a file published here.
func ownNuspec(f sdk.Hosted) (string, *nuspec, error) {
	var k kept
	err := json.Unmarshal(f.File.Extra, &k)
	if err == nil {
		var n *nuspec
		if n, err = parseNuspec([]byte(k.Nuspec)); err == nil {
			return k.Nuspec, n, nil
		}
	}
	return "", nil, fmt.Errorf("what is kept of %s %s: %w", f.Version.Name, f.Version.Version, err)
}

// ownEntry is a version published here, as the catalog would have it.
func ownEntry(f sdk.Hosted) (*entry, error) {
	_, n, err := ownNuspec(f)
	if err != nil {
		return nil, err
	}
	m := &n.Metadata
	e := &entry{
		own: true, version: f.Version.Version, original: m.Version, published: f.Version.Published.UTC(), listed: !f.Version.Yanked,
		item: object{}, catalog: object{},
	}
	c := e.catalog
	published := timestamp(e.published)
	e.item.set("@type", "Package")
	e.item.set("commitTimeStamp", published)
	if !e.listed {
		published = timestamp(time.Date(unlistedYear, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	c.set("@type", "PackageDetails")
	c.set("id", m.ID)
	c.set("version", m.Version)
	c.set("published", published)
	c.set("listed", e.listed)
	c.set("requireLicenseAcceptance", m.RequireLicenseAcceptance)
	for name, value := range map[string]string{
		"authors": m.Authors, "title": m.Title, "description": m.Description, "summary": m.Summary, "releaseNotes": m.ReleaseNotes,
		"copyright": m.Copyright, "language": m.Language, "projectUrl": m.ProjectURL, "iconUrl": m.IconURL, "licenseUrl": m.LicenseURL,
		"minClientVersion": m.MinClientVersion,
	} {
		if value != "" {
			c.set(name, value)
		}
	}
	if m.License.Type == "expression" {
		c.set("licenseExpression", m.License.Text)
	}
	if tags := strings.FieldsFunc(m.Tags, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }); len(tags) > 0 {
		c.set("tags", tags)
	}
	if groups := n.groups(); len(groups) > 0 {
		c.set("dependencyGroups", groups)
	}
	e.details = ""
	e.hosted = clone(c)
	e.hosted.set("created", timestamp(e.published))
	e.hosted.set("packageSize", f.File.Size)
	for _, d := range f.File.Digests {
		if d.Algorithm == "sha512" {
			e.hosted.set("packageHash", base64.StdEncoding.EncodeToString(d.Sum))
			e.hosted.set("packageHashAlgorithm", "SHA512")
		}
	}
	return e, nil
}

// groups are a manifest's groups of dependencies, as the catalog has them.
func (n *nuspec) groups() []object {
	all := n.Metadata.Dependencies.Groups
	if needed := n.Metadata.Dependencies.All; len(needed) > 0 {
		all = append([]nuspecGroup{{Dependencies: needed}}, all...)
	}
	var groups []object
	for _, g := range all {
		group := object{}
		group.set("@type", "PackageDependencyGroup")
		if g.Framework != "" {
			group.set("targetFramework", g.Framework)
		}
		var dependencies []object
		for _, d := range g.Dependencies {
			dependency := object{}
			dependency.set("@type", "PackageDependency")
			dependency.set("id", d.ID)
			dependency.set("range", rangeOf(d.Version))
			for name, value := range map[string]string{"exclude": d.Exclude, "include": d.Include} {
				if value != "" {
					dependency.set(name, value)
				}
			}
			dependencies = append(dependencies, dependency)
		}
		if dependencies != nil {
			group.set("dependencies", dependencies)
		}
		groups = append(groups, group)
	}
	return groups
}

// rangeOf is a dependency's range as the catalog writes it: a version alone
// means that one or any above it.
func rangeOf(version string) string {
	version = strings.TrimSpace(version)
	switch {
	case version == "":
		return "(, )"
	case strings.ContainsAny(version, "[(,"):
		return version
	}
	return "[" + version + ", )"
}

// ownRegistration is what is published here of a package, as a search shows it;
// nil: nothing.
func ownRegistration(in *sdk.Input, ours *sdk.HostedPackage) (*registration, error) {
	p, err := ownPage(ours)
	if p == nil {
		return nil, err
	}
	r := &registration{id: ours.Name, pages: []*page{p}}
	_, err = r.filter(in)
	return r, err
}

// ownHits are the packages published here that a search finds, by their names:
// each has a listed version that is wanted.
func ownHits(in *sdk.Input, q string, wanted func(*entry) bool) ([]*registration, error) {
	var hits []*registration
	for _, ours := range in.HostedPackages() {
		r, err := ownRegistration(in, ours)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		r.pages[0].entries = slices.DeleteFunc(r.pages[0].entries, func(e *entry) bool { return !e.listed || !wanted(e) })
		best := r.highest(func(*entry) bool { return true })
		if best != nil && best.about(q) {
			r.absolute, r.stable = best, r.highest(func(e *entry) bool { return !prerelease(e.version) })
			hits = append(hits, r)
		}
	}
	return hits, nil
}

// about reports whether a search for something finds a version: all its words
// stand in what the version says of itself.
func (e *entry) about(q string) bool {
	c := e.catalog
	text := strings.ToLower(strings.Join(append([]string{c.text("id"), c.text("title"), c.text("description"), c.text("summary")}, c.texts("tags")...), "\n"))
	for _, word := range strings.Fields(strings.ToLower(q)) {
		for _, field := range []string{"packageid:", "id:", "title:", "tags:", "tag:"} {
			word = strings.TrimPrefix(word, field)
		}
		if !strings.Contains(text, strings.Trim(word, `"`)) {
			return false
		}
	}
	return true
}

// hit is a package published here as a search shows it (NuGet v3 API, search).
func (r *registration) hit(in *sdk.Input) object {
	best := r.absolute
	h := object{}
	for _, name := range []string{"id", "version", "authors", "title", "description", "summary", "projectUrl", "iconUrl", "licenseUrl", "tags"} {
		if value, ok := best.catalog[name]; ok {
			h[name] = value
		}
	}
	h.set("@id", in.URL(semVer2.index(r.id)))
	h.set("@type", "Package")
	h.set("registration", in.URL(semVer2.index(r.id)))
	h.set("totalDownloads", 0)
	h.set("verified", false)
	versions := []object{}
	for _, e := range r.entries() {
		v := object{}
		v.set("@id", in.URL(semVer2.leaf(r.id, e.version)))
		v.set("version", e.original)
		v.set("downloads", 0)
		versions = append(versions, v)
	}
	h.set("versions", versions)
	return h
}
