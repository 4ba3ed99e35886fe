package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

func cpus() string { return fmt.Sprintf("%s, %d CPUs", runtime.Version(), runtime.NumCPU()) }

// dataDir is a folder of a contestant's own. Zot takes none with spaces when it
// pulls through.
func dataDir(dir, name, upstream string) string {
	if upstream != "" {
		name += "-proxy"
	}
	return dir + "/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
}

// imagesOf is entrepot with the plugin for images, which is stopped when it is
// not asked for a while.
func imagesOf(dir, name, upstream string) *contestant {
	for target, pkg := range map[string]string{dir + "/bin/": "./host/cmd/entrepot", dir + "/oci/": "./plugins/oci"} {
		if out, err := exec.Command("go", "build", "-o", target, pkg).CombinedOutput(); err != nil {
			fail(fmt.Errorf("go build %s: %w\n%s", pkg, err, out))
		}
	}
	port := freePort()
	block, data := `hosted { names = ["*"] }`, dataDir(dir, name, upstream)
	if upstream != "" {
		block = fmt.Sprintf("upstream \"main\" { url = %q }\nttl = \"1h\"", upstream)
	}
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, dir+"/bin/entrepot", "serve", "--config", write(dir, name+".hcl", fmt.Sprintf(`
listen     = "127.0.0.1:%d"
data_dir   = %q
plugin_dir = %q
access_log = %q
plugin "oci" { idle = "10s" }
repository "oci" {
  anonymous = ["read", "publish"]
  %s
}`, port, data, dir+"/oci", data+".access", block)))
	return c
}

// distribution is its registry, where it is installed.
func distribution(dir, upstream string) *contestant {
	if _, err := exec.LookPath("registry"); err != nil {
		return nil
	}
	data, proxy := dataDir(dir, "distribution", upstream), ""
	if upstream != "" {
		proxy = "proxy: { remoteurl: " + upstream + " }\n"
	}
	port := freePort()
	c := &contestant{name: "distribution", url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if err := os.Setenv("OTEL_TRACES_EXPORTER", "none"); err != nil {
		fail(err)
	}
	c.start(dir, "registry", "serve", write(dir, "distribution.yml", fmt.Sprintf(`version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: %q }, delete: { enabled: true } }
http: { addr: "127.0.0.1:%d" }
%s`, data, port, proxy)))
	return c
}

// zot, where it is installed; with commit it syncs what is pushed to the disk.
func zot(dir, name, upstream string, commit bool) *contestant {
	if _, err := exec.LookPath("zot"); err != nil {
		return nil
	}
	data, sync := dataDir(dir, name, upstream), ""
	if upstream != "" {
		sync = fmt.Sprintf(`,"extensions":{"sync":{"enable":true,"registries":[{"urls":[%q],"onDemand":true,"tlsVerify":false,"content":[{"prefix":"**"}]}]}}`, upstream)
	}
	port := freePort()
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, "zot", "serve", write(dir, name+".json", fmt.Sprintf(
		`{"storage":{"rootDirectory":%q,"commit":%t},"http":{"address":"127.0.0.1","port":"%d"},"log":{"level":"error"}%s}`, data, commit, port, sync)))
	return c
}
