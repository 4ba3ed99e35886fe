package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
	"github.com/entrepot-registry/entrepot/sdk/wire"
)

type pluginTestCommand struct {
	Paths   []string `arg:"" help:"Plugin binaries, or directories of them." name:"path"`
	Scripts string   `help:"Directory of txtar scripts, for one binary; without, only what is true of every plugin is tested." placeholder:"DIR"`
}

// Run tests binaries and prints what each fails.
func (x *pluginTestCommand) Run(e *env) error {
	var all []string
	for _, path := range x.Paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			all = append(all, path)
			continue
		}
		inside, err := binaries(path)
		if err != nil {
			return err
		}
		if len(inside) == 0 {
			return fmt.Errorf("there is no executable file in %s", path)
		}
		all = append(all, inside...)
	}
	scripts, err := x.scripts()
	if err != nil {
		return err
	}
	if x.Scripts != "" && len(all) > 1 {
		return errors.New("scripts are of one plugin: name one binary with --scripts")
	}
	_, wrap := lockUp(nil)
	failed := 0
	for _, path := range all {
		if !e.check(wire.Options{Path: path, Wrap: wrap}, scripts) {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d plugins fail", failed, len(all))
	}
	return nil
}

func (x *pluginTestCommand) scripts() ([]string, error) {
	if x.Scripts == "" {
		return nil, nil
	}
	scripts, err := filepath.Glob(filepath.Join(x.Scripts, "*.txtar"))
	if err == nil && len(scripts) == 0 {
		err = fmt.Errorf("there is no script (*.txtar) in %s", x.Scripts)
	}
	return scripts, err
}

// check tests one binary and reports whether all is well with it.
func (e *env) check(binary wire.Options, scripts []string) bool {
	made, failed := 0, 0
	err := plugintest.Check(binary, scripts, func(script, check string, problems []string) {
		made++
		if len(problems) == 0 {
			return
		}
		failed++
		if script != "" {
			check = filepath.Base(script) + ": " + check
		}
		fmt.Fprintf(e.out, "FAIL  %s\n", check)
		for _, p := range problems {
			fmt.Fprintf(e.out, "      %s\n", strings.ReplaceAll(p, "\n", "\n      "))
		}
	})
	name := filepath.Base(binary.Path)
	switch {
	case err != nil:
		fmt.Fprintf(e.out, "FAIL  %s: %v\n", name, err)
	case failed > 0:
		fmt.Fprintf(e.out, "FAIL  %s: %d of %d checks, %d scripts\n", name, failed, made, len(scripts))
	default:
		fmt.Fprintf(e.out, "ok    %s: %d checks, %d scripts\n", name, made, len(scripts))
	}
	return err == nil && failed == 0
}
