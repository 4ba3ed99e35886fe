package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// hostingCargo has the names acme-*, spelled as people may, which are ours, beside an upstream that
// has a crate of such a name as well.
func hostingCargo(t *testing.T, settings string) (*fixture, *Host) {
	t.Helper()
	f := startCargo(t)
	bait := release{name: "acme-tide", version: "9.9.9", age: 365 * day}
	f.servers[0].handler.(*shelf).put(cratePath(bait.name), "text/plain", indexLine(t, bait, crate(t, bait)))
	f.servers[1].handler.(*shelf).put("/api/v1/crates?per_page=10&q=tide", "application/json", marshal(t, map[string]any{
		"crates": []any{
			map[string]any{"name": "acme-tide", "max_version": "9.9.9", "description": "a bait", "updated_at": "2020-01-01T00:00:00Z"},
			map[string]any{"name": "tide", "max_version": "1.0.0", "description": "rises and falls", "updated_at": "2020-01-01T00:00:00Z"},
		},
		"meta": map[string]any{"total": 2},
	}))
	h := startHost(t, f.config("3d", "hosted {\n  names = [\"Acme_*\"]\n"+settings+"\n}"))
	return f, h
}

// hostingCargoAsked are the requests to upstream that have a name of ours.
func hostingCargoAsked(f *fixture) []string {
	var all []string
	for line := range strings.Lines(f.requests()) {
		if strings.Contains(line, "acme") {
			all = append(all, line)
		}
	}
	return all
}

// hostingCargoCrate writes a crate to a project, which prints what it is when
// it is asked.
func hostingCargoCrate(t *testing.T, p *project, name, version, dependencies string) {
	t.Helper()
	p.write(t, "Cargo.toml", fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2021\"\ndescription = \"turns with the moon\"\nlicense = \"MIT\"\n\n[dependencies]\n%s\n", name, version, dependencies))
	p.write(t, "src/lib.rs", fmt.Sprintf("pub const NAME: &str = %q;\n", name+" "+version))
	p.write(t, "data.bin", string(release{name: name, version: version}.data()))
}

// hostingCargoProject is a project of somebody with a token.
func hostingCargoProject(t *testing.T, url, token string) *project {
	t.Helper()
	p := cargoClient.project(t, url)
	p.env = append(p.env, "CARGO_REGISTRIES_ENTREPOT_TOKEN="+token)
	return p
}

