// Command pubhost serves Dart and Flutter packages, upstream's and ours.
package main

import (
	"encoding/json"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

func open(struct{}) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "pubhost",
		PURL:      "pub",
		Upstreams: []sdk.Upstream{{}}, // without a default: it must be configured, or there is none
		Package:   &sdk.Package{Peek: []string{"tar.gz:pubspec.yaml"}, Inspect: inspect},
		Challenge: `Bearer realm="pub"`,
		Routes: []sdk.Route{
			{Match: "GET /api/packages/{name}", Plan: func(r sdk.Request) sdk.Plan {
				return sdk.Document{Path: r.Path, Name: r.Get("name"), From: sdk.From(r.Path), Render: render}
			}},
			{Match: "GET /api/archives/{name}-{version}.tar.gz", Plan: func(r sdk.Request) sdk.Plan {
				version := sdk.Version{Name: r.Get("name"), Version: r.Get("version")}
				return sdk.Artifact{Version: version, Path: r.Path, Facts: []string{"/api/packages/" + r.Raw("name")}}
			}},
			{Match: "GET /api/packages/versions/new", Plan: func(r sdk.Request) sdk.Plan {
				return sdk.JSON(map[string]any{"url": r.URL("/api/upload"), "fields": map[string]string{}})
			}},
			{Match: "POST /api/upload", Plan: func(sdk.Request) sdk.Plan {
				return sdk.Upload{Body: "form", Accept: accept}
			}},
			{Match: "GET /api/uploaded", Plan: func(sdk.Request) sdk.Plan {
				return sdk.JSON(map[string]any{"success": map[string]string{"message": "The package is published."}})
			}},
		},
	}, nil
}

// inspect says what an archive is: its name and version, and the pubspec that
// listings show.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	text, ok := m.First("pubspec.yaml")
	if !ok {
		return sdk.Entry{}, sdk.BadRequest("the archive has no pubspec.yaml")
	}
	pubspec := map[string]any{}
	if err := yaml.Unmarshal(text, &pubspec); err != nil {
		return sdk.Entry{}, err
	}
	name, _ := pubspec["name"].(string)
	version, _ := pubspec["version"].(string)
	if name == "" || version == "" || strings.ContainsAny(name+version, "/%") {
		return sdk.Entry{}, sdk.BadRequest("pubspec.yaml must say name and version")
	}
	extra, err := json.Marshal(pubspec)
	return sdk.Entry{Version: sdk.Version{Name: name, Version: version}, Path: archive(name, version), Extra: extra}, err
}

func archive(name, version string) string { return "/api/archives/" + name + "-" + version + ".tar.gz" }

// accept stores what was uploaded.
func accept(p *sdk.Publication) (sdk.Reply, error) {
	if len(p.Files) != 1 {
		return sdk.Reply{}, sdk.BadRequest("send one file")
	}
	f := p.Files[0]
	if f.Problem != nil {
		return sdk.Reply{}, f.Problem
	}
	p.Package(f.Entry.Version.Name) // what is changed must be looked at
	p.Store(f, *f.Entry, false)
	return sdk.Reply{Status: 204, Header: map[string]string{"Location": p.Request().URL("/api/uploaded")}}, nil
}

type release struct {
	Version   string          `json:"version"`
	Published time.Time       `json:"published"`
	URL       string          `json:"archive_url"`
	SHA256    string          `json:"archive_sha256,omitempty"`
	Pubspec   json.RawMessage `json:"pubspec"`
}

func render(in *sdk.Input) error {
	var listing struct{ Versions []release }
	if doc := in.Docs()[0]; doc.OK() { // upstream is not asked for what is ours
		if err := json.Unmarshal(doc.Body, &listing); err != nil {
			return err
		}
	}
	name, shown := in.Request().Get("name"), []release{}
	for _, r := range listing.Versions {
		file := sdk.File{Path: archive(name, r.Version), URL: r.URL, Digests: []sdk.Digest{sdk.HexDigest("sha256", r.SHA256)}}
		if in.Keep(sdk.Version{Name: name, Version: r.Version, Published: r.Published}, file) {
			r.URL = in.URL(file.Path)
			shown = append(shown, r)
		}
	}
	if ours := in.Hosted(name); ours != nil {
		for _, f := range ours.Files {
			shown = append(shown, release{Version: f.Version.Version, Published: f.Version.Published, URL: in.URL(f.File.Path), Pubspec: f.File.Extra})
		}
	}
	if len(shown) == 0 {
		return in.Held()
	}
	return in.JSON(map[string]any{"name": name, "versions": shown, "latest": shown[len(shown)-1]})
}
