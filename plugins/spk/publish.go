package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planPublish takes a package file, whatever it is called: its INFO says what it
// is.
func planPublish(sdk.Request) sdk.Plan {
	return sdk.Upload{Body: "raw", Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if len(p.Files) != 1 {
			return sdk.Reply{}, sdk.BadRequest("send the package file as the body")
		}
		f := p.Files[0]
		if f.Entry == nil {
			return sdk.Reply{}, f.Problem
		}
		v := f.Entry.Version
		k, err := keptOf(sdk.Hosted{Version: v, File: sdk.File{Extra: f.Entry.Extra}})
		if err != nil {
			return sdk.Reply{}, err
		}
		known := p.Package(v.Name)
		for _, other := range known.Files {
			if strings.EqualFold(other.Version.Version, v.Version) && other.Version.Version != v.Version {
				return sdk.Reply{}, sdk.Failure{Kind: sdk.KindConflict, Message: fmt.Sprintf("%s is published as %s here", v.Name, other.Version.Version)}
			}
		}
		p.Store(f, *f.Entry, false)
		reply := sdk.JSON(map[string]any{
			"package": v.Name, "version": v.Version, "firmware": k.Info.first(), "architectures": k.Info.platforms(), "signed": k.Signed,
			"link": p.Request().URL(f.Entry.Path),
		})
		reply.Status = http.StatusCreated
		return reply, nil
	}}
}

// planDelete deletes a version, or one of its files.
func planDelete(r sdk.Request) sdk.Plan {
	name, version := r.Get("name"), r.Get("version")
	if !validName(name) || !validVersion(version) {
		return sdk.NotFound("no package has such a name and version")
	}
	path := ""
	if r.Get("file") != "" {
		path = filePath(name, version, r.Get("tag"), r.Get("file"))
	}
	return sdk.Upload{Action: sdk.ActionDelete, Names: []string{name}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		done := false
		for _, f := range p.Package(name).Files {
			if f.Version.Version == version && (path == "" || f.File.Path == path) {
				p.DeleteFile(name, version, f.File.Path, true)
				done = true
			}
		}
		if !done {
			return sdk.Reply{}, sdk.NotFound(name + " " + version + " is not published here")
		}
		return sdk.Reply{Status: http.StatusNoContent}, nil
	}}
}
