package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestReadManifest(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0f", 32)
	for _, test := range []struct {
		about, body, sent string
		is                string // its media type; empty: it is refused
		says              string // of a refusal
		names             int    // of descriptors
	}{
		{about: "as it says", body: `{"schemaVersion":2,"mediaType":"` + mediaManifest + `"}`, sent: mediaManifest, is: mediaManifest},
		{about: "as it was sent", body: `{"schemaVersion":2}`, sent: mediaManifest, is: mediaManifest},
		{about: "with a parameter", body: `{"schemaVersion":2}`, sent: mediaIndex + "; charset=utf-8", is: mediaIndex},
		{about: "nothing said", body: `{"schemaVersion":2,"mediaType":"` + mediaIndex + `"}`, is: mediaIndex},
		{about: "of a kind that is not known", body: `{}`, sent: "application/vnd.example+json", is: "application/vnd.example+json"},
		{about: "all kinds of descriptors", sent: "application/vnd.example+json", is: "application/vnd.example+json", names: 5,
			body: fmt.Sprintf(`{"config":{"digest":%[1]q},"layers":[{"digest":%[1]q}],"blobs":[{"digest":%[1]q}],"manifests":[{"digest":%[1]q}],"subject":{"digest":%[1]q}}`, digest)},
		{about: "two types", body: `{"schemaVersion":2,"mediaType":"` + mediaIndex + `"}`, sent: mediaManifest, says: "but was sent as"},
		{about: "no type", body: `{}`, says: "no media type"},
		{about: "an odd type", body: `{}`, sent: "a b", says: "content type cannot be read"},
		{about: "no JSON", body: `{`, sent: mediaManifest, says: "no JSON"},
		{about: "no object", body: `[]`, sent: mediaManifest, says: "no JSON"},
		{about: "nothing at all", body: `null`, sent: mediaManifest, says: "no JSON object"},
		{about: "no version", body: `{}`, sent: mediaManifest, says: "schemaVersion"},
		{about: "an image and an index", body: `{"schemaVersion":2,"layers":[],"manifests":[]}`, sent: mediaManifest, says: "would not agree"},
		{about: "an index and an image", body: `{"schemaVersion":2,"layers":[],"manifests":[]}`, sent: mediaIndex, says: "would not agree"},
		{about: "schema 1", body: `{"schemaVersion":1}`, sent: "application/json", says: "schema version 1"},
		{about: "a layer without a digest", body: `{"schemaVersion":2,"layers":[{}]}`, sent: mediaManifest, says: "is no digest"},
		{about: "an odd subject", body: `{"schemaVersion":2,"subject":{"digest":"sha256:../x"}}`, sent: mediaManifest, says: "is no digest"},
	} {
		t.Run(test.about, func(t *testing.T) {
			t.Parallel()
			m, failure := readManifest([]byte(test.body), test.sent)
			if test.is == "" {
				if failure == nil || failure.Code != "MANIFEST_INVALID" || !strings.Contains(failure.Message, test.says) {
					t.Errorf("%+v, %v", m, failure)
				}
				return
			}
			if failure != nil || m.MediaType != test.is || len(m.all()) != test.names {
				t.Errorf("%+v, %v", m, failure)
			}
		})
	}
}

func TestNoteOfAReferrer(t *testing.T) {
	t.Parallel()
	config, subject := &descriptor{MediaType: "application/vnd.example.config"}, &descriptor{Digest: "sha256:00"}
	for about, test := range map[string]struct {
		m    manifest
		want note
	}{
		"no referrer":                {manifest{MediaType: mediaManifest, ArtifactType: "a/b"}, note{Type: mediaManifest}},
		"by its own kind":            {manifest{ArtifactType: "a/b", Config: config, Subject: subject}, note{Subject: "sha256:00", ArtifactType: "a/b"}},
		"by its configuration's":     {manifest{Config: config, Subject: subject}, note{Subject: "sha256:00", ArtifactType: config.MediaType}},
		"an index that says no kind": {manifest{MediaType: mediaIndex, Subject: subject}, note{Subject: "sha256:00", Type: mediaIndex}},
	} {
		if got := test.m.note(); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %+v, want %+v", about, got, test.want)
		}
	}
}

func TestCompleteManifests(t *testing.T) {
	t.Parallel()
	im := image{name: "acme/tide"}
	ours := &sdk.HostedPackage{Files: []sdk.Hosted{{File: sdk.File{Path: im.blobPath("b")}}, {File: sdk.File{Path: im.manifestPath("m")}}}}
	for about, test := range map[string]struct {
		m      manifest
		sparse bool
		good   bool
	}{
		"all there":                  {m: manifest{Config: &descriptor{Digest: "b"}, Manifests: []descriptor{{Digest: "m"}}}, good: true},
		"a layer is missing":         {m: manifest{Layers: []descriptor{{Digest: "x"}}}},
		"a configuration is missing": {m: manifest{Config: &descriptor{Digest: "m"}}},
		"a manifest is missing":      {m: manifest{Manifests: []descriptor{{Digest: "x"}}}},
		"a subject may be missing":   {m: manifest{Subject: &descriptor{Digest: "x"}}, good: true},
		"a layer is elsewhere":       {m: manifest{Layers: []descriptor{{Digest: "x", URLs: []string{"https://example.com/x"}}}}, good: true},
		"sparse":                     {m: manifest{Layers: []descriptor{{Digest: "x"}}, Manifests: []descriptor{{Digest: "x"}}}, sparse: true, good: true},
	} {
		failure := registry{options: options{Sparse: test.sparse}}.complete(im, &test.m, ours)
		if (failure == nil) != test.good || !test.good && failure.Code != "MANIFEST_BLOB_UNKNOWN" {
			t.Errorf("%s: %v", about, failure)
		}
	}
}
