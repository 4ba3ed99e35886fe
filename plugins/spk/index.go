package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// object is a JSON object whose other members are passed on.
type object map[string]json.RawMessage

func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s) // what is no string stays empty
	return s
}

func (o object) set(name string, value any) {
	if raw, err := json.Marshal(value); err == nil { // there is nothing in here that cannot be written
		o[name] = raw
	}
}

// index is the answer of a package source.
type index struct {
	Packages []object `json:"packages"`
	Keyrings []string `json:"keyrings"`
}

// parseIndex reads an answer: an object, or as those of old a list.
func parseIndex(body []byte) (index, error) {
	var i index
	if err := json.Unmarshal(body, &i.Packages); err == nil && i.Packages != nil {
		return i, nil
	}
	if err := json.Unmarshal(body, &i); err != nil {
		return i, err
	}
	if i.Packages == nil {
		return i, errors.New("the answer has no packages")
	}
	return i, nil
}

// render answers with upstream's packages that policy keeps, and in the place
// of those called like them, with ours.
func (o options) render(in *sdk.Input, q question) error {
	ours, err := hosted(in, q)
	if err != nil {
		return err
	}
	answer := index{Packages: ours, Keyrings: slices.Clone(o.Keyrings)}
	if doc := in.Docs()[0]; doc.OK() {
		theirs, err := parseIndex(doc.Body)
		if err != nil {
			return err
		}
		for _, key := range theirs.Keyrings {
			if !slices.Contains(answer.Keyrings, key) {
				answer.Keyrings = append(answer.Keyrings, key)
			}
		}
		for _, p := range theirs.Packages {
			name := p.text("package")
			if in.Ours(name) || in.Hosted(name) != nil {
				continue
			}
			shown, err := keep(in, q, doc, p)
			if err != nil {
				return err
			}
			if shown != nil {
				answer.Packages = append(answer.Packages, shown)
			}
		}
	}
	if q.build < firstWithKeyrings {
		return in.JSON(answer.Packages)
	}
	if answer.Keyrings == nil {
		answer.Keyrings = []string{}
	}
	return in.JSON(answer)
}

// keep tells of a package of upstream's, and returns it as it is shown, or while
// policy holds it back the one before; nil: there is none.
func keep(in *sdk.Input, q question, doc *sdk.Doc, p object) (object, error) {
	name, version := p.text("package"), p.text("version")
	base, err := url.Parse(doc.URL)
	if err != nil {
		return nil, err
	}
	link, err := base.Parse(p.text("link"))
	if err != nil || p.text("link") == "" || !validName(name) || !validVersion(version) {
		return nil, fmt.Errorf("upstream lists %q %q, which is no package with a link", name, version)
	}
	for _, pictures := range []string{"thumbnail", "thumbnail_retina", "snapshot"} {
		p.absolute(pictures, base)
	}
	extra, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	f := sdk.File{Path: upstreamPath(name, version, link.String()), URL: link.String(), Extra: extra, Size: p.number("size")}
	if sum := p.text("md5"); sum != "" {
		f.Digests = []sdk.Digest{sdk.HexDigest("md5", strings.ToLower(sum))}
	}
	if in.Keep(sdk.Version{Name: name, Version: version}, f) {
		return p.served(in, q, f.Path), nil
	}
	for _, k := range slices.Backward(in.Earlier()) {
		if k.Version.Name != name || k.File.Path == f.Path || in.Holds(k.Version) {
			continue
		}
		var before object
		if json.Unmarshal(k.File.Extra, &before) == nil && before != nil && in.Keep(k.Version, k.File) {
			return before.served(in, q, k.File.Path), nil
		}
	}
	return nil, nil
}

// number returns a member that is a number; 0: it is none.
func (o object) number(name string) int64 {
	var n int64
	_ = json.Unmarshal(o[name], &n) // what is no number stays 0
	return max(n, 0)
}

// absolute has the addresses in a member begin with upstream's.
func (o object) absolute(name string, base *url.URL) {
	var all []string
	if json.Unmarshal(o[name], &all) != nil || len(all) == 0 {
		return
	}
	for i, text := range all {
		if u, err := base.Parse(text); err == nil {
			all[i] = u.String()
		}
	}
	o.set(name, all)
}

// served is a package whose file is served here. Its address has the question
// that tells about it.
func (o object) served(in *sdk.Input, q question, path string) object {
	o.set("link", in.URL(path+strings.TrimPrefix(q.path(), "/")))
	return o
}

// upstreamPath is the address here of a file of upstream's.
func upstreamPath(name, version, link string) string {
	file := "package.spk"
	if u, err := url.Parse(link); err == nil && strings.HasSuffix(u.Path, ".spk") {
		file = path.Base(u.Path)
	}
	return filePath(name, version, shortHash(link), file)
}

func filePath(name, version, tag, file string) string {
	return "/packages/" + url.PathEscape(name) + "/" + url.PathEscape(version) + "/" + url.PathEscape(tag) + "/" + url.PathEscape(file)
}

// shortHash tells texts apart.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// planFile serves a package file. The index that its address is from tells of
// it.
func planFile(r sdk.Request) sdk.Plan {
	name, version := r.Get("name"), r.Get("version")
	if !validName(name) || !validVersion(version) {
		return sdk.NotFound("no package has such a name and version")
	}
	a := sdk.Artifact{
		Version: sdk.Version{Name: name, Version: version},
		Path:    filePath(name, version, r.Get("tag"), r.Get("file")),
		Type:    "application/octet-stream",
	}
	if q, wrong := parseQuestion(r.Query); wrong == "" {
		a.Facts = []string{q.path()}
	}
	return a
}
