package main

import (
	"net/url"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// version tells old clients that this is a registry.
var version = map[string]string{"Content-Type": "application/json", "Docker-Distribution-Api-Version": "registry/2.0"}

// planPing answers whether this is a registry, and whether one has to log in
// (distribution specification, "Determining Support").
func planPing(sdk.Request) sdk.Plan {
	yes := sdk.Reply{Header: version, Body: []byte("{}")}
	return sdk.Identity{Reply: yes, Nobody: yes, Gate: true}
}

// lifetime is how long a token is good for. A push may take as long: no client
// asks for another in the middle of a blob.
const lifetime = time.Hour

// grant is the answer of a token service (distribution, "Token Authentication
// Specification").
func grant(more string) sdk.Reply {
	return sdk.Reply{
		Header: map[string]string{"Content-Type": "application/json"},
		Body:   []byte(`{"token":{token},"access_token":{token},"expires_in":3600` + more + `}`),
	}
}

// refresh is what a client may log in with again, which is what it logged in
// with.
const refresh = `,"refresh_token":{credential}`

// planToken gives who logs in with Basic a token for the scopes that are asked
// for, and everybody else one that stands for nobody.
func (x registry) planToken(r sdk.Request) sdk.Plan {
	more := ""
	if r.Param("offline_token") == "true" {
		more = refresh
	}
	return sdk.Identity{Reply: grant(more), Nobody: grant(""), Lifetime: lifetime, Grants: x.grants(r)}
}

// planTokenForm does it as OAuth 2.0 has it (RFC 6749, sections 4.3 and 6).
func (x registry) planTokenForm(r sdk.Request) sdk.Plan {
	return sdk.Identity{
		Password: "refresh_token,password", Fields: []string{"scope"}, Lifetime: lifetime, Grants: x.grants(r),
		Reply: grant(refresh + `,"scope":{granted}`), Nobody: grant(`,"scope":{granted}`),
	}
}

// actions are what the actions of a scope allow.
var actions = map[string][]sdk.Action{
	"pull":   {sdk.ActionRead},
	"push":   {sdk.ActionPublish},
	"delete": {sdk.ActionDelete},
	"*":      {sdk.ActionRead, sdk.ActionPublish, sdk.ActionDelete},
}

// grants are what the scopes of a request stand for: repository:NAME:ACTIONS, or
// registry:catalog:* (distribution, "Token Scope Documentation"). What cannot be
// read is not granted. Clients of a repository below another have its names from
// their challenges, or call them by their whole paths.
func (x registry) grants(r sdk.Request) []sdk.Grant {
	var all []sdk.Grant
	query, _ := url.ParseQuery(r.Query) // as far as it can be read
	for _, scope := range strings.Fields(strings.Join(query["scope"], " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		at := strings.LastIndexByte(rest, ':') // names may have ports
		if at < 0 {
			continue
		}
		name := rest[:at]
		kind, _, _ = strings.Cut(kind, "(") // repository(plugin), as some say
		var canonical []string
		switch kind {
		case "repository":
			called := []string{name}
			if inside := strings.TrimPrefix(name, below(r.URL("/"))); inside != name {
				called = append(called, inside)
			}
			for _, name := range called {
				if im, failure := x.image(name, ""); failure == nil {
					canonical = append(canonical, im.name)
				}
			}
		case "registry":
			canonical = []string{"*"}
		}
		for action := range strings.SplitSeq(rest[at+1:], ",") {
			for _, a := range actions[action] {
				for _, c := range canonical {
					all = append(all, sdk.Grant{Action: a, Name: c, Text: kind + ":" + name + ":" + action})
				}
			}
		}
	}
	return all
}

// scopes are those that a challenge asks for.
var scopes = map[sdk.Action]string{
	sdk.ActionRead:    "repository:{package}:pull",
	sdk.ActionPublish: "repository:{package}:pull,push",
	sdk.ActionDelete:  "repository:{package}:delete",
}
