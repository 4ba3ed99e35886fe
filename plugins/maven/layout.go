package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// metadataFile is the name of metadata files (Maven repository layout).
const metadataFile = "maven-metadata.xml"

// snapshot is the end of the versions that change.
const snapshot = "-SNAPSHOT"

// folder is a path in a repository as its segments, without escapes.
type folder []string

// parseFolder reads a path's folder. False: it has empty segments, or slashes
// in them.
func parseFolder(raw string) (folder, bool) {
	f := folder(strings.Split(strings.TrimPrefix(raw, "/"), "/"))
	for i, segment := range f {
		name, err := url.PathUnescape(segment)
		if err != nil || name == "" || strings.Contains(name, "/") {
			return nil, false
		}
		f[i] = name
	}
	return f, true
}

// folderOf returns the folder of an artifact by its name, as package URLs have
// it or with the colon that people write.
func folderOf(name string) folder {
	group, artifact, _ := strings.Cut(strings.Replace(name, ":", "/", 1), "/")
	return append(folder(strings.Split(group, ".")), artifact)
}

// name returns the name of the artifact that a folder is of, as package URLs
// have it: group/artifact. Empty: it can only be a group's.
func (f folder) name() string {
	if len(f) < 2 {
		return ""
	}
	last := len(f) - 1
	return strings.Join(f[:last], ".") + "/" + f[last]
}

// path returns the address of a file in the folder, here and upstream.
func (f folder) path(file string) string {
	var b strings.Builder
	for _, segment := range f {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(segment))
	}
	return b.String() + "/" + url.PathEscape(file)
}

// in returns a folder below this one.
func (f folder) in(name string) folder { return append(slices.Clip(f), name) }

// file is a file of a version.
type file struct {
	// folder is the artifact's.
	folder folder
	// base is the version that the folder below it is named after.
	base string
	// version is that in the file's name, which of a snapshot is a build's.
	version string
	// rest follows the version in the name: "-sources.jar".
	rest string
}

// parseFile reads a file's name in the folder of its version. False: no such
// file belongs there.
func parseFile(artifact folder, base, name string) (file, bool) {
	f := file{folder: artifact, base: base, version: base}
	after, ok := strings.CutPrefix(name, artifact[len(artifact)-1]+"-")
	if !ok {
		return f, false
	}
	if start, ok := strings.CutSuffix(base, snapshot); ok {
		if b := build.FindString(strings.TrimPrefix(after, start)); b != "" && strings.HasPrefix(after, start) {
			f.version = start + b
		}
	}
	f.rest, ok = strings.CutPrefix(after, f.version)
	return f, ok && len(f.rest) > 1 && (f.rest[0] == '-' || f.rest[0] == '.')
}

// name returns the file's name.
func (f file) name() string { return f.folder[len(f.folder)-1] + "-" + f.version + f.rest }

// path returns the file's address, here and upstream.
func (f file) path() string { return f.folder.in(f.base).path(f.name()) }

// literal reports whether the file is what a snapshot is now, rather than one
// of its builds.
func (f file) literal() bool { return strings.HasSuffix(f.version, snapshot) }

// built returns the same file of a build of the snapshot.
func (f file) built(version string) file {
	f.version = version
	return f
}

// build is what a build's version has in the place of "-SNAPSHOT".
var build = regexp.MustCompile(`^-([0-9]{8}\.[0-9]{6})-([0-9]+)`)

// buildAtEnd is a build's version: what comes before, its time and its number.
var buildAtEnd = regexp.MustCompile(`^(.*)-([0-9]{8}\.[0-9]{6})-([0-9]+)$`)

// snapshotOf returns the snapshot that a version is, or is a build of. False:
// it is a release.
func snapshotOf(version string) (string, bool) {
	if m := buildAtEnd.FindStringSubmatch(version); m != nil {
		return m[1] + snapshot, true
	}
	return version, strings.HasSuffix(version, snapshot)
}

// builtAt is when a build says that it was made; zero: it is none.
func builtAt(version string) time.Time {
	m := buildAtEnd.FindStringSubmatch(version)
	if m == nil {
		return time.Time{}
	}
	return stamp(strings.Replace(m[2], ".", "", 1))
}

// stampLayout is how metadata has instants, in UTC.
const stampLayout = "20060102150405"

// stamp reads an instant as metadata has it; zero: it is none.
func stamp(text string) time.Time {
	t, err := time.Parse(stampLayout, strings.TrimSpace(text))
	if err != nil {
		return time.Time{}
	}
	return t
}
