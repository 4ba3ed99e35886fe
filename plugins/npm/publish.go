package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// document is what clients send to publish a version, or to change a package.
type document struct {
	ID          string                     `json:"_id"`
	Name        string                     `json:"name"`
	Rev         string                     `json:"_rev"`
	Tags        map[string]string          `json:"dist-tags"`
	Versions    map[string]json.RawMessage `json:"versions"`
	Attachments map[string]struct {
		Data   string `json:"data"` // of tarballs it is put aside
		Length *int64 `json:"length"`
	} `json:"_attachments"`
	Maintainers []person `json:"maintainers"`
	Readme      string   `json:"readme"`
}

// person is somebody as documents name them.
type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// published is what is kept of a version that was published here, besides its
// tarball.
type published struct {
	Manifest json.RawMessage `json:"manifest"`
	Readme   string          `json:"readme,omitempty"`
	// Provenance is a Sigstore bundle; nil: none was published.
	Provenance json.RawMessage `json:"provenance,omitempty"`
}

// readDocument reads the document about a package.
func readDocument(p *sdk.Publication, name string) (*document, error) {
	body := p.Field("json")
	if err := checkJSON(body); err != nil {
		return nil, sdk.BadRequest("the document sent cannot be read: " + err.Error())
	}
	doc := &document{}
	if err := json.Unmarshal(body, doc); err != nil {
		return nil, sdk.BadRequest("the document sent cannot be read: " + err.Error())
	}
	for _, own := range []string{doc.ID, doc.Name} {
		if own != "" && own != name {
			return nil, sdk.BadRequest(fmt.Sprintf("the document sent is about %s, but its address about %s", own, name))
		}
	}
	return doc, nil
}

// acceptDocument publishes a version when there is a tarball; what comes
// without one deprecates.
func acceptDocument(p *sdk.Publication, name string) (sdk.Reply, error) {
	doc, err := readDocument(p, name)
	switch {
	case err != nil:
		return sdk.Reply{}, err
	case len(p.Files) == 0 && len(doc.Attachments) == 0:
		return deprecate(p, name, doc)
	}
	return publish(p, name, doc)
}

func publish(p *sdk.Publication, name string, doc *document) (sdk.Reply, error) {
	if len(p.Files) != 1 || len(doc.Versions) != 1 {
		return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("a publication has one version with one tarball, and this one %d with %d", len(doc.Versions), len(p.Files)))
	}
	file := p.Files[0]
	if file.Problem != nil {
		return sdk.Reply{}, file.Problem
	}
	entry := *file.Entry
	version := entry.Version.Version
	for called, a := range doc.Attachments {
		if a.Length != nil && strings.HasSuffix(called, ".tgz") && *a.Length != file.Size {
			return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("the tarball that arrived has %d bytes, but the document says %d", file.Size, *a.Length))
		}
	}
	for said, manifest := range doc.Versions {
		kept, err := keep(p, doc, manifest, file)
		if err != nil {
			return sdk.Reply{}, err
		}
		if said != version || entry.Version.Name != name {
			return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("the document sent is about %s %s, but the tarball is %s %s", name, said, entry.Version.Name, version))
		}
		if entry.Extra, err = json.Marshal(kept); err != nil {
			return sdk.Reply{}, err
		}
	}
	pkg := p.Package(name)
	if problem := newNameProblem(name); problem != "" && pkg.Revision == 0 {
		return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("%s cannot be the name of a new package: %s", name, problem))
	}
	tags, err := tagsOf(doc, version)
	if err != nil {
		return sdk.Reply{}, err
	}
	p.Store(file, entry, false)
	for _, tag := range tags {
		p.Tag(name, tag, version)
	}
	if pkg.Revision == 0 && p.User != "" {
		p.Own(name, p.User)
	}
	touch(p, pkg)
	return created(name + " " + version + " is published"), nil
}

