package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/entrepot-registry/entrepot/sdk"
)

// metadata is a maven-metadata.xml (Maven repository metadata model 1.1.0): of
// a group, whose plugins it lists, of an artifact, or of a snapshot.
type metadata struct {
	XMLName      xml.Name    `xml:"metadata"`
	ModelVersion string      `xml:"modelVersion,attr,omitempty"`
	GroupID      string      `xml:"groupId,omitempty"`
	ArtifactID   string      `xml:"artifactId,omitempty"`
	Version      string      `xml:"version,omitempty"`
	Versioning   *versioning `xml:"versioning"`
	Plugins      *plugins    `xml:"plugins"`
}

// versioning is what an artifact's or a snapshot's metadata says of versions.
type versioning struct {
	Latest           string            `xml:"latest,omitempty"`
	Release          string            `xml:"release,omitempty"`
	Snapshot         *snapshotNow      `xml:"snapshot"`
	Versions         *versionList      `xml:"versions"`
	LastUpdated      string            `xml:"lastUpdated,omitempty"`
	SnapshotVersions *snapshotVersions `xml:"snapshotVersions"`
}

// versionList are the versions of an artifact, oldest first.
type versionList struct {
	All []string `xml:"version"`
}

// snapshotVersions are the files of a snapshot.
type snapshotVersions struct {
	All []snapshotBuild `xml:"snapshotVersion"`
}

// snapshotNow names a snapshot's newest build.
type snapshotNow struct {
	Timestamp   string `xml:"timestamp,omitempty"`
	BuildNumber string `xml:"buildNumber,omitempty"`
	LocalCopy   string `xml:"localCopy,omitempty"`
}

// snapshotBuild is a file of a snapshot and the newest build that has it.
type snapshotBuild struct {
	Classifier string `xml:"classifier,omitempty"`
	Extension  string `xml:"extension"`
	Value      string `xml:"value"`
	Updated    string `xml:"updated,omitempty"`
}

// plugins are those of a group.
type plugins struct {
	All []plugin `xml:"plugin"`
}

// plugin says which plugin of a group a prefix on the command line means.
type plugin struct {
	Name       string `xml:"name,omitempty"`
	Prefix     string `xml:"prefix"`
	ArtifactID string `xml:"artifactId"`
}

func parseMetadata(body []byte) (metadata, error) {
	var m metadata
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = charset
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", metadataFile, err)
	}
	if m.Versioning == nil {
		m.Versioning = &versioning{}
	}
	if m.Versioning.Versions == nil {
		m.Versioning.Versions = &versionList{}
	}
	if m.Versioning.SnapshotVersions == nil {
		m.Versioning.SnapshotVersions = &snapshotVersions{}
	}
	m.XMLName.Space = ""
	return m, nil
}

// write answers with metadata that is not upstream's any more.
func (m *metadata) write(in *sdk.Input) error {
	if len(m.Versioning.Versions.All) == 0 {
		m.Versioning.Versions = nil
	}
	if len(m.Versioning.SnapshotVersions.All) == 0 {
		m.Versioning.SnapshotVersions = nil
	}
	if *m.Versioning == (versioning{}) {
		m.Versioning = nil
	}
	body, err := xml.MarshalIndent(m, "", "  ")
	if err != nil {
		return errors.Join(errors.New("writing "+metadataFile), err)
	}
	return writeChecked(in, append(append([]byte(xml.Header), body...), '\n'))
}

// planMetadata serves a metadata file, or a checksum of it. A signature would
// be one of other bytes.
func planMetadata(r sdk.Request) sdk.Plan {
	algorithm := r.Get("checksum")
	if of, known := cutChecksum("." + algorithm); algorithm != "" && (of != "" || known == "") {
		return sdk.NotFound("metadata is filtered here, so upstream's signature of it would be wrong")
	}
	f, ok := parseFolder(r.Raw("folder"))
	if !ok {
		return sdk.NotFound("no such file in a Maven repository")
	}
	var d sdk.Document
	if _, ok := snapshotOf(f[len(f)-1]); ok && len(f) > 2 {
		d = snapshotDocument(f)
	} else {
		d = versionsDocument(f)
	}
	d.Output, d.Beside = algorithm, algorithm != ""
	return d
}
