// Command pypi serves Python packages: the simple repository API in HTML and
// JSON, the files it lists, the JSON API and the upload API.
package main

import (
	"strings"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(open) }

type options struct {
	Simple string `hcl:"simple" default:"simple/" help:"Where the simple repository API stands below the upstream's address, as \"team/pypi/+simple/\"; \"\" when the address is already that of the simple API."`
}

func open(o options) (sdk.Ecosystem, error) {
	if strings.Contains(o.Simple, "://") {
		return sdk.Ecosystem{}, sdk.OptionError{Option: "simple", Message: "write a path below the upstream's address, as \"simple/\""}
	}
	x := index{simple: "/"}
	if s := strings.Trim(o.Simple, "/"); s != "" {
		x.simple = "/" + s + "/"
	}
	return sdk.Ecosystem{
		Name:      "pypi",
		Title:     "PyPI",
		Upstreams: []sdk.Upstream{{URL: purl.DefaultRegistry("pypi")}},
		Vary:      []string{"Accept"},
		Names:     names.Rules{IgnoreCase: true, Alike: "-_.", Runs: true}, // PEP 503, normalized names
		Routes: []sdk.Route{
			{Match: "GET /simple", Plan: func(r sdk.Request) sdk.Plan { return sdk.Redirect(r.URL("/simple/")) }},
			{Match: "GET /simple/", Plan: x.planProjects},
			{Match: "GET /simple/{project}", Plan: x.planProject},
			{Match: "GET /simple/{project}/", Plan: x.planProject},
			{Match: "GET /files/{path...}", Plan: planFile},
			{Match: "GET /integrity/{project}/{version}/{file}/provenance", Plan: planProvenance},
			{Match: "GET /pypi/{project}/json", Plan: planProjectJSON},
			{Match: "GET /pypi/{project}/json/", Plan: planProjectJSON},
			{Match: "GET /pypi/{project}/{version}/json", Plan: planReleaseJSON},
			{Match: "GET /pypi/{project}/{version}/json/", Plan: planReleaseJSON},
			{Match: "GET /packages/{project}/{file}", Plan: planHosted},
			{Match: "POST /legacy", Plan: planUpload},
			{Match: "POST /legacy/", Plan: planUpload},
			{Match: "PUT /api/{project}/{version}/yank", Plan: planYank},
			{Match: "DELETE /api/{project}/{version}/yank", Plan: planUnyank},
			{Match: "DELETE /api/{project}/{version}", Plan: planDelete},
		},
		About:   func(v sdk.Version) sdk.Document { return x.project(normalize(v.Name)) },
		Package: &sdk.Package{Peek: []string{"zip:*.dist-info/METADATA", "zip:*/PKG-INFO", "tar.gz:*/PKG-INFO"}, Inspect: inspect, Canonical: canonical},
		Setup: []sdk.Snippet{
			{Client: "pip", File: "pip.conf", Text: "[global]\nindex-url = {url}/simple/\n"},
			{Client: "uv", File: "uv.toml", Text: "[[index]]\nurl = \"{url}/simple/\"\ndefault = true\n"},
			{Client: "poetry", Text: "poetry source add --priority=primary entrepot {url}/simple/"},
			{Client: "twine, to publish (it knows --skip-existing for the public index alone; the same file again is no error)", Text: "twine upload --repository-url {url}/legacy/ dist/*"},
			{Client: "uv, to publish", Text: "uv publish --publish-url {url}/legacy/ --check-url {url}/simple/"},
			{
				Client: "curl, to yank a version, to take that back, and to delete one (which takes the right to delete)",
				Text: `curl -f -u ci:ent_… -X PUT '{url}/api/acme-lamp/1.0.0/yank?reason=it+leaks'
curl -f -u ci:ent_… -X DELETE {url}/api/acme-lamp/1.0.0/yank
curl -f -u ci:ent_… -X DELETE {url}/api/acme-lamp/1.0.0    # for good: other files cannot have these names
`,
			},
		},
	}, nil
}

// index is what the options say of the upstream index.
type index struct {
	// simple is the path of its simple repository API, with a slash at both
	// ends.
	simple string
}
