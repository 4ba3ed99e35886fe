package main

import (
	"errors"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// page is a project's page of the simple API as upstream has it. What stands
// in it as raw JSON is passed on as it came; empty: upstream does not say it.
type page struct {
	meta   string // raw object
	status string // raw object, PEP 792
	// rest are members that are not known here: `,"key":value`, one after the
	// other.
	rest string
	// versions is the raw array of PEP 700.
	versions string
	files    []file
}

// file is a file of a page. Members after url are raw JSON.
type file struct {
	name, url  string
	hashes     string
	requires   string // requires-python
	size       string
	uploaded   string // upload-time
	yanked     string
	signature  string // gpg-sig
	metadata   string // core-metadata
	provenance string
	rest       string
	// published is upload-time as an instant; zero: unknown.
	published time.Time
}

// isJSON reports whether a page is JSON rather than HTML, by its beginning:
// old indexes declare their pages in many ways.
func isJSON(body []byte) bool {
	for _, c := range body {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '{'
	}
	return false
}

// parsePage reads a project's page in JSON (PEP 691, project detail).
func parsePage(body []byte) (page, error) {
	if !gjson.ValidBytes(body) {
		return page{}, errors.New("the page is cut off or no JSON")
	}
	var p page
	var files gjson.Result
	var rest strings.Builder
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "meta":
			p.meta = object(value)
		case "project-status":
			p.status = object(value)
		case "versions":
			if value.IsArray() {
				p.versions = value.Raw
			}
		case "files":
			files = value
		case "name":
		default:
			member(&rest, key, value)
		}
		return true
	})
	p.rest = rest.String()
	if !files.IsArray() {
		return page{}, errors.New("the page has no list of files")
	}
	files.ForEach(func(_, value gjson.Result) bool {
		if f := parseFile(value); f.name != "" && f.url != "" {
			p.files = append(p.files, f)
		}
		return true
	})
	return p, nil
}

// parseFile reads a member of the list of files; without a name, it is none.
// The keys that PEP 714 replaced are read and not written: clients fail at them.
func parseFile(value gjson.Result) file {
	var f file
	if !value.IsObject() {
		return f
	}
	var rest strings.Builder
	legacy := ""
	value.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "filename":
			f.name = v.String()
		case "url":
			f.url = v.String()
		case "hashes":
			f.hashes = lowerHashes(v)
		case "requires-python":
			f.requires = v.Raw
		case "size":
			f.size = v.Raw
		case "upload-time":
			f.uploaded = v.Raw
			f.published = instant(v.Str)
		case "yanked":
			f.yanked = v.Raw
		case "gpg-sig":
			f.signature = v.Raw
		case "core-metadata":
			f.metadata = v.Raw
		case "dist-info-metadata", "data-dist-info-metadata":
			legacy = v.Raw
		case "provenance":
			f.provenance = v.Raw
		default:
			member(&rest, key, v)
		}
		return true
	})
	if f.metadata == "" {
		f.metadata = legacy
	}
	f.metadata = strings.ToLower(f.metadata) // as lowerHashes
	f.rest = rest.String()
	return f
}

func member(b *strings.Builder, key, value gjson.Result) {
	b.WriteByte(',')
	b.WriteString(key.Raw)
	b.WriteByte(':')
	b.WriteString(value.Raw)
}

// object returns a value's JSON if it is an object.
func object(v gjson.Result) string {
	if v.IsObject() {
		return v.Raw
	}
	return ""
}

// truthy reports whether raw JSON is what Python takes for true, as the fields
// that are a boolean or a reason are read (PEP 691).
func truthy(raw string) bool {
	switch raw {
	case "", "false", "null", `""`, "0", "{}":
		return false
	}
	return true
}

// text returns a raw JSON string's value; empty for anything else.
func text(raw string) string {
	if raw == "" || raw[0] != '"' {
		return ""
	}
	return gjson.Parse(raw).Str
}

// instant reads a time of PEP 700 or of the JSON API; zero: it is malformed.
func instant(s string) time.Time {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t
	}
	return time.Time{}
}

// lowerHashes is an object of hashes with their names and sums in lower case, as
// clients read them; empty: it is no object.
func lowerHashes(v gjson.Result) string { return strings.ToLower(object(v)) }

// digests returns the digests in a raw object of hashes that can be verified. A
// malformed one is of no file.
func digests(raw string) []sdk.Digest {
	var out []sdk.Digest
	gjson.Parse(raw).ForEach(func(key, value gjson.Result) bool {
		if algorithm := algorithmOf(key.Str); algorithm != "" && value.Str != "" {
			out = append(out, sdk.HexDigest(algorithm, value.Str))
		}
		return true
	})
	return out
}

// algorithmOf is what the host calls an algorithm that an index names: one that
// Python's hashlib guarantees (PEPs 503 and 691), or the one that the JSON API
// has besides. Empty: it is none of these.
func algorithmOf(name string) string {
	switch name = strings.ToLower(name); name {
	case "sha512", "sha384", "sha256", "sha224", "sha1", "md5":
		return name
	case "sha3_512", "sha3_384", "sha3_256", "sha3_224":
		return strings.Replace(name, "_", "-", 1)
	case "shake_128", "shake_256":
		return strings.Replace(name, "_", "", 1)
	case "blake2b":
		return "blake2b-512"
	case "blake2b_256":
		return blake2
	case "blake2s":
		return "blake2s-256"
	}
	return ""
}
