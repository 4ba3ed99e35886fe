package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

// indexLine is a line of an index file (Cargo book, "Index Format", JSON
// schema).
type indexLine struct {
	Name     string              `json:"name"`
	Version  string              `json:"vers"`
	Deps     []indexDep          `json:"deps"`
	Checksum string              `json:"cksum"`
	Features map[string][]string `json:"features"`
	// Features2 are features that a cargo of before 1.60 must not see.
	Features2   map[string][]string `json:"features2,omitempty"`
	Yanked      bool                `json:"yanked"`
	Links       *string             `json:"links"`
	RustVersion string              `json:"rust_version,omitempty"`
	PubTime     string              `json:"pubtime,omitempty"`
	// Schema is 2 with Features2, else nothing.
	Schema int `json:"v,omitempty"`
}

// indexDep is a dependency as an index line has it.
type indexDep struct {
	Name            string   `json:"name"`
	Req             string   `json:"req"`
	Features        []string `json:"features"`
	Optional        bool     `json:"optional"`
	DefaultFeatures bool     `json:"default_features"`
	Target          *string  `json:"target"`
	Kind            string   `json:"kind"`
	// Registry is the index that it comes from; nil: this one.
	Registry *string `json:"registry"`
	// Package is its own name where Name is another.
	Package *string `json:"package"`
}

// record is what is kept of a version that is published: its line, as far as
// that does not change, and what a search shows.
type record struct {
	Line        indexLine `json:"line"`
	Description string    `json:"description,omitempty"`
}

// hostedRelease is a version published here.
type hostedRelease struct {
	record
	version *semver.Version
}

// hostedReleases are the versions of a crate of ours; nil: there are none.
func hostedReleases(p *sdk.HostedPackage) ([]hostedRelease, error) {
	if p == nil {
		return nil, nil
	}
	releases := make([]hostedRelease, len(p.Files))
	for i, f := range p.Files {
		r := &releases[i]
		if err := json.Unmarshal(f.File.Extra, &r.record); err != nil {
			return nil, fmt.Errorf("what is kept of %s %s: %w", p.Name, f.Version.Version, err)
		}
		var err error
		if r.version, err = semver.StrictNewVersion(f.Version.Version); err != nil {
			return nil, fmt.Errorf("%s %s: %w", p.Name, f.Version.Version, err)
		}
		r.Line.Yanked = f.Version.Yanked
		r.Line.PubTime = f.Version.Published.UTC().Format(time.RFC3339)
		for _, d := range f.File.Digests {
			if d.Algorithm == "sha256" {
				r.Line.Checksum = hex.EncodeToString(d.Sum)
			}
		}
	}
	return releases, nil
}

// withoutBuild is a version without its build metadata, with which an index has it
// but once.
func withoutBuild(version string) string {
	version, _, _ = strings.Cut(version, "+")
	return version
}

// sameVersion reports whether an index cannot have both versions: they differ
// in nothing but build metadata.
func sameVersion(a, b *semver.Version) bool {
	return a.Major() == b.Major() && a.Minor() == b.Minor() && a.Patch() == b.Patch() && a.Prerelease() == b.Prerelease()
}

// above reports whether a version is to be shown rather than another: the
// higher one, but a pre-release only when there is nothing else.
func above(a, b *semver.Version) bool {
	if pre := a.Prerelease() != ""; pre != (b.Prerelease() != "") {
		return !pre
	}
	return a.GreaterThan(b)
}
