package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// snapshotDocument is the metadata of a snapshot, by the folder of its version.
// Upstream's names the newest build only, so those before it are remembered.
func snapshotDocument(f folder) sdk.Document {
	path := f.path(metadataFile)
	return sdk.Document{
		Path:    path,
		Name:    f[:len(f)-1].name(),
		From:    sdk.From(path),
		History: true,
		Render:  func(in *sdk.Input) error { return renderSnapshot(in, f) },
	}
}

// renderSnapshot passes a snapshot's metadata on as it is, or with older builds
// in the place of those that policy holds.
func renderSnapshot(in *sdk.Input, f folder) error {
	last := len(f) - 1
	if own := hostedBuilds(in.Hosted(f[:last].name()), f[:last], f[last]); len(own) > 0 {
		return hostedSnapshot(f[:last], f[last], own).write(in)
	}
	if !in.Docs()[0].OK() {
		return sdk.NotFound("no build of it is listed here")
	}
	body := in.Docs()[0].Body
	m, err := parseMetadata(body)
	if err != nil {
		return err
	}
	s := snapshotFiles{folder: f[:last], base: f[last]}
	listed := m.builds(s.base)
	if len(listed) == 0 {
		return writeChecked(in, body)
	}
	var shown []snapshotBuild
	for _, b := range listed {
		if kept, ok := s.choose(in, b); ok {
			shown = append(shown, kept)
		}
	}
	switch {
	case slices.Equal(shown, listed):
		return writeChecked(in, body)
	case len(shown) == 0:
		return in.Held()
	}
	m.show(shown)
	return m.write(in)
}

// builds are a snapshot's files with the builds that they are of. Metadata of
// old names one build for whatever files there are: the POM stands for them.
func (m *metadata) builds(base string) []snapshotBuild {
	v := m.Versioning
	if len(v.SnapshotVersions.All) > 0 || v.Snapshot == nil || v.Snapshot.Timestamp == "" {
		return v.SnapshotVersions.All
	}
	return []snapshotBuild{{
		Extension: "pom",
		Value:     strings.TrimSuffix(base, snapshot) + "-" + v.Snapshot.Timestamp + "-" + v.Snapshot.BuildNumber,
		Updated:   v.LastUpdated,
	}}
}

// show replaces the builds that the metadata names.
func (m *metadata) show(shown []snapshotBuild) {
	v := m.Versioning
	newest := slices.MaxFunc(shown, func(a, b snapshotBuild) int { return builtAt(a.Value).Compare(builtAt(b.Value)) })
	if b := buildAtEnd.FindStringSubmatch(newest.Value); b != nil && v.Snapshot != nil {
		v.Snapshot.Timestamp, v.Snapshot.BuildNumber = b[2], b[3]
	}
	v.LastUpdated = newest.Updated
	if len(v.SnapshotVersions.All) > 0 {
		v.SnapshotVersions.All = shown
	}
}

// snapshotFiles is a snapshot: the folder of its artifact, and its version.
type snapshotFiles struct {
	folder folder
	base   string
}

// file is the file that a build has.
func (s snapshotFiles) file(b snapshotBuild) file {
	rest := "." + b.Extension
	if b.Classifier != "" {
		rest = "-" + b.Classifier + rest
	}
	return file{folder: s.folder, base: s.base, version: b.Value, rest: rest}
}

// choose returns a file's newest build that policy keeps: the one that upstream
// lists, or the last one listed before. False: there is none.
func (s snapshotFiles) choose(in *sdk.Input, listed snapshotBuild) (snapshotBuild, bool) {
	if s.keep(in, listed) {
		return listed, true
	}
	earlier := in.Earlier()
	for _, known := range slices.Backward(earlier) {
		var b snapshotBuild
		if json.Unmarshal(known.File.Extra, &b) != nil || b.Value == listed.Value || b.Classifier != listed.Classifier || b.Extension != listed.Extension {
			continue
		}
		if !in.Holds(s.version(b)) && s.keep(in, b) {
			return b, true
		}
	}
	return snapshotBuild{}, false
}

// keep tells of a build's file, and reports whether policy lets it be shown.
func (s snapshotFiles) keep(in *sdk.Input, b snapshotBuild) bool {
	extra, err := json.Marshal(b)
	if err != nil {
		return false
	}
	return in.Keep(s.version(b), sdk.File{Path: s.file(b).path(), Extra: extra})
}

// version is a build. It was not published before it was made.
func (s snapshotFiles) version(b snapshotBuild) sdk.Version {
	published := stamp(b.Updated)
	if at := builtAt(b.Value); at.After(published) {
		published = at
	}
	return sdk.Version{Name: s.folder.name(), Version: b.Value, Published: published}
}

