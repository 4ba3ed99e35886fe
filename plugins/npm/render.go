package main

import (
	"github.com/entrepot-registry/entrepot/sdk"
)

// packumentSource asks for the full packument: only that has times.
func packumentSource(name string) sdk.Source {
	return sdk.Source{URL: escapeName(name), Accept: jsonType}
}

// packumentDocument is a package's packument; output is empty or abbreviated.
func packumentDocument(name, output string) sdk.Document {
	return sdk.Document{
		Path:   packumentPath(name),
		Output: output,
		Name:   name,
		From:   []sdk.Source{packumentSource(name)},
		Render: func(in *sdk.Input) error { return renderPackument(in, name) },
	}
}

// renderPackument writes both forms at once.
func renderPackument(in *sdk.Input, name string) error {
	p, err := listed(in, name)
	if err != nil {
		return err
	}
	l := newListing(p, in.URL)
	if err := l.writeFull(in.Output("", jsonType)); err != nil {
		return err
	}
	return l.writeAbbreviated(in.Output(abbreviated, abbreviatedType))
}

// renderManifest writes the manifest of one version, or of the one a tag is on.
func renderManifest(in *sdk.Input, name, version string) error {
	p, err := judged(in, name)
	if err != nil {
		return err
	}
	e := p.byVersion[version]
	if e == nil {
		e = p.byVersion[tagged(p.retag(), version)]
	}
	if e == nil { // a tag that went with its version, or nothing
		e = p.byVersion[tagged(p.tags, version)]
	}
	switch {
	case e == nil:
		return sdk.NotFound(name + " has no version or tag " + version)
	case e.held:
		return in.HeldVersion(name, e.Version.Version)
	case !e.shown:
		return sdk.NotFound(name + " " + e.Version.Version + " cannot be installed: upstream's document has no usable tarball of it")
	}
	w := newWriter(in.Output("", jsonType))
	newListing(p, in.URL).manifest(w, e)
	return w.Flush()
}

// renderTags writes the tags.
func renderTags(in *sdk.Input, name string) error {
	p, err := listed(in, name)
	if err != nil {
		return err
	}
	w := newWriter(in.Output("", jsonType))
	newListing(p, in.URL).distTags(w)
	return w.Flush()
}

// judged reads the packument that was asked for first, has it judged, and adds
// what is published here.
func judged(in *sdk.Input, name string) (*packument, error) {
	var p *packument
	if doc := in.Docs()[0]; doc.OK() {
		var err error
		if p, err = readPackument(name, doc.Body); err != nil {
			return nil, err
		}
		p.judge(in.Keep)
	}
	h := in.Hosted(name)
	if h == nil || len(h.Files) == 0 {
		if p == nil {
			return nil, sdk.NotFound(name + " is not published here")
		}
		return p, nil
	}
	own, err := ownPackument(h, in.URL)
	if err != nil || p == nil {
		return own, err
	}
	p.add(own)
	return p, nil
}

// listed is a packument of which something is shown.
func listed(in *sdk.Input, name string) (*packument, error) {
	p, err := judged(in, name)
	if err == nil {
		err = p.empty(in)
	}
	return p, err
}
