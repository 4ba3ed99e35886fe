// Command generic serves any file below the addresses that a repository's
// upstreams name: downloads of tools, release archives, images. There are no
// listings.
package main

import "github.com/entrepot-registry/entrepot/sdk"

func main() { sdk.Serve(open) }

// options is empty: upstreams are all there is to configure.
type options struct{}

func open(options) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "generic",
		Title:     "Files",
		Upstreams: []sdk.Upstream{{Role: "*"}},
		Routes: []sdk.Route{
			{Match: "GET /", Plan: planFolder},
			{Match: "GET /{upstream}", Plan: planFolder},
			{Match: "GET /{upstream}/", Plan: planFolder},
			{Match: "GET /{upstream}/{path...}", Plan: planFile},
		},
		About: func(v sdk.Version) sdk.Document { return named(v.Name).document() },
		Setup: []sdk.Snippet{
			{Client: "curl, a file of the upstream called tools", Text: "curl -fLO {url}/tools/lamp-1.0.0.tar.gz"},
			{Client: "curl, a file whose SHA-256 is known", Text: "curl -fL -o lamp.tar.gz '{url}/tools/lamp-1.0.0.tar.gz?sha256=…'"},
		},
	}, nil
}

// planFolder answers for what could only be listed.
func planFolder(sdk.Request) sdk.Plan {
	return sdk.NotFound("listings are off: ask for a file, as /{upstream}/{path}")
}

// planFile serves a file: the one that upstream has now, or with sha256=… in
// the query the one of that digest. No other query is passed on, as nothing
// would tell which of them mean the same file.
func planFile(r sdk.Request) sdk.Plan {
	f, err := requested(r)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	if f.folder() {
		return planFolder(r)
	}
	return f.document()
}