// literalDocument leads to what a snapshot's file is now, or is its checksum.
func literalDocument(f file, algorithm string) sdk.Document {
	path := f.path()
	if algorithm != "" {
		path += "." + algorithm
	}
	return sdk.Document{
		Path:    path,
		Name:    f.folder.name(),
		From:    []sdk.Source{{URL: f.folder.in(f.base).path(metadataFile), Optional: true}},
		History: true,
		Render:  func(in *sdk.Input) error { return renderLiteral(in, f, algorithm) },
	}
}

func renderLiteral(in *sdk.Input, f file, algorithm string) error {
	if h := hostedLiteral(in.Hosted(f.folder.name()), f); h != nil {
		return answerHosted(in, h, algorithm)
	}
	if hosts(in.Hosted(f.folder.name()), func(version string) bool { of, _ := snapshotOf(version); return of == f.base }) {
		return besideOurs
	}
	doc := in.Docs()[0]
	ok, err := has(doc)
	if err != nil {
		return err
	}
	if ok {
		m, err := parseMetadata(doc.Body)
		if err != nil {
			return err
		}
		if b, ok := m.build(f); ok {
			return answerBuild(in, f, b, algorithm)
		}
	}
	return answerLiteral(in, f, algorithm)
}

// build returns the newest build of a snapshot's file. False: there are none,
// only the file itself.
func (m *metadata) build(f file) (snapshotBuild, bool) {
	s := snapshotFiles{f.folder, f.base}
	for _, b := range m.builds(f.base) {
		if len(m.Versioning.SnapshotVersions.All) == 0 {
			b.Classifier, b.Extension, _ = strings.Cut(strings.TrimPrefix(f.rest, "-"), ".")
		}
		if s.file(b).rest == f.rest && b.Value != f.base {
			return b, true
		}
	}
	return snapshotBuild{}, false
}

// answerBuild answers with a file of the newest build that policy keeps.
func answerBuild(in *sdk.Input, f file, listed snapshotBuild, algorithm string) error {
	b, ok := snapshotFiles{f.folder, f.base}.choose(in, listed)
	if !ok {
		return in.Held()
	}
	if algorithm == "" {
		return in.Answer(artifact(f.built(b.Value)))
	}
	return answerChecksum(in, f.built(b.Value), algorithm)
}

func answerChecksum(in *sdk.Input, f file, algorithm string) error {
	doc, ok := in.Doc(sdk.Source{URL: f.path() + "." + algorithm, Optional: true})
	if !ok {
		return nil
	}
	digests, err := checksums(doc, algorithm)
	if err != nil {
		return err
	}
	return passOn(in, doc, digests)
}

// answerLiteral answers with a file that upstream replaces from time to time.
// What it is now is told by its validators and its checksum.
func answerLiteral(in *sdk.Input, f file, algorithm string) error {
	headDoc, headOK := in.Doc(headOf(f.path()))
	sumDoc, sumOK := in.Doc(sdk.Source{URL: f.path() + ".sha1", Optional: true})
	if !headOK || !sumOK {
		return nil
	}
	h, err := readHead(headDoc)
	if err != nil {
		return err
	}
	if !headDoc.OK() {
		return sdk.NotFound("upstream has neither builds of the snapshot nor the file itself")
	}
	digests, err := checksums(sumDoc, "sha1")
	if err != nil {
		return err
	}
	v := sdk.Version{Name: f.folder.name(), Version: f.version, Published: h.published}
	now := sdk.File{Path: f.path() + "~" + fingerprint(headDoc, sumDoc), URL: f.path(), Digests: digests, Size: h.size}
	shown, ok := newest(in, v, now)
	switch {
	case !ok:
		return in.Held()
	case algorithm == "":
		return in.Answer(sdk.Artifact{Version: v, Path: shown.Path, From: sdk.From(f.path()), Facts: []string{f.path()}})
	case shown.Path != now.Path:
		return sdk.NotFound("upstream's checksum is of a newer file, which is held back")
	}
	return answerChecksum(in, f, algorithm)
}

// newest returns the file, or where policy holds that the last one before it
// that can be told from it by its digest.
func newest(in *sdk.Input, v sdk.Version, f sdk.File) (sdk.File, bool) {
	if in.Keep(v, f) {
		return f, true
	}
	for _, known := range slices.Backward(in.Earlier()) {
		if known.File.Path == f.Path || len(known.File.Digests) == 0 || in.Holds(known.Version) {
			continue
		}
		if in.Keep(known.Version, known.File) {
			return known.File, true
		}
	}
	return sdk.File{}, false
}

// fingerprint tells contents of one address apart.
func fingerprint(head, sum *sdk.Doc) string {
	h := sha256.New()
	parts := []string{head.Header["etag"], head.Header["last-modified"], head.Header["content-length"]}
	if sum.OK() {
		parts = append(parts, string(sum.Body))
	}
	for _, part := range parts {
		h.Write([]byte(part + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
