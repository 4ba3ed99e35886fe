package main

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lodash", "@acme/tools", "@acme/_tools", "-", "JSONStream", "a.b_c~d!e*(f)'", "é", strings.Repeat("a", 214)} {
		if !validName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".a", "_a", "a/b", "@acme", "@acme/", "@/a", "@acme/.", "@../a", "@a/b/c", "a b", "a%2fb", "a\\b", "a?b", "a#b",
		"a:b", "a@1", "a\x00", strings.Repeat("a", 215),
	} {
		if validName(name) {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestNewNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lodash", "@acme/tools", "a.b_c-d", "@acme/_tools", "@acme/-x", "-x", "JSONStream", "@acme/Upper", "@Acme/tools"} {
		if problem := newNameProblem(name); problem != "" {
			t.Errorf("%q is refused: %s", name, problem)
		}
	}
	for _, name := range []string{"é", "@acme/é", "a~b", "a!", "it's", "node_modules", "@acme/node_modules", "favicon.ico", "http", "stream", "worker_threads"} {
		if newNameProblem(name) == "" {
			t.Errorf("%q is taken for a new name", name)
		}
	}
}

func TestFileVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, version string }{
		{"lodash", "lodash-4.17.21.tgz", "4.17.21"},
		{"@acme/tools", "tools-1.0.0-beta.1.tgz", "1.0.0-beta.1"},
		{"tools-x", "tools-x-1.0.0+build.tgz", "1.0.0+build"},
		{"-", "--0.0.1.tgz", "0.0.1"},
		{"lodash", "LODASH-1.0.0.tgz", ""},
		{"lodash", "lodash-1.0.0.zip", ""},
	} {
		if got := fileVersion(c.name, c.file); got != c.version {
			t.Errorf("fileVersion(%q, %q) = %q, want %q", c.name, c.file, got, c.version)
		}
	}
}
