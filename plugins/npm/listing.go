package main

import "io"

// listing writes what is shown of a packument.
type listing struct {
	*packument
	url      func(path string) string
	tags     []tag  // as they hold here
	modified []byte // likewise; nil: unknown
}

func newListing(p *packument, url func(path string) string) *listing {
	return &listing{packument: p, url: url, tags: p.retag(), modified: p.lastChange()}
}

// writeFull writes the document as upstream has it, but for what is not shown.
// Attachments go: they name the tarballs of all versions.
func (l *listing) writeFull(out io.Writer) error {
	w := newWriter(out)
	o := w.object()
	for _, m := range l.members {
		switch string(m.key) {
		case "versions":
			o.key(m.quoted)
			l.manifests(w, l.manifest)
		case "dist-tags":
			o.key(m.quoted)
			l.distTags(w)
		case "time":
			o.key(m.quoted)
			l.publications(w)
		case "modified":
			if l.modified != nil {
				o.member(m.quoted, l.modified)
			}
		case "_attachments":
		default:
			o.member(m.quoted, m.value)
		}
	}
	o.end()
	return w.Flush()
}

// writeAbbreviated writes what clients need to install, and the times, by which
// some of them choose.
func (l *listing) writeAbbreviated(out io.Writer) error {
	w := newWriter(out)
	o := w.object()
	o.member([]byte(`"name"`), quote(l.name))
	if l.modified != nil {
		o.member([]byte(`"modified"`), l.modified)
	}
	o.key([]byte(`"dist-tags"`))
	l.distTags(w)
	o.key([]byte(`"versions"`))
	l.manifests(w, l.abbreviatedManifest)
	o.key([]byte(`"time"`))
	l.publications(w)
	o.end()
	return w.Flush()
}

func (l *listing) manifests(w writer, manifest func(writer, *entry)) {
	o := w.object()
	for _, e := range l.entries {
		if e.shown {
			o.key(e.quoted)
			manifest(w, e)
		}
	}
	o.end()
}

func (l *listing) distTags(w writer) {
	o := w.object()
	for _, t := range l.tags {
		o.member(quote(t.name), quote(t.version))
	}
	o.end()
}

// publications leaves only versions shown, and when the package came to be and
// changed.
func (l *listing) publications(w writer) {
	o := w.object()
	for _, m := range l.times {
		e := l.byVersion[string(m.key)]
		switch {
		case e != nil && e.shown || e == nil && m.is("created"):
			o.member(m.quoted, m.value)
		case e == nil && m.is("modified") && l.modified != nil:
			o.member(m.quoted, l.modified)
		}
	}
	o.end()
}

// manifest writes a manifest with our addresses in it.
func (l *listing) manifest(w writer, e *entry) {
	o := w.object()
	for m := range members(e.manifest) {
		l.field(w, o, e, m)
	}
	o.end()
}

func (l *listing) field(w writer, o *object, e *entry, m member) {
	if m.is("dist") {
		o.key(m.quoted)
		l.dist(w, e, m.value)
		return
	}
	o.member(m.quoted, m.value)
}

// abbreviatedManifest writes the members that the abbreviated form has.
func (l *listing) abbreviatedManifest(w writer, e *entry) {
	o := w.object()
	told, installs := false, false
	for m := range members(e.manifest) {
		switch string(m.key) {
		case "hasInstallScript":
			told = true
			l.field(w, o, e, m)
		case "name", "version", "deprecated", "dist", "bin", "directories", "engines", "os", "cpu", "libc", "funding",
			"dependencies", "optionalDependencies", "devDependencies", "bundleDependencies", "bundledDependencies",
			"peerDependencies", "peerDependenciesMeta", "acceptDependencies", "_hasShrinkwrap":
			l.field(w, o, e, m)
		case "scripts":
			installs = installs || hasInstallScript(m.value)
		}
	}
	if installs && !told {
		o.member([]byte(`"hasInstallScript"`), []byte("true"))
	}
	o.end()
}

// hasInstallScript reports whether an installation runs one of a package's
// scripts.
func hasInstallScript(scripts []byte) bool {
	for m := range members(scripts) {
		switch string(m.key) {
		case "preinstall", "install", "postinstall":
			if command, _ := text(m.value); command != "" {
				return true
			}
		}
	}
	return false
}

// dist writes the part of a manifest that says where its tarball and its
// attestations are.
func (l *listing) dist(w writer, e *entry, dist []byte) {
	o := w.object()
	for m := range members(dist) {
		switch {
		case m.is("tarball"):
			o.member(m.quoted, quote(l.url(e.file.Path)))
		case m.is("attestations") && isObject(m.value):
			o.member(m.quoted, rewrite(m.value, func(m member) []byte {
				if m.is("url") {
					return quote(l.url(attestationsPath(e.Name, e.Version.Version)))
				}
				return m.value
			}))
		default:
			o.member(m.quoted, m.value)
		}
	}
	o.end()
}
