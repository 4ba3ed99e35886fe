// Command debian serves archives of Debian packages, several behind one mount:
// what is configured as upstream "NAME" is the archive at /NAME. Clients see a
// suite's signed index and all that it lists as one state at a time.
package main

import (
	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

// options of a repository.
type options struct {
	Keys   map[string]string `hcl:"keys" help:"Armored OpenPGP public keys by archive. The suites of an archive that stands here must be signed by one of its keys."`
	Urgent []string          `hcl:"urgent" default:"[\"*-security\",\"*-security/*\",\"*/updates\"]" help:"Patterns of suites whose newest state is served at once, unless a cool-down rule for packages names ARCHIVE/dists/SUITE."`
	Nested []string          `hcl:"nested" default:"[\"*/updates\"]" help:"Patterns of suites whose names have a slash; all others are one folder below dists."`
}

func open(o options) (sdk.Ecosystem, error) {
	keys, err := readKeys(o.Keys)
	if err != nil {
		return sdk.Ecosystem{}, err
	}
	l := layout{nested: o.Nested, keys: keys}
	var urgent []string
	for _, pattern := range o.Urgent {
		urgent = append(urgent, suiteName("*", "/dists/"+pattern))
	}
	return sdk.Ecosystem{
		Name:      "debian",
		Title:     "Debian",
		PURL:      "deb",
		Upstreams: []sdk.Upstream{{Role: "*"}},
		Urgent:    urgent,
		Routes: []sdk.Route{
			{Match: "GET /{archive}/dists/{path...}", Plan: l.planIndex},
			{Match: "GET /{archive}/{path...}", Plan: l.planFlat},
		},
		// A package that left the index of a suite may still be in the pool, where
		// other suites have it.
		IncompleteListings: true,
		Setup: []sdk.Snippet{
			{
				Client: "apt, with an upstream \"debian\"",
				File:   "/etc/apt/sources.list.d/entrepot.sources",
				Text: `Types: deb
URIs: {url}/debian
Suites: stable stable-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`,
			},
			{Client: "debootstrap", Text: "debootstrap stable ./root {url}/debian"},
		},
	}, nil
}
