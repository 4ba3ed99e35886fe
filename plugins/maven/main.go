// Command maven serves Maven repositories, to Maven and Gradle alike: releases,
// snapshots, their metadata and checksums; and Gradle's build cache.
package main

import (
	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

func main() { sdk.Serve(open) }

type options struct {
	BuildCache string `hcl:"build_cache" default:"" help:"Gradle's build cache is served at /cache/ if this is set, to the size of its largest entry, as \"100MiB\". Entries are packages called build-cache/KEY, so that hosted { names } needs \"build-cache/*\"."`
}

func open(o options) (sdk.Ecosystem, error) {
	cache, err := newBuildCache(o.BuildCache)
	if err != nil {
		return sdk.Ecosystem{}, err
	}
	return sdk.Ecosystem{
		Name:      "maven",
		Title:     "Maven",
		Upstreams: []sdk.Upstream{{URL: purl.DefaultRegistry("maven")}},
		// A folder does not tell where the group ends, and a group has one, too.
		Names: names.Rules{Alike: "/:", Loose: "/."},
		Routes: []sdk.Route{
			{Match: "GET /{folder...}/maven-metadata.xml", Plan: planMetadata},
			{Match: "GET /{folder...}/maven-metadata.xml.{checksum}", Plan: planMetadata},
			{Match: "GET /cache/{key}", Plan: cache.planGet},
			{Match: "GET /{group...}/{artifact}/{version}/{file}", Plan: planFile},
			{Match: "GET /{other...}", Plan: func(sdk.Request) sdk.Plan { return sdk.NotFound("no such file in a Maven repository") }},
			{Match: "PUT /{folder...}/maven-metadata.xml", Plan: planPutMetadata},
			{Match: "PUT /{folder...}/maven-metadata.xml.{checksum}", Plan: planPutMetadata},
			{Match: "PUT /cache/{key}", Plan: cache.planPut},
			{Match: "PUT /{file...}", Plan: planPut},
			{Match: "DELETE /{file...}", Plan: planDelete},
		},
		About:   about,
		Package: packageFiles(),
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
			{
				Client: "Maven, to deploy (hosted { names = [\"com.acme\", \"com.acme.*\"] })",
				File:   "~/.m2/settings.xml, and distributionManagement in pom.xml with the same id",
				Text: `<settings>
  <servers>
    <server>
      <id>entrepot</id>
      <username>ci</username>
      <password>${env.ENTREPOT_TOKEN}</password>
    </server>
  </servers>
</settings>

<distributionManagement>
  <repository>
    <id>entrepot</id>
    <url>{url}</url>
  </repository>
  <snapshotRepository>
    <id>entrepot</id>
    <url>{url}</url>
  </snapshotRepository>
</distributionManagement>
`,
			},
			{
				Client: "curl, to delete a version, or a file of one",
				Text: `curl -f -u ci:ent_… -X DELETE {url}/com/acme/lamp/1.0.0/
curl -f -u ci:ent_… -X DELETE {url}/com/acme/lamp/1.1.0/lamp-1.1.0-javadoc.jar
`,
			},
			{
				Client: "Gradle, to publish",
				File:   "build.gradle",
				Text: `publishing {
  repositories {
    maven {
      url '{url}'
      credentials {
        username 'ci'
        password System.getenv('ENTREPOT_TOKEN')
      }
    }
  }
}
`,
			},
			{
				Client: "Gradle's build cache (options { build_cache = \"100MiB\" })",
				File:   "settings.gradle",
				Text: `buildCache {
  remote(HttpBuildCache) {
    url = '{url}/cache/'
    push = System.getenv('CI') != null
    credentials {
      username = 'ci'
      password = System.getenv('ENTREPOT_TOKEN')
    }
  }
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
