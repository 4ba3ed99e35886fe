package plugintest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
)

// crate builds the plugin in testdata/crate once for all tests.
var crate = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "plugintest-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "./testdata/crate").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if !testing.Short() {
		dir, _ := crate() // its error failed the tests that use it
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// faulty is a binary of crate with a fault and a name.
func faulty(t *testing.T, name, fault string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short builds no binaries")
	}
	dir, err := crate()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "fault-"+fault, name)
	if err := os.Mkdir(filepath.Dir(binary), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "crate"), binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

var binaryScripts = []string{"testdata/crate/crate.txtar"}

func TestCheckFindsWhatIsWrongWithBinary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fault, file string
		scripts           []string
		check, problem    string // empty: all is well
	}{
		{"nothing", "", "crate", binaryScripts, "", ""},
		{"nothing, without scripts", "", "crate", nil, "", ""},
		{"the file is called otherwise", "", "box", nil, "name of the file", `the plugin "crate"`},
		{"a dropped Keep", "keep", "crate", binaryScripts, "GET /apple", "http://entrepot/crate/apple/2.0"},
		{"a dropped Keep, by law", "keep", "crate", binaryScripts, "links lead somewhere", "apple 2.0 is held back"},
		{"a broken link", "link", "crate", binaryScripts, "links lead somewhere", "dead link in /apple"},
		{"a rendering that differs", "clock", "crate", binaryScripts, "same question same answer", "was rendered twice"},
		{"a panic", "panic", "crate", binaryScripts, "GET /apple", "panic: no plan"},
		{"a panic, without scripts", "panic", "crate", nil, "GET /{name}", "panic: no plan, in main.open.func1 (main.go:"},
		{"a goroutine that goes on", "late", "crate", binaryScripts, "GET /apple/1.0", "plugin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checks, found := 0, map[string]string{}
			err := Check(wire.Options{Path: faulty(t, c.file, c.fault)}, c.scripts, func(_, check string, problems []string) {
				checks++
				if len(problems) > 0 {
					found[check] = strings.Join(problems, "\n")
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.fault != "panic" && c.fault != "late" && checks <= len(laws()) {
				t.Errorf("only %d checks were made", checks)
			}
			if c.check == "" && len(found) > 0 {
				t.Errorf("a plugin without fault is accused: %q", found)
			}
			if !strings.Contains(found[c.check], c.problem) {
				t.Errorf("%s: %q, which does not say %q", c.check, found, c.problem)
			}
		})
	}
}

func TestCheckSaysWhyNothingCanBeTested(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, fault, script, report string }{
		{"output before the handshake", "output", binaryScripts[0], "must print nothing there"},
		{"an end at once", "exit", binaryScripts[0], "there is no crate"},
		{"no script", "", "testdata/crate/none.txtar", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := Check(wire.Options{Path: faulty(t, "crate", c.fault)}, []string{c.script}, func(string, string, []string) {})
			if err == nil || !strings.Contains(err.Error(), c.report) {
				t.Errorf("the error is %v, which does not say %q", err, c.report)
			}
		})
	}
}

// TestBinaryMustAnswerAsInMemory takes two plugins for the one in memory and
// its binary.
func TestBinaryMustAnswerAsInMemory(t *testing.T) {
	t.Parallel()
	s, err := parseScript([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	other := whole()
	other.list = func(in *sdk.Input, _ string) error { return in.JSON("something else") }
	for _, c := range []struct {
		name, report string
		built        parts
	}{
		{"the same", "", whole()},
		{"another", "was rendered twice from the same documents", other},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var found problems
			sameOverSocket(&found, s, plugin(whole().open), plugin(c.built.open))
			if got := strings.Join(found, "\n"); !strings.Contains(got, c.report) || c.report == "" && got != "" {
				t.Errorf("reported is %q, want %q", got, c.report)
			}
		})
	}
}

// TestPackageUnderTestIsBuilt tests a plugin as its author does. The linker's
// flag concerns the binary that Run builds, and not the test.
func TestPackageUnderTestIsBuilt(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: -short builds no binaries")
	}
	cmd := exec.Command("go", "test", ".")
	cmd.Dir = filepath.Join("testdata", "crate")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-ldflags=-X=main.fault=keep")
	out, err := cmd.CombinedOutput()
	if want := "FAIL: TestScripts/crate.txtar/same_answers_over_a_socket"; err == nil || strings.Count(string(out), "--- FAIL") != 3 || !strings.Contains(string(out), want) {
		t.Errorf("go test must fail for that law alone: %v\n%s", err, out)
	}
}
