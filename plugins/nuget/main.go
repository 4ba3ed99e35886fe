// Command nuget serves NuGet packages: the v3 protocol, and v2 (OData) made of
// the same upstream documents.
package main

import (
	"net/url"
	"strings"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(open) }

type options struct {
	Index  string `hcl:"index" default:"index.json" help:"Where the v3 service index stands below the upstream's address, as \"team/v3/index.json\"."`
	Delete bool   `hcl:"delete" default:"false" help:"Whether a client's delete removes a version; else it is unlisted, as in the public registry: searches do not find it, and who asks for it gets it. Asked for no version, nuget 3 to 5.8 installs an unlisted one that is the highest, from any registry, and nuget 2 does if no other is listed."`
}

func open(o options) (sdk.Ecosystem, error) {
	if strings.Contains(o.Index, "://") || strings.Trim(o.Index, "/") == "" {
		return sdk.Ecosystem{}, sdk.OptionError{Option: "index", Message: "write a path below the upstream's address, as \"index.json\""}
	}
	upstream, err := feedOf(purl.DefaultRegistry("nuget"))
	if err != nil {
		return sdk.Ecosystem{}, err
	}
	f := feed{index: sdk.Source{URL: "/" + strings.Trim(o.Index, "/"), Accept: "application/json"}}
	return sdk.Ecosystem{
		Name:      "nuget",
		Title:     "NuGet",
		Upstreams: []sdk.Upstream{{URL: upstream}},
		Names:     names.Rules{IgnoreCase: true},
		Routes: append([]sdk.Route{
			{Match: "GET /v3/index.json", Plan: planIndex},
			{Match: "GET /v3/flatcontainer/{id}/index.json", Plan: f.planVersions},
			{Match: "GET /v3/flatcontainer/{id}/{version}/{file}.nupkg", Plan: planPackage},
			{Match: "GET /v3/flatcontainer/{id}/{version}/{file}.nuspec", Plan: planNuspec},
			{Match: "GET /v3/registration/{id}/index.json", Plan: f.planRegistration(semVer2)},
			{Match: "GET /v3/registration/{id}/page/{page}.json", Plan: f.planPage(semVer2)},
			{Match: "GET /v3/registration/{id}/{version}.json", Plan: f.planLeaf},
			{Match: "GET /v3/registration-semver1/{id}/index.json", Plan: f.planRegistration(semVer1)},
			{Match: "GET /v3/registration-semver1/{id}/page/{page}.json", Plan: f.planPage(semVer1)},
			{Match: "GET /v3/registration-semver1/{id}/{version}.json", Plan: f.planLeaf},
			{Match: "GET /v3/catalog/{id}/{version}.json", Plan: f.planCatalog},
			{Match: "GET /v3/search", Plan: f.planSearch},
			{Match: "GET /v3/autocomplete", Plan: f.planAutocomplete},
			{Match: "GET /v2", Plan: planService},
			{Match: "GET /v2/", Plan: planService},
			{Match: "GET /v2/$metadata", Plan: planSchema},
			{Match: "GET /v2/package/{id}", Plan: f.planNewest},
			{Match: "GET /v2/package/{id}/{version}", Plan: planPackage},
			{Match: "GET /v2/{question...}", Plan: f.planOData},
		}, publishRoutes(o)...),
		Package: packageFiles(),
		About:   func(v sdk.Version) sdk.Document { return f.listing(strings.ToLower(v.Name)) },
		Setup: []sdk.Snippet{
			{
				Client: "NuGet",
				File:   "NuGet.config",
				Text: `<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <packageSources>
    <clear />
    <add key="entrepot" value="{url}/v3/index.json" protocolVersion="3" />
  </packageSources>
</configuration>
`,
			},
			{
				Client: "nuget 3 and later, to publish (hosted { names = [\"acme.*\"] })",
				Text: `nuget push Acme.Lamp.1.0.0.nupkg -Source {url}/v3/index.json -ApiKey ent_…
nuget delete Acme.Lamp 1.0.0 -Source {url}/v3/index.json -ApiKey ent_… -NonInteractive    # unlists it
curl -f -u ci:ent_… -X POST {url}/v3/package/Acme.Lamp/1.0.0    # lists it again
`,
			},
			{
				Client: "nuget 2, Chocolatey (v2)",
				Text: `nuget sources add -Name entrepot -Source {url}/v2/
nuget push Acme.Lamp.1.0.0.nupkg -Source {url}/v2/ -ApiKey ent_…
nuget delete Acme.Lamp 1.0.0 -Source {url}/v2/ -ApiKey ent_… -NonInteractive    # unlists it
`,
			},
		},
	}, nil
}

// feedOf returns the address of the v3 feed of a public registry, which is on
// the "api" host of the registry's domain.
func feedOf(registry string) (string, error) {
	u, err := url.Parse(registry)
	if err != nil {
		return "", err
	}
	u.Host = "api." + strings.TrimPrefix(u.Host, "www.")
	u.Path = "/v3"
	return u.String(), nil
}

// feed is the upstream feed.
type feed struct {
	// index is where its service index stands.
	index sdk.Source
}
