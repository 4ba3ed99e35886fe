// Command oci serves container images and other artifacts by the OCI
// distribution specification: a registry of our own, and a cache of others.
package main

import (
	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(open) }

type options struct {
	Default  string   `hcl:"default" default:"" help:"Upstream of names that begin with no registry's, which are the same with its name before them. Empty: docker.io, or where there is none the first one, which is taken to be Docker Hub and goes by both names."`
	Prefixes []string `hcl:"prefixes" default:"[]" help:"Names of upstreams that a name may begin with although they have no dot, as [\"internal\"] for /v2/internal/app."`
	Sparse   bool     `hcl:"sparse" default:"false" help:"Takes image indexes of which not all manifests, and manifests of which not all blobs, were pushed."`
	Auto     bool     `hcl:"auto_tags" default:"false" help:"Adds the tags latest and prerelease to repositories of ours that lack them: the newest version of their tags, without or with pre-releases."`
	Fixed    []string `hcl:"fixed_tags" default:"[]" help:"Patterns of tags that, once pushed, stay what they are, as [\"v*\"]."`
}

// registry is what the options say.
type registry struct {
	options
	// upstreams are the names of the registries that are configured; nil: it is not
	// known which.
	upstreams []string
}

// among is the registry beside upstreams of names.
func (x registry) among(upstreams []string) registry {
	x.upstreams = upstreams
	return x
}

// prefixes are what may stand before names of the default registry.
func (x registry) prefixes() string {
	all := x.defaultName() + "/"
	if first := x.first(); first != "" {
		all += " " + first + "/"
	}
	return all
}

func open(o options) (sdk.Ecosystem, error) {
	for _, p := range o.Prefixes {
		if !component.MatchString(p) {
			return sdk.Ecosystem{}, sdk.OptionError{Option: "prefixes", Message: "write the first part of a repository's name, as \"internal\""}
		}
	}
	return registry{options: o}.ecosystem(), nil
}

