package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

// packageFiles is how tarballs are read. Clients unpack them without the first
// part of each name, whatever it is called.
func packageFiles() *sdk.Package {
	return &sdk.Package{
		Peek:    []string{"tar.gz:*/package.json", "tar.gz:*/npm-shrinkwrap.json", "tar.gz:*/binding.gyp"},
		Inspect: inspect,
		Canonical: func(version string) string {
			if clean, ok := cleanVersion(version); ok {
				return clean
			}
			return version
		},
	}
}

// traits is what a tarball shows of a version whatever its manifest says.
type traits struct {
	Installs   bool `json:"hasInstallScript,omitempty"`
	Shrinkwrap bool `json:"_hasShrinkwrap,omitempty"`
}

// inspect says of which version a tarball is. What is kept of it is what a
// publication keeps, as far as the tarball tells: its package.json as manifest.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	var manifest []byte
	var has traits
	for _, member := range m.All() {
		_, name, _ := strings.Cut(member.Name, "/")
		switch name {
		case "package.json":
			if manifest != nil {
				return sdk.Entry{}, errors.New("the tarball has two package.json, and clients would unpack one over the other")
			}
			manifest = bytes.TrimPrefix(member.Body, []byte("\ufeff"))
		case "npm-shrinkwrap.json":
			has.Shrinkwrap = true
		case "binding.gyp":
			has.Installs = true // clients build it
		}
	}
	if manifest == nil {
		return sdk.Entry{}, errors.New("it is no tarball (.tgz) with a package.json in a folder at its top")
	}
	if err := checkJSON(manifest); err != nil {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball: %w", err)
	}
	manifest = bytes.TrimSpace(manifest)
	var name, said string
	for part := range members(manifest) {
		switch {
		case part.is("name"):
			name, _ = text(part.value)
		case part.is("version"):
			said, _ = text(part.value)
		case part.is("scripts"):
			has.Installs = has.Installs || hasInstallScript(part.value)
		}
	}
	if !validName(name) {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball has %q, which is no name of a package", name)
	}
	version, ok := cleanVersion(said)
	if !ok {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball has %q, which is no version (Semantic Versioning 2.0.0)", said)
	}
	kept, err := unpublished(manifest, name, version, has)
	if err != nil {
		return sdk.Entry{}, err
	}
	extra, err := json.Marshal(kept)
	return sdk.Entry{
		Version: sdk.Version{Name: name, Version: version},
		Path:    filePath(name, fileName(name, version)),
		Extra:   extra,
	}, err
}

// unpublished makes of a package.json what is kept of a version that nobody
// published.
func unpublished(manifest []byte, name, version string, has traits) (*published, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(manifest, &parts); err != nil {
		return nil, fmt.Errorf("package.json in the tarball: %w", err)
	}
	kept := &published{}
	kept.Readme, _ = text(parts["readme"])
	for _, part := range notTheirs {
		delete(parts, part)
	}
	// Clients take no other form of it from a registry.
	if program, ok := text(parts["bin"]); ok {
		parts["bin"] = fmt.Appendf(nil, "{%s:%s}", quote(name[strings.LastIndexByte(name, '/')+1:]), quote(program))
	}
	parts["_id"], parts["name"], parts["version"] = quote(name+"@"+version), quote(name), quote(version)
	has.set(parts)
	var err error
	kept.Manifest, err = json.Marshal(parts)
	return kept, err
}

// notTheirs are parts of manifests that are the registry's to say.
var notTheirs = []string{"dist", "deprecated", "readme", "_npmUser", "hasInstallScript", "_hasShrinkwrap"}

// set puts traits into a manifest.
func (t traits) set(parts map[string]json.RawMessage) {
	if t.Installs {
		parts["hasInstallScript"] = json.RawMessage("true")
	}
	if t.Shrinkwrap {
		parts["_hasShrinkwrap"] = json.RawMessage("true")
	}
}

// cleanVersion is a version as clients publish it: without a v before it and
// without build metadata. False: it is none, as their library has it, which holds
// numbers exactly up to 2^53-1 and takes no more than 256 characters.
func cleanVersion(version string) (string, bool) {
	version = strings.TrimLeft(strings.TrimSpace(version), "=v ")
	if len(version) > 256 {
		return "", false
	}
	version, _, _ = strings.Cut(version, "+")
	v, err := semver.StrictNewVersion(version)
	return version, err == nil && max(v.Major(), v.Minor(), v.Patch()) <= 1<<53-1
}
