package main

import (
	"html"
	"io"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// flushAt is how much of an output is gathered before it is written.
const flushAt = 64 << 10

// writer writes a page in JSON and HTML side by side.
type writer struct {
	base           string // our address
	json, html     []byte
	toJSON, toHTML io.Writer
	files          int
}

func newWriter(in *sdk.Input) *writer {
	return &writer{
		base:   in.URL(""),
		toJSON: in.Output(outputJSON, typeJSON),
		toHTML: io.MultiWriter(in.Output(outputHTML, typeHTML), in.Output(outputHTMLv1, typeHTMLv1)),
	}
}

// begin writes what stands before the files.
func (w *writer) begin(project string, p *page) {
	meta, version := p.meta, gjson.Get(p.meta, "api-version").Str
	if version == "" {
		meta, version = `{"api-version":"1.0"}`, "1.0"
	}
	w.json = append(w.json, `{"meta":`...)
	w.json = append(w.json, meta...)
	w.json = append(w.json, `,"name":`...)
	w.json = gjson.AppendJSONString(w.json, project)
	w.json = append(w.json, p.rest...)
	w.json = appendMember(w.json, "project-status", p.status)
	w.json = append(w.json, `,"files":[`...)

	w.html = append(w.html, "<!DOCTYPE html>\n<html>\n  <head>\n"...)
	w.html = appendMeta(w.html, "pypi:repository-version", version)
	w.html = appendMeta(w.html, "pypi:project-status", gjson.Get(p.status, "status").Str)
	w.html = appendMeta(w.html, "pypi:project-status-reason", gjson.Get(p.status, "reason").Str)
	title := "Links for " + html.EscapeString(project)
	w.html = append(w.html, "    <title>"+title+"</title>\n  </head>\n  <body>\n    <h1>"+title+"</h1>\n"...)
}

// file writes a file in both forms.
func (w *writer) file(e entry) error {
	if w.files > 0 {
		w.json = append(w.json, ',')
	}
	w.files++
	w.json = append(w.json, `{"filename":`...)
	w.json = gjson.AppendJSONString(w.json, e.name)
	w.json = append(w.json, `,"url":`...)
	w.json = gjson.AppendJSONString(w.json, w.base+e.path)
	w.json = append(w.json, `,"hashes":`...)
	w.json = append(w.json, orEmpty(e.hashes)...)
	w.json = appendMember(w.json, "requires-python", e.requires)
	w.json = appendMember(w.json, "size", e.size)
	w.json = appendMember(w.json, "upload-time", e.uploaded)
	w.json = appendMember(w.json, "yanked", e.yanked)
	w.json = appendMember(w.json, "gpg-sig", e.signature)
	w.json = appendMember(w.json, "core-metadata", e.metadata)
	if e.provenance != "" {
		w.json = append(w.json, `,"provenance":`...)
		w.json = gjson.AppendJSONString(w.json, e.provenance)
	}
	w.json = append(w.json, e.rest...)
	w.json = append(w.json, '}')

	w.html = append(w.html, `<a href="`...)
	w.html = append(w.html, html.EscapeString(w.base+e.path)...)
	if name, sum := fragment(e.hashes); name != "" {
		w.html = append(w.html, html.EscapeString("#"+name+"="+sum)...)
	}
	w.html = append(w.html, '"')
	if s := text(e.requires); s != "" {
		w.html = appendAttribute(w.html, "data-requires-python", s)
	}
	if truthy(e.yanked) {
		w.html = appendAttribute(w.html, "data-yanked", text(e.yanked))
	}
	if e.signature == "true" || e.signature == "false" {
		w.html = appendAttribute(w.html, "data-gpg-sig", e.signature)
	}
	if e.metadata != "" {
		value := "true"
		if name, sum := fragment(e.metadata); name != "" {
			value = name + "=" + sum
		}
		w.html = appendAttribute(w.html, "data-core-metadata", value)
		w.html = appendAttribute(w.html, "data-dist-info-metadata", value)
	}
	if e.provenance != "" {
		w.html = appendAttribute(w.html, "data-provenance", e.provenance)
	}
	w.html = append(w.html, '>')
	w.html = append(w.html, html.EscapeString(e.name)...)
	w.html = append(w.html, "</a><br/>\n"...)

	if len(w.json) >= flushAt || len(w.html) >= flushAt {
		return w.flush()
	}
	return nil
}

// end writes what stands after the files; of the versions, those that have
// files left (PEP 700).
func (w *writer) end(p *page, kept func(version string) bool) error {
	w.json = append(w.json, ']')
	if p.versions != "" {
		w.json = append(w.json, `,"versions":[`...)
		comma := false
		gjson.Parse(p.versions).ForEach(func(_, v gjson.Result) bool {
			if v.Type == gjson.String && kept(v.Str) {
				if comma {
					w.json = append(w.json, ',')
				}
				comma = true
				w.json = append(w.json, v.Raw...)
			}
			return true
		})
		w.json = append(w.json, ']')
	}
	w.json = append(w.json, '}')
	w.html = append(w.html, "  </body>\n</html>\n"...)
	return w.flush()
}

func (w *writer) flush() error {
	if _, err := w.toJSON.Write(w.json); err != nil {
		return err
	}
	if _, err := w.toHTML.Write(w.html); err != nil {
		return err
	}
	w.json, w.html = w.json[:0], w.html[:0]
	return nil
}

// fragment returns the hash that an address carries (PEP 503): sha256, or else
// the first there is.
func fragment(hashes string) (name, sum string) {
	gjson.Parse(hashes).ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.String && (name == "" || key.Str == "sha256") {
			name, sum = key.Str, value.Str
		}
		return name != "sha256"
	})
	return name, sum
}

// appendMember appends a member with a raw value to an object; nothing without
// a value.
func appendMember(b []byte, name, raw string) []byte {
	if raw == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return append(b, raw...)
}

func appendAttribute(b []byte, name, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, `="`...)
	b = append(b, html.EscapeString(value)...)
	return append(b, '"')
}

func appendMeta(b []byte, name, content string) []byte {
	if content == "" {
		return b
	}
	b = append(b, `    <meta name="`...)
	b = append(b, name...)
	b = append(b, '"')
	b = appendAttribute(b, "content", content)
	return append(b, ">\n"...)
}

func orEmpty(object string) string {
	if object == "" {
		return "{}"
	}
	return object
}
