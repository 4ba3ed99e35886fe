// Package cli is the entrepot command: serve, validate, explain, purge,
// verify, exempt, token, backup, restore, export, import, plugin, version.
//
// Commands about a host's state ask the host that runs on the data directory;
// when none runs, they open the data directory themselves.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/sandbox"
)

// Globals are flags of every command; each is also an environment variable.
type Globals struct {
	Config    string `help:"Configuration file." default:"config.hcl" env:"ENTREPOT_CONFIG" placeholder:"FILE"`
	Listen    string `help:"Address to listen on, instead of the configuration's." env:"ENTREPOT_LISTEN" placeholder:"HOST:PORT"`
	DataDir   string `help:"Data directory, instead of the configuration's." env:"ENTREPOT_DATA_DIR" placeholder:"DIR"`
	PluginDir string `help:"Plugin directory, instead of the configuration's." env:"ENTREPOT_PLUGIN_DIR" placeholder:"DIR"`
	BaseURL   string `help:"External address, instead of the configuration's." env:"ENTREPOT_BASE_URL" placeholder:"URL" name:"base-url"`
	LogLevel  string `help:"trace, debug, info, warn or error." env:"ENTREPOT_LOG_LEVEL" placeholder:"LEVEL"`
	LogFormat string `help:"text or json." env:"ENTREPOT_LOG_FORMAT" placeholder:"FORMAT"`
}

// commands is the grammar.
type commands struct {
	Globals
	Serve    serveCommand    `cmd:"" help:"Serve the repositories of the configuration."`
	Validate validateCommand `cmd:"" help:"Check the configuration and the plugins' options, and say what is wrong where."`
	Explain  explainCommand  `cmd:"" help:"Say whether a version is served, held or refused, and why."`
	Purge    purgeCommand    `cmd:"" help:"Drop what is cached of a package, a version or a repository."`
	Verify   verifyCommand   `cmd:"" help:"Read every cached body and drop those that are damaged, so that they are fetched again."`
	Exempt   exemptCommand   `cmd:"" help:"Serve one version whatever the cool-down says; takes effect at once."`
	Token    tokenCommand    `cmd:"" help:"Make, list, rotate and revoke tokens."`
	Backup   backupCommand   `cmd:"" help:"Copy what cannot be fetched again into one file, also while the host serves."`
	Restore  restoreCommand  `cmd:"" help:"Make a data directory of a backup."`
	Export   exportCommand   `cmd:"" help:"Write packages that are hosted as plain files, with a list of what files do not tell."`
	Import   importCommand   `cmd:"" help:"Publish what an export has; what is there already stays."`
	Plugin   pluginCommand   `cmd:"" help:"List, describe, test and write plugins."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// Run runs a command line and returns the exit status.
func Run(args []string, out, errOut io.Writer) (status int) {
	if len(args) > 0 && args[0] == sandboxExec {
		// Not for people: the host starts plugins through it.
		if err := sandbox.Main(args[1:]); err != nil {
			fmt.Fprintln(errOut, err)
			return 1
		}
		return 0
	}
	var c commands
	code := 0
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(exiting); !ok {
				panic(p)
			}
			status = code
		}
	}()
	parser, err := kong.New(&c,
		kong.Name("entrepot"),
		kong.Description("A self-hosted package registry and caching proxy."),
		kong.Writers(out, errOut),
		kong.Exit(func(status int) { code = status; panic(exiting{}) }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(errOut, "entrepot:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err := parsed.Run(&env{Globals: &c.Globals, out: out, err: errOut}); err != nil {
		report(errOut, err)
		return 1
	}
	return 0
}

// sandboxExec is the command through which the host starts plugins.
const sandboxExec = "sandbox-exec"

// self is how this program starts plugins in a sandbox; nil: its own file is
// not known.
func self() []string {
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{path, sandboxExec}
}

// exiting unwinds when kong wants to end the program.
type exiting struct{}

// env is what commands work with.
type env struct {
	*Globals
	out, err io.Writer
}

// report prints an error; a configuration's with their places.
func report(w io.Writer, err error) {
	var d daemon.Diagnostics
	if !errors.As(err, &d) {
		fmt.Fprintln(w, "entrepot:", err)
		return
	}
	printDiagnostics(w, d.Diagnostics)
}

func printDiagnostics(w io.Writer, diags hcl.Diagnostics) {
	for _, d := range diags {
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf("%s:%d:%d: ", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		severity := "error"
		if d.Severity == hcl.DiagWarning {
			severity = "warning"
		}
		detail := d.Detail
		if detail != "" {
			detail = ": " + detail
		}
		fmt.Fprintf(w, "%s%s: %s%s\n", at, severity, d.Summary, detail)
	}
}

// load reads the configuration with flags and variables on top.
func (g *Globals) load() (*config.Config, hcl.Diagnostics) {
	c, diags := config.Load(g.Config)
	if c == nil {
		return nil, diags
	}
	diags = append(diags, c.Override(config.Overrides{
		Listen: g.Listen, DataDir: g.DataDir, PluginDir: g.PluginDir, BaseURL: g.BaseURL, LogLevel: g.LogLevel, LogFormat: g.LogFormat,
	})...)
	return c, diags
}

// logger is the host's logger under a configuration.
func (e *env) logger(c *config.Config) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "entrepot", Level: hclog.LevelFromString(c.LogLevel), JSONFormat: c.LogFormat == "json", Output: e.err,
	})
}

// Version of the program.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				version += "-" + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return strings.TrimPrefix(version, "v")
}
