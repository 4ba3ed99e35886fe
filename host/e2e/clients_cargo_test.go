package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCargoBuilds(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f := startCargo(t)
	h := startHost(t, f.config("3d", ""))
	for _, registry := range []string{"", "entrepot"} { // in the default registry's place, and as one of its own
		p := cargoClient.project(t, mount(h, f))
		args := []string{"add", "tide"}
		if registry != "" {
			args = append(args, "--registry", registry)
		}
		p.must(t, "cargo", args...)
		p.write(t, "src/main.rs", "fn main() { println!(\"{}\", tide::NAME); }\n")
		if out := p.must(t, "cargo", "run", "--quiet"); out != "tide 1.0.0\n" {
			t.Errorf("registry %q: cargo run prints %q", registry, out)
		}
		p.must(t, "cargo", "vendor", "--locked", "--respect-source-config")
		for _, name := range []string{"tide", "shell"} {
			want := f.file(t, name, "1.0.0")
			if got := p.read(t, "vendor/"+name+"/data.bin"); got != string(want.data()) {
				t.Errorf("registry %q: vendor/%s is not what was published", registry, name)
			}
			kept, err := filepath.Glob(filepath.Join(p.root, "cargo-home/registry/cache/*", name+"-1.0.0.crate"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("registry %q: %d files %s-1.0.0.crate (%v)", registry, len(kept), name, err)
			}
			if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, want.body) {
				t.Errorf("registry %q: %s-1.0.0.crate is not what was published (%v)", registry, name, err)
			}
			if want.fetched() != 1 {
				t.Errorf("registry %q: upstream was asked %d times for %s, want 1", registry, want.fetched(), want)
			}
		}
	}
}

// TestCargoTakesCratesFromTheIndexThatListsThem has a second index, whose crates
// are elsewhere than those of the first.
func TestCargoTakesCratesFromTheIndexThatListsThem(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f := startCargo(t)
	index := newShelf()
	first := startUpstream(t, index)
	index.put("/config.json", "application/json", marshal(t, map[string]any{"dl": first.URL + "/crates"}))
	f.upstream = fmt.Sprintf("upstream \"index\" { url = %q }\n%s", first.URL, strings.Replace(f.upstream, `"index"`, `"more"`, 1))
	h := startHost(t, f.config("3d", ""))
	cargoClient.project(t, mount(h, f)).installs(t, f, "tide", "", "1.0.0")
	for asked := range first.Requests() {
		if strings.Contains(asked, "/crates") {
			t.Errorf("the first index was asked for a crate that it does not list: %s", asked)
		}
	}
}

// TestCargoAgesComeFromTheAPI installs a crate whose index lines have no times.
func TestCargoAgesComeFromTheAPI(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	for _, test := range []struct {
		cooldown, want string
		asked          int
	}{
		{"3d", "1.0.0", 1},
		{"0", "1.1.0", 0},
	} {
		t.Run("cooldown "+test.cooldown, func(t *testing.T) {
			t.Parallel()
			f := startCargo(t)
			h := startHost(t, f.config(test.cooldown, ""))
			cargoClient.project(t, mount(h, f)).installs(t, f, "kelp", "", test.want)
			if got := f.servers[1].Asked("GET /api/v1/crates/kelp"); got != test.asked {
				t.Errorf("the API was asked %d times, want %d:\n%s", got, test.asked, f.requests())
			}
		})
	}
}

func TestCargoSearch(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	for cooldown, want := range map[string]string{"3d": `tide = "1.0.0"`, "0": `tide = "1.1.0"`} {
		t.Run("cooldown "+cooldown, func(t *testing.T) {
			t.Parallel()
			f := startCargo(t)
			h := startHost(t, f.config(cooldown, ""))
			p := cargoClient.project(t, mount(h, f))
			if out := p.must(t, "cargo", "search", "tide", "--registry", "entrepot"); !strings.Contains(out, want) || !strings.Contains(out, "rises and falls") {
				t.Errorf("cargo search lacks %q:\n%s", want, out)
			}
		})
	}
}

// TestCargoCratesAreGatedCold asks for crate files before anything else was
// asked for.
func TestCargoCratesAreGatedCold(t *testing.T) {
	t.Parallel()
	f := startCargo(t)
	h := startHost(t, f.config("3d", ""))
	for release, want := range map[string]int{
		"tide 1.0.0": http.StatusOK, "tide 1.1.0": http.StatusForbidden,
		"kelp 1.0.0": http.StatusOK, "kelp 1.1.0": http.StatusForbidden,
	} {
		file := f.files[release]
		status, _, body := get(t, mount(h, f)+file.here)
		if status != want {
			t.Errorf("%s is answered with %d, want %d: %s", release, status, want, body[:min(len(body), 200)])
		}
		if want == http.StatusOK && !bytes.Equal(body, file.body) {
			t.Errorf("%s is answered with other bytes", release)
		}
	}
}
