package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planProjectJSON serves the JSON API's document about a project.
func planProjectJSON(r sdk.Request) sdk.Plan {
	project := r.Get("project")
	if !validName(project) {
		return sdk.NotFound("no project has such a name")
	}
	project = normalize(project)
	return sdk.Document{
		Path:   "/pypi/" + project + "/json",
		Name:   project,
		Query:  true,
		From:   []sdk.Source{apiSource(project, "")},
		Render: func(in *sdk.Input) error { return renderProjectJSON(in, project) },
	}
}

// planReleaseJSON serves the JSON API's document about a version.
func planReleaseJSON(r sdk.Request) sdk.Plan {
	project, version := r.Get("project"), r.Get("version")
	if !validName(project) || !validVersion(version) {
		return sdk.NotFound("no such version")
	}
	project = normalize(project)
	source := apiSource(project, version)
	return sdk.Document{
		Path:   source.URL,
		Name:   project,
		Query:  true,
		From:   []sdk.Source{source},
		Render: func(in *sdk.Input) error { return renderReleaseJSON(in, project, version) },
	}
}

// apiSource is where upstream's JSON API has a project, or a version of it.
func apiSource(project, version string) sdk.Source {
	at := "/pypi/" + project
	if version != "" {
		at += "/" + url.PathEscape(version)
	}
	return sdk.Source{URL: at + "/json", Accept: "application/json"}
}

// validVersion reports whether a text can be a version, also one from before
// PEP 440: visible ASCII without a slash, and no path of its own.
func validVersion(v string) bool {
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f || c == '/' || c == '?' || c == '#' || c == '%' {
			return false
		}
	}
	return v != "" && v != "." && v != ".."
}

// renderProjectJSON writes the document with the files that policy keeps, and
// those of ours. Where no file of the version that it tells about is left, or
// one of ours is newer, the newest that has some takes its place.
func renderProjectJSON(in *sdk.Input, project string) error {
	ours, err := hostedFiles(in.Hosted(project))
	if err != nil {
		return err
	}
	doc := in.Docs()[0]
	if !doc.OK() && len(ours) == 0 {
		return sdk.NotFound(project + " is not published here")
	}
	if !doc.OK() {
		doc = &sdk.Doc{Body: []byte(`{"info":{},"last_serial":0,"releases":{},"urls":[],"vulnerabilities":[]}`)}
	}
	r, err := newReleases(in, project, doc)
	if err != nil {
		return err
	}
	if in.Docs()[0].OK() {
		r.judge()
	}
	if err := r.addHosted(ours); err != nil {
		return err
	}
	told := r.top
	shown := r.normal.normal(told.Get("info.version").Str)
	newest := r.newest()
	own, isOurs := release(in, ours, newest)
	switch {
	case isOurs:
		body, err := json.Marshal(own)
		if err != nil {
			return err
		}
		told, shown = gjson.ParseBytes(body), r.normal.normal(newest)
	case r.held[shown]:
		if newest == "" {
			return in.Held()
		}
		source := apiSource(project, newest)
		source.Optional = true
		other, ok := in.Doc(source)
		if !ok {
			return nil
		}
		shown = r.normal.normal(newest)
		if told, err = r.about(other, project, newest); err != nil {
			return err
		}
	}
	return r.write(told, r.files[shown])
}

// about is what an upstream's document tells of a version or, where upstream has
// none or one of another version, as simple indexes do, no more than its name.
func (r *releases) about(doc *sdk.Doc, project, version string) (gjson.Result, error) {
	if doc.OK() {
		told, err := parseAPI(doc.Body)
		if err != nil || same(r.normal.normal(told.Get("info.version").Str)) == same(r.normal.normal(version)) {
			return told, err
		}
	}
	body, err := json.Marshal(map[string]any{"info": map[string]string{"name": project, "version": version}})
	return gjson.ParseBytes(body), err
}

// addHosted puts the files of ours in the place of upstream's of the same
// versions.
func (r *releases) addHosted(ours []hostedFile) error {
	for _, version := range hostedVersions(ours) {
		own, _ := release(r.in, ours, version)
		files, err := json.Marshal(own.URLs)
		if err != nil {
			return err
		}
		r.order = slices.DeleteFunc(r.order, func(theirs string) bool { return same(r.normal.normal(theirs)) == same(version) })
		r.order = append(r.order, version)
		r.files[version], r.held[version], r.kept[version], r.yanked[version] = files, false, true, own.Info.Yanked
	}
	return nil
}

// renderReleaseJSON writes the document about one version with the files that
// policy keeps, or those of ours.
func renderReleaseJSON(in *sdk.Input, project, version string) error {
	ours, err := hostedFiles(in.Hosted(project))
	if err != nil {
		return err
	}
	if own, ok := release(in, ours, version); ok {
		return in.JSON(own)
	}
	if !in.Docs()[0].OK() {
		return sdk.NotFound(project + " " + version + " is not published here")
	}
	r, err := newReleases(in, project, in.Docs()[0])
	if err != nil {
		return err
	}
	r.judge()
	shown := r.normal.normal(r.top.Get("info.version").Str)
	if r.held[shown] {
		return in.HeldFiles(project, shown)
	}
	return r.write(r.top, r.files[shown])
}

