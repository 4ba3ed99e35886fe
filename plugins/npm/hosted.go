package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// ownPackument writes what is published here as an upstream would, and reads
// it: from there on, both are the same.
func ownPackument(h *sdk.HostedPackage, url func(path string) string) (*packument, error) {
	var doc bytes.Buffer
	w := newWriter(&doc)
	o := w.object()
	o.member([]byte(`"_id"`), quote(h.Name))
	o.member([]byte(`"_rev"`), quote(revision(h)))
	o.member([]byte(`"name"`), quote(h.Name))
	writeAbout(o, h)
	o.key([]byte(`"dist-tags"`))
	w.value(ownTags(h))
	o.key([]byte(`"versions"`))
	versions := w.object()
	for _, f := range h.Files {
		versions.key(quote(f.Version.Version))
		writeOwn(w, f, url)
	}
	versions.end()
	at := timesOf(h)
	o.key([]byte(`"time"`))
	releases := w.object()
	releases.member([]byte(`"created"`), quote(timestamp(at.Created)))
	releases.member([]byte(`"modified"`), quote(timestamp(at.Modified)))
	for _, f := range h.Files {
		releases.member(quote(f.Version.Version), quote(timestamp(f.Version.Published)))
	}
	releases.end()
	o.end()
	w.Flush() // a buffer takes all
	p, err := readPackument(h.Name, doc.Bytes())
	if err != nil {
		return nil, err
	}
	_, p.latest = h.Tags["latest"]
	for _, e := range p.entries {
		e.shown = !e.odd
	}
	return p, nil
}

// timestamp is an instant as packuments have it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ownTags are the tags of a package of ours. Where nobody said which version is
// the latest, as of what lies in a directory, its order tells: clients need one.
func ownTags(h *sdk.HostedPackage) map[string]string {
	tags := maps.Clone(h.Tags)
	if tags["latest"] != "" {
		return tags
	}
	if tags == nil {
		tags = map[string]string{}
	}
	var all []release
	for _, f := range h.Files {
		if r := parseRelease(f.Version.Version, f.Version.Published); r != nil {
			all = append(all, *r)
		}
	}
	if tags["latest"] = latestOf(all); tags["latest"] == "" {
		tags["latest"] = h.Files[0].Version.Version
	}
	return tags
}

// readPublished reads what is kept of a version of ours.
func readPublished(f sdk.Hosted) published {
	var kept published
	if json.Unmarshal(f.File.Extra, &kept) != nil || !isObject(kept.Manifest) {
		kept.Manifest = nil // such a version is odd
	}
	return kept
}

// writeAbout writes what the package's own page would have, which is what its
// latest version says.
func writeAbout(o *object, h *sdk.HostedPackage) {
	latest := ownTags(h)["latest"]
	at := slices.IndexFunc(h.Files, func(f sdk.Hosted) bool { return f.Version.Version == latest })
	if at < 0 {
		at = len(h.Files) - 1
	}
	kept := readPublished(h.Files[at])
	for m := range members(kept.Manifest) {
		switch string(m.key) {
		case "description", "keywords", "homepage", "bugs", "license", "author", "contributors", "repository", "readmeFilename":
			o.member(m.quoted, m.value)
		}
	}
	maintainers := []person{}
	for _, owner := range h.Owners {
		maintainers = append(maintainers, person{Name: owner})
	}
	o.key([]byte(`"maintainers"`))
	o.w.value(maintainers)
	if kept.Readme != "" {
		o.member([]byte(`"readme"`), quote(kept.Readme))
	}
}

// writeOwn writes the manifest of a version of ours.
func writeOwn(w writer, f sdk.Hosted, url func(path string) string) {
	kept := readPublished(f)
	o := w.object()
	for m := range members(kept.Manifest) {
		o.member(m.quoted, m.value)
	}
	if f.Message != "" {
		o.member([]byte(`"deprecated"`), quote(f.Message))
	}
	o.key([]byte(`"dist"`))
	dist := w.object()
	for _, d := range f.File.Digests {
		switch d.Algorithm {
		case "sha512":
			dist.member([]byte(`"integrity"`), quote("sha512-"+base64.StdEncoding.EncodeToString(d.Sum)))
		case "sha1":
			dist.member([]byte(`"shasum"`), quote(hex.EncodeToString(d.Sum)))
		}
	}
	dist.member([]byte(`"tarball"`), quote(url(f.File.Path)))
	if said := statementOf(kept.Provenance); said != nil {
		dist.key([]byte(`"attestations"`))
		w.value(map[string]any{
			"url":        url(attestationsPath(f.Version.Name, f.Version.Version)),
			"provenance": map[string]string{"predicateType": said.PredicateType},
		})
	}
	dist.end()
	o.end()
}

// add puts what is published here over what upstream has of the same package:
// its versions, tags and times win.
func (p *packument) add(own *packument) {
	files := map[string]bool{}
	for _, e := range own.entries {
		files[e.file.Path] = true
	}
	p.entries = slices.DeleteFunc(p.entries, func(e *entry) bool {
		return own.byVersion[e.Version.Version] != nil || files[e.file.Path]
	})
	p.entries = append(p.entries, own.entries...)
	p.byVersion = map[string]*entry{}
	for _, e := range p.entries {
		p.byVersion[e.Version.Version] = e
	}
	p.addTimes(own)
	p.addTags(own)
	p.members = slices.DeleteFunc(p.members, func(m member) bool { return m.is("_rev") })
	for _, m := range own.members {
		if m.is("_rev") || !slices.ContainsFunc(p.members, func(other member) bool { return string(other.key) == string(m.key) }) {
			p.members = append(p.members, m)
		}
	}
}

func (p *packument) addTimes(own *packument) {
	if last := own.released["modified"]; last.time.After(p.released["modified"].time) {
		p.modified = last.quoted
	}
	p.times = slices.DeleteFunc(p.times, func(m member) bool { return own.byVersion[string(m.key)] != nil })
	for _, m := range own.times {
		key := string(m.key)
		if _, known := p.released[key]; own.byVersion[key] != nil || !known {
			p.times = append(p.times, m)
			p.released[key] = own.released[key]
		}
	}
}

// addTags has our tags win, but for the latest that nobody asked for: see
// ownTags.
func (p *packument) addTags(own *packument) {
	for _, t := range own.tags {
		at := slices.IndexFunc(p.tags, func(other tag) bool { return other.name == t.name })
		switch {
		case at < 0:
			p.tags = append(p.tags, t)
		case t.name != "latest" || own.latest:
			p.tags[at] = t
		}
	}
}

// provenance writes the attestations of a version of ours, as the registry's
// own address of them has them.
func provenance(in *sdk.Input, f sdk.Hosted) error {
	bundle := readPublished(f).Provenance
	said := statementOf(bundle)
	if said == nil {
		return sdk.NotFound(f.Version.Name + " " + f.Version.Version + " was published without provenance")
	}
	return in.JSON(map[string]any{"attestations": []any{
		map[string]any{"predicateType": said.PredicateType, "bundle": bundle},
	}})
}
