package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// headBytes is how much is read of files that are no archives: POMs, metadata
// and checksums.
const headBytes = 256 << 10

func packageFiles() *sdk.Package {
	return &sdk.Package{
		Peek:    []string{"zip:META-INF/maven/*/*/pom.properties", "zip:META-INF/maven/*/*/pom.xml", "zip:" + pluginFile, fmt.Sprintf("head:%d", headBytes)},
		Inspect: inspect,
		Unpack:  unpack,
		Packed:  true,
	}
}

// contents are what is seen of a file that is sent to an address.
type contents struct {
	// Root is the root element of a POM or metadata; empty: it is neither.
	Root string `json:"root,omitempty"`
	// Whole is whether all of the file was read.
	Whole bool `json:"whole,omitempty"`
	// Of is what a POM says that it is of.
	Of coordinates `json:"of,omitzero"`
	// Versions are those that metadata lists, or the builds of a snapshot.
	Versions []string `json:"versions,omitempty"`
	// Builds are the files of a snapshot, as metadata lists them.
	Builds []snapshotBuild `json:"builds,omitempty"`
	// Plugin is the plugin in a jar; nil: there is none.
	Plugin *plugin `json:"plugin,omitempty"`
	// Text is that of a short file, as checksums are.
	Text string `json:"text,omitempty"`
}

// coordinates name a version of an artifact.
type coordinates struct {
	Group    string `json:"group,omitempty"`
	Artifact string `json:"artifact,omitempty"`
	Version  string `json:"version,omitempty"`
}

// inspect says what stands in a file that is sent to an address.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	extra, err := json.Marshal(lookAt(m))
	return sdk.Entry{Extra: extra}, err
}

func lookAt(m *sdk.Members) contents {
	head, _ := m.First("head")
	l := contents{Whole: m.Size <= headBytes, Plugin: pluginIn(m)}
	if m.Size <= 1<<10 {
		l.Text = string(head)
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	if !bytes.HasPrefix(text, []byte("<")) {
		return l
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = charset
	for {
		token, err := d.Token()
		if err != nil {
			return l
		}
		if start, ok := token.(xml.StartElement); ok {
			l.Root = start.Name.Local
			break
		}
	}
	switch l.Root {
	case "project":
		l.Of = readPOM(d)
	case "metadata":
		if meta, err := parseMetadata(text); err == nil {
			l.Versions = meta.versions()
			for _, b := range meta.builds(strings.TrimSpace(meta.Version)) {
				l.Versions = append(l.Versions, b.Value)
				l.Builds = append(l.Builds, b)
			}
		}
	}
	return l
}

// readPOM reads the coordinates in a project, as far as there is one. What it
// does not say it has of its parent.
func readPOM(d *xml.Decoder) coordinates {
	var own, parent coordinates
	var path []string
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
		case xml.EndElement:
			path = path[:max(len(path)-1, 0)]
		case xml.CharData:
			c := &own
			if len(path) == 2 && path[0] == "parent" {
				c = &parent
			} else if len(path) != 1 {
				continue
			}
			switch text := strings.TrimSpace(string(t)); path[len(path)-1] {
			case "groupId":
				c.Group += text
			case "artifactId":
				c.Artifact += text
			case "version":
				c.Version += text
			}
		}
	}
	if own.Group == "" {
		own.Group = parent.Group
	}
	if own.Version == "" {
		own.Version = parent.Version
	}
	return own
}

// charset reads the character sets that POMs have besides UTF-8. Of those that
// are not known only names matter, which are ASCII.
func charset(_ string, r io.Reader) (io.Reader, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b) // ISO 8859-1
	}
	return strings.NewReader(string(runes)), nil
}

// check says why there can be no such version; nil: there can.
func (c coordinates) check() error {
	for what, text := range map[string]string{"groupId": c.Group, "artifactId": c.Artifact, "version": c.Version} {
		if text == "" || text == "." || text == ".." || strings.ContainsAny(text, "/\\:\"<>|?*${}") {
			return fmt.Errorf("its %s is %q", what, text)
		}
	}
	return nil
}

// readProperties reads the coordinates in a pom.properties.
func readProperties(text string) coordinates {
	var c coordinates
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "groupId":
			c.Group = value
		case "artifactId":
			c.Artifact = value
		case "version":
			c.Version = value
		}
	}
	return c
}
