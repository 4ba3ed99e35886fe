package main

import (
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

// like reports whether a tag may move from one to the other: stable versions of
// one major, pre-releases of one channel.
func (r release) like(other release) bool {
	if r.stable() || other.stable() {
		return r.stable() && other.stable() && r.Major() == other.Major()
	}
	return r.channel() == other.channel()
}

// newer compares two of a kind. Pre-releases of one core are compared by when
// they were published, since many are named by a hash (0.0.0-canary-1f3a).
func (r release) newer(than release) bool {
	sameCore := r.Major() == than.Major() && r.Minor() == than.Minor() && r.Patch() == than.Patch()
	if sameCore && !r.stable() && !than.stable() && !r.published.IsZero() && !than.published.IsZero() && !r.published.Equal(than.published) {
		return r.published.After(than.published)
	}
	return r.GreaterThan(than.Version)
}

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

// newestLike is where any other tag goes from a version that is not shown; nil:
// nowhere.
func newestLike(shown []release, was release) *release {
	return highest(shown, func(r release) bool { return r.like(was) && !r.newer(was) }, release.newer)
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
