package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planUpload takes a file by the upload API.
func planUpload(sdk.Request) sdk.Plan {
	return sdk.Upload{Body: "form", Digests: verified, Accept: acceptFile}
}

// record is what is kept of a file besides the file: what pages say of it.
type record struct {
	// File is its name.
	File string `json:"file"`
	// Info is what the JSON API says of its version.
	Info info `json:"info"`
	// Metadata is the core metadata of a wheel, unless it is kept as a file of
	// its own, as that of an uploaded one is.
	Metadata []byte `json:"metadata,omitempty"`
}

func acceptFile(p *sdk.Publication) (sdk.Reply, error) {
	content, err := uploaded(p)
	if err != nil {
		return sdk.Reply{}, err
	}
	e := *content.Entry
	known := p.Package(e.Version.Name)
	if there, ok := published(known, e.Version.Version); ok {
		e.Version.Version = there
	}
	if isThere(known, e.Path, content) {
		return sdk.Reply{}, nil // as the public index answers who sends a file again
	}
	if err := fits(known, e, content.Filename); err != nil {
		return sdk.Reply{}, err
	}
	var r record
	if err := json.Unmarshal(e.Extra, &r); err != nil {
		return sdk.Reply{}, err
	}
	metadata := r.Metadata
	r.Metadata, r.Info.Version = nil, e.Version.Version
	if e.Extra, err = json.Marshal(r); err != nil {
		return sdk.Reply{}, err
	}
	p.Store(content, e, false)
	if metadata != nil {
		p.StoreBytes(metadata, sdk.Entry{Version: e.Version, Path: e.Path + ".metadata"}, false)
	}
	for _, f := range p.Files {
		if f.Name == "gpg_signature" {
			p.Store(f, sdk.Entry{Version: e.Version, Path: e.Path + ".asc"}, false)
		}
	}
	if attestations := p.Field("attestations"); attestations != nil {
		body, err := provenanceOf(attestations, p.User, content)
		if err != nil {
			return sdk.Reply{}, err
		}
		p.StoreBytes(body, sdk.Entry{Version: e.Version, Path: provenancePath(e.Version, content.Filename)}, false)
	}
	return sdk.Reply{}, nil
}

// isThere reports whether the very file was published.
func isThere(known *sdk.HostedPackage, path string, content sdk.UploadedFile) bool {
	return slices.ContainsFunc(known.Files, func(f sdk.Hosted) bool {
		sum := digestOf(f.File.Digests, "sha256")
		return f.File.Path == path && sum != nil && bytes.Equal(sum, digestOf(content.Digests, "sha256"))
	})
}

// digestOf is the digest of an algorithm; nil: there is none.
func digestOf(all []sdk.Digest, algorithm string) []byte {
	for _, d := range all {
		if d.Algorithm == algorithm {
			return d.Sum
		}
	}
	return nil
}

// published is a version as it was published first; false: it was not.
func published(known *sdk.HostedPackage, version string) (string, bool) {
	for _, f := range known.Files {
		if same(f.Version.Version) == same(version) {
			return f.Version.Version, true
		}
	}
	return "", false
}

// blake2 is BLAKE2b (RFC 7693) with digests of 32 bytes.
const blake2 = "blake2b-256"

// verified are the algorithms of the digests that uploads are verified by.
var verified = []string{"sha512", "sha1", "md5", blake2}

