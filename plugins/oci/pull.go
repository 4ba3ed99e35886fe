package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// manifestTypes are asked of upstream, in the order of preference.
var manifestTypes = strings.Join([]string{
	mediaIndex, mediaList, mediaManifest, mediaDocker,
}, ", ")

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaDocker   = "application/vnd.docker.distribution.manifest.v2+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"

	mediaDockerConfig = "application/vnd.docker.container.image.v1+json"
)

// planBlob serves a blob (distribution specification, "Pulling blobs").
func planBlob(im image, r sdk.Request) sdk.Plan {
	d, failure := parseDigest(r.Get("digest"))
	if failure != nil {
		return *failure
	}
	return sdk.Artifact{
		Version: sdk.Version{Name: im.name, Version: text(d)},
		Path:    im.blobPath(text(d)),
		From:    im.sources("/blobs/"+text(d), "", countBlobs),
		Digest:  d,
		NamedIn: im.manifestPath("*"),
		Type:    "application/octet-stream",
		Ungated: true,
		Probe:   true,
		Header:  im.header("Docker-Content-Digest", text(d)),
		Missing: sdk.Failure{Kind: sdk.KindNotFound, Code: "BLOB_UNKNOWN", Message: fmt.Sprintf("there is no blob %s in %s", text(d), im.name)},
	}
}

// planManifest serves a manifest by digest, or by tag (distribution
// specification, "Pulling manifests").
func (x registry) planManifest(im image, r sdk.Request) sdk.Plan {
	reference := r.Get("reference")
	if isDigest(reference) {
		d, failure := parseDigest(reference)
		if failure != nil {
			return *failure
		}
		return im.manifest(d)
	}
	if !tagName.MatchString(reference) {
		return sdk.Failure{Kind: sdk.KindNotFound, Code: "MANIFEST_UNKNOWN", Message: fmt.Sprintf("%q is no tag", reference)}
	}
	return x.tagged(im, reference)
}

// tagged serves what a tag stands for.
func (x registry) tagged(im image, tag string) sdk.Document {
	from := im.heads(tag)
	d := sdk.Document{
		Path:     im.manifestPath(tag),
		Name:     im.name,
		From:     from[:1],
		Probe:    true,
		LookedUp: true,
		Header:   im.header(),
		Render:   func(in *sdk.Input) error { return x.resolve(in, im, tag, from) },
	}
	if !x.Auto { // which depends on all
		d.TagsOnly = []string{tag}
	}
	if !tellsOfDigest(tag) {
		d.History, d.Listing, d.Listed = true, im.tagsPath(), tag
	}
	return d
}

// heads are the places where upstream may say what a tag stands for.
func (im image) heads(tag string) []sdk.Source {
	from := im.sources("/manifests/"+tag, manifestTypes, countPulls)
	for i := range from {
		from[i].Head = true
	}
	return from
}

// manifest is that of a digest. What tags were says when it was first seen.
func (im image) manifest(d sdk.Digest) sdk.Artifact {
	return sdk.Artifact{
		Version:   sdk.Version{Name: im.name, Version: text(d)},
		Path:      im.manifestPath(text(d)),
		From:      im.sources("/manifests/"+text(d), manifestTypes, countPulls),
		Digest:    d,
		Facts:     []string{im.manifestPath("*")},
		NamedIn:   im.manifestPath("*"),
		LeafTypes: []string{mediaManifest, mediaDocker},
		Unlisted:  true,
		Probe:     true,
		LookedUp:  true,
		Header:    im.header("Docker-Content-Digest", text(d)),
		Missing:   sdk.Failure{Kind: sdk.KindNotFound, Code: "MANIFEST_UNKNOWN", Message: fmt.Sprintf("there is no manifest %s in %s", text(d), im.name)},
	}
}

// resolve finds the manifest that a tag stands for: of ours, else the one that
// upstream has, or had when it was last old enough.
func (x registry) resolve(in *sdk.Input, im image, tag string, from []sdk.Source) error {
	if ours := x.tags(in.Hosted(im.name)); ours[tag] != "" {
		return im.answer(in, ours[tag], sdk.Head{}, false)
	}
	digest, head, err := im.current(in, tag, from)
	var absent sdk.Failure // upstream has no such tag
	if errors.As(err, &absent) && in.ServesRemoved() {
		if last := lastKept(in.Earlier()); last != "" {
			digest, err = last, nil
		}
	}
	if digest == "" || err != nil {
		return err
	}
	if tellsOfDigest(tag) {
		return im.answer(in, digest, head, true)
	}
	turns := turnsOf(in.Earlier(), digest)
	if in.Keep(im.version(digest, turns[digest])) {
		return im.answer(in, digest, head, false)
	}
	serve := ""
	for _, k := range in.Earlier() {
		earlier := k.Version.Version
		if earlier != digest && in.Keep(im.version(earlier, turns[earlier])) && turns[earlier] > turns[serve] {
			serve = earlier
		}
	}
	if serve == "" {
		return in.Held()
	}
	return im.answer(in, serve, sdk.Head{}, false)
}

