package main

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/git-pkgs/vers"
)

// versionPattern is a version as NuGet has them: up to four numbers, a
// pre-release and metadata (NuGet, "Package versioning").
var versionPattern = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?(-` + labels + `)?(\+` + labels + `)?$`)

// labels are a version's labels, none of which is empty: of a package with such a
// version clients read no version at all.
const labels = `[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*`

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
		if _, err := strconv.ParseInt(n, 10, 32); n != "" && err != nil {
			return "", false // clients hold them in 32 bits
		}
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

// canonical is a version as clients compare it: normalized, and the numbers among
// its labels have no zeros before them. What is no version is only itself.
func canonical(version string) string {
	if normal, ok := normalize(version); ok {
		version = normal
	}
	numbers, labels, pre := strings.Cut(version, "-")
	if !pre {
		return version
	}
	all := strings.Split(labels, ".")
	for i, label := range all {
		if label != "" && strings.Trim(label, "0123456789") == "" {
			all[i] = cmp.Or(strings.TrimLeft(label, "0"), "0")
		}
	}
	return numbers + "-" + strings.Join(all, ".")
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

// interval is a range of versions; the zero one has all of them.
type interval struct {
	// low and high are normalized; empty: there is no such end.
	low, high string
	// withLow and withHigh are whether the ends belong to it.
	withLow, withHigh bool
}

// parseInterval reads a range (NuGet, "Package versioning", version ranges):
// "[1.0, 2.0)", "[1.0]", or a version, which is the lowest; empty: all of them.
// False: it is none.
func parseInterval(text string) (interval, bool) {
	text = strings.TrimSpace(text)
	inner, bracketed := strings.CutPrefix(strings.Replace(text, "(", "[", 1), "[")
	if !bracketed {
		low, ok := normalize(text)
		return interval{low: low, withLow: true}, ok || text == ""
	}
	end := len(inner) - 1
	if end < 0 || inner[end] != ']' && inner[end] != ')' {
		return interval{}, false
	}
	r := interval{withLow: text[0] == '[', withHigh: inner[end] == ']'}
	low, high, two := strings.Cut(inner[:end], ",")
	if !two {
		high = low
	}
	for _, e := range []struct {
		text string
		to   *string
	}{{low, &r.low}, {high, &r.high}} {
		if strings.TrimSpace(e.text) == "" {
			continue
		}
		version, ok := normalize(e.text)
		if !ok {
			return interval{}, false
		}
		*e.to = version
	}
	return r, true
}

// has reports whether a normalized version lies in it.
func (r interval) has(version string) bool {
	if r.low != "" {
		if c := compare(version, r.low); c < 0 || c == 0 && !r.withLow {
			return false
		}
	}
	if r.high != "" {
		if c := compare(version, r.high); c > 0 || c == 0 && !r.withHigh {
			return false
		}
	}
	return true
}

// packageID is a package's name: letters, digits, dots, dashes and underscores.
var packageID = regexp.MustCompile(`^[\pL\pN_]+(?:[.-][\pL\pN_]+)*$`)
