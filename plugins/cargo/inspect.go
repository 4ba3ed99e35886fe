package main

import (
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

// inspect reads a crate file (Cargo book, "cargo package"). What an index says
// of it comes with its publication, or, where nobody published it, from its
// Cargo.toml.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	for _, member := range m.All() {
		manifest, err := parseManifest(member.Body)
		if err != nil {
			return sdk.Entry{}, fmt.Errorf("%s: %w", member.Name, err)
		}
		p := manifest.Package
		if member.Name != p.Name+"-"+p.Version+"/Cargo.toml" {
			continue // of something else that the crate carries
		}
		if err := goodName(p.Name); err != nil {
			return sdk.Entry{}, err
		}
		if _, err := semver.StrictNewVersion(p.Version); err != nil {
			return sdk.Entry{}, fmt.Errorf("%q is not a version of Semantic Versioning: %w", p.Version, err)
		}
		extra, err := manifest.record()
		if err != nil {
			return sdk.Entry{}, fmt.Errorf("%s: %w", member.Name, err)
		}
		return sdk.Entry{
			Version: sdk.Version{Name: canonical(p.Name), Version: p.Version},
			Path:    cratePath(p.Name, p.Version),
			Extra:   extra,
		}, nil
	}
	return sdk.Entry{}, errors.New("the crate file has no Cargo.toml in a folder called by the name and version that stand in it")
}

// maxName is how long a published crate's name may be.
const maxName = 64

// goodName says why a name is not one to publish a crate by; nil: it is (Cargo
// book, "Index Format", name restrictions).
func goodName(name string) error {
	switch {
	case !validName(name):
		return fmt.Errorf("%q cannot be a crate's name: write ASCII letters, digits, dashes and underscores", name)
	case len(name) > maxName:
		return fmt.Errorf("the name %s has more than %d characters", name, maxName)
	case '0' <= name[0] && name[0] <= '9', name[0] == '-', name[0] == '_':
		return fmt.Errorf("%q cannot be a crate's name: it must begin with a letter", name)
	}
	return nil
}
