package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// client is a package manager as the tests use it.
type client struct {
	// name of its test.
	name string
	// program it is run by.
	program string
	// start plays its registry.
	start func(testing.TB) *fixture
	// purl is the package URL type, with its scheme.
	purl string
	// set writes a project's configuration and returns variables for its
	// environment.
	set func(*testing.T, *project) []string
	// add installs a package, of a version or the newest, and writes a lock file
	// where the client has such a thing.
	add func(t *testing.T, p *project, name, version string) (string, error)
	// locks are the files by which locked installs in another project.
	locks []string
	// locked installs what the lock files say, and nothing else.
	locked func(t *testing.T, p *project) (string, error)
	// dir is the pattern of the folder that a package is installed to, below
	// the project.
	dir func(name string) string
	// prints is whether the client shows the text of a refused download.
	prints bool
}

// project is a folder that a client works in, with a home, caches and settings
// of its own: nothing of the machine's is read or written.
type project struct {
	*client
	// root is the folder, home the client's home.
	root, home string
	// url is the repository at the host, without a slash at its end.
	url string
	env []string
}

// foreign are beginnings of variables that would have a client do something
// else than its project says. Where Rust and Python are managed per user, the
// managers' own are kept.
var foreign = []string{
	"NPM_", "PNPM_", "YARN_", "COREPACK_", "NODE_", "PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "CARGO_", "RUSTFLAGS", "RUSTC", "RUST_", "XDG_",
	"HOME=", "CI=", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "TMPDIR=",
}

// project makes an empty project for a repository.
func (c *client) project(t *testing.T, url string) *project {
	t.Helper()
	top := t.TempDir()
	p := &project{client: c, root: filepath.Join(top, "project"), home: filepath.Join(top, "home"), url: url}
	for _, dir := range []string{p.root, p.home, filepath.Join(top, "tmp")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range os.Environ() {
		if !slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(strings.ToUpper(v), prefix) }) {
			p.env = append(p.env, v)
		}
	}
	p.env = append(p.env, "HOME="+p.home, "TMPDIR="+filepath.Join(top, "tmp"))
	for variable, dir := range map[string]string{"RUSTUP_HOME": ".rustup", "PYENV_ROOT": ".pyenv"} {
		if home, err := os.UserHomeDir(); err == nil && os.Getenv(variable) == "" {
			if _, err := os.Stat(filepath.Join(home, dir)); err == nil {
				p.env = append(p.env, variable+"="+filepath.Join(home, dir))
			}
		}
	}
	p.env = append(p.env, c.set(t, p)...)
	return p
}

// again is an empty project with the lock files of this one.
func (p *project) again(t *testing.T) *project {
	t.Helper()
	q := p.client.project(t, p.url)
	for _, name := range p.locks {
		body, err := os.ReadFile(filepath.Join(p.root, name))
		if err != nil {
			t.Fatal(err)
		}
		q.write(t, name, string(body))
	}
	return q
}

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(p.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *project) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// run runs a program in the project and returns all that it prints.
func (p *project) run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = p.root, p.env
	cmd.WaitDelay = time.Second // for what a client's children hold open
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run, with the test over if the program fails.
func (p *project) must(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := p.run(t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// has fails unless the very bytes of a release of the fixture's are installed.
func (p *project) has(t *testing.T, f *fixture, name, version string) {
	t.Helper()
	pattern := filepath.Join(p.root, filepath.FromSlash(p.dir(name)), "data.bin")
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s is not installed once: %d × %s (%v)", name, len(found), pattern, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	got := "something that nobody published"
	for _, file := range f.files {
		if sha256Hex(file.data()) == sha256Hex(data) {
			got = file.String()
		}
	}
	if want := f.file(t, name, version).String(); got != want {
		t.Fatalf("%s is installed, want %s", got, want)
	}
}

// installs adds a package and checks that it got the version wanted.
func (p *project) installs(t *testing.T, f *fixture, name, version, want string) string {
	t.Helper()
	out, err := p.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s: %v\n%s", p.name, name, err, out)
	}
	p.has(t, f, name, want)
	return out
}

// yarnMajor is the major version of the yarn that is installed: 1 is classic,
// what follows is berry.
var yarnMajor = sync.OnceValue(func() string {
	out, err := exec.Command("yarn", "--version").Output()
	if err != nil {
		return ""
	}
	major, _, _ := strings.Cut(string(out), ".")
	return major
})

// clients are all package managers that the tests know.
var clients = []*client{npmClient, pnpmClient, yarnClient, cargoClient, pipClient, uvClient}

var npmClient = &client{
	name: "npm", program: "npm", start: startNPM, purl: "pkg:npm/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "package.json", `{"name":"harbour","version":"1.0.0","private":true}`)
		p.write(t, ".npmrc", "registry="+p.url+"/\nfetch-retries=0\naudit=false\nfund=false\nupdate-notifier=false\n")
		return []string{
			"npm_config_userconfig=" + filepath.Join(p.home, "npmrc"), "npm_config_globalconfig=" + filepath.Join(p.home, "globalrc"),
			"npm_config_cache=" + filepath.Join(p.home, "cache"), "npm_config_prefix=" + filepath.Join(p.home, "prefix"),
		}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		return p.run(t, "npm", "install", at(name, "@", version))
	},
	locks: []string{"package.json", "package-lock.json"},
	locked: func(t *testing.T, p *project) (string, error) {
		return p.run(t, "npm", "ci")
	},
	dir:    func(name string) string { return "node_modules/" + name },
	prints: true,
}

