package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// examples are modules of third parties with the lines of Go that each may
// have, tests left out: proxying and cool-down fit the first number.
var examples = map[string]int{"pub": 60, "luarocks": 120, "pubhost": 120}

// TestExamplesPassTheirOwnTests runs each as its author would, from outside.
func TestExamplesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	for name, most := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range [][]string{{"gofmt", "-l", "."}, {"go", "vet", "./..."}, {"go", "test", "./..."}} {
				cmd := exec.Command(command[0], command[1:]...)
				cmd.Dir = filepath.Join("..", "..", "examples", name)
				out, err := cmd.CombinedOutput()
				if err != nil || command[0] == "gofmt" && len(out) > 0 {
					t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
				}
			}
			if n := linesOfGo(t, filepath.Join("..", "..", "examples", name)); n > most {
				t.Errorf("it has %d lines of Go, and was to show that %d are enough", n, most)
			}
		})
	}
}

func linesOfGo(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

// buildExample builds an example into a plugin directory, as its user would.
func buildExample(t *testing.T, name, pluginDir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(pluginDir, name), ".")
	cmd.Dir = filepath.Join("..", "..", "examples", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// rocksServer is a static LuaRocks server. Its manifest knows no times.
type rocksServer struct {
	*Upstream
	shelf *shelf
	lua   string
	rocks []string
}

func startRocks(t *testing.T, lua string) *rocksServer {
	t.Helper()
	s := &rocksServer{shelf: newShelf(), lua: lua}
	s.Upstream = startUpstream(t, s.shelf)
	return s
}

// publish adds a source rock of tide.
func (s *rocksServer) publish(t *testing.T, version string) {
	t.Helper()
	rock := zipped(t,
		"tide-"+version+".rockspec", fmt.Sprintf("package = \"tide\"\nversion = %q\n"+
			"source = { url = \"https://files.example.com/tide.lua\" }\n"+
			"build = { type = \"builtin\", modules = { tide = \"tide.lua\" } }\n", version),
		"tide.lua", "return "+fmt.Sprintf("%q", version)+"\n",
	)
	s.shelf.put("/tide-"+version+".src.rock", "application/zip", rock)
	s.rocks = append(s.rocks, fmt.Sprintf("[%q] = { { arch = \"src\" } }", version))
	s.shelf.put("/manifest-"+s.lua, "text/plain", []byte("commands = {}\nmodules = {}\nrepository = { tide = { "+strings.Join(s.rocks, ", ")+" } }\n"))
}

// installRock has a new client install tide from a repository, and returns what
// the module says then.
func installRock(t *testing.T, luarocks, url, lua string, version ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	args := append([]string{"install", "--tree", filepath.Join(home, "tree"), "--only-server", url, "tide"}, version...)
	cmd := exec.Command(luarocks, args...)
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(home, "tree", "share", "lua", lua, "tide.lua"))
	return strings.TrimSpace(strings.TrimPrefix(string(text), "return ")), err
}

// TestThirdPartysPluginServesItsClient copies a plugin of another module into
// the plugin directory of a host that runs, adds a block to its configuration,
// and uses it as its ecosystem's client does.
func TestThirdPartysPluginServesItsClient(t *testing.T) {
	t.Parallel()
	luarocks := needs(t, "luarocks")
	out, err := exec.Command(luarocks, "config", "lua_version").Output()
	if err != nil {
		t.Fatal(err)
	}
	lua := strings.TrimSpace(string(out))
	up := startRocks(t, lua)
	up.publish(t, "1.0.0-1")

	plugins := t.TempDir()
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\n", plugins))
	buildExample(t, "luarocks", plugins)
	h.Configure(t, fmt.Sprintf("cooldown {\n  default = \"7d\"\n}\nrepository \"luarocks\" {\n  upstream \"main\" { url = %q }\n  options { lua = %q }\n}\n", up.URL, lua))
	url := h.URL + "/luarocks"
	installs := func(want string, version ...string) {
		t.Helper()
		if got, err := installRock(t, luarocks, url, lua, version...); err != nil || got != fmt.Sprintf("%q", want) {
			t.Errorf("installed is %s, want %q (%v)", got, want, err)
		}
	}

	// What is there at the first look has no known age and is served.
	installs("1.0.0-1")

	// What was not there then is held back, in the manifest and by its address.
	up.publish(t, "1.1.0-1")
	if out, err := h.Run(t, "purge", "--repository", "luarocks"); err != nil {
		t.Fatalf("purge: %v\n%s", err, out)
	}
	installs("1.0.0-1")
	if got, err := installRock(t, luarocks, url, lua, "1.1.0-1"); err == nil {
		t.Errorf("%s is installed, which is held back", got)
	}
	if status, _, body := get(t, url+"/tide-1.1.0-1.src.rock"); status != 403 || !strings.Contains(string(body), "tide 1.1.0-1 is held back until") {
		t.Errorf("the rock is answered with %d %.200s", status, body)
	}

	if out, err := h.Run(t, "exempt", "pkg:luarocks/tide@1.1.0-1", "--reason", "it is ours"); err != nil {
		t.Fatalf("exempt: %v\n%s", err, out)
	}
	installs("1.1.0-1")

	// Both are kept by now.
	up.Close()
	installs("1.1.0-1")
	installs("1.0.0-1", "1.0.0-1")
}
