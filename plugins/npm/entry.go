package main

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/entrepot-registry/entrepot/sdk"
)

// entry is one version of a packument.
type entry struct {
	sdk.Version
	file     sdk.File // its Path is empty only where the entry is odd
	quoted   []byte   // its key in versions, as it stands
	manifest []byte
	said     string // the version in the manifest
	odd      bool   // nothing that could be shown safely
	held     bool   // policy holds it back
	shown    bool   // policy lets it be shown, and it is not odd
}

// readEntry reads what a manifest says of its version. Odd is what no client
// could install or two readers could take for different things: a manifest that
// is no object, says another version than its key (but for build metadata, which
// registries cut off), has a decisive member twice, or has no tarball at an http
// address.
func readEntry(name, version string, m member) *entry {
	e := &entry{
		Version:  sdk.Version{Name: name, Version: version},
		quoted:   m.quoted,
		manifest: m.value,
		odd:      version == "" || strings.ContainsAny(version, "/\\"),
	}
	var own, dist []byte
	for m := range members(m.value) {
		switch string(m.key) {
		case "version":
			e.odd = e.odd || own != nil
			own = m.value
		case "dist":
			e.odd = e.odd || dist != nil
			dist = m.value
		case "deprecated":
			reason, isText := text(m.value)
			e.Yanked = reason != "" || !isText && string(m.value) == "true"
		case "license":
			e.License = license(m.value)
		}
	}
	var isText bool
	e.said, isText = text(own)
	e.odd = e.odd || !isText || withoutBuild(e.said) != withoutBuild(version)
	e.odd = !e.readDist(dist) || e.odd
	return e
}

func withoutBuild(version string) string {
	core, _, _ := strings.Cut(version, "+")
	return core
}

// readDist reads where the tarball is and which digests it has; false: it is
// odd.
func (e *entry) readDist(dist []byte) bool {
	var quoted [3][]byte // tarball, integrity, shasum
	for m := range members(dist) {
		field := slices.Index([]string{"tarball", "integrity", "shasum"}, string(m.key))
		if field < 0 {
			continue
		}
		if quoted[field] != nil {
			return false
		}
		quoted[field] = m.value
	}
	tarball, _ := text(quoted[0])
	integrity, _ := text(quoted[1])
	shasum, _ := text(quoted[2])
	address, err := url.Parse(tarball)
	if err != nil || address.Scheme != "https" && address.Scheme != "http" || address.Host == "" {
		return false
	}
	base, err := url.PathUnescape(address.EscapedPath()[strings.LastIndexByte(address.EscapedPath(), '/')+1:])
	if err != nil || !validFile(base) {
		return false
	}
	e.file = sdk.File{
		Path:    filePath(e.Name, base),
		URL:     tarball,
		Digests: digests(integrity, shasum),
	}
	return true
}

// validFile reports whether a tarball can be asked for by its name.
func validFile(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\") && !strings.ContainsFunc(name, unicode.IsControl)
}

// license is an SPDX expression, or what the older form {"type": …} says.
func license(value []byte) string {
	if s, ok := text(value); ok {
		return s
	}
	for m := range members(value) {
		if m.is("type") {
			s, _ := text(m.value)
			return s
		}
	}
	return ""
}

// lengths are those of the sums of the algorithms of subresource integrity, in
// bytes.
var lengths = map[string]int{"sha512": 64, "sha384": 48, "sha256": 32, "sha1": 20, "md5": 16}

// digests reads subresource integrity metadata (W3C SRI, section 3.5), of which
// the first sum of each algorithm counts, and a hexadecimal SHA-1.
func digests(integrity, shasum string) []sdk.Digest {
	var all []sdk.Digest
	seen := map[string]bool{}
	add := func(algorithm string, sum []byte, err error) {
		if err == nil && len(sum) > 0 && len(sum) == lengths[algorithm] && !seen[algorithm] {
			seen[algorithm] = true
			all = append(all, sdk.Digest{Algorithm: algorithm, Sum: sum})
		}
	}
	for field := range strings.FieldsSeq(integrity) {
		algorithm, rest, _ := strings.Cut(field, "-")
		encoded, _, _ := strings.Cut(rest, "?")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		add(algorithm, sum, err)
	}
	sum, err := hex.DecodeString(shasum)
	add("sha1", sum, err)
	return all
}
