package main

import (
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

func TestScripts(t *testing.T) {
	plugintest.Run(t, open, "testdata/*.txtar")
}

func TestPlatformsOfAFamily(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arch, built string
		want        bool
	}{
		{"88f6281", "88f628x", true}, {"88f6282", "88f628x", true}, {"88f6281", "628x", true}, {"88f6281", "armv5", true}, {"88f6281", "88f6282", false},
		{"apollolake", "x64", true}, {"apollolake", "88f628x", false}, {"rtd1296", "aarch64", true}, {"nothing", "x64", false}, {"nothing", "noarch", true},
	} {
		if got := (question{arch: c.arch}).runs([]string{c.built}); got != c.want {
			t.Errorf("%s runs what is built for %s: %t, want %t", c.arch, c.built, got, c.want)
		}
	}
}
