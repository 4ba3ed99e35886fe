package main

import (
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// listing is the query by which an index is read instead of served.
const listing = "files"

// index tells of the package files that a part of the suite lists, by the
// escaped path below the suite by which its content is known. The suite was
// judged as a whole, and the document never changes: nothing is learnt from it
// about when upstream has what, so that it is a mere question.
func (s suite) index(file string) sdk.Document {
	path := s.here(file)
	return sdk.Document{
		Path:      path + "?" + listing,
		Name:      s.name(),
		From:      []sdk.Source{{URL: path, Here: true}},
		Query:     true,
		Immutable: true,
		Render:    s.renderIndex,
	}
}

func (s suite) renderIndex(in *sdk.Input) error {
	body, err := decompress(in.Docs()[0].Body)
	if err != nil {
		return err
	}
	packages := 0
	err = readIndex(body, func(p pkg) {
		packages++
		version := sdk.Version{Name: s.archive + "/" + p.name, Version: p.version}
		for _, f := range p.files {
			in.Keep(version, sdk.File{Path: "/" + escape(s.archive+"/"+f.path), Digests: f.digests, Size: f.size})
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Output("", "text/plain; charset=utf-8"), "%d packages\n", packages)
	return err
}

// pkg is a binary or source package of an index.
type pkg struct {
	name, version string
	files         []poolFile
}

// poolFile is a file of a package.
type poolFile struct {
	// path below the archive, without a slash before it.
	path string
	size int64
	// digests has the best that the index gives; nil: it gives none.
	digests []sdk.Digest
}

// readIndex reads a Packages or Sources file (Debian repository format). What
// lacks a name, a version or an address that an archive can have is left out.
func readIndex(r io.Reader, visit func(pkg)) error {
	fields := []string{"package", "version", "filename", "size", "directory", "files"}
	for _, d := range poolDigests {
		fields = append(fields, d.field, d.list)
	}
	return readStanzas(r, fields, false, func(s stanza) error {
		p := pkg{name: s["package"], version: s["version"]}
		if s["filename"] != "" {
			p.files = s.binary()
		} else {
			p.files = s.source()
		}
		if p.name != "" && p.version != "" {
			visit(p)
		}
		return nil
	})
}

// poolDigests are the fields that give digests of a binary package's file, and
// those that list the files of a source package, best first.
var poolDigests = []struct{ algorithm, field, list string }{
	{"sha256", "sha256", "checksums-sha256"},
	{"sha512", "sha512", "checksums-sha512"},
	{"sha1", "sha1", "checksums-sha1"},
	{"md5", "md5sum", "files"},
}

// binary is the file of a binary package.
func (s stanza) binary() []poolFile {
	f := poolFile{path: path.Clean(s["filename"])}
	if !clean(f.path) {
		return nil
	}
	f.size, _ = strconv.ParseInt(s["size"], 10, 64) // 0: unknown
	for _, d := range poolDigests {
		if sum := s[d.field]; sum != "" {
			f.digests = []sdk.Digest{sdk.HexDigest(d.algorithm, sum)}
			break
		}
	}
	return []poolFile{f}
}

// source are the files of a source package.
func (s stanza) source() []poolFile {
	var files []poolFile
	for _, d := range poolDigests {
		if s[d.list] == "" {
			continue
		}
		for line := range strings.Lines(s[d.list]) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}
			f := poolFile{path: path.Join(s["directory"], words[2])}
			f.size, _ = strconv.ParseInt(words[1], 10, 64) // 0: unknown
			f.digests = []sdk.Digest{sdk.HexDigest(d.algorithm, words[0])}
			if clean(f.path) {
				files = append(files, f)
			}
		}
		break
	}
	return files
}
