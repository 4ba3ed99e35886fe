package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// maxPOM is how large a POM in a jar may be to be served, in bytes.
const maxPOM = 1 << 20

// unpack serves a file that lies in a directory, and with a jar the POM that it
// carries. One that lies there by itself comes before that.
func unpack(u *sdk.Unpacking) error {
	f, err := locate(u.Members)
	if err != nil {
		return err
	}
	e, err := foundEntry(f, pluginIn(u.Members))
	if err != nil {
		return err
	}
	u.StoreFile(e)
	pom := pomIn(u.Members, f)
	if pom == nil {
		return nil
	}
	f.rest = ".pom"
	if e, err = foundEntry(f, nil); err == nil {
		u.StoreBytes(pom, e)
	}
	return err
}

// pomIn is the POM that a jar carries of itself; nil: it has none. One with a
// classifier is only a part of what the POM is of.
func pomIn(m *sdk.Members, f file) []byte {
	if strings.HasPrefix(f.rest, "-") || f.rest == ".pom" {
		return nil
	}
	group, artifact, _ := strings.Cut(f.folder.name(), "/")
	for _, member := range m.All() {
		if member.Name != "META-INF/maven/"+group+"/"+artifact+"/pom.xml" || len(member.Body) > maxPOM {
			continue
		}
		c := coordinatesIn(member.Body)
		if c.Artifact == artifact && isOr(c.Group, group) && isOr(c.Version, f.version) {
			return member.Body
		}
	}
	return nil
}

// isOr reports whether a POM says something, or leaves it to a property.
func isOr(said, want string) bool { return said == want || strings.Contains(said, "${") }

// coordinatesIn are those that a POM has; none: it is no POM.
func coordinatesIn(pom []byte) coordinates {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(pom, []byte("\ufeff"))))
	d.CharsetReader = charset
	for {
		token, err := d.Token()
		if err != nil {
			return coordinates{}
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "project" {
			return readPOM(d)
		} else if ok {
			return coordinates{}
		}
	}
}

// carriedBy are the coordinates that a jar carries: in properties, or, where it
// has none, in POMs.
func carriedBy(m *sdk.Members) []coordinates {
	var properties, poms []coordinates
	for _, member := range m.All() {
		var c coordinates
		into := &properties
		switch {
		case strings.HasSuffix(member.Name, "/pom.properties"):
			c = readProperties(string(member.Body))
		case strings.HasSuffix(member.Name, "/pom.xml"):
			c, into = coordinatesIn(member.Body), &poms
		}
		if c.check() == nil {
			*into = append(*into, c)
		}
	}
	if len(properties) > 0 {
		return properties
	}
	return poms
}

// locate says where a file in a directory stands here: its place in the layout of
// a repository tells, else what it carries.
func locate(m *sdk.Members) (file, error) {
	if of, algorithm := cutChecksum(m.Name); algorithm != "" || of == metadataFile {
		return file{}, errors.New("metadata and checksums are made here: match only other files")
	}
	if segments := strings.Split(m.Path, "/"); len(segments) >= 4 {
		at := folder(segments[:len(segments)-2])
		if f, ok := parseFile(at[:len(at):len(at)], segments[len(segments)-2], m.Name); ok && at.name() != "" {
			return f, nil
		}
	}
	c, err := carried(m)
	if err != nil {
		return file{}, err
	}
	f := file{folder: folderOf(c.Group + "/" + c.Artifact), base: c.Version, version: c.Version}
	var ok bool
	if f.rest, ok = strings.CutPrefix(m.Name, c.Artifact+"-"+c.Version); !ok || len(f.rest) < 2 || f.rest[0] != '-' && f.rest[0] != '.' {
		dot := strings.LastIndexByte(m.Name, '.')
		if dot < 0 {
			return file{}, errors.New("its name has no ending")
		}
		f.rest = m.Name[dot:]
	}
	return f, nil
}

func foundEntry(f file, p *plugin) (sdk.Entry, error) {
	extra, err := kept{Found: true, Plugin: p}.bytes()
	return sdk.Entry{Version: sdk.Version{Name: f.folder.name(), Version: f.version}, Path: f.path(), Extra: extra}, err
}

// carried are the coordinates that a POM has, or that a jar carries: those by
// which it is called, where it is made of several.
func carried(m *sdk.Members) (coordinates, error) {
	if strings.HasSuffix(m.Name, ".pom") {
		if l := lookAt(m); l.Root == "project" {
			return l.Of, l.Of.check()
		}
	}
	var all []coordinates
	for _, c := range carriedBy(m) {
		if strings.HasPrefix(m.Name, c.Artifact+"-"+c.Version) {
			return c, nil
		}
		all = append(all, c)
	}
	if len(all) != 1 {
		return coordinates{}, errors.New("it neither lies in folders as a repository has them (group/artifact/version), nor is it a POM or a jar with one META-INF/maven/*/*/pom.properties or pom.xml")
	}
	return all[0], nil
}
