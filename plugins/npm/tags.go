package main

import "slices"

// retag gives the tags that hold for the versions shown. A tag on one of them
// stays. Otherwise latest moves as newestBelow says and any other tag as newestFor
// says, or it goes, as one does that upstream has on no version.
func (p *packument) retag() []tag {
	var shown []release // made when it is needed
	var tags []tag
	for _, t := range p.tags {
		e := p.byVersion[t.version]
		if e != nil && e.shown {
			tags = append(tags, t)
			continue
		}
		if shown == nil {
			shown = p.releases()
		}
		was := parseRelease(t.version, p.released[t.version].time)
		var now *release
		if t.name == "latest" {
			now = newestBelow(shown, was)
		} else if was != nil && e != nil {
			now = newestFor(t.name, shown, *was)
		}
		if now != nil {
			tags = append(tags, tag{t.name, now.text})
		}
	}
	return tags
}

// tagged is the version that a tag is on; empty: there is no such tag.
func tagged(tags []tag, name string) string {
	if i := slices.IndexFunc(tags, func(t tag) bool { return t.name == name }); i >= 0 {
		return tags[i].version
	}
	return ""
}

// releases are the versions shown that are in order with each other.
func (p *packument) releases() []release {
	shown := []release{}
	for _, e := range p.entries {
		if !e.shown {
			continue
		}
		if r := parseRelease(e.Version.Version, e.Published); r != nil {
			shown = append(shown, *r)
		}
	}
	return shown
}
