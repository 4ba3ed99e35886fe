// Command spk serves package sources of Synology's Package Center: those of
// others, and packages of one's own.
package main

import (
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

type options struct {
	Keyrings []string `hcl:"keyrings" help:"OpenPGP public keys (ASCII armor) that packages of one's own are signed with, as file(\"key.asc\"); DSM before 7 is told of them beside upstream's."`
}

func open(o options) (sdk.Ecosystem, error) {
	for _, key := range o.Keyrings {
		if !strings.Contains(key, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
			return sdk.Ecosystem{}, sdk.OptionError{Option: "keyrings", Message: "write public keys in ASCII armor, as file(\"key.asc\")"}
		}
	}
	return sdk.Ecosystem{
		Name:      "spk",
		Title:     "Synology packages",
		Upstreams: []sdk.Upstream{{}}, // without a default: there is no public one
		Routes: []sdk.Route{
			{Match: "GET /", Plan: o.planIndex},
			{Match: "POST /", Plan: o.planIndex},
			{Match: "GET /packages/{name}/{version}/{tag}/{file}", Plan: planFile},
			{Match: "GET /icons/{name}/{version}/{tag}/{size}.png", Plan: planIcon},
			{Match: "POST /api/packages", Plan: planPublish},
			{Match: "PUT /packages/{file}.spk", Plan: planPublish},
			{Match: "DELETE /packages/{name}/{version}", Plan: planDelete},
			{Match: "DELETE /packages/{name}/{version}/{tag}/{file}", Plan: planDelete},
		},
		Package: packageFiles(),
		// What is listed depends on who asks.
		IncompleteListings: true,
		Setup: []sdk.Snippet{
			{Client: "Package Center (Settings, Package Sources, Add)", File: "Location", Text: "{url}/\n"},
			{Client: "curl, to publish a package (hosted { names = [\"acme-*\"] })", Text: "curl -f -u ci:ent_… -T acme-lamp.spk {url}/packages/acme-lamp.spk\ncurl -f -u ci:ent_… -X DELETE {url}/packages/acme-lamp/1.0.0-0001"},
		},
	}, nil
}
