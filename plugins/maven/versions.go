package main

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/entrepot-registry/entrepot/sdk"
)

// versionsDocument is the metadata of an artifact, or of a group: which of them
// only its text says.
func versionsDocument(f folder) sdk.Document {
	path := f.path(metadataFile)
	return sdk.Document{
		Path:   path,
		Name:   f.name(),
		From:   sdk.From(path),
		Hosted: strings.Join(f, ".") + "/*", // in which may be plugins
		Render: func(in *sdk.Input) error { return renderVersions(in, f) },
	}
}

// renderVersions passes metadata on as it is, or without the versions that
// policy holds, with those of ours, and with our plugins where it is a group's.
func renderVersions(in *sdk.Input, f folder) error {
	doc := in.Docs()[0]
	own, last := hostedVersions(in.Hosted(f.name()))
	m, body, err := upstreamVersions(in, f, doc)
	ownPlugins := hostedPlugins(in.HostedPackages(), f)
	switch {
	case err != nil:
		return err
	case len(own) > 0 || len(ownPlugins) > 0:
		if m == nil {
			m = newMetadata(f, len(own) > 0)
		}
		m.add(own, last)
		m.addPlugins(ownPlugins)
		return m.write(in)
	case body != nil:
		return writeChecked(in, body)
	case !doc.OK():
		return sdk.NotFound("no version of it is listed here")
	case m == nil:
		return in.Held()
	}
	return m.write(in)
}

// upstreamVersions is what policy leaves of upstream's metadata; nil: nothing. The body is upstream's, where that is as good.
func upstreamVersions(in *sdk.Input, f folder, doc *sdk.Doc) (*metadata, []byte, error) {
	if !doc.OK() {
		return nil, nil, nil
	}
	m, err := parseMetadata(doc.Body)
	if err != nil {
		return nil, nil, err
	}
	all := m.versions()
	if len(all) == 0 || f.name() == "" {
		return &m, doc.Body, nil
	}
	updated, err := changed(doc, m.Versioning)
	if err != nil {
		return nil, nil, err
	}
	times, err := date(in, f, all, updated)
	if err != nil {
		return nil, nil, err
	}
	kept := map[string]bool{}
	for _, v := range all {
		if in.Keep(sdk.Version{Name: f.name(), Version: v, Published: times[v]}) {
			kept[v] = true
		}
	}
	if len(kept) == len(all) {
		return &m, doc.Body, nil
	}
	if len(kept) == 0 && m.Plugins == nil {
		return nil, nil, nil
	}
	m.keep(kept)
	return &m, nil, nil
}

// changed is when metadata was changed last: whoever deploys says so in it, and
// may be wrong, so that upstream's own time of the file counts where that is
// later. Zero: nobody says.
func changed(doc *sdk.Doc, v *versioning) (time.Time, error) {
	head, err := readHead(doc)
	if err != nil {
		return time.Time{}, err
	}
	said := stamp(v.LastUpdated)
	if said.IsZero() || said.After(head.published) {
		return said, nil
	}
	return head.published, nil
}

// versions are all that the metadata names, in its order.
func (m *metadata) versions() []string {
	v := m.Versioning
	var all []string
	seen := map[string]bool{"": true, ".": true, "..": true} // of which none can be a folder
	for _, version := range slices.Concat(v.Versions.All, []string{v.Latest, v.Release, m.Version}) {
		version = strings.TrimSpace(version)
		if !seen[version] {
			seen[version] = true
			all = append(all, version)
		}
	}
	return all
}

// keep leaves only the versions given, and the highest of them as the latest
// and the last release where those that upstream names are gone.
func (m *metadata) keep(kept map[string]bool) {
	v := m.Versioning
	gone := func(version string) bool { return version != "" && !kept[strings.TrimSpace(version)] }
	v.Versions.All = slices.DeleteFunc(v.Versions.All, gone)
	if gone(m.Version) {
		m.Version = ""
	}
	if gone(v.Latest) {
		v.Latest = highest(v.Versions.All, func(string) bool { return true })
	}
	if gone(v.Release) {
		v.Release = highest(v.Versions.All, func(version string) bool { return !strings.HasSuffix(version, snapshot) })
	}
}

// highest returns the highest version that is wanted; empty: there is none.
func highest(versions []string, wanted func(string) bool) string {
	best := ""
	for _, v := range versions {
		if v = strings.TrimSpace(v); wanted(v) && (best == "" || compare(v, best) > 0) {
			best = v
		}
	}
	return best
}

// Bounds of what is asked of upstream to date an artifact's versions.
const (
	maxLines   = 16  // release lines looked at
	maxInLine  = 60  // versions of one line
	maxVersion = 400 // versions at all
)

// date finds out when versions were published, as far as that matters: none is
// younger than the last update of the metadata, and in a release line none is
// younger than one that follows it. The others' times are left zero.
func date(in *sdk.Input, f folder, versions []string, updated time.Time) (map[string]time.Time, error) {
	times := map[string]time.Time{}
	asked := 0
	for _, line := range lines(young(in, f.name(), versions, updated)) {
		known, missing := 0, 0
		for _, v := range line[:min(len(line), maxInLine, maxVersion-asked)] {
			asked++
			doc, ok := in.Doc(headOf(pom(f, v)))
			if !ok {
				// As many again as are known already: there are not many rounds.
				if missing++; missing > known {
					break
				}
				continue
			}
			known++
			head, err := readHead(doc)
			if err != nil {
				return nil, err
			}
			if doc.OK() && head.published.IsZero() {
				return times, nil // upstream says of no file how old it is
			}
			times[v] = head.published
			if doc.OK() && !in.Holds(sdk.Version{Name: f.name(), Version: v, Published: head.published}) {
				break
			}
		}
	}
	return times, nil
}

// pom is the address of a release's POM.
func pom(f folder, version string) string {
	return file{folder: f, base: version, version: version, rest: ".pom"}.path()
}

// young are the releases that policy would hold if they were no older than the
// metadata.
func young(in *sdk.Input, name string, versions []string, updated time.Time) []string {
	var all []string
	for _, v := range versions {
		if strings.HasSuffix(v, snapshot) {
			continue // of which the builds are judged
		}
		if updated.IsZero() && in.CoolsDown(name) || in.Holds(sdk.Version{Name: name, Version: v, Published: updated}) {
			all = append(all, v)
		}
	}
	return all
}

// lines sorts versions into release lines, newest first in each, and the lines
// by their newest.
func lines(versions []string) [][]string {
	sorted := slices.Clone(versions)
	slices.SortStableFunc(sorted, func(a, b string) int { return compare(b, a) })
	index := map[string]int{}
	var all [][]string
	for _, v := range sorted {
		i, ok := index[line(v)]
		if !ok {
			i = len(all)
			index[line(v)] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], v)
	}
	return all[:min(len(all), maxLines)]
}

// line returns what the versions of one release line have in common: the
// numbers but for the last, and the qualifier without its numbers. 33.4.8-jre
// is in line 33.4-jre.
func line(version string) string {
	end := strings.IndexFunc(version, func(c rune) bool { return c != '.' && !unicode.IsDigit(c) })
	if end < 0 {
		end = len(version)
	}
	numbers, qualifier := strings.TrimRight(version[:end], "."), version[end:]
	numbers = numbers[:max(strings.LastIndexByte(numbers, '.'), 0)]
	return numbers + strings.Map(func(c rune) rune {
		if unicode.IsDigit(c) {
			return -1
		}
		return c
	}, qualifier)
}
