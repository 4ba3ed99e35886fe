// Command crate is a plugin for tests of the test kit. It has a fault when it
// lies in a folder fault-NAME, or when the linker sets one.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

var fault string

func main() {
	if name, ok := strings.CutPrefix(filepath.Base(filepath.Dir(os.Args[0])), "fault-"); ok {
		fault = name
	}
	if fault == "output" {
		fmt.Println("hello")
	}
	if fault == "exit" {
		fmt.Fprintln(os.Stderr, "there is no crate")
		os.Exit(1)
	}
	sdk.Serve(open)
}

func open(struct{}) (sdk.Ecosystem, error) {
	return sdk.Ecosystem{
		Name:      "crate",
		Version:   "1.2.3",
		Upstreams: []sdk.Upstream{{URL: "https://crates.example.com"}},
		Routes: []sdk.Route{
			{Match: "GET /{name}", Plan: func(r sdk.Request) sdk.Plan {
				if fault == "log" {
					sdk.Logger().Warn("a line with fields", "count", 3)
					fmt.Fprintln(os.Stderr, `{"@level":"info","@message":"unfinished`)
					fmt.Fprintln(os.Stderr, "plain words")
					fmt.Println("words on standard output")
				}
				if fault == "panic" {
					panic("no plan")
				}
				return sdk.Document{Path: r.Path, Name: r.Get("name"), From: sdk.From(r.Path), Render: render}
			}},
			{Match: "GET /{name}/{version}", Plan: func(r sdk.Request) sdk.Plan {
				return sdk.Artifact{
					Version: sdk.Version{Name: r.Get("name"), Version: r.Get("version")},
					From:    sdk.From(r.Path),
					Facts:   []string{"/" + r.Raw("name")},
				}
			}},
		},
	}, nil
}

// render lists versions, upstream's lines of version and date, and ends with a
// full stop as they do.
func render(in *sdk.Input) error {
	name, out := in.Request().Get("name"), in.Output("", "text/plain")
	lines, ok := strings.CutSuffix(string(in.Docs()[0].Body), ".\n")
	if !ok {
		return errors.New("the list has no end")
	}
	if fault == "late" {
		go func() {
			for {
				in.Keep(sdk.Version{Name: name, Version: "1.0"})
			}
		}()
	}
	for line := range strings.Lines(lines) {
		version, date, _ := strings.Cut(strings.TrimSpace(line), " ")
		published, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return err
		}
		path := "/" + name + "/" + version
		if in.Keep(sdk.Version{Name: name, Version: version, Published: published}, sdk.File{Path: path}) || fault == "keep" {
			fmt.Fprintln(out, in.URL(path))
		}
	}
	if fault == "link" {
		fmt.Fprintln(out, in.URL("/"+name+"/a/b"))
	}
	if fault == "clock" {
		fmt.Fprintln(out, time.Now().UnixNano())
	}
	_, err := fmt.Fprintln(out, ".")
	return err
}
