package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
	// says has what the client prints, as regular expressions.
	says says
}

// says is what a client prints. Some show the text of a refusal, others its
// status at best.
type says struct {
	// refused when a lock file wants tide 1.1.0, which is held back.
	refused string
	// unlisted when tide 1.1.0 is asked for by its version.
	unlisted string
	// empty when all of spray is held back.
	empty string
	// withdrawn when wreck 1.1.0 is installed; empty: nothing.
	withdrawn string
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
	"DOCKER_", "CONTAINER", "REGISTRY_", "BUILDAH_", "STORAGE_", "HELM_", "ORAS_", "HOME=", "CI=", "HTTP_PROXY=", "HTTPS_PROXY=", "ALL_PROXY=", "NO_PROXY=", "TMPDIR=",
}

// needed skips or fails the test where the client is not installed.
func (c *client) needed(t *testing.T) {
	t.Helper()
	program := needs(t, c.program)
	if c != pipClient {
		return
	}
	if out, err := exec.Command(program, "-m", "pip", "--version").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 has no pip, and CI must test with it: %s", out)
		}
		t.Skip("SKIPPED: python3 has no pip")
	}
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
	// What asks somebody else than the host fails.
	for _, variable := range []string{"http_proxy", "https_proxy", "all_proxy"} {
		p.env = append(p.env, variable+"=http://127.0.0.1:1", strings.ToUpper(variable)+"=http://127.0.0.1:1")
	}
	p.env = append(p.env, "no_proxy=127.0.0.1", "NO_PROXY=127.0.0.1")
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

// fails fails the test unless a run of the client failed and printed what it is
// to print.
func (c *client) fails(t *testing.T, out string, err error, doing, pattern string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s %s:\n%s", c.name, doing, out)
	}
	if !regexp.MustCompile(pattern).MatchString(out) {
		t.Errorf("%s fails, but does not say %q:\n%s", c.name, pattern, out)
	}
}
