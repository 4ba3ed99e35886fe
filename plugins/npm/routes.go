package main

import (
	"net/url"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// routes has what stands below /-/ first. A scoped package is written
// "@scope%2fname" or "@scope/name"; {pkg} captures the first.
func routes() []sdk.Route {
	return []sdk.Route{
		{Match: "GET /", Plan: planProbe},
		{Match: "GET /-/ping", Plan: planProbe},
		{Match: "GET /-/v1/search", Plan: planSearch},
		{Match: "POST /-/v1/login", Plan: planNoWebLogin},
		{Match: "GET /-/whoami", Plan: planWhoami},
		{Match: "GET /-/user/{user}", Plan: planUser},
		{Match: "PUT /-/user/{user}", Plan: planLogin},
		{Match: "DELETE /-/user/token/{token}", Plan: planLogout},
		{Match: "GET /-/npm/v1/keys", Plan: planKeys},
		{Match: "GET /-/npm/v1/attestations/{spec}", Plan: planAttestations},
		{Match: "GET /-/npm/v1/attestations/@{scope}/{spec}", Plan: planAttestations},
		{Match: "POST /-/npm/v1/security/advisories/bulk", Plan: relay("/*")},
		{Match: "POST /-/npm/v1/security/audits", Plan: relay("/name", "/**/requires/*", "/**/dependencies/*")},
		{Match: "POST /-/npm/v1/security/audits/quick", Plan: relay("/name", "/**/requires/*", "/**/dependencies/*")},
		{Match: "POST /-/npm/v1/oidc/token/exchange/package/{pkg...}", Plan: planNoExchange},
		{Match: "GET /-/stage", Plan: planNoStage},
		{Match: "GET /-/stage/{rest...}", Plan: planNoStage},
		{Match: "POST /-/stage/{rest...}", Plan: planNoStage},
		{Match: "DELETE /-/stage/{rest...}", Plan: planNoStage},
		{Match: "GET /-/package/{pkg}/dist-tags", Plan: planTags},
		{Match: "GET /-/package/@{scope}/{name}/dist-tags", Plan: planTags},
		{Match: "PUT /-/package/{pkg}/dist-tags/{tag}", Plan: planTag},
		{Match: "PUT /-/package/@{scope}/{name}/dist-tags/{tag}", Plan: planTag},
		{Match: "DELETE /-/package/{pkg}/dist-tags/{tag}", Plan: planTag},
		{Match: "DELETE /-/package/@{scope}/{name}/dist-tags/{tag}", Plan: planTag},
		{Match: "GET /-/package/{pkg}/collaborators", Plan: planCollaborators},
		{Match: "GET /-/package/@{scope}/{name}/collaborators", Plan: planCollaborators},
		{Match: "GET /-/user/{user}/package", Plan: planOwned},
		{Match: "GET /-/npm/v1/user", Plan: planProfile},
		{Match: "POST /-/npm/v1/user", Plan: planNoProfile},
		{Match: "GET /-/npm/v1/tokens", Plan: planNoTokens},
		{Match: "POST /-/npm/v1/tokens", Plan: planNoTokens},
		{Match: "GET /-/package/{pkg}/visibility", Plan: planNoVisibility},
		{Match: "GET /-/package/@{scope}/{name}/visibility", Plan: planNoVisibility},
		{Match: "POST /-/package/{pkg}/access", Plan: planNoVisibility},
		{Match: "POST /-/package/@{scope}/{name}/access", Plan: planNoVisibility},
		{Match: "GET /-/org/{about...}", Plan: planNoTeams},
		{Match: "PUT /-/org/{about...}", Plan: planNoTeams},
		{Match: "GET /-/team/{about...}", Plan: planNoTeams},
		{Match: "PUT /-/team/{about...}", Plan: planNoTeams},
		{Match: "DELETE /-/team/{about...}", Plan: planNoTeams},
		{Match: "GET /-/package/{about...}", Plan: planNoAccess},
		{Match: "POST /-/package/{about...}", Plan: planNoAccess},

		{Match: "GET /{pkg}/-/{file}", Plan: planTarball},
		{Match: "GET /@{scope}/{name}/-/{file}", Plan: planTarball},
		{Match: "GET /{pkg}/-/{old...}/{file}", Plan: planTarball},
		{Match: "GET /@{scope}/{name}/-/{old...}/{file}", Plan: planTarball},
		{Match: "GET /{pkg}/download/{file}", Plan: planTarball}, // as lock files made with mirrors have it
		{Match: "GET /@{scope}/{name}/download/{file}", Plan: planTarball},
		{Match: "GET /@{scope}/{name}/{version}", Plan: planManifest},
		{Match: "GET /{pkg}/{version}", Plan: planManifest},
		{Match: "GET /{pkg}", Plan: planPackument},

		{Match: "PUT /{pkg}", Plan: planPublish},
		{Match: "PUT /@{scope}/{name}", Plan: planPublish},
		{Match: "PUT /{pkg}/-rev/{rev}", Plan: planRevision},
		{Match: "PUT /@{scope}/{name}/-rev/{rev}", Plan: planRevision},
		{Match: "DELETE /{pkg}/-rev/{rev}", Plan: planRemoval},
		{Match: "DELETE /@{scope}/{name}/-rev/{rev}", Plan: planRemoval},
		{Match: "DELETE /{pkg}/-/{file}/-rev/{rev}", Plan: planFileRemoval},
		{Match: "DELETE /@{scope}/{name}/-/{file}/-rev/{rev}", Plan: planFileRemoval},
	}
}

// unknown answers everything else.
var unknown = sdk.NotFound("no such address in an npm registry")

// planProbe answers those who look whether there is a registry.
func planProbe(sdk.Request) sdk.Plan { return sdk.JSON(struct{}{}) }

// packageName is the name of the package that a request is about, however it
// is spelt; false: it is none.
func packageName(r sdk.Request) (string, bool) {
	name := r.Get("pkg")
	if name == "" {
		name = "@" + r.Get("scope") + "/" + r.Get("name")
	}
	return name, validName(name)
}

func planPackument(r sdk.Request) sdk.Plan {
	name, ok := packageName(r)
	if !ok {
		return unknown
	}
	return packumentDocument(name, negotiate(r.Header("Accept")))
}

func planManifest(r sdk.Request) sdk.Plan {
	// What looks like a version may be the second half of "@scope/name".
	if scope := r.Get("pkg"); strings.HasPrefix(scope, "@") && !strings.Contains(scope, "/") {
		name := scope + "/" + r.Get("version")
		if !validName(name) {
			return unknown
		}
		return packumentDocument(name, negotiate(r.Header("Accept")))
	}
	name, ok := packageName(r)
	version := r.Get("version")
	if !ok || name == "-" || strings.ContainsAny(version, "/\\") {
		return unknown
	}
	return sdk.Document{
		Path:  packumentPath(name) + "/" + url.PathEscape(version),
		Name:  name,
		From:  []sdk.Source{packumentSource(name)},
		Query: true,
		Render: func(in *sdk.Input) error {
			return renderManifest(in, name, version)
		},
	}
}

func planTags(r sdk.Request) sdk.Plan {
	name, ok := packageName(r)
	if !ok {
		return unknown
	}
	return sdk.Document{
		Path:   "/-/package/" + escapeName(name) + "/dist-tags",
		Name:   name,
		From:   []sdk.Source{packumentSource(name)},
		Query:  true,
		Render: func(in *sdk.Input) error { return renderTags(in, name) },
	}
}

// planTarball also takes addresses of old lock files, in which further segments
// stand before the file's name: the name alone counts.
func planTarball(r sdk.Request) sdk.Plan {
	name, ok := packageName(r)
	file := r.Get("file")
	if !ok || strings.ContainsAny(file, "/\\") || r.Get("old") != "" && !strings.HasSuffix(file, ".tgz") {
		return unknown
	}
	path := filePath(name, file)
	return sdk.Artifact{
		Version: sdk.Version{Name: name, Version: fileVersion(name, file)},
		Path:    path,
		From:    sdk.From(strings.TrimPrefix(path, "/")),
		Facts:   []string{packumentPath(name)},
	}
}

// planAttestations serves a version's attestations: what was published along
// with ours, or upstream's, which do not change, when the version may be served.
func planAttestations(r sdk.Request) sdk.Plan {
	spec := r.Get("spec")
	if scope := r.Get("scope"); scope != "" {
		spec = "@" + scope + "/" + spec
	}
	i := strings.LastIndexByte(spec, '@')
	if i < 1 || !validName(spec[:i]) || i == len(spec)-1 || strings.ContainsAny(spec[i:], "/\\") {
		return unknown
	}
	name, version := spec[:i], spec[i+1:]
	path := attestationsPath(name, version)
	upstreams := sdk.Artifact{
		Version: sdk.Version{Name: name, Version: version},
		Path:    path + "?" + upstreamsOwn,
		From:    sdk.From(strings.TrimPrefix(path, "/")),
		Facts:   []string{packumentPath(name)},
		Type:    jsonType,
		Missing: sdk.NotFound("there are no attestations of " + name + "@" + version),
	}
	if r.Query == upstreamsOwn {
		return upstreams
	}
	return sdk.Document{
		Path:  path,
		Name:  name,
		Query: true,
		Render: func(in *sdk.Input) error {
			if h := in.Hosted(name); h != nil {
				for _, f := range h.Files {
					if f.Version.Version == version {
						return provenance(in, f)
					}
				}
			}
			return in.Answer(upstreams)
		},
	}
}

// upstreamsOwn is the query that tells upstream's attestations from ours.
const upstreamsOwn = "upstream"

// planKeys serves the keys that sign packages, as upstream has them.
func planKeys(sdk.Request) sdk.Plan {
	return sdk.Document{
		Path:    "/-/npm/v1/keys",
		Several: true,
		From:    sdk.From("-/npm/v1/keys"),
		Render: func(in *sdk.Input) error {
			_, err := in.Output("", jsonType).Write(in.Docs()[0].Body)
			return err
		},
	}
}

// relay passes audits on: they are about what a client has, not about what
// there is. Newer ones are versions by name; older ones are trees, in which the
// project itself has a name too.
func relay(names ...string) func(sdk.Request) sdk.Plan {
	return func(r sdk.Request) sdk.Plan {
		return sdk.Relay{To: sdk.Source{URL: strings.TrimPrefix(r.Path, "/")}, Names: names}
	}
}
