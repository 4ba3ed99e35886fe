package main

import (
	"slices"
	"testing"
	"time"
)

// TestOrder has the order of semver.org, section 11, and versions that old
// packages have.
func TestOrder(t *testing.T) {
	t.Parallel()
	ascending := []string{
		"0.9.9", "1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
		"1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "v1.0.1", "1.1", "1.9.0", "1.10.0", "2.0.0+build",
		"10.0.0",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			x, y := parseRelease(a, time.Time{}), parseRelease(b, time.Time{})
			if x == nil || y == nil {
				t.Fatalf("%s or %s is not parsed", a, b)
			}
			if x.newer(*y) != (i > j) {
				t.Errorf("%s newer than %s: %v", a, b, i <= j)
			}
		}
	}
	for _, none := range []string{"", "latest", "1.0.0.0", "1.x", "../1.0.0"} {
		if r := parseRelease(none, time.Time{}); r != nil {
			t.Errorf("%q is parsed as %s", none, r)
		}
	}
}

func TestNewestBelow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		shown []string
		was   string
		want  string
	}{
		{"the highest stable below", []string{"1.0.0", "1.2.0", "1.10.0", "2.0.0", "1.11.0-rc.1"}, "1.10.1", "1.10.0"},
		{"the highest stable, none being below", []string{"2.0.0", "3.0.0", "4.0.0-beta.1"}, "1.0.0", "3.0.0"},
		{"no pre-release before a stable one", []string{"1.0.0", "2.0.0-rc.1"}, "2.0.0", "1.0.0"},
		{"no pre-release for a stable one", []string{"1.0.0-beta.2", "1.0.0-beta.10", "2.0.0-alpha"}, "1.0.0", ""},
		{"the highest pre-release below one", []string{"1.0.0-beta.2", "1.0.0-beta.10", "2.0.0-alpha"}, "1.0.0-rc.1", "1.0.0-beta.10"},
		{"a stable one rather than a pre-release below one", []string{"0.9.0", "1.0.0-beta.2"}, "1.0.0-rc.1", "0.9.0"},
		{"nothing above a pre-release", []string{"1.0.0", "2.0.0-alpha"}, "1.0.0-rc.1", ""},
		{"no pre-release for what is in no order", []string{"1.0.0-beta.2"}, "newest", ""},
		{"from what is in no order", []string{"1.0.0", "2.0.0"}, "newest", "2.0.0"},
		{"nothing", nil, "1.0.0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, newestBelow(releasesOf(c.shown), parseRelease(c.was, time.Time{})), c.want)
		})
	}
}

func TestNewestFor(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	canaries := []release{
		*parseRelease("0.0.0-canary-ff", day(1)),
		*parseRelease("0.0.0-canary-11", day(3)),
		*parseRelease("0.0.0-canary-aa", day(2)),
		*parseRelease("0.0.0-canary-00", day(5)),
		*parseRelease("0.0.0-other-00", day(4)),
	}
	for _, c := range []struct {
		name  string
		tag   string
		shown []release
		was   release
		want  string
	}{
		{"of the same major", "next", releasesOf([]string{"1.0.0", "1.1.0", "2.0.0"}), *parseRelease("1.2.0", day(1)), "1.1.0"},
		{"of the major before", "next", releasesOf([]string{"1.0.0", "2.0.0-rc.1"}), *parseRelease("2.0.0", day(1)), "1.0.0"},
		{"nothing of the major that it names", "v2-lts", releasesOf([]string{"1.0.0"}), *parseRelease("2.0.0", day(1)), ""},
		{"the major that it names", "next-2", releasesOf([]string{"1.9.0", "2.0.0-rc.1"}), *parseRelease("2.0.0-rc.2", day(1)), "2.0.0-rc.1"},
		{"another number", "es2015", releasesOf([]string{"1.0.0"}), *parseRelease("2.0.0", day(1)), "1.0.0"},
		{"none that is newer", "next", releasesOf([]string{"1.3.0"}), *parseRelease("1.2.0", day(1)), ""},
		{"no pre-release for a stable one", "next", releasesOf([]string{"1.2.0-rc.1"}), *parseRelease("1.2.0", day(1)), ""},
		{"of the same channel", "beta", releasesOf([]string{"2.0.0-alpha.9", "2.0.0-beta.2", "2.0.0-beta.10", "2.0.0"}), *parseRelease("2.0.0-beta.11", day(1)), "2.0.0-beta.10"},
		{"of an older core", "beta", releasesOf([]string{"1.0.0-beta.7"}), *parseRelease("2.0.0-beta.1", day(1)), "1.0.0-beta.7"},
		{"a stable one for a pre-release", "beta", releasesOf([]string{"1.0.0", "2.0.0-alpha.1", "1.0.0-beta.7"}), *parseRelease("2.0.0-beta.1", day(1)), "1.0.0"},
		{"numbered pre-releases", "next", releasesOf([]string{"1.0.0-1", "1.0.0-beta"}), *parseRelease("1.0.0-2", day(1)), "1.0.0-1"},
		{"by number, whatever the day", "beta", []release{*parseRelease("1.0.0-beta.3", day(1)), *parseRelease("1.0.0-beta.1", day(2))}, *parseRelease("1.0.0-beta.2", day(4)), "1.0.0-beta.1"},
		{"by day where names are hashes", "canary", canaries, *parseRelease("0.0.0-canary-77", day(4)), "0.0.0-canary-11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, newestFor(c.tag, c.shown, c.was), c.want)
		})
	}
}

func releasesOf(versions []string) []release {
	var all []release
	for _, v := range slices.Backward(versions) {
		all = append(all, *parseRelease(v, time.Time{}))
	}
	return all
}

func check(t *testing.T, got *release, want string) {
	t.Helper()
	switch {
	case got == nil && want != "":
		t.Errorf("got none, want %s", want)
	case got != nil && got.text != want:
		t.Errorf("got %s, want %q", got.text, want)
	}
}