// hostingCargoPublish publishes with cargo.
func hostingCargoPublish(t *testing.T, p *project, name, version, dependencies string) {
	t.Helper()
	hostingCargoCrate(t, p, name, version, dependencies)
	p.must(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty")
}

// hostingCargoRuns has a project run with a dependency and checks what it is.
func hostingCargoRuns(t *testing.T, p *project, name, version string) {
	t.Helper()
	p.write(t, "src/main.rs", fmt.Sprintf("fn main() { println!(\"{}\", %s::NAME); }\n", strings.ReplaceAll(name, "-", "_")))
	if out := p.must(t, "cargo", "run", "--quiet"); out != name+" "+version+"\n" {
		t.Errorf("%s %s is wanted, and it is %q", name, version, out)
	}
}

// hostingCargoFrame is a publication's body; metadata may be anything.
func hostingCargoFrame(t *testing.T, metadata any, file []byte) []byte {
	t.Helper()
	m := marshal(t, metadata)
	body := append(binary.LittleEndian.AppendUint32(nil, uint32(len(m))), m...)
	return append(binary.LittleEndian.AppendUint32(body, uint32(len(file))), file...)
}

// hostingSend sends a body and returns the status and the answer.
func hostingSend(t testing.TB, method, url, token, contentType string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(answer)
}

// hostingCargoPut publishes without cargo.
func hostingCargoPut(t testing.TB, url, token string, body []byte) (int, string) {
	t.Helper()
	return hostingSend(t, http.MethodPut, url+"/api/v1/crates/new", token, "application/octet-stream", body)
}

func hostingCargoMetadata(name, version string) map[string]any {
	return map[string]any{"name": name, "vers": version, "deps": []any{}, "features": map[string]any{}, "authors": []any{}, "links": nil}
}

func TestHostingCargoPublishes(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	token := h.token(t, "alice", "--allow", "publish:cargo")
	author := hostingCargoProject(t, mount(h, f), token)
	// One dependency is upstream's, one is ours.
	hostingCargoPublish(t, author, "acme-moon", "1.0.0", "")
	hostingCargoPublish(t, author, "acme-tide", "1.0.0", "shell = \"1\"\nacme-moon = { version = \"1\", registry = \"entrepot\" }")
	for _, registry := range []string{"", "entrepot"} { // in the default registry's place, and as one of its own
		p := cargoClient.project(t, mount(h, f))
		args := []string{"add", "acme-tide"}
		if registry != "" {
			args = append(args, "--registry", registry)
		}
		p.must(t, "cargo", args...)
		hostingCargoRuns(t, p, "acme-tide", "1.0.0")
		p.must(t, "cargo", "fetch", "--locked")
		data, err := filepath.Glob(filepath.Join(p.root, "cargo-home/registry/src/*/acme-tide-1.0.0/data.bin"))
		if err != nil || len(data) != 1 {
			t.Fatalf("%d files data.bin (%v)", len(data), err)
		}
		if got, err := os.ReadFile(data[0]); err != nil || !bytes.Equal(got, (release{name: "acme-tide", version: "1.0.0"}).data()) {
			t.Errorf("what is installed is not what was published (%v)", err)
		}
		_, _, file := get(t, mount(h, f)+"/crates/acme-tide/1.0.0/download")
		if lock := p.read(t, "Cargo.lock"); !strings.Contains(lock, sha256Hex(file)) {
			t.Errorf("the lock file lacks the digest:\n%s", lock)
		}
	}
	if asked := hostingCargoAsked(f); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
	status, _, _ := get(t, mount(h, f)+"/crates/acme-tide/9.9.9/download")
	if status != http.StatusNotFound {
		t.Errorf("a version of ours that only upstream has is answered with %d", status)
	}
}

func TestHostingCargoNothingIsAskedBeforeThereIsAnything(t *testing.T) {
	t.Parallel()
	f, h := hostingCargo(t, "")
	for _, path := range []string{cratePath("acme-tide"), "/crates/acme-tide/9.9.9/download", "/api/v1/crates/acme-tide/owners"} {
		if status, _, body := get(t, mount(h, f)+path); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d: %s", path, status, body)
		}
	}
	if f.asked() > 0 {
		t.Errorf("upstream was asked:\n%s", f.requests())
	}
}

func TestHostingCargoYanks(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	token := h.token(t, "alice", "--allow", "publish,delete:cargo:acme-*")
	author := hostingCargoProject(t, mount(h, f), token)
	hostingCargoPublish(t, author, "acme-tide", "1.0.0", "")
	hostingCargoPublish(t, author, "acme-tide", "1.1.0", "")
	before := cargoClient.project(t, mount(h, f))
	before.must(t, "cargo", "add", "acme-tide")
	hostingCargoRuns(t, before, "acme-tide", "1.1.0")

	author.must(t, "cargo", "yank", "acme-tide@1.1.0", "--registry", "entrepot")
	after := cargoClient.project(t, mount(h, f))
	after.must(t, "cargo", "add", "acme-tide")
	hostingCargoRuns(t, after, "acme-tide", "1.0.0")
	locked := before.again(t)
	hostingCargoRuns(t, locked, "acme-tide", "1.1.0")

	author.must(t, "cargo", "yank", "--undo", "acme-tide@1.1.0", "--registry", "entrepot")
	again := cargoClient.project(t, mount(h, f))
	again.must(t, "cargo", "add", "acme-tide")
	hostingCargoRuns(t, again, "acme-tide", "1.1.0")
	out, err := author.run(t, "cargo", "yank", "acme-tide@7.0.0", "--registry", "entrepot")
	cargoClient.fails(t, out, err, "yanks what is not there", `acme-tide 7\.0\.0 was not published here`)
	hasty := hostingCargoProject(t, mount(h, f), h.token(t, "hasty", "--allow", "publish:cargo"))
	out, err = hasty.run(t, "cargo", "yank", "acme-tide@1.0.0", "--registry", "entrepot")
	cargoClient.fails(t, out, err, "yanks without being allowed to", `may not delete`)
}

