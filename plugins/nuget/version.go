package main

import (
	"regexp"
	"strings"

	"github.com/git-pkgs/vers"
)

// versionPattern is a version as NuGet has them: up to four numbers, a
// pre-release and metadata (NuGet, "Package versioning").
var versionPattern = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// normalize returns the one way to write a version that addresses have, in
// lower case: three numbers or four, without zeros before them and without
// metadata. False: it is no version.
func normalize(version string) (string, bool) {
	m := versionPattern.FindStringSubmatch(strings.TrimSpace(version))
	if m == nil {
		return "", false
	}
	numbers := make([]string, 0, 4)
	for i, n := range m[1:5] {
		n = strings.TrimLeft(n, "0")
		switch {
		case n != "":
		case i == 3:
			continue
		default:
			n = "0"
		}
		numbers = append(numbers, n)
	}
	return strings.Join(numbers, ".") + strings.ToLower(m[5]), true
}

// compare orders normalized versions.
func compare(a, b string) int { return vers.CompareWithScheme(a, b, "nuget") }

// prerelease reports whether a version is not stable.
func prerelease(version string) bool { return strings.Contains(version, "-") }

// isSemVer2 reports whether a version is one that clients before NuGet 4.3 do
// not understand: its pre-release has dots, or it has metadata.
func isSemVer2(version string) bool {
	before, _, metadata := strings.Cut(version, "+")
	_, pre, _ := strings.Cut(before, "-")
	return metadata || strings.Contains(pre, ".")
}

// rangeVersions are the versions in a range, as "[1.0.0, 2.0.0)".
func rangeVersions(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune("[]() ,", c) })
}

// packageID is a package's name: letters, digits, dots, dashes and underscores.
var packageID = regexp.MustCompile(`^[\pL\pN_]+(?:[.-][\pL\pN_]+)*$`)