// tagsOf are the tags that a publication sets.
func tagsOf(doc *document, version string) ([]string, error) {
	tags := slices.Sorted(maps.Keys(doc.Tags))
	for _, tag := range tags {
		if doc.Tags[tag] != version {
			return nil, sdk.BadRequest(fmt.Sprintf("the tag %s is to be on %s, but %s is published", tag, doc.Tags[tag], version))
		}
		if err := checkTag(tag); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// versionRange are the versions and ranges, of those that can stand in an
// address, that clients never look for among tags: the grammar of their library,
// whose x-ranges have pre-releases after three numbers only.
var versionRange = func() *regexp.Regexp {
	const (
		number  = `(?:0|[1-9][0-9]{0,15})`
		part    = `(?:` + number + `|[xX*])`
		pre     = `(?:` + number + `|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`
		labels  = pre + `(?:\.` + pre + `)*`
		builds  = `[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*`
		version = part + `(?:\.` + part + `(?:\.` + part + `(?:-` + labels + `)?)?)?(?:\+` + builds + `)?`
	)
	return regexp.MustCompile(`^[~^]?v*` + version + `$`)
}()

// checkTag refuses tags that clients would take for versions or addresses.
func checkTag(tag string) error {
	if versionRange.MatchString(tag) || !validPart(tag) {
		return sdk.BadRequest(fmt.Sprintf("%q cannot be a tag: clients take it for a version or an address", tag))
	}
	return nil
}

// keep checks a manifest against its tarball and makes what is kept of both.
// Where the tarball is and what digests it has is the host's to say, and
// deprecation is kept beside.
func keep(p *sdk.Publication, doc *document, manifest []byte, file sdk.UploadedFile) (*published, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(manifest, &parts); err != nil {
		return nil, sdk.BadRequest("the manifest sent is no object")
	}
	for part, want := range map[string]string{"name": file.Entry.Version.Name, "version": file.Entry.Version.Version} {
		if got, _ := text(parts[part]); got != want {
			return nil, sdk.BadRequest(fmt.Sprintf("the manifest sent has the %s %q, but package.json in the tarball %q", part, got, want))
		}
	}
	if err := checkDigests(parts["dist"], file.Digests); err != nil {
		return nil, err
	}
	kept := &published{Readme: doc.Readme}
	if kept.Readme == "" {
		kept.Readme, _ = text(parts["readme"])
	}
	var err error
	if kept.Provenance, err = provenanceOf(doc, file); err != nil {
		return nil, err
	}
	for _, ours := range notTheirs {
		delete(parts, ours)
	}
	if p.User != "" {
		parts["_npmUser"], _ = json.Marshal(person{Name: p.User}) // strings always can be
	}
	packed, err := packedManifest(file.Entry)
	if err != nil {
		return nil, err
	}
	agree(parts, packed)
	for _, trait := range []string{"hasInstallScript", "_hasShrinkwrap"} {
		if value, ok := packed[trait]; ok {
			parts[trait] = value
		}
	}
	kept.Manifest, err = json.Marshal(parts)
	return kept, err
}

// packedManifest is what inspect made of package.json in the tarball.
func packedManifest(e *sdk.Entry) (parts map[string]json.RawMessage, err error) {
	var inspected published
	if err = json.Unmarshal(e.Extra, &inspected); err == nil {
		err = json.Unmarshal(inspected.Manifest, &parts)
	}
	return parts, err
}

// checkDigests holds what the client counted against what arrived.
func checkDigests(dist []byte, have []sdk.Digest) error {
	var said struct{ Integrity, Shasum string }
	if len(dist) > 0 && json.Unmarshal(dist, &said) != nil {
		return sdk.BadRequest("the manifest sent has a dist that cannot be read")
	}
	for _, want := range digests(said.Integrity, said.Shasum) {
		for _, got := range have {
			if got.Algorithm == want.Algorithm && !bytes.Equal(got.Sum, want.Sum) {
				return sdk.BadRequest("the tarball that arrived does not have the " + want.Algorithm + " that the manifest says")
			}
		}
	}
	return nil
}

// provenanceOf is the Sigstore bundle that came along, which must be about this
// version and its tarball alone, as clients demand; nil: none did.
func provenanceOf(doc *document, file sdk.UploadedFile) (json.RawMessage, error) {
	for name, attachment := range doc.Attachments {
		if !strings.HasSuffix(name, ".sigstore") {
			continue
		}
		bundle := json.RawMessage(attachment.Data)
		said := statementOf(bundle)
		if said == nil {
			return nil, sdk.BadRequest("the provenance sent is no Sigstore bundle with an in-toto statement")
		}
		if len(said.Subject) != 1 {
			return nil, sdk.BadRequest(fmt.Sprintf("the provenance sent is about %d packages, and not about one", len(said.Subject)))
		}
		subject := said.Subject[0]
		if want := packageURL(file.Entry.Version); subject.Name != want {
			return nil, sdk.BadRequest(fmt.Sprintf("the provenance sent is about %q, but %s is published", subject.Name, want))
		}
		for _, d := range file.Digests {
			if d.Algorithm == "sha512" && hex.EncodeToString(d.Sum) == strings.ToLower(subject.Digest["sha512"]) {
				return bundle, nil
			}
		}
		return nil, sdk.BadRequest("the provenance sent is about another tarball: its sha512 is none or another")
	}
	return nil, nil
}

// packageURL is what provenance calls a version.
func packageURL(v sdk.Version) string {
	name := v.Name
	if scope, ok := strings.CutPrefix(name, "@"); ok {
		name = "%40" + scope
	}
	return "pkg:npm/" + name + "@" + v.Version
}

// statement is an in-toto statement (v1), which says how something was made.
type statement struct {
	PredicateType string `json:"predicateType"`
	Subject       []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// statementOf is the statement that a Sigstore bundle signs; nil: there is none.
func statementOf(bundle []byte) *statement {
	var signed struct {
		Envelope struct {
			Payload string `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	said := &statement{}
	if json.Unmarshal(bundle, &signed) != nil {
		return nil
	}
	payload, err := base64.StdEncoding.DecodeString(signed.Envelope.Payload)
	if err != nil || json.Unmarshal(payload, said) != nil || said.PredicateType == "" {
		return nil
	}
	return said
}

// created is the answer to what was done.
func created(message string) sdk.Reply {
	reply := sdk.JSON(map[string]any{"ok": message, "success": true})
	reply.Status = 201
	return reply
}
