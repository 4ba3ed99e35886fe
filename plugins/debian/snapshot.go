package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// The three forms of a suite's signed index, in the order of their sources:
// signed in itself, and plain with a signature beside it.
const (
	inline = iota
	plain
	detached
)

// document is the signed index of the suite, or one of its other forms by its
// name.
func (s suite) document(output string) sdk.Document {
	source := func(file string) sdk.Source {
		return sdk.Source{URL: s.upstream(file), Role: s.archive, Optional: true}
	}
	return sdk.Document{
		Path:     s.root(),
		Output:   output,
		Name:     s.name(),
		Snapshot: true,
		From:     []sdk.Source{inline: source("InRelease"), plain: source("Release"), detached: source("Release.gpg")},
		Render:   s.render,
	}
}

// render passes the signed index on as it is, and names all that it lists.
func (s suite) render(in *sdk.Input) error {
	var text []byte
	var err error
	switch docs := in.Docs(); {
	case docs[inline].OK():
		text, err = s.renderInline(in, docs)
	case missing(docs[inline]) && docs[plain].OK():
		text, err = s.renderPlain(in, docs)
	case missing(docs[inline]) && missing(docs[plain]) && s.flat() && s.keys == nil:
		return s.renderBare(in)
	case missing(docs[inline]) && missing(docs[plain]):
		return sdk.NotFound("upstream has no " + strings.TrimPrefix(s.root(), "/"))
	default:
		// Whether there is no such upstream, or which way it fails, is the host's
		// to tell.
		in.Doc(sdk.Source{URL: s.upstream("Release"), Role: s.archive})
		return errors.New("upstream's InRelease cannot be had")
	}
	if err != nil {
		return err
	}
	r, err := parseRelease(text)
	if err != nil {
		return err
	}
	in.State(r.version(text), r.date, r.validUntil)
	s.tell(in, r)
	return nil
}

// missing reports whether upstream says that there is no such document.
func missing(d *sdk.Doc) bool {
	return d.Status == http.StatusNotFound || d.Status == http.StatusGone
}

// renderInline writes InRelease, and the other forms where they are of the same
// state: upstream may be between two.
func (s suite) renderInline(in *sdk.Input, docs []*sdk.Doc) ([]byte, error) {
	text, err := clearText(docs[inline].Body, s.keys)
	if err != nil {
		return nil, fmt.Errorf("InRelease: %w", err)
	}
	if err := write(in, "", docs[inline].Body); err != nil {
		return nil, err
	}
	if docs[plain].OK() && bytes.Equal(bytes.TrimSpace(docs[plain].Body), bytes.TrimSpace(text)) {
		return text, writePlain(in, docs)
	}
	return text, nil
}

// renderPlain writes what an archive without InRelease has.
func (s suite) renderPlain(in *sdk.Input, docs []*sdk.Doc) ([]byte, error) {
	text := docs[plain].Body
	if !docs[detached].OK() && !missing(docs[detached]) {
		return nil, errors.New("upstream's Release.gpg cannot be had")
	}
	if s.keys != nil {
		if err := s.keys.verify(text, docs[detached].Body); err != nil {
			return nil, fmt.Errorf("the Release file: %w", err)
		}
	}
	return text, writePlain(in, docs)
}

func writePlain(in *sdk.Input, docs []*sdk.Doc) error {
	if err := write(in, "Release", docs[plain].Body); err != nil || !docs[detached].OK() {
		return err
	}
	return write(in, "Release.gpg", docs[detached].Body)
}

func write(in *sdk.Input, output string, body []byte) error {
	contentType := "text/plain; charset=utf-8"
	if output == "Release.gpg" {
		contentType = "application/pgp-signature"
	}
	_, err := in.Output(output, contentType).Write(body)
	return err
}

// indexes are the files that list packages, in the forms that can be read.
var indexes = regexp.MustCompile(`^(Packages|Sources)(\.gz|\.bz2|\.xz|\.lzma|\.zst)?$`)

// tell names the parts of the state. Those of differences between states are
// left out: they lead to upstream's newest state, which may not be the one that
// is served, and clients do without.
func (s suite) tell(in *sdk.Input, r release) {
	for _, f := range r.files {
		dir, base := path.Split(f.path)
		if strings.HasSuffix(dir, ".diff/") || reserved(f.path) {
			continue
		}
		address := escape(dir) + "by-hash/SHA256/" + f.sha256
		part := sdk.File{Path: s.here(escape(f.path)), Digests: f.digests(), Size: f.size}
		if r.byHash {
			part.URL = s.upstream(address)
		}
		index := ""
		if indexes.MatchString(base) || base == imageSums && image.MatchString(f.path) {
			index = s.here(address) + "?" + listing
		}
		in.Part(part, index)
	}
}

// reserved reports whether a path is that of one of the index's own forms.
func reserved(file string) bool {
	return file == "InRelease" || file == "Release" || file == "Release.gpg"
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
