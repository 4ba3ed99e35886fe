package catalog

import (
	"maps"
	"strings"
)

// tagKey is where the tags are that do not stand in a package's own record:
// repository, name, tag → version.
const tagKey = "hosted/tag/"

// fewTags stand in the record of a package, which is written with every change. Of
// an older record, that has more, up to maxMoved move at each change.
const (
	fewTags  = 32
	maxMoved = 1000
)

// record is a package as it is written.
type record struct {
	*Package
	// Few are the tags that stand here.
	Few map[string]string `json:"Tags,omitempty"`
	// Apart is how many do not. A program that knows no others reads it as Tags, and
	// so says that it cannot read the package, rather than serve it without them.
	Apart int `json:"tags,omitempty"`
}

// readTags adds the tags to a package, some of which are in its record.
func (c *Catalog) readTags(repository string, r record) error {
	r.few, r.Tags = r.Few, r.Few
	if r.Apart == 0 {
		return nil
	}
	all := map[string]string{}
	prefix := key(tagKey+repository, r.Name, "")
	err := c.db.Each(prefix, false, func(k string, version []byte) bool {
		all[strings.TrimPrefix(k, prefix)] = string(version)
		return true
	})
	maps.Copy(all, r.few)
	r.Tags = all
	return err
}

// tag points a tag at a version; empty: it goes.
func (p *Package) tag(tag, version string) {
	if p.Tags[tag] == version {
		return
	}
	if p.moved == nil {
		p.Tags, p.moved = maps.Clone(p.Tags), map[string]bool{}
	}
	if p.Tags == nil {
		p.Tags = map[string]string{}
	}
	p.moved[tag] = true
	if p.Tags[tag] = version; version == "" {
		delete(p.Tags, tag)
	}
}

// putTags writes the records of tags and says which of them stand in the record of
// their package.
func (e *edit) putTags(before, p *Package) {
	if len(p.moved) == 0 && len(p.few) <= fewTags {
		return
	}
	few := maps.Clone(p.few)
	if few == nil {
		few = map[string]string{}
	}
	for tag := range p.moved {
		version := p.Tags[tag]
		_, here := few[tag]
		apart := before.Tags[tag] != "" && !here
		switch {
		case version == "" && here:
			delete(few, tag)
		case here, version != "" && !apart && len(few) < fewTags:
			few[tag] = version
		default:
			e.putTag(p, tag, version)
		}
	}
	moves := 0
	for tag, version := range few {
		if len(few) <= fewTags || moves == maxMoved {
			break
		}
		e.putTag(p, tag, version)
		delete(few, tag)
		moves++
	}
	p.few, p.moved = few, nil
}

// putTag writes the record of a tag; without a version it goes.
func (e *edit) putTag(p *Package, tag, version string) {
	k := key(tagKey+e.Repository, p.Name, tag)
	if e.records[k] = nil; version != "" {
		e.records[k] = []byte(version)
	}
}
