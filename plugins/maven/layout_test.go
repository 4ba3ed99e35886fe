package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseFile(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		version, rest string
		literal       bool
	}{
		"/org/example/lamp/1.0/lamp-1.0.jar":                                             {"1.0", ".jar", false},
		"/org/example/lamp/1.0/lamp-1.0-sources.jar.asc":                                 {"1.0", "-sources.jar.asc", false},
		"/lamp/lamp/1.0/lamp-1.0.tar.gz":                                                 {"1.0", ".tar.gz", false},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-SNAPSHOT.jar":                           {"1.0-SNAPSHOT", ".jar", true},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-20250501.100000-3.jar":                  {"1.0-20250501.100000-3", ".jar", false},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-20250501.100000-3-tests.jar":            {"1.0-20250501.100000-3", "-tests.jar", false},
		"/org/example/lamp/1.0-20250501.100000-3/lamp-1.0-20250501.100000-3.jar":         {"1.0-20250501.100000-3", ".jar", false},
		"/org/example/lamp/1.0/lamp-1.1.jar":                                             {},
		"/org/example/lamp/1.0/lamp-1.0":                                                 {},
		"/org/example/lamp/1.0/lamp-1.0.":                                                {},
		"/org/example/lamp/1.0/lamp-1.0+b.jar":                                           {},
		"/org/example/lamp/1.0/shade-1.0.jar":                                            {},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-2.0-20250501.100000-3.jar":                  {},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-20250501.100000.jar":                    {},
		"/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-2025.jar":                               {},
		"/org/example/lamp/1.0-20250501.100000-3/lamp-1.0-20250501.100000-3-SNAPSHOT.tx": {"1.0-20250501.100000-3", "-SNAPSHOT.tx", false},
	} {
		at, ok := parseFolder(path)
		if !ok {
			t.Fatalf("%s is no path", path)
		}
		n := len(at)
		f, ok := parseFile(at[:n-2], at[n-2], at[n-1])
		if ok != (want.version != "") {
			t.Errorf("%s: ok is %t", path, ok)
		}
		if !ok {
			continue
		}
		if f.version != want.version || f.rest != want.rest || f.literal() != want.literal {
			t.Errorf("%s has version %q and the rest %q, literal: %t", path, f.version, f.rest, f.literal())
		}
		if f.path() != path {
			t.Errorf("%s has the path %s", path, f.path())
		}
	}
}

func TestSnapshotOf(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.0": "", "1.0-SNAPSHOT": "1.0-SNAPSHOT", "1.0-20250501.100000-3": "1.0-SNAPSHOT", "1.0-20250501": "",
		"1-2-20250501.100000-13": "1-2-SNAPSHOT", "": "",
	} {
		if got, ok := snapshotOf(version); ok != (want != "") || ok && got != want {
			t.Errorf("%s is of %q, %t", version, got, ok)
		}
	}
	if at, want := builtAt("1.0-20250501.103000-3"), time.Date(2025, 5, 1, 10, 30, 0, 0, time.UTC); !at.Equal(want) {
		t.Errorf("built at %s, want %s", at, want)
	}
	if at := builtAt("1.0-20259901.103000-3"); !at.IsZero() {
		t.Errorf("built at %s", at)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"org.example/lamp": "/org/example/lamp/x", "lamp/lamp": "/lamp/lamp/x", "org.example/a.b": "/org/example/a.b/x"} {
		f := folderOf(name)
		if f.name() != name || f.path("x") != want {
			t.Errorf("%s is %q at %s", name, f.name(), f.path("x"))
		}
	}
}

func FuzzPaths(f *testing.F) {
	f.Add("/org/example/lamp/1.0/lamp-1.0.jar")
	f.Add("/org/example/lamp/1.0-SNAPSHOT/lamp-1.0-20250501.100000-3-tests.jar")
	f.Add("/org/example/lamp/1.0%2bb/lamp-1.0+b.jar")
	f.Fuzz(func(t *testing.T, path string) {
		at, ok := parseFolder(path)
		if !ok || len(at) < 4 {
			return
		}
		n := len(at)
		parsed, ok := parseFile(at[:n-2], at[n-2], at[n-1])
		if !ok {
			return
		}
		canonical := parsed.path()
		if strings.Count(canonical, "/") != n {
			t.Fatalf("%q becomes %q, which has other folders", path, canonical)
		}
		again, ok := parseFolder(canonical)
		if !ok {
			t.Fatalf("%q is no path", canonical)
		}
		if f, ok := parseFile(again[:n-2], again[n-2], again[n-1]); !ok || f.path() != canonical {
			t.Fatalf("%q is read as %v, %t", canonical, f, ok)
		}
	})
}
