package main

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// descriptor points at content (image specification, "Content Descriptors").
type descriptor struct {
	MediaType    string            `json:"mediaType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	URLs         []string          `json:"urls,omitempty"`
}

// manifest is what is read of an image manifest or an image index (image
// specification), or of Docker's schema 2.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Blobs         []descriptor      `json:"blobs"` // of the artifact manifest that was withdrawn
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

func invalidManifest(message string) *sdk.Failure {
	return &sdk.Failure{Kind: sdk.KindBadRequest, Code: "MANIFEST_INVALID", Message: message}
}

// readManifest reads a manifest of which the client says a type, which may be
// empty.
func readManifest(body []byte, contentType string) (*manifest, *sdk.Failure) {
	var m *manifest // null is none
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, invalidManifest("the manifest is no JSON: " + err.Error())
	}
	if m == nil {
		return nil, invalidManifest("the manifest is no JSON object")
	}
	said := ""
	if contentType != "" {
		var err error
		if said, _, err = mime.ParseMediaType(contentType); err != nil {
			return nil, invalidManifest("the content type cannot be read: " + err.Error())
		}
	}
	switch {
	case m.MediaType == "":
		m.MediaType = said
	case said != "" && said != m.MediaType:
		return nil, invalidManifest("the manifest says that it is " + m.MediaType + ", but was sent as " + said)
	}
	switch {
	case m.MediaType == "":
		return nil, invalidManifest("the manifest has no media type: send it as Content-Type")
	case !strings.HasPrefix(m.MediaType, "application/"):
		return nil, invalidManifest(m.MediaType + " is no type of a manifest")
	}
	if m.SchemaVersion == 1 || strings.HasPrefix(m.MediaType, "application/vnd.docker.distribution.manifest.v1+") {
		return nil, invalidManifest("manifests of schema version 1 are not taken: push the image with a client of this decade")
	}
	if failure := m.odd(); failure != nil {
		return nil, failure
	}
	for _, d := range m.all() {
		if _, failure := parseDigest(d.Digest); failure != nil {
			return nil, invalidManifest("the manifest names " + failure.Message)
		}
	}
	return m, nil
}

// odd says what is wrong with a manifest of a kind that is known; nil: nothing.
func (m *manifest) odd() *sdk.Failure {
	list := m.MediaType == mediaIndex || m.MediaType == mediaList
	if !list && m.MediaType != mediaManifest && m.MediaType != mediaDocker {
		return nil
	}
	switch {
	case m.SchemaVersion != 2:
		return invalidManifest("the manifest does not say \"schemaVersion\": 2")
	case list && (m.Config != nil || m.Layers != nil), !list && m.Manifests != nil:
		return invalidManifest("the manifest has parts of an image and of an index: clients would not agree on what it is")
	}
	return nil
}

// blobs are those that the manifest needs.
func (m *manifest) blobs() []descriptor {
	var all []descriptor
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	all = append(all, m.Layers...)
	return append(all, m.Blobs...)
}

func (m *manifest) all() []descriptor {
	all := append(m.blobs(), m.Manifests...)
	if m.Subject != nil {
		all = append(all, *m.Subject)
	}
	return all
}

// artifactType is that of the descriptor in a list of referrers (distribution
// specification, "Listing Referrers").
func (m *manifest) artifactType() string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}

// note is what is kept of a manifest for lists of referrers.
type note struct {
	Subject string `json:"subject,omitempty"`
	// Type, ArtifactType and Annotations are those of its descriptor.
	Type         string            `json:"type"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func (m *manifest) note() note {
	n := note{Type: m.MediaType}
	if m.Subject != nil {
		n.Subject, n.ArtifactType, n.Annotations = m.Subject.Digest, m.artifactType(), m.Annotations
	}
	return n
}
