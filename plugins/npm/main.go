// Command npm is the plugin for npm packages: packuments in full and
// abbreviated form, single manifests, tags, tarballs, search, attestations, and
// audits passed on; and packages published here, with everything that clients
// do about them.
//
// Packuments are never decoded as a whole: their bytes are checked, split where
// policy or addresses have to change something, and spliced together again.
package main

import (
	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(npm) }

// options has none: everything that there is to configure is the host's.
type options struct{}

func npm(options) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "npm",
		Upstreams: []sdk.Upstream{{URL: purl.DefaultRegistry("npm")}},
		Vary:      []string{"Accept"},
		Names:     names.Rules{IgnoreCase: true, CaseApart: true}, // old names may have upper case
		Challenge: `Bearer realm="entrepot"`,                      // npm takes Basic for a wrong password, and Bearer for a wrong token
		Routes:    routes(),
		Package:   packageFiles(),
		About:     func(v sdk.Version) sdk.Document { return packumentDocument(v.Name, "") },
		// Clients print the member "error" of a failed request's body.
		Errors: sdk.ErrorFormat{Type: "application/json", Body: `{"error":{message}}`},
		Setup: []sdk.Snippet{
			{Client: "npm", File: ".npmrc", Text: "registry={url}/\n"},
			{Client: "pnpm", File: ".npmrc", Text: "registry={url}/\n"},
			{Client: "yarn classic", File: ".yarnrc", Text: "registry \"{url}/\"\n"},
			{Client: "yarn berry", File: ".yarnrc.yml", Text: "npmRegistryServer: \"{url}\"\nunsafeHttpWhitelist: [\"127.0.0.1\", \"localhost\"]\n"},
			{Client: "bun", File: "bunfig.toml", Text: "[install]\nregistry = \"{url}/\"\n"},
			{
				Client: "npm, to publish (hosted { names = [\"@acme/*\"] })",
				Text: `npm login --auth-type=legacy --registry={url}/    # any user name; the password is a token of: entrepot token create
npm publish --registry={url}/
npm dist-tag add @acme/tools@1.0.0 stable --registry={url}/
npm deprecate @acme/tools@1.0.0 "it leaks" --registry={url}/    # a package's owners change it, and who publishes it first owns it
npm owner add jane @acme/tools --registry={url}/    # jane is the name of a token
npm unpublish @acme/tools@1.0.0 --registry={url}/    # takes the right to delete
`,
			},
			{
				Client: "pnpm and yarn, to publish",
				Text: `pnpm publish --registry={url}/    # with the log-in of npm
yarn publish --registry {url}/    # yarn classic, likewise
yarn npm login && yarn npm publish    # yarn berry, with npmRegistryServer as above
`,
			},
		},
	}, nil
}
