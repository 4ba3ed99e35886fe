package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planYank yanks a version.
func planYank(r sdk.Request) sdk.Plan {
	return planMark(r, func(p *sdk.Publication, name, version string) { p.Yank(name, version, "") })
}

// planUnyank takes a yank back.
func planUnyank(r sdk.Request) sdk.Plan {
	return planMark(r, (*sdk.Publication).Unyank)
}

func planMark(r sdk.Request, mark func(p *sdk.Publication, name, version string)) sdk.Plan {
	name, version := canonical(r.Get("crate")), r.Get("version")
	return change(name, sdk.ActionDelete, "none", func(p *sdk.Publication, known *sdk.HostedPackage) (sdk.Reply, error) {
		if !slices.ContainsFunc(known.Files, func(f sdk.Hosted) bool { return f.Version.Version == version }) {
			return sdk.Reply{}, sdk.NotFound(fmt.Sprintf("%s %s was not published here", name, version))
		}
		mark(p, name, version)
		return sdk.JSON(map[string]any{"ok": true}), nil
	})
}

// change is the plan of a change to a crate of ours.
func change(name string, action sdk.Action, body string, accept func(*sdk.Publication, *sdk.HostedPackage) (sdk.Reply, error)) sdk.Plan {
	if !validName(name) {
		return sdk.NotFound("no crate has such a name")
	}
	return sdk.Upload{
		Action: action, Body: body, Names: []string{name},
		Accept: func(p *sdk.Publication) (sdk.Reply, error) {
			known := p.Package(name)
			if len(known.Files) == 0 {
				return sdk.Reply{}, sdk.NotFound(name + " was not published here")
			}
			return accept(p, known)
		},
	}
}

// user is an owner as cargo reads it.
type user struct {
	ID    int     `json:"id"`
	Login string  `json:"login"`
	Name  *string `json:"name"`
}

// planOwners lists a crate's owners.
func planOwners(r sdk.Request) sdk.Plan {
	name := canonical(r.Get("crate"))
	if !validName(name) {
		return sdk.NotFound("no crate has such a name")
	}
	return sdk.Document{
		Path: ownersPath(name),
		Name: name,
		Render: func(in *sdk.Input) error {
			known := in.Hosted(name)
			if known == nil {
				return sdk.NotFound(name + " was not published here")
			}
			users := []user{}
			for i, owner := range known.Owners {
				users = append(users, user{ID: i + 1, Login: owner})
			}
			return in.JSON(map[string]any{"users": users})
		},
	}
}

func ownersPath(name string) string { return "/api/v1/crates/" + name + "/owners" }

// planOwn adds owners.
func planOwn(r sdk.Request) sdk.Plan {
	return planOwnership(r, "added to", (*sdk.Publication).Own)
}

// planDisown removes owners.
func planDisown(r sdk.Request) sdk.Plan {
	return planOwnership(r, "removed from", (*sdk.Publication).Disown)
}

// planOwnership changes who owns a crate.
func planOwnership(r sdk.Request, done string, do func(p *sdk.Publication, name, user string)) sdk.Plan {
	name := canonical(r.Get("crate"))
	return change(name, sdk.ActionAdmin, "json", func(p *sdk.Publication, _ *sdk.HostedPackage) (sdk.Reply, error) {
		var body struct {
			Users []string `json:"users"`
		}
		if err := json.Unmarshal(p.Field("json"), &body); err != nil {
			return sdk.Reply{}, fmt.Errorf("the list of users cannot be read: %w", err)
		}
		if len(body.Users) == 0 || slices.Contains(body.Users, "") {
			return sdk.Reply{}, sdk.BadRequest("name the users")
		}
		for _, u := range body.Users {
			do(p, name, u)
		}
		return sdk.JSON(map[string]any{"ok": true, "msg": fmt.Sprintf("%s %s the owners of %s", strings.Join(body.Users, ", "), done, name)}), nil
	})
}

// planMe is where cargo sends people who log in.
func planMe(r sdk.Request) sdk.Plan {
	return sdk.Reply{
		Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
		Body:   []byte("A token for this registry is made by whoever runs it, with: entrepot token create\n"),
	}
}
