package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// document is what leads to a file's content. Its address alone does not say
// which content that is, so what upstream says of the file without sending it
// is its version; what was seen of it is its listing. A digest in the request
// does say which: once the file was there, nothing more is asked, but that it is
// old enough is judged by what was seen of it without the digest.
func (f file) document() sdk.Document {
	pinned := f.sha256 != nil
	d := sdk.Document{
		Path:      f.address(),
		Name:      f.name(),
		Query:     pinned,
		Immutable: pinned,
		History:   true,
		Render: func(in *sdk.Input) error {
			ours := in.Hosted(f.name())
			switch {
			case ours != nil:
				return f.renderOurs(in, ours)
			case len(in.Docs()) == 0:
				return sdk.NotFound(f.name() + " is not published here; what upstream has is at /{upstream}/{path}")
			case pinned:
				return f.renderPinned(in)
			}
			return f.render(in)
		},
	}
	if f.upstream != "" {
		d.From = []sdk.Source{f.head()}
		d.From[0].Optional = pinned // it may be kept here though upstream has it no more
	}
	return d
}

// render leads to what upstream has now, or while that is held back to the
// newest of what it had before. That is only in the cache: upstream would send
// something else.
func (f file) render(in *sdk.Input) error {
	now, size, err := f.state(in.Docs()[0])
	if err != nil {
		return err
	}
	in.Keep(now) // as those who ask by a digest are told of another file
	content := sdk.File{Path: f.address() + "?content=" + now.Version, Size: size}
	if in.Keep(now, content) {
		return in.Answer(f.artifact(now, content, f.source()))
	}
	for _, k := range slices.Backward(in.Earlier()) {
		if k.File.Path != "" && k.File.Path != content.Path && in.Keep(k.Version, k.File) {
			return in.Answer(f.artifact(k.Version, k.File, nil))
		}
	}
	return in.HeldVersion(now.Name, now.Version)
}

// renderPinned leads to the content of the digest: one that was had before, or
// what upstream has now.
func (f file) renderPinned(in *sdk.Input) error {
	digest := sdk.Digest{Algorithm: "sha256", Sum: f.sha256}
	for _, k := range in.Earlier() {
		if bytes.Equal(sha256Of(k.File.Digests), f.sha256) && in.Keep(k.Version, k.File) {
			a := f.artifact(k.Version, k.File, f.source())
			a.Digest, a.Header = digest, checksum(f.sha256)
			return in.Answer(a)
		}
	}
	if !in.Docs()[0].OK() {
		in.Doc(f.head()) // which way it fails is the host's to tell
		return nil
	}
	now, _, err := f.state(in.Docs()[0])
	if err != nil {
		return err
	}
	content := sdk.File{Path: f.address(), Digests: []sdk.Digest{digest}}
	if !in.Keep(now, content) {
		return in.HeldVersion(now.Name, now.Version)
	}
	a := f.artifact(now, content, f.source())
	a.Digest = digest
	return in.Answer(a)
}

// head is where upstream says what it has, without sending it.
func (f file) head() sdk.Source { return sdk.Source{URL: f.asked(), Role: f.upstream, Head: true} }

// source is where upstream has the file.
func (f file) source() []sdk.Source { return []sdk.Source{{URL: f.asked(), Role: f.upstream}} }

// artifact is one of the contents that the file has had.
func (f file) artifact(v sdk.Version, content sdk.File, from []sdk.Source) sdk.Artifact {
	return sdk.Artifact{Version: v, Path: content.Path, From: from, Facts: []string{f.address()}}
}

// state is the version that upstream has now, by all that it says of the
// content without sending it. Where it says nothing, all contents are one
// version. The size is 0 where it is not known.
func (f file) state(doc *sdk.Doc) (v sdk.Version, size int64, err error) {
	if u, err := url.Parse(doc.URL); err == nil && strings.HasSuffix(u.Path, "/") {
		return v, 0, sdk.NotFound("listings are off, and this is a folder")
	}
	modified, err := lastModified(doc)
	if err != nil {
		return v, 0, err
	}
	if text := doc.Header["content-length"]; text != "" {
		if size, err = strconv.ParseInt(text, 10, 64); err != nil || size < 0 {
			return v, 0, errors.New("its content-length is no number")
		}
	}
	version := shortHash(strings.TrimPrefix(doc.Header["etag"], "W/"), doc.Header["last-modified"], doc.Header["content-length"])
	if !modified.IsZero() {
		version = modified.Format("20060102T150405Z") + "-" + version
	}
	return sdk.Version{Name: f.name(), Version: version, Published: modified}, size, nil
}

// lastModified is when the file was changed, as upstream says; zero: it does
// not.
func lastModified(doc *sdk.Doc) (time.Time, error) {
	text := doc.Header["last-modified"]
	if text == "" {
		return time.Time{}, nil
	}
	t, err := http.ParseTime(text)
	if err != nil {
		return time.Time{}, errors.New("its last-modified is no time")
	}
	return t.UTC(), nil
}

// shortHash tells texts apart.
func shortHash(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
