package plugintest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

var update = flag.Bool("update", false, "rewrite the expectations of scripts that do not hold")

// Run runs every script that glob matches as a parallel subtest: its
// expectations first, then the laws. Where the package under test is a plugin's
// main package, it is built, and must give the same answers over a socket;
// -short leaves that out. A glob that matches nothing and a script that cannot
// be read fail the test. See the package documentation.
func Run[C any](t *testing.T, open func(C) (sdk.Ecosystem, error), glob string) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no script matches %s", glob)
	}
	start, built := plugin(open), buildPackage(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			runScript(t, start, built, file)
		})
	}
}

// runScript runs one script; built is nil where there is no binary.
func runScript(t *testing.T, start, built starter, file string) {
	s, err := readScript(file)
	if err != nil {
		t.Fatal(err)
	}
	s.rewrite = *update
	run := func(name string, check func(reporter)) { t.Run(name, func(t *testing.T) { check(t) }) }
	if err := s.expectations(start, run); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if s.rewritten {
		if err := os.WriteFile(file, s.format(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.laws(start, run)
	if built != nil && !s.broken {
		run("same answers over a socket", func(r reporter) { sameOverSocket(r, s, start, built) })
	}
}
