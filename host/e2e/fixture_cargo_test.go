package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"
)

// startCargo plays a cargo registry with the releases: a sparse index, a web
// API and crate files, each on a server of its own.
func startCargo(t testing.TB) *fixture {
	t.Helper()
	index, api, dl := newShelf(), newShelf(), newShelf()
	indexes, apis, files := startUpstream(t, index), startUpstream(t, api), startUpstream(t, dl)
	f := &fixture{
		repository: "cargo",
		upstream:   fmt.Sprintf("upstream \"index\" { url = %q }\nupstream \"api\" { url = %q }", indexes.URL, apis.URL),
		servers:    []*Upstream{indexes, apis, files},
		files:      map[string]*fixtureFile{},
	}
	index.put("/config.json", "application/json", marshal(t, map[string]any{"dl": files.URL + "/crates/{crate}/{crate}-{version}.crate", "api": apis.URL}))
	grouped(releases, func(name string, of []release) {
		var lines bytes.Buffer
		var versions []any
		for _, r := range of {
			file := &fixtureFile{
				release: r,
				here:    fmt.Sprintf("/crates/%s/%s/download", name, r.version),
				path:    fmt.Sprintf("/crates/%s/%s-%s.crate", name, name, r.version),
				on:      files,
				shelf:   dl,
				body:    crate(t, r),
			}
			file.digest = sha256Hex(file.body)
			f.files[r.String()] = file
			file.mend()
			lines.Write(indexLine(t, r, file.body))
			versions = append(versions, map[string]any{"num": r.version, "created_at": r.published().Format("2006-01-02T15:04:05.000000+00:00"), "yanked": r.withdrawn != "", "checksum": sha256Hex(file.body)})
		}
		index.put(cratePath(name), "text/plain", lines.Bytes())
		api.put("/api/v1/crates/"+name, "application/json", marshal(t, map[string]any{"crate": map[string]any{"id": name, "name": name}, "versions": versions}))
	})
	api.put("/api/v1/crates?per_page=10&q=tide", "application/json", marshal(t, map[string]any{
		"crates": []any{map[string]any{"id": newest.name, "name": newest.name, "max_version": newest.version, "newest_version": newest.version, "description": "rises and falls", "updated_at": newest.published().Format(time.RFC3339)}},
		"meta":   map[string]any{"total": 1},
	}))
	return f
}

// cratePath is a crate's path in an index (Cargo book, "Index Format"); no
// fixture's name is shorter than four letters.
func cratePath(name string) string { return "/" + name[:2] + "/" + name[2:4] + "/" + name }

func indexLine(t testing.TB, r release, body []byte) []byte {
	t.Helper()
	deps := []any{}
	if r.needs != "" {
		deps = append(deps, map[string]any{"name": r.needs, "req": "^1.0.0", "features": []string{}, "optional": false, "default_features": true, "target": nil, "kind": "normal"})
	}
	line := map[string]any{"name": r.name, "vers": r.version, "deps": deps, "cksum": sha256Hex(body), "features": map[string]any{}, "yanked": r.withdrawn != "", "links": nil}
	if !r.undated {
		line["pubtime"] = r.published().Format(time.RFC3339)
	}
	return append(marshal(t, line), '\n')
}

func crate(t testing.TB, r release) []byte {
	t.Helper()
	manifest := fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2021\"\n", r.name, r.version)
	if r.needs != "" {
		manifest += fmt.Sprintf("\n[dependencies]\n%s = \"1.0.0\"\n", r.needs)
	}
	dir := r.name + "-" + r.version + "/"
	return tarball(t, map[string][]byte{
		dir + "Cargo.toml": []byte(manifest),
		dir + "src/lib.rs": []byte(fmt.Sprintf("pub const NAME: &str = %q;\n", r.String())),
		dir + "data.bin":   r.data(),
	})
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
