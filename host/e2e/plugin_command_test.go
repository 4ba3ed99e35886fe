package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// copiedPlugins is a directory with copies of some of the built plugins.
func copiedPlugins(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(built(t), "plugins", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// noPlugin makes a program that is no plugin: the host's own.
func noPlugin(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(built(t), "entrepot"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
}

func entrepot(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(filepath.Join(built(t), "entrepot"), args...).CombinedOutput()
	return string(out), err
}

func TestPluginListSaysWhatIsInstalledAndHowItIs(t *testing.T) {
	t.Parallel()
	dir := copiedPlugins(t, "cargo", "pypi")
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no plugin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	noPlugin(t, filepath.Join(dir, "oyster"))
	const upstream = "upstream \"main\" { url = \"https://registry.example.com\" }"
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\nrepository \"cargo\" {}\nrepository \"crates\" {\n plugin = \"cargo\"\n}\n", dir))
	lists := func(patterns ...string) {
		t.Helper()
		out, err := h.Run(t, "plugin", "list")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, p := range patterns {
			if !regexp.MustCompile("(?m)^" + p + "$").MatchString(out) {
				t.Errorf("no line is %q:\n%s", p, out)
			}
		}
		if strings.Contains(out, "notes.txt") {
			t.Errorf("a file that cannot be run is listed:\n%s", out)
		}
	}
	lists(
		`NAME +VERSION +PROTOCOL +SHA256 +REPOSITORIES +STATE`,
		`cargo +\S+ +1 +[0-9a-f]{12} +cargo, crates +runs`,
		`oyster +- +- +[0-9a-f]{12} +- +broken: plugin oyster printed something else than the handshake.*`,
		`pypi +\S+ +1 +[0-9a-f]{12} +- +not used: add repository "pypi" {} to the configuration`,
		`sandbox: .+`,
	)
	h.Stop()
	text, err := os.ReadFile(filepath.Join(h.Dir, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	// Copied without its mode, and a folder that is called like a plugin.
	if err := os.WriteFile(filepath.Join(dir, "spk"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "oci"), 0o700); err != nil {
		t.Fatal(err)
	}
	text = append(text, "repository \"spk\" {}\nrepository \"oci\" {}\n"...)
	text = append(text, fmt.Sprintf("repository \"npm\" {\n%s\n}\nplugin \"pypi\" {\n sha256 = %q\n}\nsandbox_without = [\"seccomp\"]\n", upstream, strings.Repeat("0", 64))...)
	if err := os.WriteFile(filepath.Join(h.Dir, "config.hcl"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	lists(
		`cargo .* the host does not run`,
		`npm +- +- +- +npm +missing: there is no such file in plugin_dir`,
		`spk .* broken: plugin spk cannot be started: make the file executable \(chmod .*`,
		`oci .* broken: .*oci is no plain file: build or copy the plugin's binary there`,
		`pypi .* broken: plugin pypi: its sha256 is [0-9a-f]{64}, but the configuration pins 0{64}`,
		`not enforced: seccomp.*`,
	)
}

func TestPluginDescribeShowsWhatPluginSays(t *testing.T) {
	t.Parallel()
	dir := copiedPlugins(t)
	buildExample(t, "luarocks", dir)
	config := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, "plugin_dir = %q\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"by name": {"plugin", "describe", "luarocks", "--config", config},
		"by path": {"plugin", "describe", filepath.Join(dir, "luarocks")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := entrepot(t, args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{
				"LuaRocks", "protocol   1\n", "main: to be configured\n", "lua = string, default \"5.1\"\n", "Version of Lua whose rocks are served",
				"GET /manifest-5.1\n", "mounts     /luarocks\n", "rocks_servers = { \"{url}\" }\n",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
	out, err := entrepot(t, "plugin", "describe", filepath.Join(dir, "luarocks"), "--json")
	var described struct{ Options []struct{ Name, Type string } }
	if err != nil || json.Unmarshal([]byte(out), &described) != nil || len(described.Options) != 1 || described.Options[0].Type != "string" {
		t.Errorf("--json prints %s (%v)", out, err)
	}
	if out, err := entrepot(t, "plugin", "describe", "clam", "--config", config); err == nil || !strings.Contains(out, "there is no plugin") || !strings.Contains(out, "plugin list") {
		t.Errorf("a plugin that is not there is described: %s", out)
	}
}

func TestPluginTestFindsFaultsInBinaries(t *testing.T) {
	t.Parallel()
	dir := copiedPlugins(t, "cargo")
	cargo, scripts := filepath.Join(dir, "cargo"), t.TempDir()
	script := "A crate that nobody has.\n-- GET /se/rd/serde --\n404 upstream does not have\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(scripts, "first.txtar"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(ok bool, says string, args ...string) {
		t.Helper()
		out, err := entrepot(t, append([]string{"plugin", "test"}, args...)...)
		if (err == nil) != ok || !regexp.MustCompile("(?m)^"+says).MatchString(out) {
			t.Errorf("plugin test %q prints %s (%v), want %q", args, out, err, says)
		}
	}
	expect(true, `ok    cargo: \d+ checks, 0 scripts$`, cargo)
	write(script)
	expect(true, `ok    cargo: \d+ checks, 1 scripts$`, cargo, "--scripts", scripts)
	write(strings.Replace(script, "404", "200", 1))
	expect(false, `FAIL  first.txtar: GET /se/rd/serde$\n      status 404, want 200`, cargo, "--scripts", scripts)
	if err := os.Rename(cargo, filepath.Join(dir, "freight")); err != nil {
		t.Fatal(err)
	}
	expect(false, `FAIL  name of the file$`, dir)
	noPlugin(t, filepath.Join(dir, "oyster"))
	expect(false, `FAIL  oyster: plugin oyster printed something else than the handshake`, dir)
	expect(false, `entrepot: 2 of 2 plugins fail$`, dir)
	expect(false, `entrepot: scripts are of one plugin`, dir, "--scripts", scripts)
}

func TestNewPluginServesAtOnce(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	source, plugins := filepath.Join(t.TempDir(), "source"), t.TempDir()
	if out, err := entrepot(t, "plugin", "new", "lamps", "--module", "example.com/lamps", "--dir", source, "--sdk", root); err != nil || !strings.Contains(out, "go test ./...") {
		t.Fatalf("plugin new: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", filepath.Join(plugins, "lamps"), "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = source
		// A tidy module has more in go.sum than this one needs, so that some is fetched.
		cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
	h := startHost(t, fmt.Sprintf("plugin_dir = %q\nrepository \"lamps\" {\n options { greeting = \"Let there be light.\" }\n}\n", plugins))
	if status, _, body := get(t, h.URL+"/lamps/"); status != http.StatusOK || string(body) != `{"message":"Let there be light."}` {
		t.Errorf("it answers %d %s", status, body)
	}
}
