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
	}
}

// traits is what a tarball shows of a version whatever its manifest says.
type traits struct {
	Installs   bool `json:"hasInstallScript,omitempty"`
	Shrinkwrap bool `json:"_hasShrinkwrap,omitempty"`
}

// inspect says of which version a tarball is.
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
	var said struct{ Name, Version string }
	if err := json.Unmarshal(manifest, &said); err != nil {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball: %w", err)
	}
	for part := range members(manifest) {
		has.Installs = has.Installs || part.is("scripts") && hasInstallScript(part.value)
	}
	if !validName(said.Name) {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball has %q, which is no name of a package", said.Name)
	}
	version, ok := cleanVersion(said.Version)
	if !ok {
		return sdk.Entry{}, fmt.Errorf("package.json in the tarball has %q, which is no version (Semantic Versioning 2.0.0)", said.Version)
	}
	extra, err := json.Marshal(has)
	return sdk.Entry{
		Version: sdk.Version{Name: said.Name, Version: version},
		Path:    filePath(said.Name, fileName(said.Name, version)),
		Extra:   extra,
	}, err
}

// cleanVersion is a version as clients publish it: without a v before it and
// without build metadata.
func cleanVersion(version string) (string, bool) {
	version = strings.TrimLeft(strings.TrimSpace(version), "=v ")
	version, _, _ = strings.Cut(version, "+")
	_, err := semver.StrictNewVersion(version)
	return version, err == nil && len(version) <= 256
}
