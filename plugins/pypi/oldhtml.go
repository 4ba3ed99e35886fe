package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// anchor is a link of an HTML page.
type anchor struct {
	attributes map[string]string
	text       string
}

// htmlPage is what an HTML page says.
type htmlPage struct {
	metas    map[string]string // by name
	headings []string          // texts of title and h1
	base     *url.URL          // what links are relative to
}

// readHTML reads an HTML page and tells of its links one by one, because there may be
// very many; the page's base is known by then. One that ends within a tag or a link
// was cut off, which is an error. A document need not be closed (HTML, optional tags).
func readHTML(address string, body []byte, link func(*htmlPage, anchor)) (*htmlPage, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	p := &htmlPage{metas: map[string]string{}, base: base}
	z := html.NewTokenizer(bytes.NewReader(body))
	var open *anchor
	var heading *strings.Builder // of the title or h1 being read
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				return nil, fmt.Errorf("reading the page: %w", z.Err())
			}
			if open != nil || bytes.LastIndexByte(body, '<') > bytes.LastIndexByte(body, '>') {
				return nil, errors.New("the page is cut off: it ends within a link")
			}
			return p, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			attributes := map[string]string{}
			for _, a := range t.Attr {
				attributes[a.Key] = a.Val
			}
			switch t.DataAtom {
			case atom.Title, atom.H1:
				heading = &strings.Builder{}
			case atom.Base:
				if b, err := p.base.Parse(attributes["href"]); err == nil {
					p.base = b
				}
			case atom.Meta:
				p.metas[attributes["name"]] = attributes["content"]
			case atom.A:
				open = &anchor{attributes: attributes}
			}
		case html.TextToken:
			text := z.Text()
			if open != nil {
				open.text += string(text)
			}
			if heading != nil {
				heading.Write(text)
			}
		case html.EndTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "title", "h1":
				if heading != nil {
					p.headings = append(p.headings, heading.String())
					heading = nil
				}
			case "a":
				if open != nil {
					link(p, *open)
					open = nil
				}
			}
		}
	}
}

// listsFiles reports whether a page says itself that it is one of the simple
// API, as one of a project without files must: pages for maintenance or to log
// in come with status 200 too.
func (p *htmlPage) listsFiles() bool {
	if _, ok := p.metas["pypi:repository-version"]; ok {
		return true
	}
	return slices.ContainsFunc(p.headings, func(h string) bool {
		return strings.HasPrefix(strings.ToLower(strings.Join(strings.Fields(h), " ")), "links for")
	})
}

// oldFile is a file of an HTML page as JSON has it.
type oldFile struct {
	Filename  string            `json:"filename"`
	URL       string            `json:"url"`
	Hashes    map[string]string `json:"hashes"`
	Requires  string            `json:"requires-python,omitempty"`
	Yanked    any               `json:"yanked,omitempty"` // true or a reason
	Signature *bool             `json:"gpg-sig,omitempty"`
	Metadata  any               `json:"core-metadata,omitempty"` // true or hashes
	Proof     string            `json:"provenance,omitempty"`
}

// oldPage is an HTML page as JSON has it. Its version is 1.0: HTML has none of
// what later versions require of JSON.
type oldPage struct {
	Meta struct {
		Version string `json:"api-version"`
	} `json:"meta"`
	Status *projectStatus `json:"project-status,omitempty"`
	Files  []oldFile      `json:"files"`
}

type projectStatus struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// fromHTML turns a project's page in HTML (PEP 503, with the attributes of
// PEPs 592, 658, 714, 740 and 792) into the page in JSON, addresses made
// absolute. A page without a link to a file of the project must say what it is.
func fromHTML(address, project string, body []byte) ([]byte, error) {
	p := oldPage{Files: []oldFile{}}
	p.Meta.Version = "1.0"
	some := false // file of the project
	from, err := readHTML(address, body, func(from *htmlPage, l anchor) {
		u, err := from.base.Parse(l.attributes["href"])
		if err != nil {
			return
		}
		f := oldFile{
			Filename: path.Base(u.Path),
			Hashes:   hashes(u.Fragment),
			Requires: l.attributes["data-requires-python"],
			Proof:    l.attributes["data-provenance"],
		}
		u.Fragment, u.RawFragment = "", ""
		f.URL = u.String()
		if reason, ok := l.attributes["data-yanked"]; ok {
			f.Yanked = reason
			if reason == "" {
				f.Yanked = true
			}
		}
		if v, ok := l.attributes["data-gpg-sig"]; ok {
			signed := v == "true"
			f.Signature = &signed
		}
		metadata, ok := l.attributes["data-core-metadata"]
		if !ok {
			metadata = l.attributes["data-dist-info-metadata"]
		}
		if h := hashes(metadata); len(h) > 0 {
			f.Metadata = h
		} else if metadata == "true" {
			f.Metadata = true
		}
		p.Files = append(p.Files, f)
		_, ours := versionOf(f.Filename, project)
		some = some || ours
	})
	if err != nil {
		return nil, err
	}
	if s := from.metas["pypi:project-status"]; s != "" {
		p.Status = &projectStatus{s, from.metas["pypi:project-status-reason"]}
	}
	if !some && !from.listsFiles() {
		return nil, errors.New("the page has no link to a file of " + project + ", and does not say that it is a page of an index")
	}
	return json.Marshal(p)
}

// hashes reads "sha256=…", as attributes have it, and fragments also beside what
// else pip reads there, as in "egg=demo&sha256=…".
func hashes(s string) map[string]string {
	h := map[string]string{}
	for part := range strings.SplitSeq(s, "&") {
		if name, sum, _ := strings.Cut(part, "="); sum != "" && algorithmOf(name) != "" {
			h[strings.ToLower(name)] = strings.ToLower(sum)
		}
	}
	return h
}