// uploaded is the file of a form, which must be what the form says it is.
func uploaded(p *sdk.Publication) (sdk.UploadedFile, error) {
	var none sdk.UploadedFile
	if action := string(p.Field(":action")); action != "file_upload" {
		return none, fmt.Errorf("the action %q is not known here: upload files", action)
	}
	i := slices.IndexFunc(p.Files, func(f sdk.UploadedFile) bool { return f.Name == "content" })
	if i < 0 {
		return none, errors.New("the form has no file called content")
	}
	f := p.Files[i]
	if f.Entry == nil {
		return none, fmt.Errorf("%s: %w", f.Filename, f.Problem)
	}
	told := false
	for field, algorithm := range map[string]string{"sha256_digest": "sha256", "blake2_256_digest": blake2, "md5_digest": "md5"} {
		want := string(p.Field(field))
		told = told || want != ""
		if want != "" && !slices.ContainsFunc(f.Digests, func(d sdk.Digest) bool {
			return d.Algorithm == algorithm && bytes.Equal(d.Sum, sdk.HexDigest(algorithm, want).Sum)
		}) {
			return none, fmt.Errorf("%s is not the file of which the form has the %s: it changed on its way", f.Filename, field)
		}
	}
	if !told {
		return none, errors.New("the form has no digest of the file: send at least one, as sha256_digest")
	}
	v := f.Entry.Version
	if name := string(p.Field("name")); name != "" && normalize(name) != v.Name {
		return none, fmt.Errorf("the form is about %s, but %s is of %s", name, f.Filename, v.Name)
	}
	if version := string(p.Field("version")); version != "" && same((versions{}).normal(version)) != same(v.Version) {
		return none, fmt.Errorf("the form is about version %s, but %s is of %s", version, f.Filename, v.Version)
	}
	return f, nil
}

// fits says why a file cannot stand beside what is published: there is one whose
// name differs only in its spelling, or another source distribution.
func fits(known *sdk.HostedPackage, e sdk.Entry, file string) error {
	files, err := hostedFiles(known)
	if err != nil {
		return err
	}
	for _, other := range files {
		if other.path == e.Path || other.version != e.Version.Version {
			continue
		}
		if isSource(other.name) && isSource(file) || spelled(other.name) == spelled(file) {
			return sdk.Failure{Kind: sdk.KindConflict, Message: fmt.Sprintf("%s %s already exists as %s", e.Version.Name, e.Version.Version, other.name)}
		}
	}
	return nil
}

// spelled is the name of a file in the spelling that stands for all which clients
// take for one: of a wheel, with its name and version in theirs (binary
// distribution format, file name convention).
func spelled(file string) string {
	parts := strings.SplitN(file, "-", 3)
	if isSource(file) || len(parts) < 3 {
		return normalize(file)
	}
	v, err := parseVersion(parts[1])
	if err != nil {
		return normalize(file)
	}
	return normalize(parts[0]) + "-" + same(v.String()) + "-" + normalize(parts[2])
}

func isSource(file string) bool { return !strings.HasSuffix(file, ".whl") }

// provenancePath is where the provenance of a file stands.
func provenancePath(v sdk.Version, file string) string {
	return "/integrity/" + v.Name + "/" + url.PathEscape(v.Version) + "/" + url.PathEscape(file) + "/provenance"
}

