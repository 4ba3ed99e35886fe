// Command cargo serves Rust crates: a registry's sparse index, its crate files,
// its search and its web API for publishing.
package main

import (
	"net/url"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(open) }

// options are few: what differs between registries stands in their own
// config.json.
type options struct {
	AuthRequired bool `hcl:"auth_required" default:"false" help:"Tells cargo to send its token with every request. Where nothing is read without one, it is told anyway; write true where that goes for some crates only."`
}

// Roles of the upstreams.
const (
	roleIndex = "index" // sparse index
	roleAPI   = "api"   // web API
)

func open(o options) (sdk.Ecosystem, error) {
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
			{Match: "GET /config.json", Plan: o.planConfig},
			{Match: "PUT /api/v1/crates/new", Plan: planPublish},
			{Match: "DELETE /api/v1/crates/{crate}/{version}/yank", Plan: planYank},
			{Match: "PUT /api/v1/crates/{crate}/{version}/unyank", Plan: planUnyank},
			{Match: "GET /api/v1/crates/{crate}/owners", Plan: planOwners},
			{Match: "PUT /api/v1/crates/{crate}/owners", Plan: planOwn},
			{Match: "DELETE /api/v1/crates/{crate}/owners", Plan: planDisown},
			{Match: "GET /me", Plan: planMe},
			{Match: "GET /crates/{crate}/{version}/download", Plan: planDownload},
			{Match: "GET /api/v1/crates", Plan: planSearch},
			{Match: "GET /1/{crate}", Plan: planIndex},
			{Match: "GET /2/{crate}", Plan: planIndex},
			{Match: "GET /3/{first}/{crate}", Plan: planIndex},
			{Match: "GET /{first}/{second}/{crate}", Plan: planIndex},
		},
		// Cargo asks for other spellings of a name that it does not find, and the
		// public registry has but one crate of all of them.
		Names:     names.Rules{IgnoreCase: true, Alike: "-_"},
		About:     func(v sdk.Version) sdk.Document { return indexDocument(canonical(v.Name)) },
		Package:   &sdk.Package{Peek: []string{"tar.gz:*/Cargo.toml"}, Inspect: inspect, Canonical: withoutBuild},
		Challenge: `Cargo login_url="{url}/me"`,
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
			{
				Client: "cargo, to publish (hosted { names = [\"acme-*\"] })",
				Text: `cargo login --registry entrepot    # the token is one of: entrepot token create
cargo publish --registry entrepot
cargo yank --registry entrepot acme-lamp@1.0.0    # takes the right to delete, as does --undo
cargo owner --registry entrepot --add jane acme-lamp    # jane is the name of a token; who publishes a crate first owns it
cargo search --registry entrepot lamp
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
