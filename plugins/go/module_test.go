package main

import (
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	m := module.Version{Path: "example.com/Team/lamp/v2", Version: "v2.0.0-RC1"}
	for want, got := range map[string]string{
		"/example.com/!team/lamp/v2/@v/list":               listPath(m.Path),
		"/example.com/!team/lamp/v2/@latest":               latestPath(m.Path),
		"/example.com/!team/lamp/v2/@v/v2.0.0-!r!c1.zip":   filePath(m, ".zip"),
		"/example.com/a/@v/v2.0.0+incompatible.mod":        filePath(module.Version{Path: "example.com/a", Version: "v2.0.0+incompatible"}, ".mod"),
		"/example.com/a/@v/a%20%23b%25.info":               filePath(module.Version{Path: "example.com/a", Version: "a #b%"}, ".info"),
		"/lookup/example.com/!team/lamp/v2@v2.0.0-!r!c1":   lookupPath(m),
		"/lookup/example.com/old@v2.0.0+incompatible":      lookupPath(module.Version{Path: "example.com/old", Version: "v2.0.0+incompatible"}),
		"/sumdb/example.com/sumdb/latest":                  database{name: "example.com/sumdb"}.path("/latest"),
		"/golang.org/toolchain/@v/v0.0.1-go1.26.0.x-y.mod": filePath(module.Version{Path: toolchainModule, Version: "v0.0.1-go1.26.0.x-y"}, ".mod"),
		"/example.com/!team/!lamp/@v/list":                 database{}.about(sdk.Version{Name: "example.com/!team/!lamp"}).Path,
		"/example.com/a/@v/v1.0.0.info":                    database{}.about(sdk.Version{Name: "example.com/a", Version: "v1.0.0"}).Path,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzAddresses has any module and version: what is asked and kept of one that
// can be stays below its folder, and is read back as the same module.
func FuzzAddresses(f *testing.F) {
	f.Add("example.com/Team/lamp/v2", "v2.0.0-RC1")
	f.Add("gopkg.in/yaml.v3", "v3.0.1")
	f.Add("example.com/a", "feature #1")
	f.Add("example.com/a", "..")
	f.Fuzz(func(t *testing.T, path, version string) {
		escapedPath, err := module.EscapePath(path)
		if err != nil {
			return
		}
		if _, err := module.EscapeVersion(version); err != nil {
			return
		}
		m := module.Version{Path: path, Version: version}
		for _, address := range []string{filePath(m, ".info"), lookupPath(m)} {
			if strings.ContainsAny(address, "?# \\") || strings.Contains(address, "/../") || !strings.Contains(address, "/"+escapedPath) {
				t.Errorf("%s@%s has the address %q", path, version, address)
			}
		}
		if back := named(escapedPath, version); back != m {
			t.Errorf("%s is read back as %s", path, back.Path)
		}
	})
}
