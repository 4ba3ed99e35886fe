package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// maxMetadata bounds a package file's core metadata, in bytes.
const maxMetadata = 1 << 20

// dist is a wheel or source distribution that is published here.
type dist struct {
	// file is its name, project that of its project in normal form, version
	// PEP 440's normal form.
	file, project, version string
	wheel                  bool
	// metadata is its METADATA or PKG-INFO.
	metadata []byte
}

// inspect reads a wheel or a source distribution.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	d := dist{file: m.Name, wheel: strings.HasSuffix(m.Name, ".whl")}
	at, err := d.find(m)
	if err != nil {
		return sdk.Entry{}, err
	}
	if len(d.metadata) > maxMetadata {
		return sdk.Entry{}, fmt.Errorf("its metadata has more than %d bytes", maxMetadata)
	}
	if err := d.identify(); err != nil {
		return sdk.Entry{}, err
	}
	if !d.isOf(at) {
		return sdk.Entry{}, fmt.Errorf("its metadata is about %s %s, but stands in a folder called %s", d.project, d.version, at)
	}
	if of, ok := versionOf(d.file, d.project); !ok || !d.is(of) {
		return sdk.Entry{}, fmt.Errorf("its metadata is about %s %s, which its name %s does not say", d.project, d.version, d.file)
	}
	extra, err := d.record()
	return sdk.Entry{
		Version: sdk.Version{Name: d.project, Version: d.version},
		Path:    hostedPath(d.project, d.file),
		Extra:   extra,
	}, err
}

// record is what is kept of the file.
func (d *dist) record() ([]byte, error) {
	r := record{File: d.file, Info: newInfo(parseMetadata(d.metadata), d.version)}
	if d.wheel {
		r.Metadata = d.metadata
	}
	return json.Marshal(r)
}

// find finds the core metadata and returns the name and version that its folder
// is called by.
func (d *dist) find(m *sdk.Members) (at string, err error) {
	if !validFile(d.file) {
		return "", fmt.Errorf("%q is not the name of a wheel (.whl) or a source distribution (.tar.gz or .zip)", d.file)
	}
	found := 0
	for _, member := range m.All() {
		dir, base, _ := strings.Cut(member.Name, "/")
		stem, info := strings.CutSuffix(dir, ".dist-info")
		if d.wheel && info && base == "METADATA" || !d.wheel && base == "PKG-INFO" {
			at, d.metadata = stem, member.Body
			found++
		}
	}
	switch {
	case found > 1:
		return "", errors.New("it has the metadata of several packages")
	case found == 0 && d.wheel:
		return "", errors.New("it has no METADATA in a folder whose name ends in .dist-info")
	case found == 0:
		return "", errors.New("it has no PKG-INFO in its folder: make it with a build tool, as python -m build")
	}
	return at, nil
}

// identify reads what the core metadata says it is of.
func (d *dist) identify() error {
	fields := parseMetadata(d.metadata)
	if name := fields.Get("Name"); !validName(name) {
		return fmt.Errorf("its metadata names the project %q: write ASCII letters, digits, dots, dashes and underscores", name)
	}
	v, err := parseVersion(fields.Get("Version"))
	if err != nil {
		return fmt.Errorf("its metadata has the version %q, which does not follow PEP 440", fields.Get("Version"))
	}
	d.project, d.version = normalize(fields.Get("Name")), v.String()
	return nil
}

// isOf reports whether a folder is called by name and version.
func (d *dist) isOf(dir string) bool {
	for i := range dir {
		if dir[i] == '-' && normalize(dir[:i]) == d.project && d.is(dir[i+1:]) {
			return true
		}
	}
	return false
}

// is reports whether a text is the version.
func (d *dist) is(version string) bool {
	v, err := parseVersion(version)
	return err == nil && same(v.String()) == same(d.version)
}

// parseMetadata reads core metadata as far as its fields go: to the empty line
// before a description, or to a line that is no field, as Python's own parser of
// messages does.
func parseMetadata(text []byte) textproto.MIMEHeader {
	// An error only tells of such a line, or that there is no description.
	fields, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(text))).ReadMIMEHeader()
	return fields
}

// validFile reports whether a name is one that a file may be published by.
func validFile(file string) bool {
	for _, c := range []byte(file) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.+!", c) >= 0:
		default:
			return false
		}
	}
	return isDist(file) && file[0] != '.'
}

// isDist reports whether a name is that of a wheel or a source distribution, not
// of what stands beside one.
func isDist(name string) bool {
	return slices.ContainsFunc([]string{".whl", ".tar.gz", ".zip"}, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

// hostedPath is where a file that is published here stands.
func hostedPath(project, file string) string {
	return "/packages/" + project + "/" + url.PathEscape(file)
}