var pnpmClient = &client{
	name: "pnpm", program: "pnpm", start: startNPM, purl: "pkg:npm/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "package.json", `{"name":"harbour","version":"1.0.0","private":true}`)
		p.write(t, ".npmrc", "registry="+p.url+"/\n")
		p.write(t, "pnpm-workspace.yaml", "minimumReleaseAge: 0\nfetchRetries: 0\nstoreDir: "+filepath.Join(p.home, "store")+"\n")
		return nil
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		return p.run(t, "pnpm", "add", at(name, "@", version))
	},
	locks: []string{"package.json", "pnpm-lock.yaml"},
	locked: func(t *testing.T, p *project) (string, error) {
		return p.run(t, "pnpm", "install", "--frozen-lockfile")
	},
	dir:    func(name string) string { return "node_modules/" + name },
	prints: true,
}

var yarnClient = &client{
	name: "yarn", program: "yarn", start: startNPM, purl: "pkg:npm/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "package.json", `{"name":"harbour","version":"1.0.0","private":true}`)
		p.write(t, "yarn.lock", "")
		if yarnMajor() == "1" {
			p.write(t, ".yarnrc", "registry \""+p.url+"/\"\ncache-folder \""+filepath.Join(p.home, "cache")+"\"\n")
		} else {
			p.write(t, ".yarnrc.yml", "npmRegistryServer: \""+p.url+"\"\nunsafeHttpWhitelist: [\"127.0.0.1\"]\nnodeLinker: node-modules\nenableTelemetry: false\nhttpRetry: 0\n")
		}
		return []string{"YARN_IGNORE_PATH=1"}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		return p.run(t, "yarn", "add", at(name, "@", version))
	},
	locks: []string{"package.json", "yarn.lock"},
	locked: func(t *testing.T, p *project) (string, error) {
		if yarnMajor() == "1" {
			return p.run(t, "yarn", "install", "--frozen-lockfile")
		}
		return p.run(t, "yarn", "install", "--immutable")
	},
	dir: func(name string) string { return "node_modules/" + name },
}

var cargoClient = &client{
	name: "cargo", program: "cargo", start: startCargo, purl: "pkg:cargo/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "Cargo.toml", "[package]\nname = \"harbour\"\nversion = \"1.0.0\"\nedition = \"2021\"\n")
		p.write(t, "src/lib.rs", "")
		p.write(t, ".cargo/config.toml", "[source.crates-io]\nreplace-with = \"entrepot\"\n\n[source.entrepot]\nregistry = \"sparse+"+p.url+"/\"\n\n[registries.entrepot]\nindex = \"sparse+"+p.url+"/\"\n\n[net]\nretry = 0\n")
		return []string{"CARGO_HOME=" + filepath.Join(p.root, "cargo-home")}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		if version != "" {
			version = "=" + version
		}
		if out, err := p.run(t, "cargo", "add", at(name, "@", version)); err != nil {
			return out, err
		}
		return p.run(t, "cargo", "fetch")
	},
	locks: []string{"Cargo.toml", "Cargo.lock"},
	locked: func(t *testing.T, p *project) (string, error) {
		return p.run(t, "cargo", "fetch", "--locked")
	},
	dir: func(name string) string { return "cargo-home/registry/src/*/" + name + "-[0-9]*" },
}

var pipClient = &client{
	name: "pip", program: "python3", start: startPyPI, purl: "pkg:pypi/",
	set: func(*testing.T, *project) []string {
		return []string{"PIP_CONFIG_FILE=/dev/null", "PIP_NO_CACHE_DIR=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_RETRIES=0", "PYTHONDONTWRITEBYTECODE=1"}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		out, err := p.run(t, "python3", "-m", "pip", "install", "--target", "site", "--index-url", p.url+"/simple/", "--report", "report.json", at(name, "==", version))
		if err == nil {
			p.write(t, "requirements.txt", pipRequirements(t, p))
		}
		return out, err
	},
	locks: []string{"requirements.txt"},
	locked: func(t *testing.T, p *project) (string, error) {
		return p.run(t, "python3", "-m", "pip", "install", "--target", "site", "--no-index", "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt")
	},
	dir: func(name string) string { return "site/" + name },
}

var uvClient = &client{
	name: "uv", program: "uv", start: startPyPI, purl: "pkg:pypi/",
	set: func(t *testing.T, p *project) []string {
		p.write(t, "pyproject.toml", "[project]\nname = \"harbour\"\nversion = \"1.0.0\"\nrequires-python = \">=3.8\"\n\n[[tool.uv.index]]\nurl = \""+p.url+"/simple/\"\ndefault = true\n")
		return []string{"UV_CACHE_DIR=" + filepath.Join(p.home, "cache"), "UV_PYTHON_DOWNLOADS=never", "UV_HTTP_RETRIES=0", "UV_LINK_MODE=copy"}
	},
	add: func(t *testing.T, p *project, name, version string) (string, error) {
		return p.run(t, "uv", "add", at(name, "==", version))
	},
	locks: []string{"pyproject.toml", "uv.lock"},
	locked: func(t *testing.T, p *project) (string, error) {
		return p.run(t, "uv", "sync", "--frozen")
	},
	dir: func(name string) string { return ".venv/lib/python*/site-packages/" + name },
}

// at is a package with a version, or without.
func at(name, separator, version string) string {
	if strings.TrimLeft(version, "=") == "" {
		return name
	}
	return name + separator + version
}
