// Command go serves Go modules: the GOPROXY protocol, and the checksum database
// passed through.
package main

import "github.com/entrepot-registry/entrepot/sdk"

func main() { sdk.Serve(open) }

type options struct {
	Proxy   string `hcl:"proxy" env:"GOPROXY" help:"Module proxies to ask, as GOPROXY lists them: after a comma the next is asked when one has nothing, after a bar also when it fails. \"direct\" and \"off\" end the list."`
	SumDB   string `hcl:"sumdb" env:"GOSUMDB" help:"Checksum database, as GOSUMDB names it: its name or key, and after a space its address. Without an address the module proxies are asked for it first, as the go command does, and then https:// and the name. Modules are verified against it, clients reach it here, and a pseudo-version is no older than the last look at the database without it, whatever its commit claims. \"off\": none."`
	NoSumDB string `hcl:"nosumdb" env:"GONOSUMDB" help:"Patterns of module paths that the checksum database is never asked about, as GONOSUMDB has them: \"*.corp.example.com,example.org/team\"."`
}

// Roles of the upstreams.
const (
	roleMain  = "main"  // module proxies
	roleSumDB = "sumdb" // checksum database
)

func open(o options) (sdk.Ecosystem, error) {
	proxies, err := parseProxies(o.Proxy)
	if err != nil {
		return sdk.Ecosystem{}, sdk.OptionError{Option: "proxy", Message: err.Error()}
	}
	db, address, err := parseSumDB(o.SumDB)
	if err != nil {
		return sdk.Ecosystem{}, sdk.OptionError{Option: "sumdb", Message: err.Error()}
	}
	db.private = o.NoSumDB
	return sdk.Ecosystem{
		Name:      "go",
		Title:     "Go",
		PURL:      "golang",
		Upstreams: append(proxies, sdk.Upstream{Role: roleSumDB, URL: address}),
		Routes: []sdk.Route{
			{Match: "GET /sumdb/{db...}/supported", Plan: db.planSupported},
			{Match: "GET /sumdb/{db...}/latest", Plan: db.planLatest},
			{Match: lookupRoute, Plan: db.planLookup},
			{Match: tileRoute, Plan: db.planTile},
			{Match: "GET /{module...}/@v/list", Plan: planList},
			{Match: "GET /{module...}/@v/{version}.info", Plan: db.planInfo},
			{Match: "GET /{module...}/@v/{version}.mod", Plan: planMod},
			{Match: "GET /{module...}/@v/{version}.zip", Plan: planZip},
			{Match: "GET /{module...}/@latest", Plan: planLatest},
			{Match: "PUT /{module...}/@v/{version}.zip", Plan: planPublish},
			{Match: "DELETE /{module...}/@v/{version}.zip", Plan: planDelete},
		},
		About:   db.about,
		Watch:   db.watch(),
		Package: packageFiles(),
		Setup: []sdk.Snippet{
			{Client: "go", Text: "go env -w GOPROXY={url}"},
			{Client: "go, modules that the checksum database must not hear of, as those published here", Text: "go env -w GONOSUMDB='*.corp.example.com'    # not GOPRIVATE, by which the proxy would not be asked either"},
			{
				Client: "curl, to publish a module (hosted { names = [\"corp.example.com/*\"] })",
				Text: `git archive --format=zip --prefix=corp.example.com/lamp@v1.0.0/ -o lamp.zip v1.0.0
curl -f -u ci:ent_… -T lamp.zip {url}/corp.example.com/lamp/@v/v1.0.0.zip
curl -f -u ci:ent_… -X DELETE {url}/corp.example.com/lamp/@v/v1.0.0.zip
`,
			},
		},
		Ungated: []sdk.Ungated{
			{Route: lookupRoute, Reason: "the checksum database is signed as a whole: clients verify what it says, and nothing can be left out of it"},
			{Route: tileRoute, Reason: "tiles are hashes of the whole checksum database, which clients verify"},
		},
	}, nil
}

// about is the document that tells about a version: its own, or without a
// version the list of its module. A module's name may have its upper case
// escaped, because package URLs of this type have none.
func (db database) about(v sdk.Version) sdk.Document {
	m := named(v.Name, v.Version)
	if check(m) == nil {
		return db.version(m)
	}
	return listOf(m.Path)
}
