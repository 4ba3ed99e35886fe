package main

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planProject serves a project's page. Other spellings of its name, and the
// address without its last slash, are sent to the one that PEP 503 asks for.
func (x index) planProject(r sdk.Request) sdk.Plan {
	name := r.Get("project")
	if !validName(name) {
		return sdk.NotFound("no project has such a name")
	}
	path := "/simple/" + normalize(name) + "/"
	if r.Path != path {
		return sdk.Redirect(r.URL(path))
	}
	d := x.project(normalize(name))
	d.Output = negotiate(r.Header("Accept"))
	return d
}

// project is the page of a project, by its normalized name.
func (x index) project(name string) sdk.Document {
	return sdk.Document{
		Path:   "/simple/" + name + "/",
		Name:   name,
		From:   []sdk.Source{{URL: x.simple + name + "/", Accept: acceptUpstream}},
		Render: func(in *sdk.Input) error { return renderProject(in, name) },
	}
}

// renderProject writes the page with the files that policy keeps, and then
// those of ours, which stand for all of upstream's of the same version. A page
// with no file left is still a page: pip says the same of it as of an error, and
// uv would take a 403 for a matter of credentials and go on with another index.
func renderProject(in *sdk.Input, project string) error {
	doc := in.Docs()[0]
	ours, err := hostedFiles(in.Hosted(project))
	if err != nil {
		return err
	}
	p, err := upstreamPage(in, project, doc, ours)
	if err != nil {
		return err
	}
	l, err := newLister(in, project, doc.URL)
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for _, version := range hostedVersions(ours) {
		own[same(version)] = true
	}
	w := newWriter(in)
	w.begin(project, &p)
	for i := range p.files {
		if entry, version, ok := l.list(&p.files[i]); ok && !own[same(version)] {
			if err := w.file(entry); err != nil {
				return err
			}
		}
	}
	for i := range ours {
		if err := w.file(ours[i].entry(in)); err != nil {
			return err
		}
	}
	return w.end(&p, func(version string) bool {
		v := l.normal.normal(version)
		return own[same(v)] || l.kept[v]
	})
}

// upstreamPage is the page as upstream has it, with the versions of ours; where
// upstream has none, one of ours only.
func upstreamPage(in *sdk.Input, project string, doc *sdk.Doc, ours []hostedFile) (page, error) {
	p := page{meta: `{"api-version":"1.3"}`, versions: "[]"}
	if doc.OK() {
		body := doc.Body
		var err error
		if !isJSON(body) {
			if body, err = fromHTML(doc.URL, project, body); err != nil {
				return page{}, err
			}
		}
		if p, err = parsePage(body); err != nil {
			return page{}, err
		}
		if err := date(in, project, p.files); err != nil {
			return page{}, err
		}
	} else if len(ours) == 0 {
		return page{}, sdk.NotFound(project + " is not published here")
	}
	if p.versions != "" && len(ours) > 0 {
		p.versions = withVersions(p.versions, hostedVersions(ours))
	}
	return p, nil
}

// withVersions adds versions to a raw array of them that lacks them.
func withVersions(array string, more []string) string {
	normal, listed := versions{}, map[string]bool{}
	all := []byte{'['}
	add := func(raw, version string) {
		v := same(normal.normal(version))
		if listed[v] {
			return
		}
		listed[v] = true
		if len(all) > 1 {
			all = append(all, ',')
		}
		all = append(all, raw...)
	}
	gjson.Parse(array).ForEach(func(_, v gjson.Result) bool {
		add(v.Raw, v.Str)
		return true
	})
	for _, v := range more {
		add(quote(v), v)
	}
	return string(append(all, ']'))
}

// date fills in the upload times of files without one, from upstream's JSON
// API. An index that has none leaves them zero; one that does not answer is an
// error, as files would be let through whose age is not known.
func date(in *sdk.Input, project string, files []file) error {
	if !undated(files) || !in.CoolsDown(project) {
		return nil
	}
	doc, ok := in.Doc(sdk.Source{URL: "/pypi/" + project + "/json", Accept: "application/json", Optional: true})
	if !ok {
		return nil
	}
	if doc.Status == 0 || doc.Status == http.StatusTooManyRequests || doc.Status >= 500 {
		return fmt.Errorf("the page does not say when the files of %s were uploaded, and the index's JSON API answers with status %d", project, doc.Status)
	}
	if !doc.OK() || bytes.HasPrefix(bytes.TrimSpace(doc.Body), []byte("<")) {
		return nil // no JSON API: some indexes answer everything with a page
	}
	api, err := parseAPI(doc.Body)
	if err != nil {
		return err
	}
	uploads := map[string]gjson.Result{}
	api.Get("releases").ForEach(func(_, files gjson.Result) bool {
		files.ForEach(func(_, f gjson.Result) bool {
			uploads[f.Get("filename").Str] = f
			return true
		})
		return true
	})
	for i := range files {
		f := &files[i]
		if !f.published.IsZero() {
			continue
		}
		upload := uploads[f.name]
		ours, theirs := gjson.Get(f.hashes, "sha256").Str, gjson.Get(lowerHashes(upload.Get("digests")), "sha256").Str
		if ours != "" && theirs != "" && ours != theirs {
			continue
		}
		if at := upload.Get("upload_time_iso_8601"); !instant(at.Str).IsZero() {
			f.uploaded, f.published = at.Raw, instant(at.Str)
		}
	}
	return nil
}

func undated(files []file) bool {
	for i := range files {
		if files[i].published.IsZero() {
			return true
		}
	}
	return false
}
