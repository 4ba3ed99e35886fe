// Command generic serves any file below the addresses that a repository's
// upstreams name: downloads of tools, release archives, images. Files of one's
// own are put there with an HTTP PUT.
package main

import (
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

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
			{Match: "GET /{path...}", Plan: planFile},
			{Match: "PUT /{path...}", Plan: planPut},
			{Match: "DELETE /{path...}", Plan: planDelete},
		},
		Vary:    []string{"Accept", "X-Checksum-Sha256", "Content-Digest"},
		About:   func(v sdk.Version) sdk.Document { return named(v.Name).document() },
		Package: &sdk.Package{Inspect: inspect},
		Setup: []sdk.Snippet{
			{Client: "curl, a file of the upstream called tools", Text: "curl -fLO {url}/tools/lamp-1.0.0.tar.gz"},
			{Client: "curl, a file whose SHA-256 is known", Text: "curl -fL -o lamp.tar.gz '{url}/tools/lamp-1.0.0.tar.gz?sha256=…'"},
			{Client: "curl, a file of one's own (hosted { names = [\"acme/*\"] })", Text: `curl -f -u ci:ent_… -H "X-Checksum-Sha256: $(sha256sum lamp.tar.gz | cut -d' ' -f1)" -T lamp.tar.gz {url}/acme/lamp-1.0.0.tar.gz
curl {url}/acme/                                                   # lists files of one's own
curl -f -u ci:ent_… -X DELETE {url}/acme/lamp-1.0.0.tar.gz`},
		},
	}, nil
}

// planFile serves a file: the one that upstream has now, or with sha256=… in
// the query the one of that digest. No other query is passed on, as nothing
// would tell which of them mean the same file.
func planFile(r sdk.Request) sdk.Plan {
	f, err := requested(r)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	switch {
	case doubled(r.Path):
		return sdk.NotFound("no file has two slashes in a row in its address: many servers take them for one, so it would be another name of the same file")
	case strings.HasSuffix(r.Path, "/"):
		return planFolder(r)
	}
	return f.document()
}
