// Command cargo serves Rust crates: a registry's sparse index, its crate files
// and its search.
package main

import (
	"net/url"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

// options is empty: what differs between registries stands in their own
// config.json.
type options struct{}

// Roles of the upstreams.
const (
	roleIndex = "index" // sparse index
	roleAPI   = "api"   // web API
)

func open(options) (sdk.Ecosystem, error) {
	registry := purl.DefaultRegistry("cargo")
	index, err := indexOf(registry)
	if err != nil {
		return sdk.Ecosystem{}, err
	}
	return sdk.Ecosystem{
		Name:  "cargo",
		Title: "Cargo",
		Upstreams: []sdk.Upstream{
			{Role: roleIndex, URL: index},
			{Role: roleAPI, URL: registry},
		},
		Routes: []sdk.Route{
			{Match: "GET /config.json", Plan: planConfig},
			{Match: "GET /crates/{crate}/{version}/download", Plan: planDownload},
			{Match: "GET /api/v1/crates", Plan: planSearch},
			{Match: "GET /1/{crate}", Plan: planIndex},
			{Match: "GET /2/{crate}", Plan: planIndex},
			{Match: "GET /3/{first}/{crate}", Plan: planIndex},
			{Match: "GET /{first}/{second}/{crate}", Plan: planIndex},
		},
		About: func(v sdk.Version) sdk.Document { return indexDocument(canonical(v.Name)) },
		Errors: sdk.ErrorFormat{
			Type: "application/json",
			Body: `{"errors":[{"detail":{message}}]}`,
		},
		Setup: []sdk.Snippet{
			{
				Client: "cargo, instead of the default registry",
				File:   ".cargo/config.toml",
				Text: `[source.crates-io]
replace-with = "entrepot"

[source.entrepot]
registry = "sparse+{url}/"
`,
			},
			{
				Client: "cargo, as a registry of its own",
				File:   ".cargo/config.toml",
				Text: `[registries.entrepot]
index = "sparse+{url}/"
`,
			},
		},
	}, nil
}

// indexOf returns the address of the sparse index of a public registry, which
// is the "index" host of the registry's domain.
func indexOf(registry string) (string, error) {
	u, err := url.Parse(registry)
	if err != nil {
		return "", err
	}
	u.Host = "index." + u.Host
	return u.String(), nil
}
