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
// expectations first, then the laws. See the package documentation.
func Run[C any](t *testing.T, open func(C) (sdk.Ecosystem, error), glob string) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no script matches %s", glob)
	}
	start := plugin(open)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			runScript(t, start, file)
		})
	}
}

func runScript(t *testing.T, start starter, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseScript(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	h, err := newHost(s, start)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer h.close()
	changed := false
	for _, e := range s.exchanges {
		t.Run(e.title, func(t *testing.T) {
			got, err := h.ask(e)
			if err != nil {
				t.Fatal(err)
			}
			problems := e.want.check(got)
			if len(problems) > 0 && *update {
				text, err := e.want.rewrite(got)
				if err != nil {
					t.Fatal(err)
				}
				s.archive.Files[e.section].Data = []byte(text)
				changed = true
				return
			}
			for _, p := range problems {
				t.Error(p)
			}
		})
	}
	if changed {
		if err := os.WriteFile(file, s.format(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, law := range laws() {
		t.Run(law.name, func(t *testing.T) { law.check(t, s, start) })
	}
}
