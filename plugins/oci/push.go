package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// manifestLimit is the size in bytes that a manifest may have; the
// specification asks for 4 MB at least.
const manifestLimit = "8388608"

// planUpload begins the upload of a blob, or takes it whole, or has one of
// another repository used again (distribution specification, "Pushing blobs").
func (x registry) planUpload(im image, r sdk.Request) sdk.Plan {
	if digest := r.Param("digest"); digest != "" {
		return im.takeBlob(digest, sdk.Upload{Body: "raw"})
	}
	u := im.step(r, sdk.StepOpen, "", 202)
	u.Accept = im.acceptBlob(r.Param("mount"))
	u.Digests = []string{"sha256"}
	if algorithm := r.Param("digest-algorithm"); algorithm != "" {
		if algorithm != "sha256" && algorithm != "sha512" {
			return sdk.Failure{Kind: sdk.KindBadRequest, Code: "DIGEST_INVALID", Message: fmt.Sprintf("digest algorithm %q is not known here: write sha256 or sha512", algorithm)}
		}
		u.Digests = []string{algorithm}
	}
	if mount := r.Param("mount"); mount != "" {
		d, failure := parseDigest(mount)
		if failure != nil {
			return *failure
		}
		u.Mount.Digest = d
		if from := r.Param("from"); from != "" {
			of, failure := x.image(strings.TrimPrefix(from, below(r.URL("/"))), "")
			if failure != nil {
				u.Mount = sdk.Mount{} // nothing can be there: it is sent instead
				return u
			}
			u.Mount.Path = of.blobPath(mount)
		}
	}
	return u
}

// below is what a repository that is served below /v2/ has before its names as
// clients know them, which is its whole path, as its address tells.
func below(address string) string {
	_, prefix, _ := strings.Cut(address, "/v2/")
	return prefix
}

// step is a request of an upload; its answer says how far that is.
func (im image) step(r sdk.Request, step sdk.Step, session string, status int) sdk.Upload {
	at := session
	if step == sdk.StepOpen {
		at = "{session}"
	}
	header := im.header("Location", r.URL("/"+im.name+"/blobs/uploads/")+at, "Range", "0-{last}", "Docker-Upload-UUID", at)
	return sdk.Upload{
		Step: step, Session: session, Names: []string{im.name}, Blind: true, Unread: true,
		Reply:   sdk.Reply{Status: status, Header: header},
		Missing: sdk.Failure{Kind: sdk.KindNotFound, Code: "BLOB_UPLOAD_UNKNOWN", Message: fmt.Sprintf("%s has no upload %s under way; it may have ended", im.name, session)},
	}
}

func planStatus(im image, r sdk.Request) sdk.Plan {
	return im.step(r, sdk.StepStatus, r.Get("session"), 204)
}

func planAbort(im image, r sdk.Request) sdk.Plan {
	return im.step(r, sdk.StepAbort, r.Get("session"), 204)
}

func planAppend(im image, r sdk.Request) sdk.Plan {
	u := im.step(r, sdk.StepAppend, r.Get("session"), 202)
	u.Range = r.Header("Content-Range")
	return u
}

func planCommit(im image, r sdk.Request) sdk.Plan {
	u := im.step(r, sdk.StepCommit, r.Get("session"), 0)
	u.Range = r.Header("Content-Range")
	return im.takeBlob(r.Param("digest"), u)
}

// takeBlob completes an upload of a blob with a digest.
func (im image) takeBlob(digest string, u sdk.Upload) sdk.Plan {
	d, failure := parseDigest(digest)
	if failure != nil {
		return *failure
	}
	u.Names, u.Blind, u.Unread = []string{im.name}, true, true
	u.Digests = []string{d.Algorithm}
	u.Accept = im.acceptBlob(digest)
	return u
}

// acceptBlob stores the file as the blob of a digest, which it must have.
func (im image) acceptBlob(digest string) func(*sdk.Publication) (sdk.Reply, error) {
	return func(p *sdk.Publication) (sdk.Reply, error) {
		algorithm, _, _ := strings.Cut(digest, ":")
		if got := digestOf(p.Files[0].Digests, algorithm); got != digest {
			return sdk.Reply{}, sdk.Failure{Kind: sdk.KindBadRequest, Code: "DIGEST_INVALID", Message: fmt.Sprintf("what was sent has the digest %s, not %s", got, digest)}
		}
		p.Store(p.Files[0], sdk.Entry{
			Version: sdk.Version{Name: im.name, Version: digest},
			Path:    im.blobPath(digest),
			Loose:   true,
		}, true)
		return im.created(p.Request(), im.blobPath(digest), digest), nil
	}
}

func (im image) created(r sdk.Request, path, digest string, more ...string) sdk.Reply {
	return sdk.Reply{Status: 201, Header: im.header(append(more, "Location", r.URL(path), "Docker-Content-Digest", digest)...)}
}

