package main

import (
	goversion "go/version"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// toolchainModule is the module whose versions are the builds of Go toolchains,
// as v0.0.1-go1.26.0.linux-amd64: to semantic versioning all are pre-releases
// of one version, in an order that means nothing.
const toolchainModule = "golang.org/toolchain"

// release is what has one age: a version, or the builds of one toolchain.
type release struct {
	// name is the version, or the toolchain's own: "go1.26.0".
	name string
	// line is the minor line that it belongs to.
	line string
	// preview is whether it is a pre-release.
	preview bool
	// incompatible is whether it has no go.mod where it should have one.
	incompatible bool
	// builds are the versions that share its age.
	builds []string
	// ask is the one of them to ask for.
	ask string
	// published is when, as far as it is known.
	published time.Time
	// gone is whether upstream lists it, but does not have it.
	gone bool
}

// ordinary is a release of its own.
func ordinary(version string) *release {
	r := &release{name: version, line: semver.MajorMinor(version), preview: semver.Prerelease(version) != "", incompatible: semver.Build(version) != ""}
	if r.incompatible {
		r.line += semver.Build(version)
	}
	return r
}

// toolchain is the release of Go that a build is of.
func toolchain(version string) *release {
	_, name, _ := strings.Cut(version, "-")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[:i]
	}
	preview := strings.Contains(name, "rc") || strings.Contains(name, "beta") || !goversion.IsValid(name)
	return &release{name: name, line: goversion.Lang(name), preview: preview}
}

// add adds a build. The one to ask for is that of the system most used, else
// the first.
func (r *release) add(l listed) {
	r.builds = append(r.builds, l.version)
	if r.ask == "" || strings.HasSuffix(l.version, ".linux-amd64") {
		r.ask, r.published = l.version, l.published
	}
}

// linesOf sorts a list into minor lines, the newest first, and those without a
// go.mod last, as clients choose them last. Pre-releases are among them only
// where there is nothing else, as nobody is led to them otherwise;
// pseudo-versions, which tell their age, never are.
func linesOf(path string, list []listed) []*line {
	read, compare := ordinary, semver.Compare
	if path == toolchainModule {
		read, compare = toolchain, goversion.Compare
	}
	releases := releasesOf(list, read)
	stable := slices.DeleteFunc(slices.Clone(releases), func(r *release) bool { return r.preview })
	if len(stable) > 0 {
		releases = stable
	}
	slices.SortStableFunc(releases, func(a, b *release) int {
		switch {
		case a.incompatible == b.incompatible:
			return compare(b.name, a.name)
		case b.incompatible:
			return -1
		}
		return 1
	})
	var lines []*line
	for i, r := range releases {
		if i == 0 || r.line != releases[i-1].line {
			lines = append(lines, &line{})
		}
		l := lines[len(lines)-1]
		l.releases = append(l.releases, r)
	}
	return lines
}

// releasesOf are the releases on a list.
func releasesOf(list []listed, read func(version string) *release) []*release {
	var releases []*release
	byName := map[string]*release{}
	for _, l := range list {
		if module.IsPseudoVersion(l.version) {
			continue
		}
		r := read(l.version)
		if known := byName[r.name]; known != nil {
			r = known
		} else {
			byName[r.name] = r
			releases = append(releases, r)
		}
		r.add(l)
	}
	return releases
}
