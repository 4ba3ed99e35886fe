package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

// info is a version's .info (go.dev/ref/mod, "GOPROXY protocol").
type info struct {
	// Version is the canonical version.
	Version string
	// Time is that of its commit, which its author sets.
	Time time.Time
}

// readInfo reads a version's .info, or with an empty version what a branch or
// "latest" stands for.
func readInfo(doc *sdk.Doc, version string) (info, error) {
	var i info
	if err := json.Unmarshal(doc.Body, &i); err != nil {
		return info{}, err
	}
	switch {
	case i.Version == "":
		return info{}, errors.New("it names no version")
	case version != "" && i.Version != version:
		return info{}, fmt.Errorf("asked for %s, it tells about %s", version, i.Version)
	}
	return i, nil
}

// published is when a version was made, as far as its author says; of the two
// times of a pseudo-version the later.
func (i info) published() time.Time {
	if t, err := module.PseudoVersionTime(i.Version); err == nil && t.After(i.Time) {
		return t
	}
	return i.Time
}

// infoSource is where upstream tells of a version.
func infoSource(m module.Version) sdk.Source {
	return sdk.Source{URL: filePath(m, ".info"), Optional: true}
}

// planInfo serves what is known of a version, or of the commit that a branch
// stands at.
func (db database) planInfo(r sdk.Request) sdk.Plan {
	m, err := moduleVersion(r)
	if err != nil {
		return notFound(err)
	}
	if check(m) != nil {
		return query(m)
	}
	return db.version(m)
}

// version is the document about one version, which has the facts of its files.
// The module's list judges it, but that of a pseudo-version, which stands on no
// list, is judged by what is seen of itself.
func (db database) version(m module.Version) sdk.Document {
	return sdk.Document{
		Path:      filePath(m, ".info"),
		Name:      m.Path,
		From:      sdk.From(filePath(m, ".info")),
		Query:     !module.IsPseudoVersion(m.Version),
		Immutable: true,
		Render:    func(in *sdk.Input) error { return db.renderVersion(in, m) },
	}
}

// renderVersion passes a version's .info on. Both of its files are judged by
// it, and verified where the checksum database knows them. That is asked last:
// it need not hear of modules that do not exist, or that nobody gets yet.
func (db database) renderVersion(in *sdk.Input, m module.Version) error {
	doc := in.Docs()[0]
	if h := hostedVersion(in.Hosted(m.Path), m.Version); h != nil {
		return tellHosted(in, h)
	}
	if !doc.OK() {
		return noVersion(m)
	}
	i, err := readInfo(doc, m.Version)
	if err != nil {
		return err
	}
	v := sdk.Version{Name: m.Path, Version: m.Version, Published: i.published(), Claimed: true}
	mod, zip := sdk.File{Path: filePath(m, ".mod")}, sdk.File{Path: filePath(m, ".zip")}
	if db.knows(m.Path) && !in.Holds(v) {
		record, ok := db.doc(in, lookupPath(m))
		if !ok {
			return nil
		}
		s, err := parseLookup(m, record)
		if err != nil {
			return err
		}
		mod.Digests, zip.Digests = s.mod, s.zip
		// Listed versions are dated by the list. A record may be much younger than
		// its version: it is made when somebody asks first.
		if s.zip != nil && module.IsPseudoVersion(m.Version) {
			v.Log, v.Entry = db.name, s.record
		}
	}
	if !in.Keep(v, mod, zip) {
		return in.HeldVersion(m.Path, m.Version)
	}
	return write(in, doc.Body)
}

// noVersion is the answer where a version is neither published here nor
// upstream's.
func noVersion(m module.Version) sdk.Failure {
	return sdk.NotFound("not found: " + m.Path + "@" + m.Version + " is not published here")
}

// query is the document about what is no version, but leads to one: the name of
// a branch or of a commit, or v2.0.0 where that is v2.0.0+incompatible. Where
// it leads is judged by what was seen here.
func query(m module.Version) sdk.Document {
	return sdk.Document{
		Path:    filePath(m, ".info"),
		Name:    m.Path,
		From:    sdk.From(filePath(m, ".info")),
		History: true,
		Render: func(in *sdk.Input) error {
			if !in.Docs()[0].OK() {
				return noVersion(m) // there are no branches here
			}
			return follow(in, m.Path, in.Docs()[0])
		},
	}
}

// follow answers with the version that something leads to which moves. While
// that is held back, it is the newest of those that it led to before; without
// them a branch that is worked on every day could never be used.
func follow(in *sdk.Input, path string, doc *sdk.Doc) error {
	i, err := readInfo(doc, "")
	if err != nil {
		return err
	}
	if err := check(module.Version{Path: path, Version: i.Version}); err != nil {
		return err
	}
	if in.Keep(sdk.Version{Name: path, Version: i.Version, Published: i.published(), Claimed: true}, sdk.File{Extra: doc.Body}) {
		return write(in, doc.Body)
	}
	for _, k := range slices.Backward(in.Earlier()) {
		if len(k.File.Extra) > 0 && k.Version.Version != i.Version && in.Keep(k.Version, k.File) {
			return write(in, k.File.Extra)
		}
	}
	return in.HeldVersion(path, i.Version)
}

// write answers with an .info as upstream has it.
func write(in *sdk.Input, text []byte) error {
	_, err := in.Output("", "application/json").Write(text)
	return err
}

// planZip serves a version's files.
func planZip(r sdk.Request) sdk.Plan {
	m, err := fixedVersion(r)
	if err != nil {
		return notFound(err)
	}
	return fileOf(m, ".zip", "application/zip")
}

// fileOf is a file of a version.
func fileOf(m module.Version, extension, contentType string) sdk.Artifact {
	return sdk.Artifact{
		Version: sdk.Version{Name: m.Path, Version: m.Version},
		Path:    filePath(m, extension),
		From:    sdk.From(filePath(m, extension)),
		Facts:   []string{filePath(m, ".info")},
		Type:    contentType,
	}
}
