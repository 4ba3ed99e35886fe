package sdk

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Serve is a plugin's main. It never returns an error: one that is the author's,
// as a pattern that cannot be read, is printed to standard error and ends the
// program with status 1.
//
// C is a struct, whose fields are the options that a repository may set in its
// options block; struct{}: none. A field is a string, a bool, a number, a
// []string or a map[string]string, and its tags are the schema:
//
//	Lua string `hcl:"lua" default:"5.1" help:"Version of Lua that is served."`
//
// hcl and help are required; default is a bare string for a string and JSON for
// everything else, and without it a field that is not set is zero;
// required:"true" refuses a configuration that does not set it. With
// env:"NAME", a string that is not set is that variable of the host's
// environment, before the default.
//
// Open makes the ecosystem of decoded options. It is called once for each
// repository's options, and at the start for the defaults, for which it must
// succeed. Any other error it returns is shown at the repository's block, an
// [OptionError] at the option's line.
//
// Started by the host, Serve answers until the host goes away. Started by a
// person, "describe" prints what the plugin is, as JSON; "debug" serves until it
// is interrupted and prints the plugin block by which a host attaches to it, for
// a debugger; anything else says that it is a plugin. Nothing else may be
// printed to standard output.
func Serve[C any](open func(C) (Ecosystem, error)) {
	server, err := newServer(open)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server.log = Logger()
	if len(os.Args) == 2 && os.Args[1] == "describe" {
		d, err := server.Describe(context.Background(), nil)
		if err == nil {
			err = server.defaults.probe(func(mistake string) { fmt.Fprintln(os.Stderr, "warning: plugin "+d.GetName()+": "+mistake) })
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(d)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(string(text))
		return
	}
	serve := &plugin.ServeConfig{
		HandshakeConfig: wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			wire.ProtocolVersion: {wire.PluginName: &wire.Plugin{Service: server}},
		},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(o...) },
		// What go-plugin itself has to say concerns nobody while it works.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	}
	if len(os.Args) == 2 && os.Args[1] == "debug" {
		server.debugged = true
		debugged(serve)
		return
	}
	if os.Getenv(wire.Handshake.MagicCookieKey) != wire.Handshake.MagicCookieValue {
		name := filepath.Base(os.Args[0])
		fmt.Fprintf(os.Stderr, `%s is a plugin of entrepot, which starts it: copy it into plugin_dir as %q.
By itself it prints what it is ("%s describe"), or serves under a debugger ("%s debug").
`, name, server.defaults.Name, name, name)
		os.Exit(1)
	}
	go dieWithParent(os.Getppid())
	// The host may run many plugins.
	runtime.MemProfileRate = 0
	debug.SetGCPercent(frugal)
	plugin.Serve(serve)
}

// frugal is how far a plugin's heap grows, in percent of what is in use, before
// garbage is collected: half of what Go does, which costs it little, because
// most questions leave nothing behind.
const frugal = 50

// debugged serves a plugin that no host started, until it is interrupted.
func debugged(serve *plugin.ServeConfig) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	reattach := make(chan *plugin.ReattachConfig, 1)
	closed := make(chan struct{})
	serve.Test = &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: reattach, CloseCh: closed}
	go func() {
		if r := <-reattach; r != nil {
			fmt.Printf("plugin %q { attach = \"%d:%s\" }\n", filepath.Base(os.Args[0]), r.Pid, r.Addr)
		}
	}()
	plugin.Serve(serve)
	<-closed
}

// Logger returns the logger whose lines the host prints with the plugin's name.
// What else is written to standard error is printed as it is.
func Logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
}

// dieWithParent ends a plugin whose host has died, where the kernel does not.
func dieWithParent(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent {
			os.Exit(0)
		}
	}
}

// NewServer makes the plugin's end of the wire without serving it, for tests.
// An error is one that [Serve] would print.
func NewServer[C any](open func(C) (Ecosystem, error)) (pb.EcosystemServiceServer, error) {
	s, err := newServer(open)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newServer[C any](open func(C) (Ecosystem, error)) (*server, error) {
	options, err := optionsOf(reflect.TypeFor[C]())
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", nameOf(open), err)
	}
	s := &server{options: options}
	s.open = func(optionsJSON string, upstreams []string) (*router, error) {
		var c C
		if err := decodeOptions(reflect.ValueOf(&c).Elem(), options, optionsJSON); err != nil {
			return nil, err
		}
		e, err := open(c)
		if err != nil {
			return nil, err
		}
		if e.Among != nil && len(upstreams) > 0 {
			e = e.Among(upstreams)
		}
		if e.Version == "" {
			e.Version = buildVersion()
		}
		return newRouter(e)
	}
	if s.defaults, err = s.open("", nil); err != nil {
		if strings.HasPrefix(err.Error(), "plugin ") {
			return nil, err
		}
		return nil, fmt.Errorf("plugin %s refuses the defaults of its options, for which it must open: %w", nameOf(open), err)
	}
	return s, nil
}

// nameOf is a plugin's name where its options are wrong: what it says without
// any, or else what its program is called.
func nameOf[C any](open func(C) (Ecosystem, error)) (name string) {
	name = filepath.Base(os.Args[0])
	for _, end := range []string{".exe", ".test"} {
		name = strings.TrimSuffix(name, end)
	}
	defer func() { _ = recover() }() // it was not made for that
	var c C
	if e, err := open(c); err == nil && e.Name != "" {
		name = e.Name
	}
	return name
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
