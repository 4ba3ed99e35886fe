package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// algorithms are those of checksum files, by the ending of their names.
var algorithms = []struct {
	name string
	new  func() hash.Hash
}{
	{"md5", md5.New},
	{"sha1", sha1.New},
	{"sha256", sha256.New},
	{"sha512", sha512.New},
}

// cutChecksum returns what file a checksum file is of, and its algorithm;
// empty: it is no checksum file.
func cutChecksum(name string) (string, string) {
	for _, a := range algorithms {
		if of, ok := strings.CutSuffix(name, "."+a.name); ok {
			return of, a.name
		}
	}
	return name, ""
}

// planFile serves a file of a version, or a checksum of one.
func planFile(r sdk.Request) sdk.Plan {
	at, ok := parseFolder(r.Path)
	if !ok {
		return sdk.NotFound("no such file in a Maven repository")
	}
	n := len(at)
	of, algorithm := cutChecksum(at[n-1])
	f, ok := parseFile(at[:n-2], at[n-2], of)
	switch {
	case !ok:
		return sdk.NotFound("no such file in a Maven repository: it does not begin with the names of the folders it is in")
	case f.literal():
		return literalDocument(f, algorithm)
	case algorithm != "":
		return checksumDocument(f, algorithm)
	}
	return artifact(f)
}

// artifact is a file that never changes. Its checksum file tells the digest,
// and of its age.
func artifact(f file) sdk.Artifact {
	return sdk.Artifact{
		Version: sdk.Version{Name: f.folder.name(), Version: f.version},
		Path:    f.path(),
		From:    sdk.From(f.path()),
		Facts:   []string{f.path() + "." + usual},
	}
}

// checksumDocument is a checksum file of a file that never changes. It is about
// a version that the artifact's metadata lists, unless that is of a snapshot's
// build.
func checksumDocument(f file, algorithm string) sdk.Document {
	path := f.path() + "." + algorithm
	_, built := snapshotOf(f.version)
	return sdk.Document{
		Path:      path,
		Name:      f.folder.name(),
		From:      []sdk.Source{{URL: path, Optional: true}},
		Query:     !built,
		Immutable: true,
		Render:    func(in *sdk.Input) error { return renderChecksum(in, f, algorithm) },
	}
}

// renderChecksum passes a checksum file on. A file without one, or with one that
// is none, as there are, is told of all the same: only its checksum is not found.
func renderChecksum(in *sdk.Input, f file, algorithm string) error {
	if h := hostedFile(in.Hosted(f.folder.name()), f); h != nil {
		return answerHosted(in, h, algorithm)
	}
	if hosts(in.Hosted(f.folder.name()), func(version string) bool { return version == f.version }) {
		return besideOurs
	}
	doc := in.Docs()[0]
	digests, err := checksums(doc, algorithm)
	if err != nil {
		return err
	}
	name := f.folder.name()
	head, known, err := look(in, name, f.path())
	if err != nil {
		return err
	}
	if digests == nil && !known {
		return sdk.NotFound("upstream has no such file")
	}
	if head.published.IsZero() {
		head.published = builtAt(f.version)
	}
	// Three more questions are for files that are known to be there.
	told := digests
	if told == nil && algorithm == usual && (doc.OK() || in.CoolsDown(name)) {
		if told, err = otherChecksums(in, f); err != nil {
			return err
		}
	}
	v := sdk.Version{Name: name, Version: f.version, Published: head.published}
	if !in.Keep(v, sdk.File{Path: f.path(), Digests: told, Size: head.size}) {
		return in.HeldVersion(name, f.version)
	}
	if digests == nil {
		return in.Answer(sdk.Reply{Status: http.StatusNotFound, Body: []byte("upstream has no such checksum\n")})
	}
	return passOn(in, doc, digests)
}

// usual is the algorithm whose checksum file nearly all files have.
const usual = "sha1"

// otherChecksums are the digests of a file in its checksum files that are not the
// usual one; nil: there are none, so that nothing of upstream's verifies it.
func otherChecksums(in *sdk.Input, f file) ([]sdk.Digest, error) {
	var all []sdk.Digest
	for _, a := range algorithms {
		if a.name == usual {
			continue
		}
		if doc, ok := in.Doc(sdk.Source{URL: f.path() + "." + a.name, Optional: true}); ok {
			digests, err := checksums(doc, a.name)
			if err != nil {
				return nil, err
			}
			all = append(all, digests...)
		}
	}
	return all, nil
}

// passOn answers with upstream's checksum file as it is, where it has digests.
func passOn(in *sdk.Input, doc *sdk.Doc, digests []sdk.Digest) error {
	if digests == nil {
		return sdk.NotFound("upstream has no such checksum")
	}
	_, err := in.Output("", "text/plain").Write(doc.Body)
	return err
}

// checksums returns the digest in a checksum file; nil: there is no such file, or
// it has none: clients take such a file for none, too.
func checksums(doc *sdk.Doc, algorithm string) ([]sdk.Digest, error) {
	if ok, err := has(doc); !ok {
		return nil, err
	}
	for _, a := range algorithms {
		if a.name != algorithm {
			continue
		}
		sum, err := hex.DecodeString(parseChecksum(string(doc.Body)))
		if err != nil || len(sum) != a.new().Size() {
			return nil, nil
		}
		return []sdk.Digest{{Algorithm: algorithm, Sum: sum}}, nil
	}
	return nil, errors.New("no checksum has the algorithm " + algorithm)
}

// parseChecksum returns the sum in a checksum file: its first word, or the last
// one of "SHA1(file) = sum".
func parseChecksum(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
		return ""
	case len(words) > 1 && strings.HasSuffix(words[len(words)-2], "="):
		return words[len(words)-1]
	}
	return words[0]
}

// writeChecked writes metadata and, as outputs named after their algorithms,
// its checksums.
func writeChecked(in *sdk.Input, body []byte) error {
	if _, err := in.Output("", "text/xml").Write(body); err != nil {
		return err
	}
	for _, a := range algorithms {
		h := a.new()
		h.Write(body)
		if _, err := fmt.Fprintf(in.Output(a.name, "text/plain"), "%x", h.Sum(nil)); err != nil {
			return err
		}
	}
	return nil
}
