package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

const lamp = "example.com/team/lamp"

var now = time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC)

// ask has the list of a module rendered with a cool-down of a week. Ages are
// those of versions in days; what is not there has no .info.
func ask(tb testing.TB, render func(testing.TB, plugintest.Question) plugintest.Rendering, list string, ages map[string]int) plugintest.Rendering {
	upstream := map[string][]byte{listPath(lamp): []byte(list)}
	for version, age := range ages {
		upstream["/"+lamp+"/@v/"+version+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, version, now.AddDate(0, 0, -age).Format(time.RFC3339))
	}
	return render(tb, plugintest.Question{Path: listPath(lamp), Now: now, Cooldown: 7 * 24 * time.Hour, Upstream: upstream})
}

// TestManyLines has releases that are each a line of their own, one a day.
func TestManyLines(t *testing.T) {
	t.Parallel()
	render := plugintest.Renderer(t, open)
	var list strings.Builder
	ages := map[string]int{}
	for i := range 40 {
		version := fmt.Sprintf("v0.%d.0", i)
		list.WriteString(version + "\n")
		ages[version] = 39 - i
	}
	r := ask(t, render, list.String(), ages)
	if got := strings.Fields(string(r.Outputs[""])); r.Failure != nil || len(got) != 33 || got[32] != "v0.32.0" {
		t.Errorf("the list has %q (%v), want v0.0.0 to v0.32.0", got, r.Failure)
	}
}

// TestLongLine has a line with more young versions than are asked for: those
// older than them are as old as the last of them.
func TestLongLine(t *testing.T) {
	t.Parallel()
	render := plugintest.Renderer(t, open)
	list, ages := "v0.9.0\n", map[string]int{"v0.9.0": 100}
	for i := range 100 {
		version := fmt.Sprintf("v1.0.%d", i)
		list += version + "\n"
		ages[version] = 1
	}
	r := ask(t, render, list, ages)
	if got := string(r.Outputs[""]); r.Failure != nil || got != "v0.9.0\n" {
		t.Errorf("the list is %q (%v), want v0.9.0 alone", got, r.Failure)
	}
	if len(r.Facts) != 101 {
		t.Errorf("%d versions were judged, want 101", len(r.Facts))
	}
}

func TestHighest(t *testing.T) {
	t.Parallel()
	for want, versions := range map[string][]string{
		"":                    nil,
		"v1.10.0":             {"v1.9.0", "v1.10.0", "v1.11.0-rc.1", "v2.0.0+incompatible"},
		"v2.0.0+incompatible": {"v2.0.0+incompatible", "v1.0.0-rc.1"},
		"v1.0.0-rc.1":         {"v0.0.0-20250501000000-0123456789ab", "v1.0.0-rc.1", "v1.0.0-beta"},
		"v0.0.0-20250501000000-0123456789ab": {
			"v0.0.0-20250501000000-0123456789ab", "v0.9.1-0.20250401000000-0123456789ab",
		},
	} {
		if got := highest(versions); got != want {
			t.Errorf("of %q the highest is %q, want %q", versions, got, want)
		}
	}
}

// FuzzList has any bytes as a list: what is written are versions on it, each
// once, and all of them were kept.
func FuzzList(f *testing.F) {
	f.Add([]byte("v1.0.0\nv1.1.0\nv1.1.0\n\nv2.0.0\nv1.2.0-rc.1\n"))
	f.Add([]byte("v0.0.0-20250501000000-0123456789ab\nv1.0.0 2025-06-09T00:00:00Z\nv1.0.0+meta\nv2.0.0+incompatible"))
	f.Add([]byte("<html>"))
	render := plugintest.Renderer(f, open)
	ages := map[string]int{"v1.0.0": 30, "v1.1.0": 1, "v2.0.0+incompatible": 1, "v0.1.0": 100}
	f.Fuzz(func(t *testing.T, list []byte) {
		r := ask(t, render, string(list), ages)
		if r.Failure != nil {
			return
		}
		kept := map[string]bool{}
		for _, fact := range r.Facts {
			kept[fact.GetVersion()] = fact.GetKept()
		}
		var written []string
		for line := range bytes.Lines(r.Outputs[""]) {
			version := strings.TrimSuffix(string(line), "\n")
			if !bytes.Contains(list, []byte(version)) || !kept[version] || slices.Contains(written, version) {
				t.Fatalf("%q is written, but not on the list, not kept or written before", version)
			}
			written = append(written, version)
		}
	})
}

func BenchmarkToolchains(b *testing.B) {
	var list strings.Builder
	for minor := range 30 {
		for patch := range 12 {
			for _, system := range []string{"darwin-arm64", "linux-amd64", "linux-arm64", "windows-amd64"} {
				fmt.Fprintf(&list, "v0.0.1-go1.%d.%d.%s\n", minor, patch, system)
			}
		}
	}
	upstream := map[string][]byte{listPath(toolchainModule): []byte(list.String())}
	for _, version := range []string{"v0.0.1-go1.29.11.linux-amd64", "v0.0.1-go1.28.11.linux-amd64", "v0.0.1-go1.27.11.linux-amd64"} {
		upstream["/"+toolchainModule+"/@v/"+version+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2025-01-01T00:00:00Z"}`, version)
	}
	render := plugintest.Renderer(b, open)
	q := plugintest.Question{Path: listPath(toolchainModule), Now: now, Cooldown: 7 * 24 * time.Hour, Upstream: upstream}
	b.ReportAllocs()
	for b.Loop() {
		if r := render(b, q); r.Failure != nil || len(r.Facts) != 30*12*4 {
			b.Fatal(r.Failure, len(r.Facts))
		}
	}
}
