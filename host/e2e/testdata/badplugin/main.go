// Command badplugin does what plugins must not. Which of it depends on the name
// of the file: a plugin has neither arguments nor an environment.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func main() {
	name := filepath.Base(os.Args[0])
	switch name {
	case "talks":
		fmt.Println("Hello, I am a plugin!")
	case "newer", "older":
		speak(name)
	case "dies":
		fmt.Fprintln(os.Stderr, "my licence has expired")
		os.Exit(3)
	case "renamed":
		name = "somebody-else"
	case "noisy":
		noise()
	case "unhelpful":
		type options struct {
			Light string `hcl:"light"`
		}
		sdk.Serve(func(options) (sdk.Ecosystem, error) { return sdk.Ecosystem{Name: name}, nil })
	case "misrouted", "mounted-twice", "nameless":
		sdk.Serve(func(struct{}) (sdk.Ecosystem, error) { return mistaken(name), nil })
	}
	sdk.Serve(func(struct{}) (sdk.Ecosystem, error) {
		return sdk.Ecosystem{
			Name:      name,
			Upstreams: []sdk.Upstream{{URL: "http://127.0.0.1:1"}},
			Routes: []sdk.Route{
				{Match: "GET /fine", Plan: func(sdk.Request) sdk.Plan { return sdk.Reply{Body: []byte("fine\n")} }},
				{Match: "GET /panic", Plan: func(sdk.Request) sdk.Plan { panic("oh no") }},
				{Match: "GET /nothing", Plan: func(sdk.Request) sdk.Plan { return nil }},
				{Match: "GET /status/{n}", Plan: func(r sdk.Request) sdk.Plan {
					n := 0
					fmt.Sscan(r.Get("n"), &n)
					return sdk.Reply{Status: n, Header: map[string]string{"X-Odd": "a\r\nSet-Cookie: b=c"}}
				}},
				{Match: "GET /exit/{when}", Plan: func(r sdk.Request) sdk.Plan {
					if r.Get("when") == "now" {
						os.Exit(7)
					}
					return nil
				}},
				{Match: "GET /noise/{when}", Plan: func(r sdk.Request) sdk.Plan {
					if r.Get("when") == "now" {
						noise()
					}
					return sdk.Reply{Body: []byte("done\n")}
				}},
				document("render-panic", func(*sdk.Input) error { panic("oh no") }),
				document("render-exit", func(*sdk.Input) error { os.Exit(7); return nil }),
				document("render-nothing", func(*sdk.Input) error { return nil }),
				document("asks-for-ever", func(in *sdk.Input) error {
					for i := 0; ; i++ {
						if _, ok := in.Doc(sdk.Source{URL: fmt.Sprint("http://127.0.0.1:1/", i), Optional: true}); !ok {
							return nil
						}
					}
				}),
				document("endless-output", func(in *sdk.Input) error {
					out := in.Output("", "text/plain")
					piece := []byte(strings.Repeat("for ever and ever ", 4096))
					for {
						if _, err := out.Write(piece); err != nil {
							return err
						}
					}
				}),
				document("many-outputs", func(in *sdk.Input) error {
					for i := range 100_000 {
						if _, err := in.Output(fmt.Sprint(i), "text/plain").Write([]byte("x")); err != nil {
							return err
						}
					}
					return nil
				}),
			},
		}, nil
	})
}

func document(name string, render func(*sdk.Input) error) sdk.Route {
	return sdk.Route{Match: "GET /" + name, Plan: func(sdk.Request) sdk.Plan { return sdk.Document{Name: name, Render: render} }}
}

// mistaken is a plugin with a mistake that its author could make.
func mistaken(name string) sdk.Ecosystem {
	e := sdk.Ecosystem{Name: name, Upstreams: []sdk.Upstream{{URL: "http://127.0.0.1:1"}}}
	boxes := sdk.Route{Match: "GET /boxes/{name}", Plan: func(r sdk.Request) sdk.Plan {
		return sdk.Document{Path: r.Path, Name: r.Get("name"), From: sdk.From(r.Path), Render: func(*sdk.Input) error { return nil }}
	}}
	switch name {
	case "misrouted":
		boxes.Match = "GET boxes/{name}"
	case "mounted-twice":
		e.Mounts = []string{"/boxes/", "/boxes"}
	case "nameless":
		boxes.Plan = func(r sdk.Request) sdk.Plan {
			return sdk.Document{Path: r.Path, From: sdk.From(r.Path), Render: func(*sdk.Input) error { return nil }}
		}
	}
	e.Routes = []sdk.Route{boxes}
	return e
}

// noise is what a log could be full of.
func noise() {
	for _, line := range []string{
		"plain words",
		`{"@level":"info","@message":"well-formed"}`,
		`{"@level":7,"@message":["no","string"],"@timestamp":{}}`,
		`{"@level":"info","@message":"unfinished`,
		`{"@level":"panic","@message":"no such level"}`,
		`[1,2,3]`,
		`null`,
		"",
		"\x00\x01\x02\xff\xfe\x1b[31mred\x1b[0m\r",
		"panic: this is no panic",
		"[DEBUG] looks like a level",
		strings.Repeat("long ", 400_000),
		`{"@message":"` + strings.Repeat("huge ", 400_000) + `"}`,
	} {
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Fprint(os.Stderr, "the end of the noise without an end of line")
	fmt.Fprintln(os.Stderr)
}

// speak serves another version of the protocol.
func speak(name string) {
	version := wire.ProtocolVersion + 1
	if name == "older" {
		version = wire.ProtocolVersion - 1
	}
	shake := wire.Handshake
	shake.ProtocolVersion = uint(version)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  shake,
		VersionedPlugins: map[int]plugin.PluginSet{version: {wire.PluginName: &wire.Plugin{Service: pb.UnimplementedEcosystemServiceServer{}}}},
		GRPCServer:       func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(o...) },
	})
	os.Exit(0)
}