func TestHostingCargoOwners(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	alice := hostingCargoProject(t, mount(h, f), h.token(t, "alice", "--allow", "publish:cargo"))
	admin := hostingCargoProject(t, mount(h, f), h.token(t, "root", "--allow", "admin:cargo"))
	hostingCargoPublish(t, alice, "acme-tide", "1.0.0", "")
	owner := func(p *project, args ...string) (string, error) {
		return p.run(t, "cargo", append([]string{"owner", "--registry", "entrepot", "acme-tide"}, args...)...)
	}
	if out, err := owner(alice, "--list"); err != nil || !strings.Contains(out, "alice") {
		t.Errorf("cargo owner --list after the first publish: %v\n%s", err, out)
	}
	bob := hostingCargoProject(t, mount(h, f), h.token(t, "bob", "--allow", "publish,delete:cargo"))
	h.token(t, "carol", "--allow", "publish:cargo")
	publishes := func(p *project, version string) (string, error) {
		hostingCargoCrate(t, p, "acme-tide", version, "")
		return p.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
	}
	out, err := publishes(bob, "1.1.0")
	cargoClient.fails(t, out, err, "publishes what others own", `acme-tide is changed by its owners only, who are alice`)
	out, err = bob.run(t, "cargo", "yank", "--registry", "entrepot", "acme-tide@1.0.0")
	cargoClient.fails(t, out, err, "yanks what others own", `its owners only, who are alice`)
	out, err = owner(bob, "--add", "bob")
	cargoClient.fails(t, out, err, "makes itself an owner", `its owners only, who are alice`)
	out, err = owner(alice, "--add", "nobody")
	cargoClient.fails(t, out, err, "adds an owner that is nobody", `no token has this name`)
	if out, err := owner(alice, "--add", "bob", "--add", "carol"); err != nil || !strings.Contains(out, "bob, carol added to the owners of acme-tide") {
		t.Errorf("cargo owner --add: %v\n%s", err, out)
	}
	if out, err := owner(alice, "--list"); err != nil || !regexp.MustCompile(`(?s)\bbob\b.*\bcarol\b`).MatchString(out) {
		t.Errorf("cargo owner --list: %v\n%s", err, out)
	}
	if out, err := publishes(bob, "1.1.0"); err != nil {
		t.Errorf("an owner does not publish: %v\n%s", err, out)
	}
	if out, err := owner(admin, "--remove", "bob"); err != nil {
		t.Errorf("cargo owner --remove: %v\n%s", err, out)
	}
	out, err = publishes(bob, "1.2.0")
	cargoClient.fails(t, out, err, "publishes what others own", `its owners only, who are alice, carol`)
}

func TestHostingCargoSearch(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	p := hostingCargoProject(t, mount(h, f), h.token(t, "alice", "--allow", "publish,read:cargo"))
	hostingCargoPublish(t, p, "acme-tide", "1.0.0", "")
	out := p.must(t, "cargo", "search", "tide", "--registry", "entrepot")
	if !regexp.MustCompile(`(?s)acme-tide = "1\.0\.0"\s+# turns with the moon\n(.*\n)?tide = "1\.0\.0"\s+# rises and falls`).MatchString("\n" + out) {
		t.Errorf("cargo search finds:\n%s", out)
	}
	if strings.Contains(out, "9.9.9") || strings.Contains(out, "bait") {
		t.Errorf("cargo search finds what upstream has of a name of ours:\n%s", out)
	}
}

