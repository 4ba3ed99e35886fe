// Command maven serves Maven repositories, to Maven and Gradle alike: releases,
// snapshots, their metadata and checksums.
package main

import (
	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
)

func main() { sdk.Serve(open) }

// options is empty: all Maven repositories have one layout.
type options struct{}

func open(options) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "maven",
		Title:     "Maven",
		Upstreams: []sdk.Upstream{{URL: purl.DefaultRegistry("maven")}},
		Routes: []sdk.Route{
			{Match: "GET /{folder...}/maven-metadata.xml", Plan: planMetadata},
			{Match: "GET /{folder...}/maven-metadata.xml.{checksum}", Plan: planMetadata},
			{Match: "GET /{group...}/{artifact}/{version}/{file}", Plan: planFile},
		},
		About: about,
		// Metadata is written by whoever deploys, and says nothing of files.
		IncompleteListings: true,
		Setup: []sdk.Snippet{
			{
				Client: "Maven",
				File:   "~/.m2/settings.xml",
				Text: `<settings>
  <mirrors>
    <mirror>
      <id>entrepot</id>
      <mirrorOf>*</mirrorOf>
      <url>{url}</url>
    </mirror>
  </mirrors>
</settings>
`,
			},
			{
				Client: "Gradle",
				File:   "~/.gradle/init.gradle",
				Text: `def entrepot = { handler ->
  handler.clear()
  handler.maven { url '{url}' }
}
settingsEvaluated { settings -> entrepot(settings.pluginManagement.repositories) }
allprojects {
  buildscript { entrepot(repositories) }
  afterEvaluate { entrepot(repositories) }
}
`,
			},
		},
	}, nil
}

// about is the metadata that lists a version: a snapshot's, or its artifact's.
func about(v sdk.Version) sdk.Document {
	f := folderOf(v.Name)
	if base, ok := snapshotOf(v.Version); ok {
		return snapshotDocument(append(f, base))
	}
	return versionsDocument(f)
}
