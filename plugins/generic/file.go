package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// file is a file of an upstream's, or of ours.
type file struct {
	// upstream is the role, which the configuration names; empty: no upstream has
	// it.
	upstream string
	// path is below the upstream's address, with its escapes and a slash at its
	// beginning.
	path string
	// sha256 is the digest that the request names, as bytes; nil: none.
	sha256 []byte
}

// requested is the file that a request names.
func requested(r sdk.Request) (file, error) {
	f := named(strings.TrimPrefix(r.Path, "/"))
	if r.Query == "" {
		return f, nil
	}
	query, err := url.ParseQuery(r.Query)
	if sums := query["sha256"]; err == nil && len(query) == 1 && len(sums) == 1 {
		if sum, err := hex.DecodeString(sums[0]); err == nil && len(sum) == sha256.Size {
			f.sha256 = sum
			return f, nil
		}
	}
	return f, errQuery
}

var errQuery = errors.New("a file has no query here but sha256=… with 64 hexadecimal digits")

// named is a file by its name: its address here without the first slash. What is
// in no folder is in none of an upstream's.
func named(name string) file {
	upstream, path, below := strings.Cut(name, "/")
	if !below || upstream == "" {
		return file{path: "/" + escaped(name)}
	}
	return file{upstream: upstream, path: "/" + escaped(path)}
}

// doubled reports whether a path has two slashes in a row, escaped or not.
func doubled(path string) bool {
	plain, err := url.PathUnescape(path)
	return err == nil && strings.Contains(plain, "//")
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// standing is what stands for itself in a path, besides letters and digits (RFC 3986,
// section 3.3), so that a file has one name however a client escapes it.
const standing = "-._~!$&'()*+,;=:@"

// escaped is a path with escapes, in capitals, for all that an address cannot
// have, and for nothing else.
func escaped(path string) string {
	path = escape.ReplaceAllStringFunc(path, func(escape string) string {
		b, _ := strconv.ParseUint(escape[1:], 16, 8) // as the pattern has it
		if c := byte(b); strings.IndexByte(standing, c) >= 0 || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			return string(c)
		}
		return strings.ToUpper(escape)
	})
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	return (&url.URL{Path: decoded, RawPath: path}).EscapedPath()
}

// asked is the path that an upstream is asked for: in it a plus is no blank to any
// server, as one that stands for itself is to some.
func (f file) asked() string { return strings.ReplaceAll(f.path, "+", "%2B") }

// name is what the file is called in rules and messages.
func (f file) name() string { return strings.TrimPrefix(f.upstream+f.path, "/") }

// folder reports whether it is a folder's address, for which servers answer
// with listings.
func (f file) folder() bool { return strings.HasSuffix(f.path, "/") }

// address is the canonical address here.
func (f file) address() string {
	if f.sha256 == nil {
		return "/" + f.name()
	}
	return "/" + f.name() + "?sha256=" + hex.EncodeToString(f.sha256)
}
