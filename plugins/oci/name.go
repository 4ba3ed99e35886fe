package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// hub is the registry that names without a registry's are of, and whose official
// images clients ask for as library/NAME.
const hub = "docker.io"

// Names, tags and digests, as the distribution specification, "Pulling
// manifests", and the image specification, "Digests", write them. A registry's
// name may come before a repository's.
var (
	component = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	hostName  = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*(:[0-9]{1,5})?$`)
	tagName   = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// image is a repository of images.
type image struct {
	// name is canonical: without the default registry's and without library/.
	name string
	// asked is what the client called it.
	asked string
	// role is the upstream that has it, remotes are what it may be called there.
	role    string
	remotes []string
	// namespace is the registry that the client said it is of; empty: it did not.
	namespace string
}

// at finds the repository that a request is about.
func (x registry) at(plan func(image, sdk.Request) sdk.Plan) func(sdk.Request) sdk.Plan {
	return func(r sdk.Request) sdk.Plan {
		im, err := x.image(r.Get("name"), namespaceOf(r))
		if err != nil {
			return *err
		}
		return plan(im, r)
	}
}

// namespaceOf is the registry that a mirror's client says a name is of; empty: it
// says none, or this one, which it was told to reach at another address.
func namespaceOf(r sdk.Request) string {
	if ns := r.Param("ns"); !r.Here(ns) {
		return ns
	}
	return ""
}

// image reads a name, and the registry that a mirror's client says it is of.
func (x registry) image(name, namespace string) (image, *sdk.Failure) {
	first, rest, several := strings.Cut(name, "/")
	first = x.registryCalled(first, rest)
	im := image{asked: name, role: x.Default, namespace: namespace}
	local := name
	switch {
	case namespace != "":
		namespace = x.registryCalled(namespace, name)
		if !hostName.MatchString(namespace) {
			return im, invalidName(namespace)
		}
		if namespace != x.defaultName() {
			if !x.names(namespace) { // else it could be meant for a part of another's name
				return im, invalidName(namespace)
			}
			im.role = namespace
		}
	case several && first == x.defaultName():
		local = rest
	case several && x.names(first):
		if !hostName.MatchString(first) {
			return im, invalidName(name)
		}
		im.role, local = first, rest
	}
	// What is of no named registry must not be called like what is.
	if first, _, several := strings.Cut(local, "/"); several && im.role == x.Default && (first == x.defaultName() || x.names(first)) {
		return im, invalidName(name)
	}
	if len(name) > 255 {
		return im, invalidName(name[:255])
	}
	for part := range strings.SplitSeq(local, "/") {
		if !component.MatchString(part) {
			return im, invalidName(name)
		}
	}
	im.name, im.remotes = local, []string{local}
	if cmp.Or(im.role, x.defaultName()) == hub {
		if official, ok := strings.CutPrefix(local, "library/"); ok && !strings.Contains(official, "/") {
			local, im.name = official, official
		}
		if !strings.Contains(local, "/") {
			im.remotes = []string{"library/" + local}
			if !slices.Contains(x.upstreams, hub) { // it may be another that is taken for the hub
				im.remotes = append(im.remotes, local)
			}
		}
	}
	if im.role != x.Default {
		im.name = im.role + "/" + im.name
	}
	return im, nil
}

// registryCalled is the registry that clients may call otherwise: by capital letters,
// with the port that it has without one, the hub by the names of its servers, or the
// default by that of the upstream which is taken for it, but for local names of one
// part: without the upstream's name these are looked for in library/.
func (x registry) registryCalled(name, local string) string {
	name = strings.ToLower(name)
	if host, ok := strings.CutSuffix(name, ":443"); ok && x.names(host) && x.upstreams != nil && !slices.Contains(x.upstreams, name) && name != x.defaultName() {
		name = host
	}
	if name != "" && name == x.first() && strings.Contains(local, "/") {
		return x.defaultName()
	}
	if name != x.defaultName() && (name == "index."+hub || name == "registry-1."+hub) {
		return hub
	}
	return name
}

// names reports whether the first part of a name is a registry's.
func (x registry) names(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost" || slices.Contains(x.Prefixes, first)
}

// library is where the hub's official images are, as patterns write it.
func (x registry) library() string {
	if x.defaultName() == hub {
		return "library/"
	}
	return hub + "/library/"
}

// defaultName is the registry of names that begin with none.
func (x registry) defaultName() string { return cmp.Or(x.Default, hub) }

// first is the upstream that is taken for the default registry and has another name,
// which names may begin with; empty: there is none.
func (x registry) first() string {
	if x.Default != "" || len(x.upstreams) == 0 || slices.Contains(x.upstreams, hub) {
		return ""
	}
	if first := strings.ToLower(x.upstreams[0]); x.names(first) {
		return first
	}
	return ""
}

func invalidName(name string) *sdk.Failure {
	return &sdk.Failure{Kind: sdk.KindNotFound, Code: "NAME_INVALID", Message: fmt.Sprintf("%q is no name of a repository", name)}
}

// What registries count requests as: pulls of manifests are limited where blobs
// and lists are not.
const (
	countPulls = "pulls"
	countBlobs = "blobs"
	countLists = "lists"
)

// sources are the places where upstream may have something of the repository.
func (im image) sources(path, accept, countsAs string) []sdk.Source {
	var all []sdk.Source
	for _, remote := range im.remotes {
		all = append(all, sdk.Source{URL: "/v2/" + remote + path, Role: im.role, Accept: accept, Optional: true, CountsAs: countsAs})
	}
	return all
}

// header adds what every answer about the repository has.
func (im image) header(pairs ...string) map[string]string {
	h := map[string]string{}
	if im.namespace != "" {
		h["OCI-Namespace"] = im.namespace
	}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1]
	}
	return h
}

func (im image) manifestPath(digest string) string { return "/" + im.name + "/manifests/" + digest }
func (im image) blobPath(digest string) string     { return "/" + im.name + "/blobs/" + digest }

// parseDigest reads ALGORITHM:HEX; the failure is the client's.
func parseDigest(s string) (sdk.Digest, *sdk.Failure) {
	algorithm, text, _ := strings.Cut(s, ":")
	sum, err := hex.DecodeString(text)
	size := map[string]int{"sha256": 32, "sha512": 64}[algorithm]
	if err != nil || size == 0 || len(sum) != size || text != strings.ToLower(text) {
		return sdk.Digest{}, &sdk.Failure{Kind: sdk.KindBadRequest, Code: "DIGEST_INVALID", Message: fmt.Sprintf("%q is no digest: write sha256: or sha512: and hexadecimal digits", s)}
	}
	return sdk.Digest{Algorithm: algorithm, Sum: sum}, nil
}

// isDigest reports whether a reference is one, not a tag.
func isDigest(reference string) bool { return strings.Contains(reference, ":") }

// text is a digest as addresses have it.
func text(d sdk.Digest) string { return d.Algorithm + ":" + hex.EncodeToString(d.Sum) }

// digestOf is a file's digest of an algorithm.
func digestOf(digests []sdk.Digest, algorithm string) string {
	for _, d := range digests {
		if d.Algorithm == algorithm {
			return text(d)
		}
	}
	return ""
}
