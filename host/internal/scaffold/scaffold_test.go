package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// source is this source tree.
func source(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestModuleBuildsAndPassesItsTests(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: -short builds no binaries")
	}
	dir := filepath.Join(t.TempDir(), "lamps")
	files, err := Write(Options{Name: "lamps", Module: "example.com/entrepot-lamps", Dir: dir, SDK: source(t)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md", "go.mod", "main.go", "main_test.go", filepath.Join("testdata", "first.txtar")}
	if !slices.Equal(files, want) {
		t.Errorf("written are %q, want %q", files, want)
	}
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		// A tidy module has more in go.sum than this one needs, so that some is fetched.
		cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("go", "mod", "tidy")
	if out := run("gofmt", "-l", "."); out != "" {
		t.Errorf("gofmt would change %s", out)
	}
	run("go", "vet", "./...")
	run("go", "test", "./...")
	run("go", "build", "-o", "lamps", ".")
	if out := run(filepath.Join(dir, "lamps"), "describe"); !strings.Contains(out, `"greeting"`) {
		t.Errorf("the binary describes itself as %s", out)
	}
}

func TestVersionIsRequired(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Write(Options{Name: "lamps", Module: "example.com/lamps", Dir: dir, Version: "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"module example.com/lamps\n", "\nrequire github.com/entrepot-registry/entrepot v1.2.3\n", "\n// replace "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("go.mod lacks %q:\n%s", want, text)
		}
	}
}

// TestAFolderWithASpaceIsQuoted has the SDK lie in one.
func TestAFolderWithASpaceIsQuoted(t *testing.T) {
	t.Parallel()
	sdk, dir := filepath.Join(t.TempDir(), "the sdk"), t.TempDir()
	if err := os.Symlink(source(t), sdk); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if _, err := Write(Options{Name: "lamps", Module: "example.com/lamps", Dir: dir, SDK: sdk}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Replace) != 1 || m.Replace[0].New.Path != sdk {
		t.Errorf("go.mod replaces %v, want %s", m.Replace, sdk)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "main.go"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o      Options
		report string
	}{
		"a directory in use": {Options{Name: "lamps", Module: "example.com/x", Dir: full}, "is not empty"},
		"a bad name":         {Options{Name: "Lamps", Dir: t.TempDir()}, "lower-case letters"},
		"a digit first":      {Options{Name: "7zip", Module: "example.com/x", Dir: t.TempDir()}, "a letter first"},
		"a module above":     {Options{Name: "lamps", Module: "../lamps", Dir: t.TempDir()}, "--module: malformed import path"},
		"the SDK's module":   {Options{Name: "lamps", Module: entrepot, Dir: t.TempDir()}, "is the path of the SDK"},
		"no source tree":     {Options{Name: "lamps", Module: "example.com/x", Dir: t.TempDir(), SDK: full}, "is no source tree"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if files, err := Write(tt.o); err == nil || !strings.Contains(err.Error(), tt.report) {
				t.Errorf("%q were written, the error is %v, want one that says %q", files, err, tt.report)
			}
		})
	}
	text, err := os.ReadFile(filepath.Join(full, "main.go"))
	if err != nil || string(text) != "mine" {
		t.Errorf("main.go is %q now (%v)", text, err)
	}
}