// turnsOf tell the order in which a tag stood for digests, from 1 on: what it was
// moved back to comes after what it stood for in between, and the one that it
// has now is the last.
func turnsOf(earlier []sdk.Known, now string) map[string]int {
	turns, last, latest := map[string]int{}, 0, ""
	for i, k := range earlier {
		turn, err := strconv.Atoi(string(k.File.Extra))
		if err != nil {
			turn = i + 1 // it was remembered without
		}
		turns[k.Version.Version] = turn
		if turn > last {
			last, latest = turn, k.Version.Version
		}
	}
	if latest != now {
		turns[now] = last + 1
	}
	return turns
}

// lastKept is the digest that a tag stood for last of those that are kept here;
// empty: none is.
func lastKept(earlier []sdk.Known) (last string) {
	turns := turnsOf(earlier, "")
	turns[""] = 0 // it stands for nothing now
	for _, k := range earlier {
		// Upstream's manifests are told of without digests.
		if digest := k.Version.Version; len(k.File.Digests) > 0 && turns[digest] > turns[last] {
			last = digest
		}
	}
	return last
}

func (im image) version(digest string, turn int) (sdk.Version, sdk.File) {
	return sdk.Version{Name: im.name, Version: digest}, sdk.File{Path: im.manifestPath(digest), Extra: strconv.AppendInt(nil, int64(turn), 10)}
}

// answer serves the manifest of a digest, of which upstream may have said
// something. The answer is kept for all who ask, so what one of them said of the
// registry is left to the document's own header. Ungated, it is served without a
// verdict.
func (im image) answer(in *sdk.Input, digest string, head sdk.Head, ungated bool) error {
	d, failure := parseDigest(digest)
	if failure != nil {
		return *failure
	}
	im.namespace = ""
	m := im.manifest(d)
	m.Head, m.Ungated = head, ungated
	return in.Answer(m)
}

func sha256Of(body []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(body)) }

// current is the digest that a tag has upstream, with what upstream says of the
// manifest. Asking for the head of it counts against no limit of pulls. Empty: more
// is needed.
func (im image) current(in *sdk.Input, tag string, from []sdk.Source) (string, sdk.Head, error) {
	for _, s := range from {
		doc, ok := in.Doc(s)
		if !ok {
			return "", sdk.Head{}, nil
		}
		if doc.Status == 404 {
			continue
		}
		if !doc.OK() {
			return "", sdk.Head{}, errors.New("its registry could not be asked what the tag stands for")
		}
		if digest := doc.Header["docker-content-digest"]; digest != "" {
			if _, failure := parseDigest(digest); failure == nil {
				size, _ := strconv.ParseInt(doc.Header["content-length"], 10, 64) // 0: it does not say
				return digest, headOf(doc, size), nil
			}
		}
		s.Head = false
		if doc, ok = in.Doc(s); !ok {
			return "", sdk.Head{}, nil
		}
		if !doc.OK() {
			return "", sdk.Head{}, errors.New("its registry could not be asked what the tag stands for")
		}
		var m struct{ SchemaVersion int }
		if err := json.Unmarshal(doc.Body, &m); err != nil {
			return "", sdk.Head{}, fmt.Errorf("what its registry has for the tag is no manifest: %w", err)
		}
		return sha256Of(doc.Body), headOf(doc, int64(len(doc.Body))), nil
	}
	return "", sdk.Head{}, sdk.Failure{Kind: sdk.KindNotFound, Code: "MANIFEST_UNKNOWN", Message: fmt.Sprintf("%s has no tag %s", im.name, tag)}
}

// headOf is what upstream says of the manifest that it answers with. Where it does
// not say the type, nothing is believed.
func headOf(doc *sdk.Doc, size int64) sdk.Head {
	if doc.Header["content-type"] == "" {
		return sdk.Head{}
	}
	return sdk.Head{Type: doc.Header["content-type"], Size: size}
}
