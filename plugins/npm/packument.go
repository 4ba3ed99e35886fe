package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// packument is a package's document, split into the parts that policy and
// addresses concern. All slices are parts of upstream's document.
type packument struct {
	name      string
	members   []member // of the document, in order
	entries   []*entry // every version that it lists, in order
	byVersion map[string]*entry
	times     []member           // of the member time
	released  map[string]instant // by version
	tags      []tag              // as upstream has them; see retag
	modified  []byte             // upstream's, quoted; nil: none
	held      bool               // some version is held back
	dropped   bool               // some version is not shown
	latest    bool               // of ours: somebody said which version is the latest
}

// instant is a publication time, parsed and as it stands.
type instant struct {
	time   time.Time // zero: it cannot be read
	quoted []byte
}

// tag is a dist-tag.
type tag struct{ name, version string }

// readPackument splits a document. What contradicts itself, so that readers
// could differ about it, is an error: keys that stand twice, parts that are no
// objects, another package's name. Odd versions are dropped by themselves; see
// readEntry. Bytes that are no UTF-8 are replaced, as clients do.
func readPackument(name string, doc []byte) (*packument, error) {
	doc = bytes.ToValidUTF8(doc, []byte("\ufffd"))
	if err := checkJSON(doc); err != nil {
		return nil, err
	}
	doc = doc[skipSpace(doc, 0):]
	if !isObject(doc) {
		return nil, errors.New("it is no object")
	}
	p := &packument{name: name, byVersion: map[string]*entry{}, released: map[string]instant{}}
	parts := map[string][]byte{}
	for m := range members(doc) {
		key := string(m.key)
		if _, twice := parts[key]; twice {
			return nil, fmt.Errorf("it has %q twice", key)
		}
		parts[key] = m.value
		p.members = append(p.members, m)
	}
	for _, key := range []string{"versions", "time", "dist-tags"} {
		if value, ok := parts[key]; ok && !isObject(value) && (key == "versions" || !isNull(value)) {
			return nil, fmt.Errorf("its %q is no object", key)
		}
	}
	if value, ok := parts["name"]; ok && !isNull(value) {
		if own, _ := text(value); own != name {
			return nil, fmt.Errorf("it is the document of %s", value)
		}
	}
	p.modified = parts["modified"]
	if err := p.readTimes(parts["time"]); err != nil {
		return nil, err
	}
	if err := p.readTags(parts["dist-tags"]); err != nil {
		return nil, err
	}
	return p, p.readEntries(parts["versions"])
}

func (p *packument) readTimes(times []byte) error {
	for m := range members(times) {
		key := string(m.key)
		if _, twice := p.released[key]; twice {
			return fmt.Errorf("it has two times of %q", key)
		}
		p.times = append(p.times, m)
		value, _ := text(m.value)
		p.released[key] = instant{readTime(value), m.value}
		if key == "modified" {
			p.modified = m.value
		}
	}
	return nil
}

// readTime reads an instant as registries of several kinds write it, in UTC
// where it does not say; zero: it is unknown, and the host judges by when it
// first saw the version.
func readTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z0700", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

func (p *packument) readTags(tags []byte) error {
	seen := map[string]bool{}
	for m := range members(tags) {
		name := string(m.key)
		if seen[name] {
			return fmt.Errorf("it has the tag %q twice", name)
		}
		seen[name] = true
		if version, ok := text(m.value); ok {
			p.tags = append(p.tags, tag{name, version})
		}
	}
	return nil
}

func (p *packument) readEntries(versions []byte) error {
	for m := range members(versions) {
		version := string(m.key)
		if p.byVersion[version] != nil {
			return fmt.Errorf("it has version %q twice", version)
		}
		e := readEntry(p.name, version, m)
		e.Published = p.released[version].time
		p.entries = append(p.entries, e)
		p.byVersion[version] = e
	}
	p.settleFiles()
	return nil
}

// settleFiles gives every tarball an address of its own. One that is called as
// those of another version listed usually are makes its version odd: it would
// bring that one's file past its judgement. So does a manifest that says another
// version listed. Where several share a name, each gets the usual one.
func (p *packument) settleFiles() {
	usual := make(map[string]*entry, len(p.entries))
	for _, e := range p.entries {
		usual[filePath(p.name, fileName(p.name, e.Version.Version))] = e
		if other := p.byVersion[e.said]; other != nil && other != e {
			e.odd, e.file = true, sdk.File{}
		}
	}
	claims := make(map[string]int, len(p.entries))
	for _, e := range p.entries {
		if owner := usual[e.file.Path]; owner != nil && owner != e {
			e.odd, e.file = true, sdk.File{}
		}
		claims[e.file.Path]++
	}
	for _, e := range p.entries {
		if e.file.Path != "" && claims[e.file.Path] > 1 {
			e.file.Path = filePath(p.name, fileName(p.name, e.Version.Version))
		}
	}
}

// judge asks policy about every version that is not odd. Of odd ones nothing is
// told, as if upstream did not list them: what is known of a version has its
// tarball served.
func (p *packument) judge(keep func(sdk.Version, ...sdk.File) bool) {
	for _, e := range p.entries {
		if !e.odd {
			e.shown = keep(e.Version, e.file)
			e.held = !e.shown
		}
		p.held = p.held || e.held
		p.dropped = p.dropped || !e.shown
	}
}

// empty is the failure for a packument of which no version is shown; nil: some
// are.
func (p *packument) empty(in *sdk.Input) error {
	for _, e := range p.entries {
		if e.shown {
			return nil
		}
	}
	switch {
	case p.held:
		first := in.Held()
		return sdk.Failure{Kind: first.Kind, Message: "all versions of " + p.name + " are held back, and this one is served first: " + first.Message}
	case len(p.entries) == 0:
		return sdk.NotFound(p.name + " has no versions: it was unpublished")
	}
	return sdk.NotFound("no version of " + p.name + " can be installed: upstream's document has none with a tarball")
}

// lastChange is when the newest version shown was published, quoted: upstream's
// own modification time would tell of those that are not. Nil: unknown.
func (p *packument) lastChange() []byte {
	if !p.dropped {
		return p.modified
	}
	var last instant
	for _, e := range p.entries {
		if at := p.released[e.Version.Version]; e.shown && at.time.After(last.time) {
			last = at
		}
	}
	return last.quoted
}
