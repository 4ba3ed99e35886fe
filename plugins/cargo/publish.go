package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// metadata is what cargo sends before a crate file (Cargo book, "Web API",
// publish). What only web pages show is left out.
type metadata struct {
	Name        string              `json:"name"`
	Version     string              `json:"vers"`
	Deps        []metadataDep       `json:"deps"`
	Features    map[string][]string `json:"features"`
	Description *string             `json:"description"`
	Links       *string             `json:"links"`
	RustVersion *string             `json:"rust_version"`
}

// metadataDep is a dependency as cargo sends it.
type metadataDep struct {
	Name            string   `json:"name"`
	Req             string   `json:"version_req"`
	Features        []string `json:"features"`
	Optional        bool     `json:"optional"`
	DefaultFeatures bool     `json:"default_features"`
	Target          *string  `json:"target"`
	Kind            string   `json:"kind"`
	// Registry is the index that it comes from; nil: the one published to.
	Registry *string `json:"registry"`
	// Renamed is what Cargo.toml calls it where that is not its Name.
	Renamed *string `json:"explicit_name_in_toml"`
}

// planPublish takes a crate.
func planPublish(sdk.Request) sdk.Plan {
	return sdk.Upload{Body: "u32le:metadata,@crate", Accept: acceptCrate}
}

func acceptCrate(p *sdk.Publication) (sdk.Reply, error) {
	var m metadata
	if err := json.Unmarshal(p.Field("metadata"), &m); err != nil {
		return sdk.Reply{}, fmt.Errorf("the metadata cannot be read: %w", err)
	}
	f := p.Files[0]
	if f.Entry == nil {
		return sdk.Reply{}, f.Problem
	}
	e := *f.Entry
	name := canonical(m.Name)
	if e.Version.Name != name || e.Version.Version != m.Version {
		return sdk.Reply{}, fmt.Errorf("the metadata is about %s %s, but the crate file is %s %s", m.Name, m.Version, e.Version.Name, e.Version.Version)
	}
	known := p.Package(name)
	if err := fits(p, known, m); err != nil {
		return sdk.Reply{}, err
	}
	r, err := m.record()
	if err != nil {
		return sdk.Reply{}, err
	}
	if e.Extra, err = json.Marshal(r); err != nil {
		return sdk.Reply{}, err
	}
	p.Store(f, e, false)
	if known.Revision == 0 && p.User != "" {
		p.Own(name, p.User)
	}
	none := []string{}
	return sdk.JSON(map[string]any{"warnings": map[string]any{"invalid_categories": none, "invalid_badges": none, "other": none}}), nil
}

// fits says why a version cannot stand beside what is published: its crate is
// spelled otherwise, or differs from another only by dashes and underscores.
func fits(p *sdk.Publication, known *sdk.HostedPackage, m metadata) error {
	spellings, err := spellings(known.Name)
	if err != nil {
		return err
	}
	for _, other := range spellings {
		if o := p.Package(other); other != known.Name && o.Revision > 0 {
			return sdk.Failure{Kind: sdk.KindConflict, Message: fmt.Sprintf("%s is too much like %s, which is published here", m.Name, o.Name)}
		}
	}
	releases, err := hostedReleases(known)
	if err != nil {
		return err
	}
	for _, r := range releases {
		if r.Line.Name != m.Name {
			return sdk.Failure{Kind: sdk.KindConflict, Message: fmt.Sprintf("the crate is spelled %s here", r.Line.Name)}
		}
	}
	return nil
}

// maxSeparators bounds the dashes and underscores of a published name, of which
// all spellings are looked up.
const maxSeparators = 8

// spellings are all names that differ from one only by dashes and underscores,
// itself included.
func spellings(name string) ([]string, error) {
	all := []string{""}
	for _, c := range name {
		if c != '-' && c != '_' {
			for i := range all {
				all[i] += string(c)
			}
			continue
		}
		if len(all) == 1<<maxSeparators {
			return nil, fmt.Errorf("the name %s has more than %d dashes and underscores", name, maxSeparators)
		}
		both := make([]string, 0, 2*len(all))
		for _, s := range all {
			both = append(both, s+"-", s+"_")
		}
		all = both
	}
	return all, nil
}

// record is what is kept of a version.
func (m metadata) record() (record, error) {
	line, err := m.line()
	r := record{Line: line}
	if m.Description != nil {
		r.Description = strings.TrimSpace(*m.Description)
	}
	return r, err
}

// line is what an index says of a crate (Cargo book, "Index Format", on how it
// differs from what is published).
func (m metadata) line() (indexLine, error) {
	line := indexLine{Name: m.Name, Version: m.Version, Deps: []indexDep{}, Features: map[string][]string{}, Links: m.Links}
	if m.RustVersion != nil {
		line.RustVersion = *m.RustVersion
	}
	for _, d := range m.Deps {
		dep := indexDep{
			Name: d.Name, Req: d.Req, Features: d.Features, Optional: d.Optional, DefaultFeatures: d.DefaultFeatures,
			Target: d.Target, Kind: d.Kind, Registry: d.Registry,
		}
		if dep.Features == nil {
			dep.Features = []string{}
		}
		if d.Renamed != nil {
			dep.Name, dep.Package = *d.Renamed, &d.Name
		}
		if !validName(d.Name) || !validName(dep.Name) || d.Req == "" || !slices.Contains([]string{"normal", "build", "dev"}, d.Kind) {
			return line, fmt.Errorf("its dependency %q cannot be read", d.Name)
		}
		line.Deps = append(line.Deps, dep)
	}
	for name, values := range m.Features {
		if !slices.ContainsFunc(values, newSyntax) {
			line.Features[name] = values
			continue
		}
		if line.Features2 == nil {
			line.Schema, line.Features2 = 2, map[string][]string{}
		}
		line.Features2[name] = values
	}
	return line, nil
}

// newSyntax reports whether a feature's value is one that a cargo of before
// 1.60 fails at: a namespaced or weak dependency.
func newSyntax(value string) bool {
	return strings.HasPrefix(value, "dep:") || strings.Contains(value, "?/")
}
