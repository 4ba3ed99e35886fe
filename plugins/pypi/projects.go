package main

import (
	"errors"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planProjects serves the list of all projects, upstream's and ours. It names no
// version and no file, so there is nothing in it to judge.
func (x index) planProjects(r sdk.Request) sdk.Plan {
	return sdk.Document{
		Path:   "/simple/",
		Output: negotiate(r.Header("Accept")),
		From:   []sdk.Source{{URL: x.simple, Accept: acceptUpstream}},
		Hosted: "*",
		Render: renderProjects,
	}
}

// renderProjects writes the list: JSON as it came as far as nothing of ours
// changes it, HTML with addresses of ours.
func renderProjects(in *sdk.Input) error {
	doc := in.Docs()[0]
	body := doc.Body
	if !doc.OK() {
		body = []byte(`{"meta":{"api-version":"1.0"},"projects":[]}`)
	} else if !isJSON(body) {
		var err error
		if body, err = projectsJSON(doc.URL, body); err != nil {
			return err
		}
	}
	if !gjson.ValidBytes(body) {
		return errors.New("the list of projects is cut off or no JSON")
	}
	body = withHosted(in, body)
	if _, err := in.Output(outputJSON, typeJSON).Write(body); err != nil {
		return err
	}
	out := io.MultiWriter(in.Output(outputHTML, typeHTML), in.Output(outputHTMLv1, typeHTMLv1))
	page := []byte("<!DOCTYPE html>\n<html>\n  <head>\n")
	page = appendMeta(page, "pypi:repository-version", gjson.GetBytes(body, "meta.api-version").Str)
	page = append(page, "    <title>Simple index</title>\n  </head>\n  <body>\n"...)
	base := html.EscapeString(in.URL("/simple/"))
	var failed error
	gjson.GetBytes(body, "projects").ForEach(func(_, project gjson.Result) bool {
		name := project.Get("name").String()
		if !validName(name) {
			return true
		}
		page = append(page, `<a href="`+base+normalize(name)+`/">`+name+"</a><br/>\n"...)
		if len(page) >= flushAt {
			_, failed = out.Write(page)
			page = page[:0]
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	_, err := out.Write(append(page, "  </body>\n</html>\n"...))
	return err
}

// withHosted adds projects of ours to a list, and takes those out of which
// upstream has what is ours to publish.
func withHosted(in *sdk.Input, body []byte) []byte {
	add := map[string]bool{}
	for _, p := range in.HostedPackages() {
		add[p.Name] = true
	}
	list := gjson.GetBytes(body, "projects")
	kept, changed := []byte{'['}, false
	list.ForEach(func(_, project gjson.Result) bool {
		name := normalize(project.Get("name").Str)
		if in.Ours(name) && !add[name] {
			changed = true
			return true
		}
		delete(add, name)
		kept = appendProject(kept, project.Raw)
		return true
	})
	if len(add) == 0 && !changed || list.Index == 0 {
		return body
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		kept = appendProject(kept, `{"name":`+quote(name)+`}`)
	}
	rest := body[list.Index+len(list.Raw):]
	return slices.Concat(body[:list.Index], append(kept, ']'), rest)
}

func appendProject(list []byte, raw string) []byte {
	if len(list) > 1 {
		list = append(list, ',')
	}
	return append(list, raw...)
}

// projectsJSON turns a list in HTML into the list in JSON (PEP 691, project list).
func projectsJSON(address string, list []byte) ([]byte, error) {
	b := []byte(`{"meta":{"api-version":"1.0"},"projects":[`)
	first := true
	_, err := readHTML(address, list, func(_ *htmlPage, l anchor) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, `{"name":`...)
		b = gjson.AppendJSONString(b, strings.TrimSpace(l.text))
		b = append(b, '}')
	})
	return append(b, "]}"...), err
}
