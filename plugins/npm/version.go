package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// release is a version that can be compared with others.
type release struct {
	*semver.Version
	text      string
	published time.Time // zero: unknown
}

// parseRelease parses a version as Semantic Versioning 2.0.0 has it, or as
// loosely as old packages need ("v1.2"); nil: it is in no order.
func parseRelease(version string, published time.Time) *release {
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		if v, err = semver.NewVersion(version); err != nil {
			return nil
		}
	}
	return &release{v, version, published}
}

// stable reports whether it is no pre-release.
func (r release) stable() bool { return r.Prerelease() == "" }

// channel is what kind of pre-release it is: the letters that its identifiers
// begin with, as "beta" of 2.0.0-beta.3.
func (r release) channel() string {
	end := strings.IndexFunc(r.Prerelease(), func(c rune) bool {
		return (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c)
	})
	if end < 0 {
		return r.Prerelease()
	}
	return r.Prerelease()[:end]
}

// newer compares two. Pre-releases of one core that differ in a name, and not in
// a number, are compared by when they were published: many are named by a hash
// (0.0.0-canary-1f3a).
func (r release) newer(than release) bool {
	if r.namedApart(than) && !r.published.IsZero() && !than.published.IsZero() && !r.published.Equal(than.published) {
		return r.published.After(than.published)
	}
	return r.GreaterThan(than.Version)
}

// namedApart reports whether both are pre-releases of one core, and the first of
// their identifiers that differ are not two numbers.
func (r release) namedApart(than release) bool {
	if r.stable() || than.stable() || r.Major() != than.Major() || r.Minor() != than.Minor() || r.Patch() != than.Patch() {
		return false
	}
	theirs := strings.Split(than.Prerelease(), ".")
	for i, mine := range strings.Split(r.Prerelease(), ".") {
		if i < len(theirs) && mine != theirs[i] {
			return !isNumber(mine) || !isNumber(theirs[i])
		}
	}
	return false
}

func isNumber(identifier string) bool { return strings.Trim(identifier, "0123456789") == "" }

// newestBelow is where latest goes from a version that is not shown. From a
// stable one, or one in no order (nil), it goes to the highest stable one below
// it, else to the highest stable one. From a pre-release, which is upstream's
// own choice, it goes to the highest stable one below it, else to the highest
// pre-release below it. Nil: nowhere.
func newestBelow(shown []release, was *release) *release {
	below := func(r release) bool { return was == nil || !r.GreaterThan(was.Version) }
	otherwise := release.stable
	if was != nil && !was.stable() {
		otherwise = below
	}
	for _, fits := range []func(release) bool{
		func(r release) bool { return r.stable() && below(r) },
		otherwise,
	} {
		if r := highest(shown, fits, func(a, b release) bool { return a.GreaterThan(b.Version) }); r != nil {
			return r
		}
	}
	return nil
}

// newestFor is where any other tag goes from a version that is not shown: to the
// newest one that is not newer, of stable ones and, from a pre-release, those of
// its channel. A tag that names the major of its version, as v2-lts does, stays
// within that: it is for who wants no other. Nil: nowhere.
func newestFor(tag string, shown []release, was release) *release {
	within := namesNumber(tag, was.Major())
	return highest(shown, func(r release) bool {
		like := r.stable() || !was.stable() && r.channel() == was.channel()
		return like && !r.newer(was) && (!within || r.Major() == was.Major())
	}, release.newer)
}

// namesNumber reports whether a number stands in a tag.
func namesNumber(tag string, n uint64) bool {
	numbers := strings.FieldsFunc(tag, func(c rune) bool { return c < '0' || '9' < c })
	return slices.Contains(numbers, strconv.FormatUint(n, 10))
}

// highest is the first of the highest releases that fit; nil: none fits.
func highest(all []release, fits func(release) bool, higher func(a, b release) bool) *release {
	var top *release
	for i := range all {
		if fits(all[i]) && (top == nil || higher(all[i], *top)) {
			top = &all[i]
		}
	}
	return top
}