func TestHostingCargoRefusals(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	p := hostingCargoProject(t, mount(h, f), h.token(t, "alice", "--allow", "publish:cargo"))
	hostingCargoCrate(t, p, "tide", "2.0.0", "")
	out, err := p.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
	cargoClient.fails(t, out, err, "captures a public name", `403.*tide cannot be published in repository "cargo": its names are Acme_\*`)
	hostingCargoPublish(t, p, "acme-tide", "1.0.0", "")
	out, err = p.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
	cargoClient.fails(t, out, err, "publishes a version twice", `already (exists|uploaded)`)
	for name, message := range map[string]string{
		"acme_tide": `acme_tide is too much like acme-tide`,
		"Acme-Tide": `the crate is spelled acme-tide`,
	} {
		hostingCargoCrate(t, p, name, "1.1.0", "")
		out, err = p.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
		cargoClient.fails(t, out, err, "publishes "+name, message)
	}
	hostingCargoCrate(t, p, "acme-tide", "1.0.0+mac", "")
	out, err = p.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
	cargoClient.fails(t, out, err, "publishes a version with other build metadata", `already exists|is the same version as 1\.0\.0`)
	anonymous := cargoClient.project(t, mount(h, f))
	anonymous.env = append(anonymous.env, "CARGO_REGISTRIES_ENTREPOT_TOKEN=wrong")
	hostingCargoCrate(t, anonymous, "acme-tide", "1.1.0", "")
	out, err = anonymous.run(t, "cargo", "publish", "--registry", "entrepot", "--allow-dirty", "--no-verify")
	cargoClient.fails(t, out, err, "publishes with a wrong token", `401`)
}

