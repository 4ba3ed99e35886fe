package cli

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/entrepot-registry/entrepot/host/internal/scaffold"
)

type pluginNewCommand struct {
	Name   string `arg:"" help:"Name of the plugin: lower-case letters, digits and dashes."`
	Module string `help:"Path of the module; default: example.com/entrepot-NAME." placeholder:"PATH"`
	Dir    string `help:"Directory to write to, which must not exist or be empty; default: NAME." placeholder:"DIR"`
	SDK    string `help:"Source tree of entrepot, for a version that is not published." name:"sdk" placeholder:"DIR"`
}

// Run writes the module and says what to do with it.
func (x *pluginNewCommand) Run(e *env) error {
	o := scaffold.Options{Name: x.Name, Module: x.Module, Dir: x.Dir, SDK: x.SDK, Version: published()}
	if o.Module == "" {
		o.Module = "example.com/entrepot-" + x.Name
	}
	if o.Dir == "" {
		o.Dir = x.Name
	}
	if o.SDK != "" {
		var err error
		if o.SDK, err = filepath.Abs(o.SDK); err != nil {
			return err
		}
	}
	files, err := scaffold.Write(o)
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(e.out, filepath.Join(o.Dir, f))
	}
	if o.SDK == "" && o.Version == "" {
		fmt.Fprintf(e.out, `
This entrepot is no published version, so that its SDK cannot be downloaded. Name its source tree first, as

cd %s && go mod edit -replace github.com/entrepot-registry/entrepot=/path/to/entrepot

and then
`, o.Dir)
		fmt.Fprintf(e.out, "\ngo mod tidy && go test ./... && go build -o %s .\n", x.Name)
		return nil
	}
	fmt.Fprintf(e.out, "\ncd %s && go mod tidy && go test ./... && go build -o %s .\n", o.Dir, x.Name)
	return nil
}

var release = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// published is the version of the SDK that modules can require; empty: this
// program was built from a source tree.
func published() string {
	if v := Version(); release.MatchString(v) {
		return "v" + v
	}
	return ""
}