// planPush takes a manifest (distribution specification, "Pushing Manifests").
func (x registry) planPush(im image, r sdk.Request) sdk.Plan {
	reference := r.Get("reference")
	var tags []string
	digest := ""
	if isDigest(reference) {
		if _, failure := parseDigest(reference); failure != nil {
			return *failure
		}
		digest = reference
		query, _ := url.ParseQuery(r.Query)
		tags = query["tag"]
	} else {
		tags = []string{reference}
	}
	for _, tag := range tags {
		if !tagName.MatchString(tag) {
			return *invalidManifest(fmt.Sprintf("%q is no tag", tag))
		}
	}
	return sdk.Upload{
		Body: "bytes:" + manifestLimit, Names: []string{im.name}, Unread: true, Blind: true, Digests: []string{"sha512"},
		Accept: func(p *sdk.Publication) (sdk.Reply, error) { return x.acceptManifest(p, im, digest, tags) },
	}
}

// acceptManifest stores a manifest and points tags at it.
func (x registry) acceptManifest(p *sdk.Publication, im image, digest string, tags []string) (sdk.Reply, error) {
	r, file := p.Request(), p.Files[0]
	algorithm := "sha256"
	if digest != "" {
		algorithm, _, _ = strings.Cut(digest, ":")
	}
	got := digestOf(file.Digests, algorithm)
	if digest != "" && got != digest {
		return sdk.Reply{}, sdk.Failure{Kind: sdk.KindBadRequest, Code: "DIGEST_INVALID", Message: fmt.Sprintf("the manifest has the digest %s, not %s", got, digest)}
	}
	m, failure := readManifest(p.Field("body"), r.Header("Content-Type"))
	if failure != nil {
		return sdk.Reply{}, *failure
	}
	ours := p.Excerpt(im.name, append(im.needs(m), im.manifestPath(got)), tags)
	if failure := x.complete(im, m, ours); failure != nil {
		return sdk.Reply{}, *failure
	}
	if failure := im.retyped(ours, got, m.MediaType); failure != nil {
		return sdk.Reply{}, *failure
	}
	extra, err := json.Marshal(m.note())
	if err != nil {
		return sdk.Reply{}, err
	}
	entry := sdk.Entry{
		Version: sdk.Version{Name: im.name, Version: got},
		Path:    im.manifestPath(got),
		Extra:   extra,
		Type:    m.MediaType,
		Needs:   im.needs(m),
	}
	p.Store(file, entry, true)
	for _, tag := range tags {
		if at := ours.Tags[tag]; at != "" && at != got && x.fixed(tag) {
			return sdk.Reply{}, sdk.Failure{Kind: sdk.KindConflict, Code: "TAG_INVALID", Message: fmt.Sprintf("tag %s of %s stands for %s and stays so (fixed_tags)", tag, im.name, at)}
		}
		p.Tag(im.name, tag, got)
	}
	var more []string
	if m.Subject != nil {
		more = append(more, "OCI-Subject", m.Subject.Digest)
	}
	if digest != "" && len(tags) > 0 {
		more = append(more, "OCI-Tag", strings.Join(tags, ", "))
	}
	return im.created(r, im.manifestPath(got), got, more...), nil
}

// needs are the paths of what a manifest names.
func (im image) needs(m *manifest) []string {
	var all []string
	for _, d := range m.blobs() {
		all = append(all, im.blobPath(d.Digest))
	}
	for _, d := range m.Manifests { // which may have been pushed as blobs
		all = append(all, im.manifestPath(d.Digest), im.blobPath(d.Digest))
	}
	return all
}

// retyped says that a manifest which is there is pushed as one of another type,
// which its other tags would take on; nil: it is not.
func (im image) retyped(ours *sdk.HostedPackage, digest, mediaType string) *sdk.Failure {
	for _, f := range ours.Files {
		var n note
		if f.File.Path != im.manifestPath(digest) || json.Unmarshal(f.File.Extra, &n) != nil || n.Type == mediaType {
			continue
		}
		return invalidManifest(fmt.Sprintf("%s is a manifest of type %s in %s already, not %s", digest, n.Type, im.name, mediaType))
	}
	return nil
}

func (x registry) fixed(tag string) bool {
	return slices.ContainsFunc(x.Fixed, func(pattern string) bool {
		ok, _ := path.Match(pattern, tag)
		return ok
	})
}

// complete says what a manifest names that was not pushed; nil: nothing.
func (x registry) complete(im image, m *manifest, ours *sdk.HostedPackage) *sdk.Failure {
	if x.Sparse {
		return nil
	}
	there := make(map[string]bool, len(ours.Files))
	for _, f := range ours.Files {
		there[f.File.Path] = true
	}
	unknown := func(what string, d descriptor) *sdk.Failure {
		return &sdk.Failure{Kind: sdk.KindNotFound, Code: "MANIFEST_BLOB_UNKNOWN", Message: fmt.Sprintf("the manifest names the %s %s, which was not pushed to %s", what, d.Digest, im.name)}
	}
	for _, d := range m.blobs() {
		if len(d.URLs) == 0 && !there[im.blobPath(d.Digest)] {
			return unknown("blob", d)
		}
	}
	for _, d := range m.Manifests {
		if !there[im.manifestPath(d.Digest)] && !there[im.blobPath(d.Digest)] {
			return unknown("manifest", d)
		}
	}
	return nil
}
