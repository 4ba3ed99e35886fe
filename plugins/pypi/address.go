package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"strings"
)

// addresses gives upstream's addresses their places here. The place keeps the
// path, which on most indexes has a hash in it, and drops the host, as files
// stand on other hosts than the index.
type addresses struct {
	// base resolves addresses that are relative to their page.
	base *url.URL
	// taken has the upstream address of each place given away.
	taken map[string]string
}

func newAddresses(page string) (*addresses, error) {
	base, err := url.Parse(page)
	if err != nil {
		return nil, err
	}
	return &addresses{base: base, taken: map[string]string{}}, nil
}

// place returns a file's canonical path here and its absolute address
// upstream. The path ends in the file's name, which is what installers go by.
// Two files of a page whose paths are the same on different hosts are told
// apart by a hash of the later one's address. False: the address is none.
func (a *addresses) place(address, file string) (here, upstream string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	if !u.IsAbs() || strings.Contains(address, "/.") {
		u = a.base.ResolveReference(u)
	}
	if u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", false
	}
	u.Fragment, u.RawFragment = "", ""
	upstream = u.String()
	at, ok := cleanPath(u.EscapedPath())
	if !ok {
		return "", "", false
	}
	if name := url.PathEscape(file); path.Base(at) != name {
		at += "/" + name
	}
	here = "/files" + at
	if other, taken := a.taken[here]; taken && other != upstream {
		sum := sha256.Sum256([]byte(upstream))
		here = "/files/~" + hex.EncodeToString(sum[:8]) + at
	}
	a.taken[here] = upstream
	return here, upstream, true
}

// provenance returns the place of the provenance of a project's file (PEP 740)
// and its absolute address upstream. False: it stands on another host than the
// page, or at an address that does not name the file.
func (a *addresses) provenance(address, project, file string) (here, upstream string, ok bool) {
	u, err := a.base.Parse(address)
	if err != nil || u.Host != a.base.Host || u.Scheme != a.base.Scheme {
		return "", "", false
	}
	at, ok := cleanPath(u.EscapedPath())
	i := strings.LastIndex(at, "/integrity/")
	if !ok || i < 0 {
		return "", "", false
	}
	parts := strings.Split(at[i+1:], "/")
	if len(parts) != 5 || normalize(parts[1]) != project || parts[3] != url.PathEscape(file) || parts[4] != "provenance" {
		return "", "", false
	}
	return at[i:], u.String(), true
}

// withSuffix returns an address with something appended to its path: a file's
// core metadata and signature stand beside it (PEP 658; PEP 503).
func withSuffix(address, suffix string) string {
	before, query, found := strings.Cut(address, "?")
	if found {
		return before + suffix + "?" + query
	}
	return address + suffix
}

// cleanPath returns an escaped path with each segment escaped the one way that
// counts here; clients escape differently, as %2B for +. False: it has
// malformed escapes, or segments that a client would resolve.
func cleanPath(escaped string) (string, bool) {
	if isClean(escaped) {
		return escaped, true
	}
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		name, err := url.PathUnescape(s)
		if err != nil || name == "." || name == ".." || name == "" && i > 0 {
			return "", false
		}
		segments[i] = url.PathEscape(name)
	}
	return strings.Join(segments, "/"), true
}

// isClean reports whether an escaped path is one that cleanPath would not
// change, without looking at paths with escapes or hidden files: most are.
func isClean(escaped string) bool {
	slash := false
	for i, c := range []byte(escaped) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '+':
			slash = false
		case c == '.' && !slash:
		case c == '/' && !slash && (i == 0 || i < len(escaped)-1):
			slash = true
		default:
			return false
		}
	}
	return escaped != ""
}
