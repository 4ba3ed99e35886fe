package main

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// layout says where an archive's indexes stand, and what they are signed by.
type layout struct {
	// nested are patterns of suites whose names have a slash.
	nested []string
	keys   keyrings
}

// suite is a signed index with all that it lists.
type suite struct {
	// archive is the name of the upstream.
	archive string
	// dir is its folder in the archive: it begins with a slash and ends with
	// none, "/dists/stable". Empty: a flat archive whose index stands at its top.
	dir string
	// keys are those it must be signed by; nil: any, or none.
	keys keyring
}

// suite is what stands in a folder of an archive.
func (l layout) suite(archive, dir string) suite {
	return suite{archive: archive, dir: dir, keys: l.keys[archive]}
}

// name is what policy calls the suite.
func (s suite) name() string { return suiteName(s.archive, s.dir) }

func suiteName(archive, dir string) string {
	if dir == "" {
		dir = "/"
	}
	return archive + dir
}

// flat reports whether the suite is an archive that has its indexes beside its
// packages.
func (s suite) flat() bool { return !strings.HasPrefix(s.dir, "/dists/") }

// here is the address of one of the suite's files in our repository, by its
// escaped path below the suite's folder.
func (s suite) here(file string) string { return "/" + escape(s.archive) + s.upstream(file) }

// upstream is the file's address below that of the archive.
func (s suite) upstream(file string) string { return escape(s.dir) + "/" + file }

// root is the canonical address of the suite's signed index.
func (s suite) root() string { return s.here("InRelease") }

// split tells the suite of a path below dists from the file in it.
func (l layout) split(below string) (name, file string) {
	name, file, _ = strings.Cut(below, "/")
	second, rest, _ := strings.Cut(file, "/")
	for _, pattern := range l.nested {
		if cooldown.Match(pattern, name+"/"+second) && second != "" {
			return name + "/" + second, rest
		}
	}
	return name, file
}

// byHash is the address of an index by its content ("Acquire-By-Hash").
var byHash = regexp.MustCompile(`^(?:.*/)?by-hash/(SHA256/[0-9a-f]{64}|SHA512/[0-9a-f]{128})$`)

// planIndex serves what stands below dists: the signed index of a suite, and
// its parts.
func (l layout) planIndex(r sdk.Request) sdk.Plan {
	if !clean(r.Get("path")) || strings.Contains(r.Get("archive"), "/") {
		return sdk.NotFound("no archive has a file of such a name")
	}
	name, file := l.split(r.Get("path"))
	return l.suite(r.Get("archive"), "/dists/"+name).plan(r, file)
}

// plan serves a file of the suite. Some archives have package files among their
// indexes, and images of the installer are there everywhere: no suite lists
// either as its part.
func (s suite) plan(r sdk.Request, file string) sdk.Plan {
	switch file {
	case "":
		return sdk.NotFound("folders are not listed; ask for InRelease")
	case "InRelease":
		return s.document("")
	case "Release", "Release.gpg":
		return s.document(file)
	}
	m := byHash.FindStringSubmatch(file)
	switch {
	case m == nil && (strings.HasPrefix(file, "by-hash/") || strings.Contains(file, "/by-hash/")):
		return sdk.NotFound("files are known by their SHA256 or SHA512 only")
	case m == nil && (isPackage(file) || isImage(file)):
		return planFile(r, s.archive, strings.TrimPrefix(s.dir+"/"+file, "/"))
	case m == nil && isKey(file):
		return planKey(s.archive, strings.TrimPrefix(s.dir+"/"+file, "/"))
	case m == nil:
		return sdk.Artifact{Path: s.here(escape(file)), Snapshot: s.root()}
	case r.Query == listing:
		return s.index(file)
	}
	algorithm, sum, _ := strings.Cut(m[1], "/")
	return sdk.Artifact{
		Path:     s.here(escape(file)),
		Digest:   sdk.HexDigest(strings.ToLower(algorithm), sum),
		Snapshot: s.root(),
	}
}

// flatIndex are the files that a flat archive has of its own beside packages.
var flatIndex = regexp.MustCompile(`^(InRelease|Release|Release\.gpg|(Packages|Sources|Contents|Translation|Index|Components|Commands|Icons)\b.*)$`)

// planFlat serves package files, wherever in an archive they stand, and the
// indexes of archives without dists.
func (l layout) planFlat(r sdk.Request) sdk.Plan {
	file := r.Get("path")
	if !clean(file) || strings.Contains(r.Get("archive"), "/") {
		return sdk.NotFound("no archive has a file of such a name")
	}
	dir, base := path.Split(file)
	if flatIndex.MatchString(base) {
		return l.suite(r.Get("archive"), flatDir(dir)).plan(r, base)
	}
	if m := byHash.FindStringSubmatch(file); m != nil {
		dir := strings.TrimSuffix(file, "by-hash/"+m[1])
		return l.suite(r.Get("archive"), flatDir(dir)).plan(r, strings.TrimPrefix(file, dir))
	}
	if isKey(file) {
		return planKey(r.Get("archive"), file)
	}
	return planFile(r, r.Get("archive"), file)
}

// flatDir is the folder of a suite as [suite] has it.
func flatDir(dir string) string {
	if dir = strings.Trim(dir, "/"); dir == "" {
		return ""
	}
	return "/" + dir
}

// clean reports whether a path is one that an archive can have, so that no two
// spellings of it are two files.
func clean(file string) bool {
	return file != "" && file[0] != '/' && path.Clean(file) == strings.TrimSuffix(file, "/") &&
		file != ".." && !strings.HasPrefix(file, "../") && !strings.ContainsAny(file, "\\\x00\r\n\t")
}

// escape is a path as addresses have it. A plus is escaped, as apt does: some
// servers take it for a space.
func escape(file string) string {
	segments := strings.Split(file, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), "+", "%2B")
	}
	return strings.Join(segments, "/")
}
