package main

import (
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planPublish takes a module zip. There is no protocol for that; this is the
// address that the zip is then served at.
func planPublish(r sdk.Request) sdk.Plan {
	m, err := fixedVersion(r)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	return sdk.Upload{Body: "raw", Names: []string{m.Path}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		return accept(p, m)
	}}
}

func accept(p *sdk.Publication, m module.Version) (sdk.Reply, error) {
	if len(p.Files) != 1 {
		return sdk.Reply{}, sdk.BadRequest("send the module zip as the body")
	}
	f := p.Files[0]
	if f.Entry == nil {
		return sdk.Reply{}, f.Problem
	}
	if v := f.Entry.Version; v.Name != m.Path || v.Version != m.Version {
		return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("the module zip is of %s@%s, but was sent as %s@%s", v.Name, v.Version, m.Path, m.Version))
	}
	p.Store(f, *f.Entry, false)
	return sdk.Reply{Status: http.StatusCreated, Header: map[string]string{"Location": p.Request().URL(filePath(m, ".zip"))}}, nil
}

// planDelete deletes a version.
func planDelete(r sdk.Request) sdk.Plan {
	m, err := fixedVersion(r)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	return sdk.Upload{Action: sdk.ActionDelete, Names: []string{m.Path}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if !slices.ContainsFunc(p.Package(m.Path).Files, func(f sdk.Hosted) bool { return f.Version.Version == m.Version }) {
			return sdk.Reply{}, sdk.NotFound(m.Path + "@" + m.Version + " is not published here")
		}
		p.Delete(m.Path, m.Version, true)
		return sdk.Reply{Status: http.StatusNoContent}, nil
	}}
}
