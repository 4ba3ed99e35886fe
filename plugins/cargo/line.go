package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// release is one line of an index file: a version of a crate (Cargo book,
// "Index Format", JSON schema).
type release struct {
	// name is the crate's, in the case of the line.
	name    string
	version *semver.Version
	// checksum is the crate file's sha256.
	checksum []byte
	// published is the line's pubtime; zero: it has none.
	published time.Time
	yanked    bool
	// start and end delimit the line in the file, line feed included.
	start, end int
}

// parseIndex reads the lines of a crate's index file. Lines that cargo would
// not accept, that are of another crate, or that repeat a version are left out:
// what cannot be judged is not passed on. A file without a single good line, an
// empty one included, is an error, and so is one whose last line is no JSON: it
// was cut off.
func parseIndex(name string, body []byte) ([]release, error) {
	text := string(body)
	releases := make([]release, 0, bytes.Count(body, []byte("\n"))+1)
	seen := make(map[string]bool, cap(releases))
	for start := 0; start < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i + 1
		}
		r, ok := parseLine(text[start:end])
		if ok && canonical(r.name) == name && !seen[r.version.Original()] {
			seen[r.version.Original()] = true
			r.start, r.end = start, end
			releases = append(releases, r)
		}
		start = end
	}
	lines := strings.TrimSpace(text)
	switch {
	case lines == "":
		return nil, fmt.Errorf("the index file of %s is empty", name)
	case len(releases) == 0:
		return nil, fmt.Errorf("no line of the index file of %s can be read", name)
	case !gjson.Valid(lines[strings.LastIndexByte(lines, '\n')+1:]):
		return nil, fmt.Errorf("the index file of %s is cut off: its last line is no JSON", name)
	}
	return releases, nil
}

// parseLine reads one line; false: it is malformed. A key that stands twice
// makes it so, as readers differ on which of the two counts.
func parseLine(line string) (release, bool) {
	if !gjson.Valid(line) {
		return release{}, false
	}
	object := gjson.Parse(line)
	if !object.IsObject() {
		return release{}, false
	}
	var name, version, checksum, pubtime, yanked gjson.Result
	good := true
	object.ForEach(func(key, value gjson.Result) bool {
		var field *gjson.Result
		switch key.Str {
		case "name":
			field = &name
		case "vers":
			field = &version
		case "cksum":
			field = &checksum
		case "pubtime":
			field = &pubtime
		case "yanked":
			field = &yanked
		default:
			return true
		}
		good = good && !field.Exists()
		*field = value
		return good
	})
	if !good || name.Type != gjson.String || !validName(name.Str) || version.Type != gjson.String || checksum.Type != gjson.String {
		return release{}, false
	}
	v, err := semver.StrictNewVersion(version.Str)
	if err != nil {
		return release{}, false
	}
	sum, err := hex.DecodeString(checksum.Str)
	if err != nil || len(sum) != sha256.Size {
		return release{}, false
	}
	r := release{
		name:     name.Str,
		version:  v,
		checksum: sum,
		yanked:   yanked.Type == gjson.True,
	}
	if t, err := time.Parse(time.RFC3339, pubtime.Str); err == nil {
		r.published = t
	}
	return r, true
}

// keep records the release and reports whether policy lets it be shown.
func (r release) keep(in *sdk.Input, c registryConfig) bool {
	version := r.version.Original()
	return in.Keep(
		sdk.Version{
			Name:      canonical(r.name),
			Version:   version,
			Published: r.published,
			Yanked:    r.yanked,
		},
		sdk.File{
			Path:    cratePath(r.name, version),
			URL:     c.download(r.name, version, r.checksum),
			Digests: []sdk.Digest{{Algorithm: "sha256", Sum: r.checksum}},
		},
	)
}
