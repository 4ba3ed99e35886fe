package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// anchor is a link of an HTML page.
type anchor struct {
	attributes map[string]string
	text       string
}

// anchors reads an HTML page: its links, its named metas, and what relative
// links are relative to.
func anchors(address string, body []byte) (links []anchor, metas map[string]string, base *url.URL, err error) {
	if base, err = url.Parse(address); err != nil {
		return nil, nil, nil, err
	}
	metas = map[string]string{}
	z := html.NewTokenizer(bytes.NewReader(body))
	var open *anchor
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				return nil, nil, nil, fmt.Errorf("reading the page: %w", z.Err())
			}
			// A link without its end is what a page that was cut off ends in.
			return links, metas, base, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			attributes := map[string]string{}
			for _, a := range t.Attr {
				attributes[a.Key] = a.Val
			}
			switch t.DataAtom {
			case atom.Base:
				if b, err := base.Parse(attributes["href"]); err == nil {
					base = b
				}
			case atom.Meta:
				metas[attributes["name"]] = attributes["content"]
			case atom.A:
				open = &anchor{attributes: attributes}
			}
		case html.TextToken:
			if open != nil {
				open.text += string(z.Text())
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); open != nil && string(name) == "a" {
				links = append(links, *open)
				open = nil
			}
		}
	}
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
// absolute.
func fromHTML(address string, body []byte) ([]byte, error) {
	links, metas, base, err := anchors(address, body)
	if err != nil {
		return nil, err
	}
	p := oldPage{Files: []oldFile{}}
	p.Meta.Version = "1.0"
	if s := metas["pypi:project-status"]; s != "" {
		p.Status = &projectStatus{s, metas["pypi:project-status-reason"]}
	}
	for _, l := range links {
		u, err := base.Parse(l.attributes["href"])
		if err != nil {
			continue
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
	}
	return json.Marshal(p)
}

// hashes reads "sha256=…", as fragments and attributes have it.
func hashes(s string) map[string]string {
	h := map[string]string{}
	if name, sum, ok := strings.Cut(s, "="); ok {
		h[name] = sum
	}
	return h
}
