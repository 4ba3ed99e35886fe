package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

// TestCompare holds the order of versions against examples of Maven's own.
func TestCompare(t *testing.T) {
	t.Parallel()
	for _, sorted := range []string{
		"1-alpha2snapshot 1-alpha2 1-alpha-123 1-beta-2 1-beta123 1-m2 1-m11 1-rc 1-rc123 1-SNAPSHOT 1 1-sp 1-sp2 1-abc 1-1-snapshot 1-1 1-2 1-123",
		"2.0 2.0.2 2.0.123 2.1.0 2.1.0.1 2.2 2.123",
		"33.4.7-jre 33.4.8-jre 33.10.0-jre",
		"20230101 20240101120000",
		"1.0-alpha-1 1.0-beta-1 1.0-milestone-1 1.0-rc1 1.0",
	} {
		versions := strings.Fields(sorted)
		for i, a := range versions {
			for _, b := range versions[i+1:] {
				if compare(a, b) >= 0 || compare(b, a) <= 0 {
					t.Errorf("%s is not below %s", a, b)
				}
			}
		}
	}
	for _, equal := range [][2]string{{"1", "1.0.0"}, {"1.0", "1-ga"}, {"1.0", "1.0.Final"}, {"1-RC1", "1-cr1"}} {
		if compare(equal[0], equal[1]) != 0 {
			t.Errorf("%s is not %s", equal[0], equal[1])
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"2.1.3": "2.1", "2.1": "2", "2": "", "2.1.3.4": "2.1.3", "33.4.8-jre": "33.4-jre", "2.0.0-rc1": "2.0-rc", "r09": "r", "1.0.0.Final": "1.0Final", "": "",
	} {
		if got := line(version); got != want {
			t.Errorf("%s is in line %q, want %q", version, got, want)
		}
	}
	got := lines([]string{"1.0.1", "1.0.2", "2.0.0", "1.0.10", "2.0.1-rc1"})
	want := [][]string{{"2.0.1-rc1"}, {"2.0.0"}, {"1.0.10", "1.0.2", "1.0.1"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("lines are %v, want %v", got, want)
	}
}

func TestParseChecksum(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"abc": "abc", "abc\n": "abc", " abc  lamp-1.0.jar\n": "abc", "SHA1(lamp-1.0.jar)= abc": "abc", "MD5 (lamp-1.0.jar) = abc\n": "abc", "abc\ndef": "abc", "": "", "\n": "",
	} {
		if got := parseChecksum(text); got != want {
			t.Errorf("%q has the sum %q, want %q", text, got, want)
		}
	}
}

// FuzzMetadata has metadata rendered as an artifact's and as a snapshot's: what
// is not upstream's own text names only what was kept.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`<metadata><version>1</version><versioning><latest>2</latest><versions><version>1</version><version>2-SNAPSHOT</version></versions></versioning></metadata>`))
	f.Add([]byte(`<metadata><versioning><snapshot><timestamp>20250601.000000</timestamp><buildNumber>1</buildNumber></snapshot><lastUpdated>20250601000000</lastUpdated></versioning></metadata>`))
	f.Add([]byte(`<metadata><versioning><snapshotVersions><snapshotVersion><extension>jar</extension><value>1-20250601.000000-1</value></snapshotVersion><snapshotVersion><extension>pom</extension><value>1-20250101.000000-1</value></snapshotVersion></snapshotVersions></versioning></metadata>`))
	render := plugintest.Renderer(f, open)
	now := time.Date(2025, 6, 2, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/org/example/lamp/maven-metadata.xml", "/org/example/lamp/1-SNAPSHOT/maven-metadata.xml"} {
			r := render(t, plugintest.Question{Path: path, Now: now, Cooldown: 7 * 24 * time.Hour, Upstream: map[string][]byte{path: body}})
			if r.Failure != nil || string(r.Outputs[""]) == string(body) {
				continue
			}
			kept := map[string]bool{}
			for _, fact := range r.Facts {
				kept[fact.GetVersion()] = kept[fact.GetVersion()] || fact.GetKept()
			}
			m, err := parseMetadata(r.Outputs[""])
			if err != nil {
				t.Fatalf("%s is rendered as what cannot be read: %v\n%s", path, err, r.Outputs[""])
			}
			shown := m.versions()
			if strings.Contains(path, snapshot) {
				shown = nil
				for _, b := range m.builds("1-SNAPSHOT") {
					shown = append(shown, b.Value)
				}
			}
			for _, v := range shown {
				if !kept[v] {
					t.Fatalf("%q is shown, but was not kept:\n%s", v, r.Outputs[""])
				}
			}
		}
	})
}
