// Command luarocks serves rocks, the packages of Lua.
package main

import (
	"regexp"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

type options struct {
	Lua string `hcl:"lua" default:"5.1" help:"Version of Lua whose rocks are served; a repository is for one."`
}

func open(o options) (sdk.Ecosystem, error) {
	index := sdk.Document{Path: "/manifest-" + o.Lua, Several: true, From: sdk.From("/manifest-" + o.Lua), Render: render}
	return sdk.Ecosystem{
		Name:      "luarocks",
		Title:     "LuaRocks",
		Upstreams: []sdk.Upstream{{}}, // without a default: it must be configured
		Routes: []sdk.Route{
			{Match: "GET " + index.Path, Plan: func(sdk.Request) sdk.Plan { return index }},
			{Match: "GET /{file}", Plan: func(r sdk.Request) sdk.Plan { return planFile(r.Get("file"), index.Path) }},
		},
		About: func(sdk.Version) sdk.Document { return index },
		Setup: []sdk.Snippet{{Client: "luarocks", File: "~/.luarocks/config-5.1.lua", Text: "rocks_servers = { \"{url}\" }\n"}},
	}, nil
}

// rockFile matches the name of a rockspec, or of a rock for an architecture.
var rockFile = regexp.MustCompile(`^([\w.-]+)-([\w.]+-\d+)\.(rockspec|[\w-]+\.rock)$`)

func planFile(name, manifest string) sdk.Plan {
	m := rockFile.FindStringSubmatch(name)
	if m == nil {
		return sdk.NotFound("a rocks server has no " + name)
	}
	return sdk.Artifact{
		Version: sdk.Version{Name: m[1], Version: m[2]},
		Path:    "/" + name,
		From:    sdk.From("/" + name),
		Facts:   []string{manifest},
	}
}
