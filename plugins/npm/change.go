package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// revision is the _rev of a package of ours.
func revision(pkg *sdk.HostedPackage) string { return strconv.FormatUint(pkg.Revision, 10) }

// changed is a package that is to be changed, as a client saw it; an empty
// revision is any.
func changed(p *sdk.Publication, name, seen string) (*sdk.HostedPackage, error) {
	pkg := p.Package(name)
	switch {
	case len(pkg.Files) == 0:
		return nil, sdk.NotFound(name + " is not published here")
	case seen != "" && seen != revision(pkg):
		return nil, sdk.Failure{Kind: sdk.KindConflict, Message: name + " was changed meanwhile; try again"}
	}
	return pkg, nil
}

// times is what is kept of a package besides its versions.
type times struct {
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

func timesOf(pkg *sdk.HostedPackage) times {
	var t times
	if json.Unmarshal(pkg.Extra, &t) == nil && !t.Created.IsZero() {
		return t
	}
	for _, f := range pkg.Files { // in the order in which they were published
		if t.Created.IsZero() {
			t.Created = f.Version.Published
		}
		t.Modified = f.Version.Published
	}
	return t
}

// touch notes that a package changed.
func touch(p *sdk.Publication, pkg *sdk.HostedPackage) {
	t := timesOf(pkg)
	if t.Created.IsZero() {
		t.Created = p.Now
	}
	t.Modified = p.Now
	extra, _ := json.Marshal(t) // times of ours always can be
	p.SetExtra(pkg.Name, extra)
}

// deprecate takes over the messages of a document in which versions are
// deprecated, or no longer.
func deprecate(p *sdk.Publication, name string, doc *document) (sdk.Reply, error) {
	pkg, err := changed(p, name, doc.Rev)
	if err != nil {
		return sdk.Reply{}, err
	}
	if !orderDeprecations(p, pkg, doc) && len(doc.Versions) > len(pkg.Files) {
		return sdk.Reply{}, sdk.Failure{Kind: sdk.KindRefused, Message: "no version of " + name + " that is published here changes, and upstream's cannot be changed here"}
	}
	touch(p, pkg)
	return created(name + " is changed"), nil
}

// orderDeprecations reports whether there was anything to order.
func orderDeprecations(p *sdk.Publication, pkg *sdk.HostedPackage, doc *document) bool {
	any := false
	for _, f := range pkg.Files {
		manifest, listed := doc.Versions[f.Version.Version]
		if !listed {
			continue
		}
		var message string
		for m := range members(manifest) {
			if m.is("deprecated") {
				message, _ = text(m.value)
			}
		}
		if message != f.Message {
			p.Deprecate(pkg.Name, f.Version.Version, message)
			any = true
		}
	}
	return any
}

// acceptRevision takes over a document written at a revision: without one of
// the versions, which is unpublished, or with other maintainers.
func acceptRevision(p *sdk.Publication, name, seen string) (sdk.Reply, error) {
	doc, err := readDocument(p, name)
	if err != nil {
		return sdk.Reply{}, err
	}
	pkg, err := changed(p, name, seen)
	if err != nil {
		return sdk.Reply{}, err
	}
	if doc.Versions == nil {
		orderOwners(p, pkg, doc.Maintainers)
		touch(p, pkg)
		return created("the owners of " + name + " are changed"), nil
	}
	orderDeprecations(p, pkg, doc)
	gone := map[string]bool{}
	for _, f := range pkg.Files {
		_, listed := doc.Versions[f.Version.Version]
		gone[f.Version.Version] = !listed
	}
	unpublish(p, pkg, gone, doc.Tags)
	return created(name + " is changed"), nil
}

func orderOwners(p *sdk.Publication, pkg *sdk.HostedPackage, maintainers []person) {
	var names []string
	for _, m := range maintainers {
		names = append(names, m.Name)
		if m.Name != "" && !slices.Contains(pkg.Owners, m.Name) {
			p.Own(pkg.Name, m.Name)
		}
	}
	for _, owner := range pkg.Owners {
		if !slices.Contains(names, owner) {
			p.Disown(pkg.Name, owner)
		}
	}
}

// unpublish removes versions, and sets the tags wanted as far as they are on
// versions of ours that are left. Without any version the package goes.
func unpublish(p *sdk.Publication, pkg *sdk.HostedPackage, gone map[string]bool, wanted map[string]string) {
	var left []release
	remains := map[string]bool{}
	for _, f := range pkg.Files {
		if version := f.Version.Version; !gone[version] {
			remains[version] = true
			if r := parseRelease(version, f.Version.Published); r != nil {
				left = append(left, *r)
			}
		}
	}
	if len(remains) == 0 {
		p.Delete(pkg.Name, "", true)
		return
	}
	for _, version := range slices.Sorted(maps.Keys(gone)) {
		if gone[version] {
			p.Delete(pkg.Name, version, true)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(wanted)) {
		if remains[wanted[tag]] && checkTag(tag) == nil && pkg.Tags[tag] != wanted[tag] {
			p.Tag(pkg.Name, tag, wanted[tag])
		}
	}
	if was := pkg.Tags["latest"]; gone[was] && !remains[wanted["latest"]] {
		if now := latestOf(left); now != "" {
			p.Tag(pkg.Name, "latest", now)
		}
	}
	touch(p, pkg)
}

// latestOf is the version that is latest where nobody says which one is: the
// highest stable one, else the highest; empty: there is none.
func latestOf(left []release) string {
	higher := func(a, b release) bool { return a.GreaterThan(b.Version) }
	for _, fits := range []func(release) bool{release.stable, func(release) bool { return true }} {
		if top := highest(left, fits, higher); top != nil {
			return top.text
		}
	}
	return ""
}

// acceptRemoval unpublishes a package.
func acceptRemoval(p *sdk.Publication, name, seen string) (sdk.Reply, error) {
	if _, err := changed(p, name, seen); err != nil {
		return sdk.Reply{}, err
	}
	p.Delete(name, "", true)
	return created(name + " is unpublished"), nil
}

// acceptFileRemoval unpublishes the version of a tarball. Clients remove the
// version from the document first, and then there is nothing left to do.
func acceptFileRemoval(p *sdk.Publication, name, path string) (sdk.Reply, error) {
	pkg := p.Package(name)
	for _, f := range pkg.Files {
		if f.File.Path == path {
			unpublish(p, pkg, map[string]bool{f.Version.Version: true}, pkg.Tags)
			return created(name + " " + f.Version.Version + " is unpublished"), nil
		}
	}
	return created("the file is not here"), nil
}

// acceptTag puts a tag, or without a body takes it away.
func acceptTag(p *sdk.Publication, name, tag string) (sdk.Reply, error) {
	pkg, err := changed(p, name, "")
	if err != nil {
		return sdk.Reply{}, err
	}
	if p.Request().Method == "DELETE" {
		if tag == "latest" {
			return sdk.Reply{}, sdk.Failure{Kind: sdk.KindRefused, Message: "the tag latest cannot be removed; put it on another version"}
		}
		if pkg.Tags[tag] == "" {
			return sdk.Reply{}, sdk.NotFound(name + " has no tag " + tag + " here")
		}
		p.Untag(name, tag)
		touch(p, pkg)
		return created("the tag " + tag + " is removed"), nil
	}
	var version string
	if err := json.Unmarshal(p.Field("json"), &version); err != nil {
		return sdk.Reply{}, sdk.BadRequest("a tag is put with a version, as a string of JSON")
	}
	if err := checkTag(tag); err != nil {
		return sdk.Reply{}, err
	}
	if !slices.ContainsFunc(pkg.Files, func(f sdk.Hosted) bool { return f.Version.Version == version }) {
		return sdk.Reply{}, sdk.NotFound(fmt.Sprintf("%s has no version %s that is published here", name, version))
	}
	p.Tag(name, tag, version)
	touch(p, pkg)
	return created("the tag " + tag + " is on " + version), nil
}
