package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// hostedFile is a file of ours; nil: there is none.
func hostedFile(ours *sdk.HostedPackage, f file) *sdk.Hosted {
	if ours == nil {
		return nil
	}
	path := f.path()
	for i := range ours.Files {
		if ours.Files[i].File.Path == path {
			return &ours.Files[i]
		}
	}
	return nil
}

// besideOurs is the answer about a file of upstream's of a version that is deployed
// here: files of a version come from one publisher.
var besideOurs = sdk.NotFound("the version is deployed here without such a file, and upstream's are not served beside it")

// hosts reports whether a version of ours is among some.
func hosts(ours *sdk.HostedPackage, some func(version string) bool) bool {
	return ours != nil && slices.ContainsFunc(ours.Files, func(h sdk.Hosted) bool { return some(h.Version.Version) })
}

// digest is the sum of an algorithm; nil: there is none.
func digest(digests []sdk.Digest, algorithm string) []byte {
	for _, d := range digests {
		if d.Algorithm == algorithm {
			return d.Sum
		}
	}
	return nil
}

// isListed reports whether a file shows that its version is listed: its metadata
// was deployed, which left a file without a path, or it lies in a directory.
func isListed(h sdk.Hosted) bool {
	return h.File.Path == "" || keptOf(h).Found
}

// listed reports whether a version, a snapshot or a build of one, is listed.
func listed(ours *sdk.HostedPackage, version string) bool {
	return slices.ContainsFunc(ours.Files, func(h sdk.Hosted) bool { return h.Version.Version == version && isListed(h) })
}

// hostedVersions are the listed versions of an artifact of ours that have
// files, and when the last of these was deployed.
func hostedVersions(ours *sdk.HostedPackage) (versions []string, last time.Time) {
	if ours == nil {
		return nil, last
	}
	shown := map[string]bool{}
	for _, h := range ours.Files {
		if isListed(h) {
			of, _ := snapshotOf(h.Version.Version)
			shown[of] = true
		}
	}
	for _, h := range ours.Files {
		of, _ := snapshotOf(h.Version.Version)
		if h.File.Path == "" || !shown[of] {
			continue
		}
		if !slices.Contains(versions, of) {
			versions = append(versions, of)
		}
		if h.Version.Published.After(last) {
			last = h.Version.Published
		}
	}
	return versions, last
}

// hostedBuilds are the files of a snapshot of ours with the newest build that
// has each, as metadata lists them. Nil: there are no builds of it.
func hostedBuilds(ours *sdk.HostedPackage, f folder, base string) []snapshotBuild {
	if ours == nil {
		return nil
	}
	newest := map[string]snapshotBuild{}
	for _, h := range ours.Files {
		v := h.Version.Version
		of, _ := snapshotOf(v)
		if h.File.Path == "" || of != base || v == base || !listed(ours, v) {
			continue
		}
		at, ok := parseFolder(h.File.Path)
		if !ok {
			continue
		}
		named, ok := parseFile(f, base, at[len(at)-1])
		if !ok {
			continue
		}
		b := deployedAs(ours, named)
		b.Value, b.Updated = v, builtAt(v).Format(stampLayout)
		if known, ok := newest[named.rest]; !ok || laterBuild(v, known.Value) {
			newest[named.rest] = b
		}
	}
	var all []snapshotBuild
	for _, rest := range sortedKeys(newest) {
		all = append(all, newest[rest])
	}
	return all
}

// deployedAs is a build's file with the classifier and extension that the
// metadata deployed after it gave it: either may have dots. Metadata of old does
// not say, and then a classifier has none.
func deployedAs(ours *sdk.HostedPackage, f file) snapshotBuild {
	s := snapshotFiles{f.folder, f.base}
	for _, h := range ours.Files {
		if h.File.Path != "" || h.Version.Version != f.version {
			continue
		}
		for _, b := range keptOf(h).Builds {
			if s.file(b).rest == f.rest {
				return b
			}
		}
	}
	var b snapshotBuild
	b.Classifier, b.Extension, _ = strings.Cut(strings.TrimPrefix(f.rest, "-"), ".")
	return b
}

// laterBuild reports whether a build came after another.
func laterBuild(a, b string) bool {
	if x, y := builtAt(a), builtAt(b); !x.Equal(y) {
		return x.After(y)
	}
	return compare(a, b) > 0
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// hostedSnapshot is the metadata of a snapshot of ours.
func hostedSnapshot(f folder, base string, builds []snapshotBuild) *metadata {
	newest := slices.MaxFunc(builds, func(a, b snapshotBuild) int {
		if laterBuild(a.Value, b.Value) {
			return 1
		}
		return -1
	})
	m := newMetadata(f, true)
	m.Version = base
	m.Versioning.LastUpdated = newest.Updated
	m.Versioning.SnapshotVersions.All = builds
	if b := buildAtEnd.FindStringSubmatch(newest.Value); b != nil {
		m.Versioning.Snapshot = &snapshotNow{Timestamp: b[2], BuildNumber: b[3]}
	}
	return m
}

// newMetadata is metadata of an artifact, or of a group, that lists nothing.
func newMetadata(f folder, artifact bool) *metadata {
	m := &metadata{
		ModelVersion: "1.1.0",
		Versioning:   &versioning{Versions: &versionList{}, SnapshotVersions: &snapshotVersions{}},
	}
	if last := len(f) - 1; artifact {
		m.GroupID, m.ArtifactID = strings.Join(f[:last], "."), f[last]
	}
	return m
}

// add puts versions of ours beside those of the metadata.
func (m *metadata) add(versions []string, last time.Time) {
	if len(versions) == 0 {
		return
	}
	v := m.Versioning
	for _, version := range versions {
		if !slices.Contains(v.Versions.All, version) {
			v.Versions.All = append(v.Versions.All, version)
		}
	}
	slices.SortStableFunc(v.Versions.All, compare)
	v.Latest = highest(v.Versions.All, func(string) bool { return true })
	v.Release = highest(v.Versions.All, func(version string) bool { return !strings.HasSuffix(version, snapshot) })
	if updated := last.UTC().Format(stampLayout); updated > v.LastUpdated {
		v.LastUpdated = updated
	}
}

// answerHosted answers with a file of ours, or a checksum of it.
func answerHosted(in *sdk.Input, h *sdk.Hosted, algorithm string) error {
	if algorithm == "" {
		return in.Answer(sdk.Artifact{Version: h.Version, Path: h.File.Path})
	}
	_, err := fmt.Fprintf(in.Output("", "text/plain"), "%x", digest(h.File.Digests, algorithm))
	return err
}

// hostedLiteral is what a snapshot's file is now, by what is deployed here; nil:
// nothing is.
func hostedLiteral(ours *sdk.HostedPackage, f file) *sdk.Hosted {
	var newest *sdk.Hosted
	if ours == nil {
		return nil
	}
	for _, b := range hostedBuilds(ours, f.folder, f.base) {
		if s := (snapshotFiles{f.folder, f.base}); s.file(b).rest == f.rest {
			newest = hostedFile(ours, f.built(b.Value))
		}
	}
	if newest == nil {
		newest = hostedFile(ours, f)
	}
	return newest
}
