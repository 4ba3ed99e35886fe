package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planLogin gives clients that log in the token that they have as a password:
// accounts and tokens are the host's.
func planLogin(r sdk.Request) sdk.Plan {
	if _, ok := userOf(r); !ok {
		return noUser
	}
	return sdk.Identity{Password: "/password", Reply: sdk.Reply{
		Status: http.StatusCreated,
		Header: map[string]string{"Content-Type": jsonType},
		Body:   []byte(`{"ok":"you are logged in","username":{user},"token":{token}}`),
	}}
}

func planWhoami(sdk.Request) sdk.Plan {
	return sdk.Identity{Reply: sdk.Reply{
		Header: map[string]string{"Content-Type": jsonType},
		Body:   []byte(`{"username":{user}}`),
	}}
}

// planProfile tells who asks, as far as there is something to tell.
func planProfile(sdk.Request) sdk.Plan {
	return sdk.Identity{Reply: sdk.Reply{
		Header: map[string]string{"Content-Type": jsonType},
		Body:   []byte(`{"name":{user},"tfa":false}`),
	}}
}

func planNoProfile(sdk.Request) sdk.Plan {
	return sdk.NotFound("users are entrepot's tokens, and have no profile to change")
}

func planNoTokens(sdk.Request) sdk.Plan {
	return sdk.NotFound("tokens are made, listed and revoked where entrepot runs: entrepot token list")
}

// planCollaborators lists who owns a package, which is who may write it.
func planCollaborators(r sdk.Request) sdk.Plan {
	name, ok := packageName(r)
	if !ok {
		return unknown
	}
	return sdk.Document{
		Path:  "/-/package/" + escapeName(name) + "/collaborators",
		Name:  name,
		Query: true,
		Render: func(in *sdk.Input) error {
			pkg := in.Hosted(name)
			if pkg == nil {
				return sdk.NotFound(name + " is not published here, so nobody here owns it")
			}
			may := map[string]string{}
			for _, owner := range pkg.Owners {
				may[owner] = "write"
			}
			return in.JSON(may)
		},
	}
}

// planOwned lists the packages that a user owns.
func planOwned(r sdk.Request) sdk.Plan {
	user := r.Get("user")
	return sdk.Document{
		Path:   "/-/user/" + url.PathEscape(user) + "/package",
		Hosted: "*",
		Query:  true,
		Render: func(in *sdk.Input) error {
			may := map[string]string{}
			for _, pkg := range in.HostedPackages() {
				if slices.Contains(pkg.Owners, user) {
					may[pkg.Name] = "write"
				}
			}
			return in.JSON(may)
		},
	}
}

// planUser answers clients that look an owner up before they name them.
func planUser(r sdk.Request) sdk.Plan {
	name, ok := userOf(r)
	if !ok {
		return noUser
	}
	return sdk.JSON(person{Name: name})
}

var noUser = sdk.NotFound("users are addressed as org.couchdb.user:NAME")

// userOf is the user that an address is about. Some clients escape its colon.
func userOf(r sdk.Request) (string, bool) {
	return strings.CutPrefix(r.Get("user"), "org.couchdb.user:")
}

// planLogout has clients forget their token. It stays good: others may use it.
func planLogout(sdk.Request) sdk.Plan {
	return sdk.JSON(map[string]string{"ok": "forgotten here; entrepot's administrator can revoke the token"})
}

// planNoWebLogin has clients ask for a name and a password instead.
func planNoWebLogin(sdk.Request) sdk.Plan {
	return sdk.NotFound("log in with --auth-type=legacy, and with a token of entrepot's as the password")
}

// planNoExchange has clients go on with the token that they have.
func planNoExchange(sdk.Request) sdk.Plan {
	return sdk.NotFound("tokens are not exchanged here; publish with one of entrepot's")
}

func planNoStage(sdk.Request) sdk.Plan {
	return sdk.NotFound("versions are not staged here; publish them")
}

func planNoAccess(sdk.Request) sdk.Plan {
	return sdk.NotFound("who may read or publish a package is settled by entrepot's tokens and configuration")
}

func planNoVisibility(sdk.Request) sdk.Plan {
	return sdk.NotFound("packages are no more public or private than their repository: entrepot's configuration says what it lets anybody read")
}

func planNoTeams(sdk.Request) sdk.Plan {
	return sdk.NotFound("there are no organizations or teams here: packages have owners, and entrepot's tokens say what each may do")
}

// tarballs is how a body that publishes comes apart.
const tarballs = "json:/_attachments/*.tgz/data"

// upload plans a change of the package that a request is about.
func upload(r sdk.Request, u sdk.Upload, accept func(p *sdk.Publication, name string) (sdk.Reply, error)) sdk.Plan {
	name, ok := packageName(r)
	if !ok {
		return sdk.BadRequest("that is no name of a package")
	}
	u.Names = []string{name}
	u.Accept = func(p *sdk.Publication) (sdk.Reply, error) { return accept(p, name) }
	return u
}

func planPublish(r sdk.Request) sdk.Plan {
	return upload(r, sdk.Upload{Body: tarballs}, acceptDocument)
}

func planRevision(r sdk.Request) sdk.Plan {
	return upload(r, sdk.Upload{Body: "json:"}, func(p *sdk.Publication, name string) (sdk.Reply, error) {
		return acceptRevision(p, name, r.Get("rev"))
	})
}

func planRemoval(r sdk.Request) sdk.Plan {
	return upload(r, sdk.Upload{Action: sdk.ActionDelete}, func(p *sdk.Publication, name string) (sdk.Reply, error) {
		return acceptRemoval(p, name, r.Get("rev"))
	})
}

func planFileRemoval(r sdk.Request) sdk.Plan {
	return upload(r, sdk.Upload{Action: sdk.ActionDelete}, func(p *sdk.Publication, name string) (sdk.Reply, error) {
		return acceptFileRemoval(p, name, filePath(name, r.Get("file")))
	})
}

func planTag(r sdk.Request) sdk.Plan {
	body := "json:"
	if r.Method == http.MethodDelete {
		body = "none"
	}
	return upload(r, sdk.Upload{Body: body}, func(p *sdk.Publication, name string) (sdk.Reply, error) {
		return acceptTag(p, name, r.Get("tag"))
	})
}
