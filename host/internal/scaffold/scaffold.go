// Package scaffold writes the module of a new plugin: one that builds, passes
// its tests and serves something, so that an author changes a thing that works.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Options say what to write.
type Options struct {
	// Name of the plugin and its binary.
	Name string
	// Module is the module's path.
	Module string
	// Dir is where it is written to; it must not exist, or be empty.
	Dir string
	// SDK is the absolute path of entrepot's source tree, which then replaces
	// the version required; empty: none.
	SDK string
	// Version of entrepot to require; empty: none is published.
	Version string
}

// unpublished stands where no version can be required, below a replace line.
const unpublished = "v0.0.0-00010101000000-000000000000"

// Files of the module. Their names end in .tmpl, as a go.mod would keep them
// out of this one; the delimiters are << and >>, as braces stand in the text.
//
//go:embed module
var files embed.FS

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Write writes the module and returns the files' names, relative to its
// directory. Nothing is overwritten.
func Write(o Options) ([]string, error) {
	if !pluginName.MatchString(o.Name) {
		return nil, fmt.Errorf("a plugin cannot be called %q: write lower-case letters, digits and dashes, a letter first", o.Name)
	}
	if err := checkModule(o.Module); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: name another directory with --dir", o.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.SDK != "" {
		if _, err := os.Stat(filepath.Join(o.SDK, "sdk", "ecosystem.go")); err != nil {
			return nil, fmt.Errorf("%s is no source tree of entrepot: %w", o.SDK, err)
		}
		o.SDK = modfile.AutoQuote(o.SDK)
	}
	if o.Version == "" {
		o.Version = unpublished
	}
	var written []string
	err := fs.WalkDir(files, "module", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "module/"), ".tmpl")
		written = append(written, filepath.FromSlash(name))
		return writeFile(path, filepath.Join(o.Dir, filepath.FromSlash(name)), o)
	})
	return written, err
}

// entrepot is the path of the module that has the SDK.
const entrepot = "github.com/entrepot-registry/entrepot"

// checkModule refuses a path that no module with this SDK can have.
func checkModule(path string) error {
	if err := module.CheckImportPath(path); err != nil {
		return fmt.Errorf("--module: %w", err)
	}
	if path == entrepot {
		return fmt.Errorf("--module: %s is the path of the SDK: write one of your own, as example.com/entrepot-lamps", path)
	}
	return nil
}

func writeFile(from, to string, o Options) error {
	text, err := files.ReadFile(from)
	if err != nil {
		return err
	}
	t, err := template.New(from).Delims("<<", ">>").Parse(string(text))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.Execute(f, o); err != nil {
		return err
	}
	return f.Close()
}
