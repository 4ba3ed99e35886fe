package e2e

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

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

// The package managers that the tests know.
var (
	npmClients    = []*client{npmClient, pnpmClient, yarnClient}
	pythonClients = []*client{pipClient, uvClient}
	clients       = slices.Concat(npmClients, []*client{cargoClient}, pythonClients)
)

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
	dir: func(name string) string { return "node_modules/" + name },
	says: says{
		refused:   `tide 1\.1\.0 is held back until`,
		unlisted:  `No matching version found for tide@1\.1\.0`,
		empty:     `spray 1\.0\.0 is held back until`,
		withdrawn: `it sank`,
	},
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
	dir: func(name string) string { return "node_modules/" + name },
	says: says{
		refused:   `HTTP 403`,
		unlisted:  `ERR_PNPM_NO_MATCHING_VERSION`,
		empty:     `\(403`,
		withdrawn: `deprecated`,
	},
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
	says: says{
		refused:  `403`,
		unlisted: `No candidates found|Couldn't find any versions`,
		empty:    `403|spray 1\.0\.0 is held back until`, // classic shows the text
	},
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
	says: says{
		refused:  `candidate versions found which didn't match: 1\.0\.0`,
		unlisted: `tide@=1\.1\.0. could not be found`,
		empty:    `spray 1\.0\.0 is held back until`,
	},
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
	says: says{
		refused:   `HTTP error 403`,
		unlisted:  `from versions: 1\.0\.0\)`,
		empty:     `from versions: none`,
		withdrawn: `it sank`,
	},
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
	says: says{
		refused:   `403 tide 1\.1\.0 is held back until`,
		unlisted:  `no version of tide==1\.1\.0`,
		empty:     `no versions of spray`,
		withdrawn: `it sank`,
	},
}

// at is a package with a version, or without.
func at(name, separator, version string) string {
	if strings.TrimLeft(version, "=") == "" {
		return name
	}
	return name + separator + version
}
