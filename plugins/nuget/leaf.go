package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// catalogOutput is the output of a version's document that has its details.
const catalogOutput = "catalog"

// packagePath returns the canonical address here of a package file.
func packagePath(id, version string) string {
	return "/v3/flatcontainer/" + url.PathEscape(id) + "/" + url.PathEscape(version) + "/" + url.PathEscape(id+"."+version) + ".nupkg"
}

// nuspecPath returns the canonical address here of a package's manifest.
func nuspecPath(id, version string) string {
	return "/v3/flatcontainer/" + url.PathEscape(id) + "/" + url.PathEscape(version) + "/" + url.PathEscape(id) + ".nuspec"
}

func catalogPath(id, version string) string {
	return "/v3/catalog/" + url.PathEscape(id) + "/" + url.PathEscape(version) + ".json"
}

// versionOf returns the package and the version that a request is about. False:
// there can be none.
func versionOf(r sdk.Request) (id, version string, ok bool) {
	if id, ok = idOf(r); ok {
		version, ok = normalize(r.Get("version"))
	}
	return id, version, ok
}

var noVersion = sdk.NotFound("no package has such a name and version")

// planPackage serves a package file, however its version is written.
func planPackage(r sdk.Request) sdk.Plan {
	id, version, ok := versionOf(r)
	if !ok {
		return noVersion
	}
	return packageFile(id, version)
}

// packageFile is the package file of a version.
func packageFile(id, version string) sdk.Artifact {
	return artifact(id, version, packagePath(id, version), "application/octet-stream")
}

// planNewest serves the package file of the highest version: of those that are no
// pre-releases, if there are any.
func (f feed) planNewest(r sdk.Request) sdk.Plan {
	id, ok := idOf(r)
	if !ok {
		return noVersion
	}
	return sdk.Document{
		Path:  "/v2/package/" + url.PathEscape(id),
		Name:  id,
		From:  []sdk.Source{f.index},
		Query: true,
		Render: func(in *sdk.Input) error {
			r, ok, err := whole(in, id)
			if !ok {
				return err
			}
			newest := cmp.Or(r.stable, r.absolute)
			switch {
			case len(r.pages) == 0:
				return in.Held()
			case newest == nil:
				return sdk.NotFound("no version of " + id + " is listed: name the one that is wanted")
			}
			return in.Answer(packageFile(id, newest.version))
		},
	}
}

// planNuspec serves a package's manifest: of what is published here the one in
// the package file.
func planNuspec(r sdk.Request) sdk.Plan {
	id, version, ok := versionOf(r)
	if !ok {
		return noVersion
	}
	return sdk.Document{Path: nuspecPath(id, version), Name: id, Query: true, Render: func(in *sdk.Input) error {
		if ours := in.Hosted(id); ours != nil {
			for _, f := range ours.Files {
				if f.Version.Version != version {
					continue
				}
				text, _, err := ownNuspec(f)
				if err != nil {
					return err
				}
				_, err = io.WriteString(in.Output("", "application/xml"), text)
				return err
			}
		}
		return in.Answer(artifact(id, version, nuspecPath(id, version), "application/xml"))
	}}
}

// artifact is a file of a version, of which the version's own document tells
// all: upstream says where files are, and what their digests are.
func artifact(id, version, path, contentType string) sdk.Artifact {
	return sdk.Artifact{
		Version: sdk.Version{Name: id, Version: version},
		Path:    path,
		Facts:   []string{semVer2.leaf(id, version)},
		Type:    contentType,
	}
}

// planLeaf serves a version's registration.
func (f feed) planLeaf(r sdk.Request) sdk.Plan {
	id, version, ok := versionOf(r)
	if !ok {
		return noVersion
	}
	return f.leaf(id, version)
}

// planCatalog serves a version's details.
func (f feed) planCatalog(r sdk.Request) sdk.Plan {
	id, version, ok := versionOf(r)
	if !ok {
		return noVersion
	}
	d := f.leaf(id, version)
	d.Output = catalogOutput
	return d
}

// leaf is the document about one version.
func (f feed) leaf(id, version string) sdk.Document {
	return sdk.Document{
		Path:   semVer2.leaf(id, version),
		Name:   id,
		From:   []sdk.Source{f.index},
		Query:  true,
		Render: func(in *sdk.Input) error { return renderLeaf(in, id, version) },
	}
}

func renderLeaf(in *sdk.Input, id, version string) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	r, e, details, ok, err := find(in, upstream, id, version)
	if !ok {
		return err
	}
	if !r.keep(in, e, digests(details), size(details)) {
		return in.HeldVersion(id, version)
	}
	if err := in.JSON(map[string]any{
		"@id":            in.URL(semVer2.leaf(id, version)),
		"@type":          []string{"Package", "catalog:Permalink"},
		"catalogEntry":   in.URL(catalogPath(id, version)),
		"listed":         e.listed,
		"packageContent": in.URL(packagePath(id, version)),
		"published":      e.published.Format(time.RFC3339),
		"registration":   in.URL(semVer2.index(id)),
	}); err != nil {
		return err
	}
	entry := clone(details)
	if details == nil {
		entry = clone(e.catalog)
	}
	entry.set("@id", in.URL(catalogPath(id, version)))
	entry.set("packageContent", in.URL(packagePath(id, version)))
	entry.rewriteDependencies(in, semVer2)
	return write(in, catalogOutput, entry)
}

// find gets a version and its document in upstream's catalog; nil: there is
// none. False, without an error: it is not all there yet.
func find(in *sdk.Input, upstream services, id, version string) (*registration, *entry, object, bool, error) {
	r, ok, err := load(in, upstream, id, func(p *page) bool { return p.has(version) })
	if !ok {
		return nil, nil, nil, false, err
	}
	for _, e := range r.entries() {
		if e.version != version {
			continue
		}
		details, whole, err := e.detail(in)
		if err != nil {
			return nil, nil, nil, false, err
		}
		dated, err := e.date(in, id)
		return r, e, details, whole && dated, err
	}
	return nil, nil, nil, false, sdk.NotFound("upstream has no " + id + " " + version)
}

// digests are those of a package file as the catalog has them.
func digests(details object) []sdk.Digest {
	text := details.text("packageHash")
	algorithm := strings.ToLower(details.text("packageHashAlgorithm"))
	if text == "" || algorithm != "sha512" && algorithm != "sha256" {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		sum = []byte(text) // which no file has
	}
	return []sdk.Digest{{Algorithm: algorithm, Sum: sum}}
}

// size of a package file as the catalog has it; 0: unknown.
func size(details object) int64 {
	var n int64
	_ = json.Unmarshal(details["packageSize"], &n) // what is no number stays 0
	return max(n, 0)
}
