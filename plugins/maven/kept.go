package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// kept is what is kept of a file of ours, or of a version, besides where it is.
type kept struct {
	// Found is whether the file lies in a directory: nobody deploys metadata of
	// it.
	Found bool `json:"found,omitempty"`
	// Plugin is what Maven calls a plugin's jar by; nil: it is none.
	Plugin *plugin `json:"plugin,omitempty"`
	// Builds are the files of a snapshot's build, as its metadata had them.
	Builds []snapshotBuild `json:"builds,omitempty"`
}

// found is what was kept of every file in a directory, and still is of those
// that there is nothing else to say of.
var found = []byte(`"found"`)

// keptOf reads what is kept of a file; zero: nothing.
func keptOf(h sdk.Hosted) kept {
	var k kept
	switch text := bytes.TrimSpace(h.File.Extra); {
	case len(text) == 0:
		return k
	case bytes.Equal(text, found):
		return kept{Found: true}
	}
	if json.Unmarshal(h.File.Extra, &k) != nil {
		return kept{}
	}
	return k
}

// bytes is what is kept, as it is written; nil: nothing.
func (k kept) bytes() ([]byte, error) {
	switch {
	case k.Plugin != nil || len(k.Builds) > 0:
		return json.Marshal(k)
	case k.Found:
		return found, nil
	}
	return nil, nil
}

// pluginFile is where a plugin's jar says what it is (Maven plugin descriptor).
const pluginFile = "META-INF/maven/plugin.xml"

// pluginIn is what a jar says of the plugin in it; nil: there is none.
func pluginIn(m *sdk.Members) *plugin {
	for _, member := range m.All() {
		if member.Name == pluginFile {
			return readPlugin(member.Body)
		}
	}
	return nil
}

// readPlugin reads a plugin's descriptor; nil: it names no prefix.
func readPlugin(descriptor []byte) *plugin {
	d := xml.NewDecoder(bytes.NewReader(descriptor))
	d.CharsetReader = charset
	var said struct {
		XMLName xml.Name `xml:"plugin"`
		Name    string   `xml:"name"`
		Prefix  string   `xml:"goalPrefix"`
	}
	if d.Decode(&said) != nil || strings.TrimSpace(said.Prefix) == "" {
		return nil
	}
	return &plugin{Name: strings.TrimSpace(said.Name), Prefix: strings.TrimSpace(said.Prefix)}
}

// hostedPlugins are the plugins of a group among packages of ours that have a
// listed version, by what the newest jar of each says.
func hostedPlugins(packages []*sdk.HostedPackage, group folder) []plugin {
	var all []plugin
	for _, ours := range packages {
		of, artifact, _ := strings.Cut(ours.Name, "/")
		if of != strings.Join(group, ".") {
			continue
		}
		var newest sdk.Hosted
		for _, h := range ours.Files {
			if keptOf(h).Plugin != nil && listed(ours, h.Version.Version) && (newest.File.Path == "" || compare(h.Version.Version, newest.Version.Version) > 0) {
				newest = h
			}
		}
		if p := keptOf(newest).Plugin; p != nil {
			p.ArtifactID = artifact
			all = append(all, *p)
		}
	}
	return all
}

// addPlugins puts plugins of ours beside those of the metadata, in the place of
// those with their prefixes or of the same artifacts.
func (m *metadata) addPlugins(ours []plugin) {
	if len(ours) == 0 {
		return
	}
	if m.Plugins == nil {
		m.Plugins = &plugins{}
	}
	m.Plugins.All = slices.DeleteFunc(m.Plugins.All, func(p plugin) bool {
		return slices.ContainsFunc(ours, func(o plugin) bool { return o.Prefix == p.Prefix || o.ArtifactID == p.ArtifactID })
	})
	m.Plugins.All = append(m.Plugins.All, ours...)
}
