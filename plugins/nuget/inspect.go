package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
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
	// Symbols says that it looks like a package of symbols of the older form, which
	// is never pushed.
	Symbols bool `json:"symbols,omitempty"`
}

// maxNuspec bounds a manifest, which every listing has.
const maxNuspec = 256 << 10

func packageFiles() *sdk.Package {
	return &sdk.Package{Peek: []string{"zip:*.nuspec", "names:zip"}, Inspect: inspect, Canonical: canonical}
}

// inspect says of which version a package file is, by its manifest.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	if strings.HasSuffix(strings.ToLower(m.Name), ".symbols.nupkg") {
		return sdk.Entry{}, errSymbols
	}
	var manifest []byte
	var files []string
	for _, member := range m.All() {
		if member.Name == "names" {
			files = parseNames(member.Body)
			continue
		}
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
	if a, b, found := alike(files); found {
		return sdk.Entry{}, fmt.Errorf("the package's files %q and %q are one where case does not matter", a, b)
	}
	id := strings.ToLower(n.Metadata.ID)
	if !packageID.MatchString(id) || len(id) > 100 {
		return sdk.Entry{}, fmt.Errorf("the package's manifest has the id %q, which no package can have", n.Metadata.ID)
	}
	version, ok := normalize(n.Metadata.Version)
	if !ok {
		return sdk.Entry{}, fmt.Errorf("the package's manifest has the version %q, which is none", n.Metadata.Version)
	}
	extra, err := json.Marshal(kept{
		Nuspec:  string(bytes.ToValidUTF8(manifest, []byte("\ufffd"))),
		Symbols: haveSymbols(files),
	})
	return sdk.Entry{
		Version: sdk.Version{Name: id, Version: version},
		Path:    packagePath(id, version),
		Extra:   extra,
	}, err
}

// parseNames are the files that a list of members names.
func parseNames(list []byte) []string {
	var files []string
	for line := range strings.Lines(string(list)) {
		if _, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); !strings.HasSuffix(name, "/") {
			files = append(files, name)
		}
	}
	return files
}

// alike finds two files whose names differ in case alone, which the public
// registry takes for one.
func alike(files []string) (string, string, bool) {
	seen := map[string]string{}
	for _, name := range files {
		lower := strings.ToLower(name)
		if other, ok := seen[lower]; ok {
			return other, name, true
		}
		seen[lower] = name
	}
	return "", "", false
}

// haveSymbols reports whether files are those of a package of symbols of the
// older form, by what servers without symbols tell it: symbols and their sources.
func haveSymbols(files []string) bool {
	symbols := func(name string) bool { return strings.EqualFold(path.Ext(name), ".pdb") }
	sources := func(name string) bool { return strings.HasPrefix(name, "src/") && name != "src/_._" }
	return slices.ContainsFunc(files, symbols) && slices.ContainsFunc(files, sources)
}

var errSymbols = errors.New("packages of symbols are not kept here: push the package (.nupkg) alone, with -NoSymbols")
