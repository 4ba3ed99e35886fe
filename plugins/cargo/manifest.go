package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// manifest is a Cargo.toml as it stands in crate files (Cargo book, "The
// Manifest Format"), as far as an index tells of it.
type manifest struct {
	Package struct {
		Name        string  `toml:"name"`
		Version     string  `toml:"version"`
		Description *string `toml:"description"`
		Links       *string `toml:"links"`
		RustVersion *string `toml:"rust-version"`
	} `toml:"package"`
	dependencies
	Target   map[string]dependencies `toml:"target"`
	Features map[string][]string     `toml:"features"`
}

// dependencies are those of all targets, or of one.
type dependencies struct {
	Normal   map[string]dependency `toml:"dependencies"`
	Build    map[string]dependency `toml:"build-dependencies"`
	Dev      map[string]dependency `toml:"dev-dependencies"`
	OldBuild map[string]dependency `toml:"build_dependencies"`
	OldDev   map[string]dependency `toml:"dev_dependencies"`
}

// dependency is a table, or a text with the version alone.
type dependency struct {
	Version            string   `toml:"version"`
	Features           []string `toml:"features"`
	Optional           bool     `toml:"optional"`
	DefaultFeatures    *bool    `toml:"default-features"`
	OldDefaultFeatures *bool    `toml:"default_features"`
	// Index is where it comes from; empty: from where the crate does.
	Index string `toml:"registry-index"`
	// Package is its own name where the manifest calls it otherwise.
	Package string `toml:"package"`
}

// UnmarshalText reads the short form.
func (d *dependency) UnmarshalText(text []byte) error {
	d.Version = string(text)
	return nil
}

func parseManifest(text []byte) (manifest, error) {
	var m manifest
	err := toml.Unmarshal(text, &m)
	return m, err
}

// record is what is kept of a crate that nobody published: what cargo would
// have sent of it.
func (m manifest) record() ([]byte, error) {
	sent := metadata{
		Name: m.Package.Name, Version: m.Package.Version, Features: m.Features,
		Description: m.Package.Description, Links: m.Package.Links, RustVersion: m.Package.RustVersion,
	}
	sent.add(m.dependencies, nil)
	for _, target := range slices.Sorted(maps.Keys(m.Target)) {
		sent.add(m.Target[target], &target)
	}
	kept, err := sent.record()
	if err != nil {
		return nil, err
	}
	return json.Marshal(kept)
}

// add adds the dependencies of a target; nil: of all.
func (m *metadata) add(all dependencies, target *string) {
	for _, some := range []struct {
		kind string
		deps map[string]dependency
	}{
		{"normal", all.Normal}, {"build", all.Build}, {"build", all.OldBuild}, {"dev", all.Dev}, {"dev", all.OldDev},
	} {
		for _, name := range slices.Sorted(maps.Keys(some.deps)) {
			m.Deps = append(m.Deps, some.deps[name].sent(name, some.kind, target))
		}
	}
}

// sent is a dependency as cargo sends it.
func (d dependency) sent(name, kind string, target *string) metadataDep {
	sent := metadataDep{
		Name: name, Req: d.Version, Features: d.Features, Optional: d.Optional, DefaultFeatures: true, Target: target, Kind: kind,
	}
	if sent.Req == "" {
		sent.Req = "*" // any, as cargo takes it
	}
	for _, said := range []*bool{d.DefaultFeatures, d.OldDefaultFeatures} {
		if said != nil {
			sent.DefaultFeatures = *said
		}
	}
	if d.Index != "" {
		sent.Registry = &d.Index
	}
	if d.Package != "" && d.Package != name {
		sent.Name, sent.Renamed = d.Package, &name
	}
	return sent
}