// TestHostingCargoRefusesFiles publishes what is no crate, or not the one that
// it says it is, and finds nothing stored.
func TestHostingCargoRefusesFiles(t *testing.T) {
	t.Parallel()
	f, h := hostingCargo(t, "")
	token := h.token(t, "alice", "--allow", "publish:cargo")
	manifest := []byte("[package]\nname = \"acme-tide\"\nversion = \"1.0.0\"\n")
	good := tarball(t, map[string][]byte{"acme-tide-1.0.0/Cargo.toml": manifest})
	for name, test := range map[string]struct {
		metadata any
		file     []byte
		says     string
	}{
		"no archive":          {hostingCargoMetadata("acme-tide", "1.0.0"), []byte("nothing"), "no Cargo.toml"},
		"no manifest":         {hostingCargoMetadata("acme-tide", "1.0.0"), tarball(t, map[string][]byte{"acme-tide-1.0.0/src/lib.rs": nil}), "no Cargo.toml"},
		"another folder":      {hostingCargoMetadata("acme-tide", "1.0.0"), tarball(t, map[string][]byte{"acme-tide-2.0.0/Cargo.toml": manifest}), "no Cargo.toml in a folder"},
		"another version":     {hostingCargoMetadata("acme-tide", "1.1.0"), good, "the metadata is about acme-tide 1.1.0, but the crate file is acme-tide 1.0.0"},
		"another name":        {hostingCargoMetadata("acme-moon", "1.0.0"), good, "the metadata is about acme-moon 1.0.0"},
		"zip slip":            {hostingCargoMetadata("acme-tide", "1.0.0"), tarball(t, map[string][]byte{"acme-tide-1.0.0/Cargo.toml": manifest, "../evil": nil}), "leads elsewhere"},
		"cut off":             {hostingCargoMetadata("acme-tide", "1.0.0"), good[:len(good)-12], "the archive is refused"},
		"metadata is no JSON": {json.RawMessage(`[]`), good, "the metadata cannot be read"},
	} {
		status, body := hostingCargoPut(t, mount(h, f), token, hostingCargoFrame(t, test.metadata, test.file))
		var answer struct {
			Errors []struct{ Detail string }
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusBadRequest || len(answer.Errors) != 1 || !strings.Contains(answer.Errors[0].Detail, test.says) {
			t.Errorf("%s: %d %s (%v)", name, status, body, err)
		}
	}
	if status, body := hostingCargoPut(t, mount(h, f), token, []byte{1, 0, 0}); status != http.StatusBadRequest || !strings.Contains(body, "ends before its part") {
		t.Errorf("a body that breaks off: %d %s", status, body)
	}
	for _, path := range []string{cratePath("acme-tide"), "/crates/acme-tide/1.0.0/download"} {
		if status, _, body := get(t, mount(h, f)+path); status != http.StatusNotFound {
			t.Errorf("something was stored: %s: %d %s", path, status, body)
		}
	}
	if status, body := hostingCargoPut(t, mount(h, f), token, hostingCargoFrame(t, hostingCargoMetadata("acme-tide", "1.0.0"), good)); status != http.StatusOK {
		t.Errorf("a good crate: %d %s", status, body)
	}
}

// TestHostingCargoAtOnce has many publish the same version, and many others
// versions of the same crate, at once.
func TestHostingCargoAtOnce(t *testing.T) {
	t.Parallel()
	f, h := hostingCargo(t, "")
	token := h.token(t, "alice", "--allow", "publish:cargo")
	const rivals, others = 8, 16
	file := func(version string, i int) []byte {
		return tarball(t, map[string][]byte{
			"acme-tide-" + version + "/Cargo.toml": fmt.Appendf(nil, "[package]\nname = \"acme-tide\"\nversion = %q\n", version),
			"acme-tide-" + version + "/number":     {byte(i)},
		})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses, won := map[int]int{}, []byte(nil)
	for i := range rivals + others {
		version := "1.0.0"
		if i >= rivals {
			version = fmt.Sprintf("2.0.%d", i)
		}
		body := file(version, i)
		wg.Go(func() {
			status, answer := hostingCargoPut(t, mount(h, f), token, hostingCargoFrame(t, hostingCargoMetadata("acme-tide", version), body))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case version != "1.0.0" && status != http.StatusOK:
				t.Errorf("%s: %d %s", version, status, answer)
			case version == "1.0.0":
				statuses[status]++
				if status == http.StatusOK {
					won = body
				}
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != rivals-1 {
		t.Errorf("one is to win, and the others are to be told: %v", statuses)
	}
	_, _, index := get(t, mount(h, f)+cratePath("acme-tide"))
	if n := bytes.Count(index, []byte("\n")); n != 1+others {
		t.Errorf("the index has %d lines, want %d:\n%s", n, 1+others, index)
	}
	if _, _, got := get(t, mount(h, f)+"/crates/acme-tide/1.0.0/download"); !bytes.Equal(got, won) || !bytes.Contains(index, []byte(sha256Hex(won))) {
		t.Error("the file or its digest is not that of the one who won")
	}
}

// TestHostingCargoSurvivesRestarts has the host ended and killed.
func TestHostingCargoSurvivesRestarts(t *testing.T) {
	t.Parallel()
	f := startCargo(t)
	dir := t.TempDir()
	config := f.config("3d", `hosted { names = ["acme-*"] }`)
	h := startHostIn(t, dir, config)
	token := h.token(t, "alice", "--allow", "publish,delete,admin:cargo")
	h.token(t, "bob")
	file := tarball(t, map[string][]byte{"acme-tide-1.0.0/Cargo.toml": []byte("[package]\nname = \"acme-tide\"\nversion = \"1.0.0\"\n")})
	if status, body := hostingCargoPut(t, mount(h, f), token, hostingCargoFrame(t, hostingCargoMetadata("acme-tide", "1.0.0"), file)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if status, body := hostingSend(t, http.MethodDelete, mount(h, f)+"/api/v1/crates/acme-tide/1.0.0/yank", token, "", nil); status != http.StatusOK || body != `{"ok":true}` {
		t.Fatal(status, body)
	}
	if status, body := hostingSend(t, http.MethodPut, mount(h, f)+"/api/v1/crates/acme-tide/owners", token, "application/json", []byte(`{"users":["bob"]}`)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	_, _, before := get(t, mount(h, f)+cratePath("acme-tide"))
	for _, end := range []func(*Host){(*Host).Stop, (*Host).Kill} {
		end(h)
		h = startHostIn(t, dir, config)
		if status, _, after := get(t, mount(h, f)+cratePath("acme-tide")); status != http.StatusOK || !bytes.Equal(after, before) || !bytes.Contains(after, []byte(`"yanked":true`)) {
			t.Errorf("the index is answered with %d:\n%s\nbefore:\n%s", status, after, before)
		}
		if status, _, got := get(t, mount(h, f)+"/crates/acme-tide/1.0.0/download"); status != http.StatusOK || !bytes.Equal(got, file) {
			t.Errorf("the file is answered with %d and %d bytes", status, len(got))
		}
		if _, _, owners := get(t, mount(h, f)+"/api/v1/crates/acme-tide/owners"); !bytes.Contains(owners, []byte(`"login":"bob"`)) {
			t.Errorf("the owners are %s", owners)
		}
	}
}

// TestHostingCargoMerges has versions of ours beside upstream's.
func TestHostingCargoMerges(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, `merge = ["shell", "spray"]`)
	token := h.token(t, "alice", "--allow", "publish:cargo")
	hostingCargoPublish(t, hostingCargoProject(t, mount(h, f), token), "shell", "1.2.0", "")
	// All that upstream has of spray is held back, which cargo takes for an error
	// when it looks whether the version is there.
	spray := crate(t, release{name: "spray", version: "0.9.0"})
	if status, body := hostingCargoPut(t, mount(h, f), token, hostingCargoFrame(t, hostingCargoMetadata("spray", "0.9.0"), spray)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for requirement, want := range map[string]string{"shell@=1.0.0": "1.0.0", "shell": "1.2.0", "spray": "0.9.0"} {
		name, _, _ := strings.Cut(requirement, "@")
		p := cargoClient.project(t, mount(h, f))
		p.must(t, "cargo", "add", requirement)
		hostingCargoRuns(t, p, name, want)
	}
	h.Configure(t, f.config("3d", `hosted { any = true }`))
	p := cargoClient.project(t, mount(h, f))
	out, err := p.run(t, "cargo", "add", "shell@=1.0.0")
	cargoClient.fails(t, out, err, "gets upstream's version of what we publish", `could not be found`)
}

// TestHostingCargoNeedsALogIn has a repository that nobody reads without a
// token, and that asks no upstream.
func TestHostingCargoNeedsALogIn(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	h := startHost(t, "repository \"cargo\" {\n  anonymous = []\n  hosted { names = [\"*\"] }\n}\n")
	url := h.URL + "/cargo"
	_, header, _ := get(t, url+"/config.json")
	if got, want := header.Get("Www-Authenticate"), `Cargo login_url="`+url+`/me"`; got != want {
		t.Errorf("the challenge is %s, want %s", got, want)
	}
	token := h.token(t, "alice", "--allow", "read,publish:cargo")
	set := func(login bool) *project {
		p := cargoClient.project(t, url)
		// Nothing comes from elsewhere, and the token only to the registry.
		p.write(t, ".cargo/config.toml", "[registries.entrepot]\nindex = \"sparse+"+url+"/\"\ncredential-provider = \"cargo:token\"\n\n[net]\nretry = 0\n")
		if login {
			p.write(t, "token", token+"\n")
			p.must(t, "sh", "-c", "cargo login --registry entrepot <token")
		}
		return p
	}
	hostingCargoPublish(t, set(true), "acme-tide", "1.0.0", "")
	p := set(true)
	p.must(t, "cargo", "add", "acme-tide", "--registry", "entrepot")
	hostingCargoRuns(t, p, "acme-tide", "1.0.0")
	if out := p.must(t, "cargo", "search", "acme", "--registry", "entrepot"); !strings.Contains(out, `acme-tide = "1.0.0"`) {
		t.Errorf("cargo search finds:\n%s", out)
	}
	if out := p.must(t, "cargo", "search", "nothing-of-that-name", "--registry", "entrepot"); strings.Contains(out, "acme") {
		t.Errorf("cargo search finds:\n%s", out)
	}
	out, err := set(false).run(t, "cargo", "add", "acme-tide", "--registry", "entrepot")
	cargoClient.fails(t, out, err, "reads without a token", `cargo login|no token found`)
}
