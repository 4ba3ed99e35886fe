package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/sandbox"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

type pluginCommand struct {
	List     pluginListCommand     `cmd:"" help:"List the plugins in the plugin directory, and those that the configuration wants there."`
	Describe pluginDescribeCommand `cmd:"" help:"Show a plugin's options, routes, upstreams and set-up."`
	Test     pluginTestCommand     `cmd:"" help:"Test plugin binaries, with scripts or without."`
	New      pluginNewCommand      `cmd:"" help:"Write the module of a new plugin."`
}

// installed is a plugin's binary and what it says of itself.
type installed struct {
	name string
	// sum is the binary's sha256 in hex; empty: there is no binary.
	sum      string
	describe *pb.DescribeResponse // nil: it does not start
	failed   error
}

// examine starts a plugin's binary in the sandbox and has it describe itself.
func examine(o wire.Options) installed {
	p := installed{name: filepath.Base(o.Path)}
	if p.sum, p.failed = wire.Checksum(o.Path); p.failed != nil {
		return p
	}
	process, err := wire.Start(o)
	if err != nil {
		p.failed = err
		return p
	}
	defer process.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p.describe, p.failed = process.Describe(ctx, Version())
	return p
}

// version is what it calls its version; "-": not known.
func (p installed) version() string {
	if p.describe == nil {
		return "-"
	}
	return p.describe.GetVersion()
}

// protocol is the version of the protocol that was agreed on; "-": none.
func (p installed) protocol() string {
	if p.describe == nil {
		return "-"
	}
	return fmt.Sprint(wire.ProtocolVersion)
}

// lockUp is the sandbox for plugins, and how a command is put into it; nil: it
// cannot be.
func lockUp(without []string) (box *sandbox.Sandbox, wrap func(*exec.Cmd)) {
	program := self()
	if program == nil {
		return &sandbox.Sandbox{}, nil
	}
	box = sandbox.New(program, func(layer string) bool { return !slices.Contains(without, layer) })
	if len(box.Enforced()) == 0 {
		return box, nil
	}
	return box, box.Wrap
}

// binaries are the executable files in a directory.
func binaries(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path) // follows links
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if runtime.GOOS == "windows" || info.Mode()&0o111 != 0 {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

type pluginListCommand struct{}

// Run prints a line for every plugin, and what the sandbox cannot enforce here.
func (pluginListCommand) Run(e *env) error {
	c, diags := e.load()
	if diags.HasErrors() {
		return daemon.Diagnostics{Diagnostics: diags}
	}
	paths, err := binaries(c.PluginDir)
	if err != nil {
		return fmt.Errorf("plugin_dir: %w", err)
	}
	repositories := map[string][]string{}
	for _, r := range c.Repositories {
		repositories[r.Plugin] = append(repositories[r.Plugin], r.Name)
	}
	box, wrap := lockUp(c.SandboxWithout)
	all := map[string]installed{}
	for name := range repositories {
		all[name] = installed{name: name}
		path := filepath.Join(c.PluginDir, name)
		if _, err := os.Stat(path); err == nil && !slices.Contains(paths, path) {
			paths = append(paths, path) // wanted, and no binary: say why not
		}
	}
	for _, path := range paths {
		p := examine(wire.Options{Path: path, SHA256: c.Plugins[filepath.Base(path)].SHA256, Wrap: wrap})
		all[p.name] = p
	}
	running, hostRuns := runningPlugins(c)
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVERSION\tPROTOCOL\tSHA256\tREPOSITORIES\tSTATE")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		fmt.Fprintf(table, "%s\t%s\t%s\t%.12s\t%s\t%s\n", p.name, p.version(), p.protocol(), orDash(p.sum),
			orDash(strings.Join(repositories[name], ", ")), p.state(running[name], hostRuns, repositories[name] != nil))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "\nsandbox: %s\n", orDash(strings.Join(box.Enforced(), ", ")))
	for _, m := range box.Missing() {
		fmt.Fprintf(e.out, "not enforced: %s\n", m)
	}
	return nil
}

// state says what is wrong with a plugin, or else what the running host does
// with it.
func (p installed) state(r daemon.RunningPlugin, hostRuns, used bool) string {
	switch {
	case p.failed != nil:
		return "broken: " + p.failed.Error()
	case p.sum == "":
		return "missing: there is no such file in plugin_dir"
	case p.describe.GetName() != p.name:
		return fmt.Sprintf("broken: it says that its name is %q; the file must be called that", p.describe.GetName())
	case !used:
		return "not used: add repository \"" + p.name + "\" {} to the configuration"
	case !hostRuns:
		return "the host does not run"
	case r.Running && r.SHA256 != p.sum:
		return fmt.Sprintf("runs as %.12s, which is not this file", r.SHA256)
	case r.Running:
		return "runs"
	}
	return "does not run"
}

// runningPlugins asks the host that runs on the data directory; false: none
// runs.
func runningPlugins(c *config.Config) (map[string]daemon.RunningPlugin, bool) {
	host := connectRunning(c)
	if host == nil {
		return nil, false
	}
	var all []daemon.RunningPlugin
	if err := host.ask("plugins", struct{}{}, &all); err != nil {
		return nil, false
	}
	byName := map[string]daemon.RunningPlugin{}
	for _, p := range all {
		byName[p.Name] = p
	}
	return byName, true
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
