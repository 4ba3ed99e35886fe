package main

import "github.com/entrepot-registry/entrepot/sdk"

// version tells old clients that this is a registry.
var version = map[string]string{"Content-Type": "application/json", "Docker-Distribution-Api-Version": "registry/2.0"}

// planPing answers whether this is a registry, and whether one has to log in
// (distribution specification, "Determining Support").
func planPing(sdk.Request) sdk.Plan {
	yes := sdk.Reply{Header: version, Body: []byte("{}")}
	return sdk.Identity{Reply: yes, Nobody: yes, Gate: true}
}

// grant is the answer of a token service (distribution, "Token Authentication
// Specification"). The token is that of entrepot itself, so what it allows does
// not depend on the scopes that were asked for, and it ends when it is revoked.
func grant(more string) sdk.Reply {
	return sdk.Reply{
		Header: map[string]string{"Content-Type": "application/json"},
		Body:   []byte(`{"token":{token},"access_token":{token},"expires_in":3600` + more + `}`),
	}
}

// planToken gives who logs in with Basic a token, and everybody else one that
// stands for nobody.
func planToken(r sdk.Request) sdk.Plan {
	more := ""
	if r.Param("offline_token") == "true" {
		more = `,"refresh_token":{token}`
	}
	return sdk.Identity{Reply: grant(more), Nobody: grant("")}
}

// planTokenForm does it as OAuth 2.0 has it (RFC 6749, sections 4.3 and 6).
func planTokenForm(sdk.Request) sdk.Plan {
	return sdk.Identity{Password: "refresh_token,password", Reply: grant(`,"refresh_token":{token},"scope":""`), Nobody: grant("")}
}
