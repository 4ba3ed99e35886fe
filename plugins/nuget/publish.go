package main

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/entrepot-registry/entrepot/sdk"
)

// publishing are the addresses that clients push to: that of the service index,
// and those that clients of v2 make of theirs. Below each, a version is deleted
// and listed again.
var publishing = []string{"/v3/package", "/v2", "/v2/package", "/api/v2/package"}

// publishRoutes push packages, delete and relist them (NuGet v3 API, push and
// delete).
func publishRoutes(o options) []sdk.Route {
	var routes []sdk.Route
	for _, at := range publishing {
		routes = append(routes,
			sdk.Route{Match: "PUT " + at, Plan: planPush},
			sdk.Route{Match: "PUT " + at + "/", Plan: planPush},
			sdk.Route{Match: "DELETE " + at + "/{id}/{version}", Plan: o.planDelete},
			sdk.Route{Match: "POST " + at + "/{id}/{version}", Plan: planRelist},
		)
	}
	noSymbols := func(sdk.Request) sdk.Plan { return sdk.BadRequest(errSymbols.Error()) }
	return append(routes,
		sdk.Route{Match: "PUT /", Plan: planPush},
		sdk.Route{Match: "PUT /api/v2/symbolpackage", Plan: noSymbols},
		sdk.Route{Match: "PUT /api/v2/symbolpackage/", Plan: noSymbols},
	)
}

// planPush takes a package file.
func planPush(sdk.Request) sdk.Plan {
	return sdk.Upload{Body: "form", Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if len(p.Files) != 1 {
			return sdk.Reply{}, sdk.BadRequest("send one package file, as a part of multipart form data")
		}
		f := p.Files[0]
		if f.Entry == nil {
			return sdk.Reply{}, f.Problem
		}
		var k kept
		if err := json.Unmarshal(f.Entry.Extra, &k); err != nil {
			return sdk.Reply{}, err
		}
		if k.Symbols {
			return sdk.Reply{}, sdk.BadRequest(errSymbols.Error() + " (it has .pdb files and sources below src/)")
		}
		p.Package(f.Entry.Version.Name) // what is changed must be looked at
		p.Store(f, *f.Entry, false)
		return sdk.Reply{Status: http.StatusCreated}, nil
	}}
}

// planDelete unlists a version, as the public registry does, or removes it.
func (o options) planDelete(r sdk.Request) sdk.Plan {
	return change(r, func(p *sdk.Publication, id, version string) sdk.Reply {
		if o.Delete {
			p.Delete(id, version, true)
		} else {
			p.Yank(id, version, "")
		}
		return sdk.Reply{Status: http.StatusNoContent}
	})
}

// planRelist lists a version again.
func planRelist(r sdk.Request) sdk.Plan {
	return change(r, func(p *sdk.Publication, id, version string) sdk.Reply {
		p.Unyank(id, version)
		return sdk.Reply{Status: http.StatusOK}
	})
}

// change changes a version that is published here.
func change(r sdk.Request, do func(p *sdk.Publication, id, version string) sdk.Reply) sdk.Plan {
	id, version, ok := versionOf(r)
	if !ok {
		return noVersion
	}
	return sdk.Upload{Action: sdk.ActionDelete, Names: []string{id}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if !slices.ContainsFunc(p.Package(id).Files, func(f sdk.Hosted) bool { return f.Version.Version == version }) {
			return sdk.Reply{}, sdk.NotFound(id + " " + version + " is not published here")
		}
		return do(p, id, version), nil
	}}
}
