// Command pub serves Dart and Flutter packages.
package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

func open(struct{}) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "pub",
		Upstreams: []sdk.Upstream{{}}, // without a default: it must be configured
		Routes: []sdk.Route{
			{Match: "GET /api/packages/{name}", Plan: func(r sdk.Request) sdk.Plan {
				return sdk.Document{Path: r.Path, Name: r.Get("name"), From: sdk.From(r.Path), Render: render}
			}},
			{Match: "GET /api/archives/{name}-{version}.tar.gz", Plan: func(r sdk.Request) sdk.Plan {
				version := sdk.Version{Name: r.Get("name"), Version: r.Get("version")}
				return sdk.Artifact{Version: version, Path: r.Path, Facts: []string{"/api/packages/" + r.Raw("name")}}
			}},
		},
	}, nil
}

type release struct {
	Version   string          `json:"version"`
	Published time.Time       `json:"published"`
	Retracted bool            `json:"retracted"`
	URL       string          `json:"archive_url"`
	SHA256    string          `json:"archive_sha256"`
	Pubspec   json.RawMessage `json:"pubspec"`
}

func render(in *sdk.Input) error {
	var listing struct{ Versions []release }
	if err := json.Unmarshal(in.Docs()[0].Body, &listing); err != nil {
		return err
	}
	name, shown := in.Request().Get("name"), []release{}
	var latest release // of those shown, which are in order; no pre-release where there is a choice
	for _, r := range listing.Versions {
		file := sdk.File{Path: "/api/archives/" + name + "-" + r.Version + ".tar.gz", URL: r.URL, Digests: []sdk.Digest{sdk.HexDigest("sha256", r.SHA256)}}
		if in.Keep(sdk.Version{Name: name, Version: r.Version, Published: r.Published, Yanked: r.Retracted}, file) {
			r.URL = in.URL(file.Path)
			shown = append(shown, r)
			if len(shown) == 1 || !strings.Contains(r.Version, "-") {
				latest = r
			}
		}
	}
	if len(shown) == 0 {
		return in.Held()
	}
	return in.JSON(map[string]any{"name": name, "versions": shown, "latest": latest})
}