// statement is what an attestation attests to (in-toto Attestation Framework,
// statement layer v1).
type statement struct {
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// provenanceOf makes the provenance object of a file (PEP 740) of the
// attestations that came with it. They must be about the file; whose signature
// they carry is for those to check who install it.
func provenanceOf(attestations []byte, user string, f sdk.UploadedFile) ([]byte, error) {
	var all []struct {
		Envelope struct {
			Statement []byte `json:"statement"`
		} `json:"envelope"`
	}
	if err := json.Unmarshal(attestations, &all); err != nil || len(all) == 0 {
		return nil, errors.New("the attestations are not those of PEP 740")
	}
	for _, a := range all {
		var s statement
		if err := json.Unmarshal(a.Envelope.Statement, &s); err != nil || len(s.Subject) != 1 {
			return nil, errors.New("an attestation has no statement about one file")
		}
		sum := sdk.HexDigest("sha256", s.Subject[0].Digest["sha256"]).Sum
		if s.Subject[0].Name != f.Filename || !slices.ContainsFunc(f.Digests, func(d sdk.Digest) bool { return d.Algorithm == "sha256" && bytes.Equal(d.Sum, sum) }) {
			return nil, fmt.Errorf("an attestation is about another file than %s", f.Filename)
		}
	}
	return json.Marshal(map[string]any{
		"version": 1,
		"attestation_bundles": []any{map[string]any{
			"publisher":    map[string]any{"kind": "token", "user": user},
			"attestations": json.RawMessage(attestations),
		}},
	})
}

// planYank yanks a version (PEP 592), for the reason in the query.
func planYank(r sdk.Request) sdk.Plan {
	reason := r.Param("reason")
	return planMark(r, func(p *sdk.Publication, project, version string) { p.Yank(project, version, reason) })
}

// planUnyank takes a yank back.
func planUnyank(r sdk.Request) sdk.Plan { return planMark(r, (*sdk.Publication).Unyank) }

// planDelete deletes a version. Its files' names are used up.
func planDelete(r sdk.Request) sdk.Plan {
	return planMark(r, func(p *sdk.Publication, project, version string) { p.Delete(project, version, true) })
}

func planMark(r sdk.Request, mark func(p *sdk.Publication, project, version string)) sdk.Plan {
	v, err := parseVersion(r.Get("version"))
	if !validName(r.Get("project")) || err != nil {
		return sdk.NotFound("no such version")
	}
	project, version := normalize(r.Get("project")), v.String()
	return sdk.Upload{
		Action: sdk.ActionDelete, Names: []string{project},
		Accept: func(p *sdk.Publication) (sdk.Reply, error) {
			there, ok := published(p.Package(project), version)
			if !ok {
				return sdk.Reply{}, sdk.NotFound(fmt.Sprintf("%s %s was not published here", project, version))
			}
			mark(p, project, there)
			return sdk.Reply{}, nil
		},
	}
}

// info is what the JSON API says of a version. The description is left out: it
// stands in the file.
type info struct {
	Author                 string            `json:"author"`
	AuthorEmail            string            `json:"author_email"`
	Classifiers            []string          `json:"classifiers"`
	Description            string            `json:"description"`
	DescriptionContentType string            `json:"description_content_type"`
	HomePage               string            `json:"home_page"`
	Keywords               string            `json:"keywords"`
	License                string            `json:"license"`
	LicenseExpression      *string           `json:"license_expression"`
	Maintainer             string            `json:"maintainer"`
	MaintainerEmail        string            `json:"maintainer_email"`
	Name                   string            `json:"name"`
	ProjectURLs            map[string]string `json:"project_urls"`
	ProvidesExtra          []string          `json:"provides_extra"`
	RequiresDist           []string          `json:"requires_dist"`
	RequiresPython         string            `json:"requires_python"`
	Summary                string            `json:"summary"`
	Version                string            `json:"version"`
	Yanked                 bool              `json:"yanked"`
	YankedReason           *string           `json:"yanked_reason"`
}

func newInfo(fields textproto.MIMEHeader, version string) info {
	i := info{
		Author:                 fields.Get("Author"),
		AuthorEmail:            fields.Get("Author-Email"),
		Classifiers:            fields.Values("Classifier"),
		DescriptionContentType: fields.Get("Description-Content-Type"),
		HomePage:               fields.Get("Home-Page"),
		Keywords:               fields.Get("Keywords"),
		License:                fields.Get("License"),
		Maintainer:             fields.Get("Maintainer"),
		MaintainerEmail:        fields.Get("Maintainer-Email"),
		Name:                   fields.Get("Name"),
		ProvidesExtra:          fields.Values("Provides-Extra"),
		RequiresDist:           fields.Values("Requires-Dist"),
		RequiresPython:         fields.Get("Requires-Python"),
		Summary:                fields.Get("Summary"),
		Version:                version,
	}
	if e := fields.Get("License-Expression"); e != "" {
		i.LicenseExpression = &e
	}
	for _, u := range fields.Values("Project-Url") {
		if label, address, ok := strings.Cut(u, ","); ok {
			if i.ProjectURLs == nil {
				i.ProjectURLs = map[string]string{}
			}
			i.ProjectURLs[strings.TrimSpace(label)] = strings.TrimSpace(address)
		}
	}
	return i
}
