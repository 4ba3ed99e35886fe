package main

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

// TestCompare holds the order of versions against that of Maven's own class: a
// line of the table has versions that are equal for it, and is above the lines
// before.
func TestCompare(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/order.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for i, line := range lines {
		for j, other := range lines {
			for _, a := range strings.Fields(line) {
				for _, b := range strings.Fields(other) {
					if got := compare(a, b); got != cmp.Compare(i, j) {
						t.Errorf("%s compared with %s is %d", a, b, got)
					}
				}
			}
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
