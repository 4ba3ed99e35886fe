package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// listing is the query by which an index is read instead of served.
const listing = "files"

// index tells of the files that a part of the suite lists, by the path below the
// suite by which its content is known. The suite was judged as a whole, and the
// document never changes: nothing is learnt from it about when upstream has what,
// so that it is a mere question.
func (s suite) index(file string) sdk.Document {
	address := s.here(escape(file))
	return sdk.Document{
		Path:      address + "?" + listing,
		Name:      s.name(),
		From:      []sdk.Source{{URL: address, Here: true}},
		Query:     true,
		Immutable: true,
		Render:    func(in *sdk.Input) error { return s.renderIndex(in, file) },
	}
}

func (s suite) renderIndex(in *sdk.Input, file string) error {
	body, err := decompress(in.Docs()[0].Body)
	if err != nil {
		return err
	}
	if m := imageFolder.FindStringSubmatch(file); m != nil {
		err = s.keepImages(in, strings.TrimPrefix(s.dir+"/"+m[1], "/"), body)
		if err != nil {
			return err
		}
		_, err = in.Output("", "text/plain; charset=utf-8").Write([]byte("images\n"))
		return err
	}
	packages := 0
	err = readIndex(body, func(p pkg) {
		packages++
		version := sdk.Version{Name: s.archive + "/" + p.name, Version: p.version}
		for _, f := range p.files {
			for _, file := range s.places(f.path) {
				in.Keep(version, sdk.File{Path: "/" + escape(s.archive+"/"+file), Digests: f.digests, Size: f.size})
			}
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Output("", "text/plain; charset=utf-8"), "%d packages\n", packages)
	return err
}

// places are where in the archive a file may be that the suite's indexes name:
// below dists it is from the archive's top. Those of a flat archive name it from
// what clients call the archive's address, which is any folder that the suite
// is in.
func (s suite) places(file string) []string {
	all := []string{file}
	if !s.flat() {
		return all
	}
	for dir := strings.TrimPrefix(s.dir, "/"); dir != "" && dir != "."; dir = path.Dir(dir) {
		all = append(all, dir+"/"+file)
	}
	return all
}

// imageSums is the list of an installer's images by which they are verified;
// sums are all such lists.
const imageSums = "SHA256SUMS"

var sums = regexp.MustCompile(`^(?:MD5|SHA1|SHA256|SHA512)SUMS$`)

// imageFolder is the address of a list of images by its content.
var imageFolder = regexp.MustCompile(`^(.*installer-[^/]+/[^/]+/[^/]*images)/by-hash/`)

// keepImages tells of the images in a folder that a list in the form of
// sha256sum has.
func (s suite) keepImages(in *sdk.Input, folder string, list io.Reader) error {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		sum, name, _ := strings.Cut(lines.Text(), " ")
		file := path.Join(folder, strings.TrimLeft(name, " *"))
		if digest := sdk.HexDigest("sha256", sum); clean(file) && isImage(file) && len(digest.Sum) == sha256.Size {
			in.Keep(versionOf(s.archive, file), sdk.File{Path: "/" + escape(s.archive+"/"+file), Digests: []sdk.Digest{digest}})
		}
	}
	return lines.Err()
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
