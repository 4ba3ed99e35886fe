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
// read is not granted.
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
		canonical := ""
		switch kind {
		case "repository":
			im, failure := x.image(name, "")
			if failure != nil {
				continue
			}
			canonical = im.name
		case "registry":
			canonical = "*"
		}
		for action := range strings.SplitSeq(rest[at+1:], ",") {
			for _, a := range actions[action] {
				if canonical != "" {
					all = append(all, sdk.Grant{Action: a, Name: canonical, Text: kind + ":" + name + ":" + action})
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
