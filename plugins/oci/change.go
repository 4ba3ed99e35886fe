package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planDeleteManifest deletes a tag or a manifest (distribution specification,
// "Content Management").
func (x registry) planDeleteManifest(im image, r sdk.Request) sdk.Plan {
	reference := r.Get("reference")
	return im.change(func(p *sdk.Publication) error {
		if !isDigest(reference) {
			if p.Excerpt(im.name, nil, []string{reference}).Tags[reference] == "" {
				return unknownManifest(im, reference)
			}
			if x.fixed(reference) {
				return fixedTag(im, reference)
			}
			p.Untag(im.name, reference)
			return nil
		}
		ours := p.Package(im.name) // any of its tags may stand for it
		if !has(ours, im.manifestPath(reference)) {
			return unknownManifest(im, reference)
		}
		for _, tag := range slices.Sorted(maps.Keys(ours.Tags)) {
			if ours.Tags[tag] == reference && x.fixed(tag) {
				return fixedTag(im, tag)
			}
			if ours.Tags[tag] == reference {
				p.Untag(im.name, tag)
			}
		}
		p.DeleteFile(im.name, reference, im.manifestPath(reference), false)
		return nil
	})
}

func fixedTag(im image, tag string) error {
	return sdk.Failure{Kind: sdk.KindMethod, Code: "UNSUPPORTED", Message: fmt.Sprintf("tag %s of %s stays what it is (fixed_tags)", tag, im.name)}
}

func unknownManifest(im image, reference string) error {
	return sdk.Failure{Kind: sdk.KindNotFound, Code: "MANIFEST_UNKNOWN", Message: fmt.Sprintf("%s was not pushed to %s", reference, im.name)}
}

// planDeleteBlob deletes a blob.
func planDeleteBlob(im image, r sdk.Request) sdk.Plan {
	digest := r.Get("digest")
	return im.change(func(p *sdk.Publication) error {
		if !has(p.Excerpt(im.name, []string{im.blobPath(digest)}, nil), im.blobPath(digest)) {
			return sdk.Failure{Kind: sdk.KindNotFound, Code: "BLOB_UNKNOWN", Message: fmt.Sprintf("%s was not pushed to %s", digest, im.name)}
		}
		p.DeleteFile(im.name, digest, im.blobPath(digest), false)
		return nil
	})
}

// change is a request without a body that deletes.
func (im image) change(do func(*sdk.Publication) error) sdk.Upload {
	return sdk.Upload{
		Action: sdk.ActionDelete,
		Names:  []string{im.name},
		Blind:  true,
		Accept: func(p *sdk.Publication) (sdk.Reply, error) {
			return sdk.Reply{Status: 202, Header: im.header()}, do(p)
		},
	}
}

func has(ours *sdk.HostedPackage, path string) bool {
	for _, f := range ours.Files {
		if f.File.Path == path {
			return true
		}
	}
	return false
}
