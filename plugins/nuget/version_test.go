package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1": "1.0.0", "1.0": "1.0.0", "1.2.3": "1.2.3", "1.2.3.0": "1.2.3", "1.2.3.4": "1.2.3.4", "01.002.3": "1.2.3", "0": "0.0.0",
		"1.0-Beta.1": "1.0.0-beta.1", "1.0.0+Build.7": "1.0.0", "1.0.0-a+b": "1.0.0-a", " 1.0 ": "1.0.0",
		"": "", "latest": "", "1.": "", "1.2.3.4.5": "", "v1": "", "1/2": "", "1.0.0-": "", "1 0": "", "1.0.0-beta..1": "", "1.0.0-.a": "", "1.0.0-a.": "", "1.0.0+": "", "1.0.0+a..b": "", "2147483647.0.1": "2147483647.0.1", "2147483648.0.0": "", "0002147483647": "2147483647.0.0",
	} {
		if got, ok := normalize(version); got != want || ok != (want != "") {
			t.Errorf("%q is %q, %t; want %q", version, got, ok, want)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	sorted := strings.Fields("0.9.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.2 1.0.0-alpha.10 1.0.0-beta 1.0.0 1.0.0.1 1.2.0 1.10.0 2.0.0 2147483648.0.0")
	for i, a := range sorted {
		for _, b := range sorted[i+1:] {
			if compare(a, b) >= 0 || compare(b, a) <= 0 {
				t.Errorf("%s is not below %s", a, b)
			}
		}
	}
}

func TestSemVer2(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"1.0.0": false, "1.0.0-beta": false, "1.0.0-beta.1": true, "1.0.0+b": true, "1.0.0-b+c": true, "1.0.0.1-b": false} {
		if isSemVer2(version) != want {
			t.Errorf("%s: not %t", version, want)
		}
	}
	if got, want := rangeVersions("[1.0.0-a.1, 2.0.0)"), []string{"1.0.0-a.1", "2.0.0"}; !slices.Equal(got, want) {
		t.Errorf("the range has %q, want %q", got, want)
	}
}

func TestFeedOf(t *testing.T) {
	t.Parallel()
	got, err := feedOf("https://www.packages.example.com")
	if want := "https://api.packages.example.com/v3"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, index := range []string{"", "/", "https://feed.example.com/index.json"} {
		if _, err := open(options{Index: index}); err == nil {
			t.Errorf("%q is taken for a path", index)
		}
	}
}

func TestShortFramework(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{".NETFramework4.5": "net45", ".NETFramework4.7.2": "net472", ".NETStandard2.0": "netstandard2.0", ".NETCoreApp3.1": "netcoreapp3.1", "net6.0": "net6.0", "": ""} {
		if got := shortFramework(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("1.0.0-Beta+x")
	f.Add("01.0.0.0")
	f.Fuzz(func(t *testing.T, version string) {
		normal, ok := normalize(version)
		if !ok {
			return
		}
		if again, ok := normalize(normal); !ok || again != normal {
			t.Fatalf("%q is normalized as %q and that as %q", version, normal, again)
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	versions := []string{"0.9.0", "1.0.0", "1.1.0-beta", "1.5.0", "2.0.0", "2.0.0.1"}
	for text, want := range map[string]string{
		"": "0.9.0 1.0.0 1.1.0-beta 1.5.0 2.0.0 2.0.0.1", "1.0": "1.0.0 1.1.0-beta 1.5.0 2.0.0 2.0.0.1", "[1.0,2.0)": "1.0.0 1.1.0-beta 1.5.0",
		"(1.0.0, 2.0]": "1.1.0-beta 1.5.0 2.0.0", "[1.0]": "1.0.0", "(1.0)": "", "(,1.0)": "0.9.0", "[2.0,)": "2.0.0 2.0.0.1", "(,)": "0.9.0 1.0.0 1.1.0-beta 1.5.0 2.0.0 2.0.0.1",
	} {
		r, ok := parseInterval(text)
		var has []string
		for _, v := range versions {
			if r.has(v) {
				has = append(has, v)
			}
		}
		if got := strings.Join(has, " "); !ok || got != want {
			t.Errorf("%q has %q (%t), want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"[", "]", "(", "[1.0", "1.0]", "[x,2]", "[1,x]", "[1,2,3]", "x"} {
		if r, ok := parseInterval(text); ok {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}
