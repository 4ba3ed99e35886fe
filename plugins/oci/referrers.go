package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/entrepot-registry/entrepot/sdk"
)

// maxReferrers is how many referrers stand on a page.
const maxReferrers = 1000

// planReferrers lists the manifests whose subject is another (distribution
// specification, "Listing Referrers").
func planReferrers(im image, r sdk.Request) sdk.Plan {
	digest := r.Get("digest")
	d, failure := parseDigest(digest)
	if failure != nil {
		return *failure
	}
	p, failure := pageOf(r)
	if failure != nil {
		return *failure
	}
	p.n = min(p.n, maxReferrers)
	l := referrers{
		image: im, digest: d, filter: r.Param("artifactType"), page: p,
		from: im.sources("/referrers/"+digest, mediaIndex, countLists),
	}
	return sdk.Document{
		Path: l.address(p), Name: im.name, From: l.from[:1], Query: true, Header: im.header(), Render: l.render,
	}
}

type referrers struct {
	image
	digest sdk.Digest
	filter string
	page   page
	from   []sdk.Source
}

// address is where a page of the list is: under the repository's canonical name,
// which has its registry's, and without anything else that was asked.
func (l referrers) address(p page) string {
	return "/" + l.name + "/referrers/" + text(l.digest) + p.query("artifactType", l.filter)
}

func (l referrers) render(in *sdk.Input) error {
	all := l.ours(in)
	theirs, err := l.theirs(in)
	if err != nil && len(all) == 0 {
		return err
	}
	for digest, d := range theirs {
		if _, ok := all[digest]; !ok {
			all[digest] = d
		}
	}
	var names []string
	for digest, d := range all {
		if l.filter == "" || d.ArtifactType == l.filter {
			names = append(names, digest)
		}
	}
	slices.Sort(names)
	p := l.page
	if p.n < 0 {
		p.n = maxReferrers
	}
	some, next := p.cut(names)
	index := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}{2, mediaIndex, []descriptor{}}
	for _, digest := range some {
		index.Manifests = append(index.Manifests, all[digest])
	}
	header := map[string]string{}
	if l.filter != "" {
		header["OCI-Filters-Applied"] = "artifactType"
	}
	if next != "" {
		header["Link"] = following(in.URL(l.address(page{p.n, next})))
	}
	return json.NewEncoder(in.OutputWith("", mediaIndex, header)).Encode(index)
}

// ours are those that were pushed here, by digest.
func (l referrers) ours(in *sdk.Input) map[string]descriptor {
	all := map[string]descriptor{}
	ours := in.Hosted(l.name)
	if ours == nil {
		return all
	}
	for _, f := range ours.Files {
		var n note
		if len(f.File.Extra) == 0 || json.Unmarshal(f.File.Extra, &n) != nil || n.Subject != text(l.digest) {
			continue
		}
		all[f.Version.Version] = descriptor{
			MediaType: n.Type, Digest: f.Version.Version, Size: f.File.Size, ArtifactType: n.ArtifactType, Annotations: n.Annotations,
		}
	}
	return all
}

// digestTag is a tag that is made of a digest: the one that stands in for a list of
// referrers, or one of those that cosign gives signatures, attestations and lists of
// what is inside.
var digestTag = regexp.MustCompile(`^(sha256-[0-9a-f]{64}(\.(sig|att|sbom))?|sha512-[0-9a-f]{64})$`)

// tellsOfDigest reports whether a tag stands for what is told of another manifest.
func tellsOfDigest(tag string) bool { return digestTag.MatchString(tag) }

// referrersTag is the tag that stands in for the list of a digest's referrers.
func referrersTag(d sdk.Digest) string {
	return d.Algorithm + "-" + hex.EncodeToString(d.Sum)[:64]
}

// errUnheard says that upstream does not tell all referrers, so that nobody takes
// what is missing for not being there.
var errUnheard = errors.New("its registry could not be asked for all referrers")

// theirs are those that upstream lists, or what it has under the tag that stands
// in for the list where a registry has none ("Referrers Tag Schema"). They are all
// of them: there is no part of the list.
func (l referrers) theirs(in *sdk.Input) (map[string]descriptor, error) {
	tag := referrersTag(l.digest)
	for _, s := range append(slices.Clone(l.from), l.sources("/manifests/"+tag, mediaIndex, countPulls)...) {
		all, known, err := listed(in, s)
		if known || err != nil {
			return all, err
		}
	}
	return nil, nil
}

// listed are the descriptors of a list and of the pages after it. Not known:
// upstream has no such list.
func listed(in *sdk.Input, s sdk.Source) (all map[string]descriptor, known bool, err error) {
	all = map[string]descriptor{}
	for range maxPages {
		doc, ok := in.Doc(s)
		if !ok {
			return all, true, nil // run again with it
		}
		if !known && (doc.Status == 404 || doc.Status == 400) {
			return nil, false, nil
		}
		if !doc.OK() {
			return nil, false, errUnheard
		}
		var index struct{ Manifests []descriptor }
		if err := json.Unmarshal(doc.Body, &index); err != nil {
			return nil, false, fmt.Errorf("its registry lists referrers in no index: %w", err)
		}
		for _, d := range index.Manifests {
			if _, failure := parseDigest(d.Digest); failure == nil {
				all[d.Digest] = d
			}
		}
		next, more := nextPage(doc)
		if !more {
			return all, true, nil
		}
		if next == "" {
			return nil, false, fmt.Errorf("%w: the rest of them is elsewhere", errUnheard)
		}
		known, s.URL = true, next
	}
	return nil, false, fmt.Errorf("%w: there are more than %d pages of them", errUnheard, maxPages)
}
