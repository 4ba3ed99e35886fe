package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// nuspec is a package's manifest (.nuspec reference), of whatever namespace.
type nuspec struct {
	Metadata struct {
		MinClientVersion string `xml:"minClientVersion,attr"`

		ID                       string  `xml:"id"`
		Version                  string  `xml:"version"`
		Title                    string  `xml:"title"`
		Authors                  string  `xml:"authors"`
		Owners                   string  `xml:"owners"`
		Description              string  `xml:"description"`
		Summary                  string  `xml:"summary"`
		ReleaseNotes             string  `xml:"releaseNotes"`
		Copyright                string  `xml:"copyright"`
		Language                 string  `xml:"language"`
		Tags                     string  `xml:"tags"`
		ProjectURL               string  `xml:"projectUrl"`
		IconURL                  string  `xml:"iconUrl"`
		LicenseURL               string  `xml:"licenseUrl"`
		License                  license `xml:"license"`
		RequireLicenseAcceptance bool    `xml:"requireLicenseAcceptance"`
		Dependencies             struct {
			Groups []nuspecGroup      `xml:"group"`
			All    []nuspecDependency `xml:"dependency"`
		} `xml:"dependencies"`
		PackageTypes []struct {
			Name string `xml:"name,attr"`
		} `xml:"packageTypes>packageType"`
	} `xml:"metadata"`
}

type license struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// nuspecGroup is what a package needs on one framework.
type nuspecGroup struct {
	Framework    string             `xml:"targetFramework,attr"`
	Dependencies []nuspecDependency `xml:"dependency"`
}

type nuspecDependency struct {
	ID      string `xml:"id,attr"`
	Version string `xml:"version,attr"`
	Exclude string `xml:"exclude,attr"`
	Include string `xml:"include,attr"`
}

func parseNuspec(text []byte) (*nuspec, error) {
	n := &nuspec{}
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // they are UTF-8, whatever they say
	if err := d.Decode(n); err != nil {
		return nil, err
	}
	m := &n.Metadata
	for _, text := range []*string{&m.ID, &m.Version, &m.Title, &m.Authors, &m.Description, &m.Summary, &m.Tags, &m.License.Text} {
		*text = strings.TrimSpace(*text)
	}
	return n, nil
}

// kept is what is kept of a version published here.
type kept struct {
	Nuspec string `json:"nuspec"`
}

// maxNuspec bounds a manifest, which every listing has.
const maxNuspec = 256 << 10

func packageFiles() *sdk.Package {
	return &sdk.Package{Peek: []string{"zip:*.nuspec"}, Inspect: inspect, Canonical: canonical}
}

// inspect says of which version a package file is, by its manifest.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	if strings.HasSuffix(strings.ToLower(m.Name), ".symbols.nupkg") {
		return sdk.Entry{}, errSymbols
	}
	var manifest []byte
	for _, member := range m.All() {
		if manifest != nil {
			return sdk.Entry{}, errors.New("the package has two manifests (.nuspec)")
		}
		manifest = member.Body
	}
	switch {
	case manifest == nil:
		return sdk.Entry{}, errors.New("it is no package: it has no manifest (.nuspec) at its top")
	case len(manifest) > maxNuspec:
		return sdk.Entry{}, fmt.Errorf("the package's manifest has more than %d bytes", maxNuspec)
	}
	n, err := parseNuspec(manifest)
	if err != nil {
		return sdk.Entry{}, fmt.Errorf("the package's manifest cannot be read: %w", err)
	}
	for _, t := range n.Metadata.PackageTypes {
		if strings.EqualFold(t.Name, "SymbolsPackage") {
			return sdk.Entry{}, errSymbols
		}
	}
	id := strings.ToLower(n.Metadata.ID)
	if !packageID.MatchString(id) || len(id) > 100 {
		return sdk.Entry{}, fmt.Errorf("the package's manifest has the id %q, which no package can have", n.Metadata.ID)
	}
	version, ok := normalize(n.Metadata.Version)
	if !ok {
		return sdk.Entry{}, fmt.Errorf("the package's manifest has the version %q, which is none", n.Metadata.Version)
	}
	extra, err := json.Marshal(kept{string(bytes.ToValidUTF8(manifest, []byte("\ufffd")))})
	return sdk.Entry{
		Version: sdk.Version{Name: id, Version: version},
		Path:    packagePath(id, version),
		Extra:   extra,
	}, err
}

var errSymbols = errors.New("packages of symbols are not kept here: push the package (.nupkg) alone, with -NoSymbols")
