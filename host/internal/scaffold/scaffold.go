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
var module embed.FS

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Write writes the module and returns the files' names, relative to its
// directory. Nothing is overwritten.
func Write(o Options) ([]string, error) {
	if !pluginName.MatchString(o.Name) {
		return nil, fmt.Errorf("a plugin cannot be called %q: write lower-case letters, digits and dashes", o.Name)
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
	}
	if o.Version == "" {
		o.Version = unpublished
	}
	var written []string
	err := fs.WalkDir(module, "module", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "module/"), ".tmpl")
		written = append(written, filepath.FromSlash(name))
		return writeFile(path, filepath.Join(o.Dir, filepath.FromSlash(name)), o)
	})
	return written, err
}

func writeFile(from, to string, o Options) error {
	text, err := module.ReadFile(from)
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