// parseAPI reads a document of the JSON API.
func parseAPI(body []byte) (gjson.Result, error) {
	if !gjson.ValidBytes(body) || !isJSON(body) {
		return gjson.Result{}, errors.New("the JSON API's document is cut off or no JSON object")
	}
	return gjson.ParseBytes(body), nil
}

// releases are the versions of a document of the JSON API, judged. Its maps are
// by version in normal form.
type releases struct {
	lister
	top gjson.Result
	// order has the versions as upstream writes them.
	order []string
	// files has the raw arrays of files that are shown.
	files map[string][]byte
	// held are versions that have files, none of which is shown.
	held map[string]bool
	// yanked are versions all of whose shown files are yanked.
	yanked map[string]bool
}

// newReleases reads a document, of which nothing is judged yet.
func newReleases(in *sdk.Input, project string, doc *sdk.Doc) (*releases, error) {
	top, err := parseAPI(doc.Body)
	if err != nil {
		return nil, err
	}
	l, err := newLister(in, project, doc.URL)
	if err != nil {
		return nil, err
	}
	return &releases{lister: l, top: top, files: map[string][]byte{}, held: map[string]bool{}, yanked: map[string]bool{}}, nil
}

// judge judges all that a document lists: its releases, and the files of the
// version that it tells about where those are not among them.
func (r *releases) judge() {
	r.top.Get("releases").ForEach(func(version, files gjson.Result) bool {
		r.add(version.Str, files)
		return true
	})
	if shown := r.top.Get("info.version").Str; r.files[r.normal.normal(shown)] == nil {
		r.add(shown, r.top.Get("urls"))
	}
}

// add judges the files of a version.
func (r *releases) add(version string, files gjson.Result) {
	normal := r.normal.normal(version)
	shown, listed, kept, yanked := []byte{'['}, 0, 0, 0
	files.ForEach(func(_, value gjson.Result) bool {
		listed++
		f := file{
			name:      value.Get("filename").Str,
			url:       value.Get("url").Str,
			hashes:    lowerHashes(value.Get("digests")),
			size:      value.Get("size").Raw,
			yanked:    value.Get("yanked").Raw,
			published: instant(value.Get("upload_time_iso_8601").Str),
		}
		e, _, ok := r.list(&f)
		if !ok {
			return true
		}
		if kept > 0 {
			shown = append(shown, ',')
		}
		kept++
		if truthy(f.yanked) {
			yanked++
		}
		shown = appendMoved(shown, value, r.in.URL(e.path))
		return true
	})
	if listed == 0 && !r.in.Keep(sdk.Version{Name: r.project, Version: normal}) {
		return
	}
	r.order = append(r.order, version)
	r.files[normal] = append(shown, ']')
	r.held[normal] = listed > 0 && kept == 0
	r.yanked[normal] = kept > 0 && yanked == kept
}

// newest returns the newest version with files that are shown, as upstream
// writes it, rather one that is not yanked. Empty: there is none.
func (r *releases) newest() string {
	var good, yanked []string
	for _, version := range r.order {
		normal := r.normal.normal(version)
		switch {
		case !r.kept[normal]:
		case r.yanked[normal]:
			yanked = append(yanked, version)
		default:
			good = append(good, version)
		}
	}
	if len(good) == 0 {
		good = yanked
	}
	return newest(good)
}

// write writes the document with what another one tells about a version, and
// the files of that version.
func (r *releases) write(told gjson.Result, urls []byte) error {
	out := []byte{'{'}
	r.top.ForEach(func(key, value gjson.Result) bool {
		raw := []byte(value.Raw)
		switch key.Str {
		case "info", "vulnerabilities":
			if raw = []byte(told.Get(key.Str).Raw); len(raw) == 0 {
				return true
			}
		case "urls":
			raw = urls
		case "releases":
			raw = r.listed()
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, key.Raw...)
		out = append(out, ':')
		out = append(out, raw...)
		return true
	})
	_, err := r.in.Output("", "application/json").Write(append(out, '}'))
	return err
}

// listed returns the object of releases with what is shown.
func (r *releases) listed() []byte {
	out := []byte{'{'}
	for _, version := range r.order {
		normal := r.normal.normal(version)
		if r.held[normal] {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = gjson.AppendJSONString(out, version)
		out = append(out, ':')
		out = append(out, r.files[normal]...)
	}
	return append(out, '}')
}

// appendMoved appends a file of the JSON API with its address replaced.
func appendMoved(b []byte, f gjson.Result, address string) []byte {
	b = append(b, '{')
	first := true
	f.ForEach(func(key, value gjson.Result) bool {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, key.Raw...)
		b = append(b, ':')
		if key.Str == "url" {
			b = gjson.AppendJSONString(b, address)
		} else {
			b = append(b, value.Raw...)
		}
		return true
	})
	return append(b, '}')
}