func (x registry) ecosystem() sdk.Ecosystem {
	return sdk.Ecosystem{
		Name:         "oci",
		Title:        "OCI",
		PURL:         "docker",
		OtherPURLs:   []string{"oci"},
		PURLRegistry: true,
		Mounts:       []string{"/v2/"},
		Upstreams:    []sdk.Upstream{{Role: hub, URL: "https://registry-1.docker.io", Below: "/v2"}, {Role: "*", Below: "/v2"}},
		Among:        func(roles []string) sdk.Ecosystem { return x.among(roles).ecosystem() },
		Vary:         []string{"Content-Type", "Content-Range"},
		Learns:       []string{"Docker-Content-Digest"},
		Names:        names.Rules{Prefix: x.prefixes(), Home: x.library()},
		Routes: []sdk.Route{
			{Match: "GET /", Plan: planPing},
			{Match: "GET /_token", Plan: x.planToken},
			{Match: "POST /_token", Plan: x.planTokenForm},
			{Match: "GET /_catalog", Plan: planCatalog},
			{Match: "GET /{name...}/tags/list", Plan: x.at(x.planTags)},
			{Match: "GET /{name...}/referrers/{digest}", Plan: x.at(planReferrers)},
			{Match: "GET /{name...}/manifests/{reference}", Plan: x.at(x.planManifest)},
			{Match: "PUT /{name...}/manifests/{reference}", Plan: x.at(x.planPush)},
			{Match: "DELETE /{name...}/manifests/{reference}", Plan: x.at(x.planDeleteManifest)},
			{Match: "POST /{name...}/blobs/uploads/", Plan: x.at(x.planUpload)},
			{Match: "POST /{name...}/blobs/uploads", Plan: x.at(x.planUpload)},
			{Match: "GET /{name...}/blobs/uploads/{session}", Plan: x.at(planStatus)},
			{Match: "PATCH /{name...}/blobs/uploads/{session}", Plan: x.at(planAppend)},
			{Match: "PUT /{name...}/blobs/uploads/{session}", Plan: x.at(planCommit)},
			{Match: "DELETE /{name...}/blobs/uploads/{session}", Plan: x.at(planAbort)},
			{Match: "GET /{name...}/blobs/{digest}", Plan: x.at(planBlob)},
			{Match: "DELETE /{name...}/blobs/{digest}", Plan: x.at(planDeleteBlob)},
		},
		About:     x.about,
		Package:   &sdk.Package{Peek: []string{"folder:index.json", "tar:index.json", "tar:manifest.json", "tar.gz:index.json", "tar.gz:manifest.json"}, Inspect: inspect, Unpack: x.unpack},
		Challenge: `Bearer realm="{url}/_token",service="entrepot"{scope}`,
		Scopes:    scopes,
		ListScope: "registry:catalog:*",
		Errors: sdk.ErrorFormat{
			Type: "application/json",
			Body: `{"errors":[{"code":{code},"message":{message}}]}`,
			Codes: map[sdk.Kind]string{
				sdk.KindNotFound: "NAME_UNKNOWN", sdk.KindHeld: "DENIED", sdk.KindRefused: "DENIED",
				sdk.KindUnauthorized: "UNAUTHORIZED", sdk.KindUpstream: "UNAVAILABLE", sdk.KindBadRequest: "UNSUPPORTED",
				sdk.KindMethod: "UNSUPPORTED", sdk.KindRateLimited: "TOOMANYREQUESTS", sdk.KindUnavailable: "UNAVAILABLE",
				sdk.KindConflict: "DENIED", sdk.KindTooLarge: "SIZE_INVALID", sdk.KindRange: "BLOB_UPLOAD_INVALID",
			},
		},
		IncompleteListings: true,
		Ungated: []sdk.Ungated{
			{Route: "GET /{name...}/blobs/{digest}", Reason: "a blob is reached through a manifest, which is judged"},
			{Route: "GET /{name...}/manifests/{reference}", Reason: "a digest is judged by the tags that stood for it, those that were asked for before being looked at first, and by the indexes that name it; one that neither leads to is served, as that of a new tag that nobody asked for yet, because a lock file may name an old image so, unless unknown = \"hold\" has it wait from when it is first asked for, and as an index frees nothing that is held; a tag that is made of a digest, as sha256-….sig, is not judged, being a signature or an attestation of what is judged itself, or a list of such"},
			{Route: "GET /{name...}/tags/list", Reason: "a tag is a name: one that is new is left out unless it stands for an image that is not, and what it stands for is judged when it is asked for"},
			{Route: "GET /{name...}/referrers/{digest}", Reason: "signatures and attestations of what is judged itself"},
		},
		Setup: []sdk.Snippet{
			{Client: "docker, podman, skopeo, crane", Text: "docker pull {host}/nginx:1.29\ndocker pull {host}/quay.io/prometheus/busybox   # with upstream \"quay.io\" configured"},
			{Client: "dockerd as a mirror of Docker Hub, where it goes by itself for what is refused here unless a firewall keeps it from there", File: "/etc/docker/daemon.json", Text: "{\"registry-mirrors\": [\"http://{host}\"]}\n"},
			{Client: "containerd as a mirror", File: "/etc/containerd/certs.d/docker.io/hosts.toml", Text: "server = \"http://{host}\"   # else it goes to Docker Hub for what is refused here\n\n[host.\"http://{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"},
			{Client: "podman, buildah and skopeo in place of Docker Hub", File: "/etc/containers/registries.conf.d/entrepot.conf", Text: "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{host}/docker.io\"\ninsecure = true   # without TLS\n"},
			{Client: "docker, to publish", Text: "echo $TOKEN | docker login -u me --password-stdin {host}\ndocker push {host}/acme/app:1.0\ncrane delete {host}/acme/app:1.0    # the tag; with @sha256:… what it stands for"},
			{Client: "helm, to publish a chart", Text: "helm push app-1.0.0.tgz oci://{host}/acme/charts"},
		},
	}
}

// inspect refuses: what is pushed is not looked into, and single files are no
// images.
func inspect(*sdk.Members) (sdk.Entry, error) {
	return sdk.Entry{}, sdk.BadRequest("a file alone is no image: push it with a client")
}
