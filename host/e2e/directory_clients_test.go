package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDirectoriesAreInstalledFrom has each client install a package that only
// lies in a directory, under a file name of no meaning where the ecosystem
// allows that, with a dependency that upstream has.
func TestDirectoriesAreInstalledFrom(t *testing.T) {
	t.Parallel()
	older := release{name: "quay", version: "1.0.0"}
	quay := release{name: "quay", version: "1.1.0", needs: "tide"}
	each(t, []*client{npmClient, pnpmClient, yarnClient, cargoClient, pipClient, uvClient}, func(t *testing.T, c *client) {
		f := c.start(t)
		tree := t.TempDir()
		for _, r := range []release{older, quay} {
			name, body := "some-"+r.version+".tgz", []byte(nil)
			switch f.repository {
			case "npm":
				body = npmTarball(t, r, "")
			case "cargo":
				name, body = "some-"+r.version+".crate", crate(t, r)
			default:
				name, body = wheelName(r), wheel(t, r)
			}
			if err := os.WriteFile(filepath.Join(tree, name), body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := startHost(t, f.config("3d", fmt.Sprintf("directory %q {}", tree)))
		h.looked(t, 1, 2, "added=2", time.Minute)
		p := c.project(t, mount(h, f))
		out, err := c.add(t, p, "quay", "")
		if err != nil {
			t.Fatalf("%s does not install it: %v\n%s\n%s", c.name, err, out, h.log.tail(4<<10))
		}
		installed := []release{quay, {name: "tide", version: "1.0.0"}}
		if c == pnpmClient { // what is needed only by others stands elsewhere
			installed = installed[:1]
		}
		for _, want := range installed {
			dirs, err := filepath.Glob(filepath.Join(p.root, p.dir(want.name)))
			if err != nil || len(dirs) != 1 {
				t.Fatalf("%d folders of %s (%v)\n%s", len(dirs), want.name, err, out)
			}
			if got, err := os.ReadFile(filepath.Join(dirs[0], "data.bin")); err != nil || string(got) != string(want.data()) {
				t.Errorf("%s: what is installed of %s is something else (%v)", c.name, want, err)
			}
		}
		if asked := f.requests(); strings.Contains(asked, "quay") {
			t.Errorf("upstream was asked for what lies in a directory:\n%s", asked)
		}
		explained, err := h.Run(t, "explain", c.purl+"quay@1.1.0")
		if err != nil || !strings.Contains(explained, "quay 1.1.0 is served") {
			t.Errorf("explain says %s (%v)", explained, err)
		}
	})
}
