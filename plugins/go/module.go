package main

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

// notFound is the answer where there can be nothing. The go command prints it,
// and goes on to the next proxy of its list.
func notFound(err error) sdk.Failure { return sdk.NotFound("not found: " + err.Error()) }

// modulePath is the module that a request names, its upper case unescaped.
func modulePath(r sdk.Request) (string, error) { return module.UnescapePath(r.Get("module")) }

// moduleVersion is the module and version that a request names. The version may
// also be the name of a branch or a commit.
func moduleVersion(r sdk.Request) (module.Version, error) {
	path, err := modulePath(r)
	if err != nil {
		return module.Version{}, err
	}
	version, err := module.UnescapeVersion(r.Get("version"))
	return module.Version{Path: path, Version: version}, err
}

// fixedVersion is like moduleVersion, but the version must be one that never
// changes.
func fixedVersion(r sdk.Request) (module.Version, error) {
	m, err := moduleVersion(r)
	if err != nil {
		return m, err
	}
	return m, check(m)
}

// check says why a version is not one that never changes, pseudo-versions
// included, of a module whose path can have it; nil: it is.
func check(m module.Version) error {
	if m.Version != module.CanonicalVersion(m.Version) {
		return fmt.Errorf("%s@%s: no canonical version", m.Path, m.Version)
	}
	return module.Check(m.Path, m.Version)
}

// named is a module by a name that people write, whose upper case may be
// escaped.
func named(name, version string) module.Version {
	if path, err := module.UnescapePath(name); err == nil {
		name = path
	}
	return module.Version{Path: name, Version: version}
}

// folder is the address of a module's files, here and upstream, escaped and
// with a slash at its end. A path that no module can have is its own.
func folder(path string) string {
	if escaped, err := module.EscapePath(path); err == nil {
		path = escaped
	}
	return "/" + path + "/@v/"
}

// listPath is the address of a module's list of versions.
func listPath(path string) string { return folder(path) + "list" }

// latestPath is the address of what is known of a module's latest version.
func latestPath(path string) string { return strings.TrimSuffix(folder(path), "v/") + "latest" }

// filePath is the address of one of a version's files: ".info", ".mod", ".zip".
func filePath(m module.Version, extension string) string {
	escaped, err := module.EscapeVersion(m.Version)
	if err != nil {
		escaped = m.Version
	}
	// An exclamation mark may stand as it is, and does so everywhere.
	return folder(m.Path) + strings.ReplaceAll(url.PathEscape(escaped), "%21", "!") + extension
}
