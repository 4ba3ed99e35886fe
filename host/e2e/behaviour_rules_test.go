package e2e

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/entrepot-registry/entrepot/"

// faultSources calls visit for every Go file of the module below a folder, with its
// path from the top.
func faultSources(t *testing.T, below string, visit func(path string)) {
	t.Helper()
	top, n := filepath.Join("..", ".."), 0
	err := filepath.WalkDir(filepath.Join(top, below), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(p, ".go") {
			rel, err := filepath.Rel(top, p)
			if err != nil {
				return err
			}
			n++
			visit(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files below %s: %v", n, below, err)
	}
}

func TestHostCodeNamesNoEcosystem(t *testing.T) {
	t.Parallel()
	plugins, err := os.ReadDir(filepath.Join("..", "..", "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"npm", "cargo", "pypi", "maven", "nuget", "docker", "rubygems?", "composer", "conan", "conda", "debian", "crates?", "packuments?", "tarballs?", "wheels?", "sdists?"}
	for _, p := range plugins {
		if p.IsDir() && p.Name() != "go" {
			names = append(names, regexp.QuoteMeta(p.Name()))
		}
	}
	word := regexp.MustCompile(`(?i)\b(` + strings.Join(names, "|") + `)\b`)
	// Comments and messages may give examples: a purl, a configuration block, a
	// mount, a pattern of names. Nothing that decides may.
	example := regexp.MustCompile(`pkg:[a-z]+/|^\s*//|%22|"/npm"|` + "`" + `[^` + "`" + `]*pkg:`)
	faultSources(t, "host", func(path string) {
		// The benchmark plays a registry; it is no part of the host.
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "host/bench/") {
			return
		}
		text, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			code := line
			if i := strings.Index(line, " // "); i >= 0 {
				code = line[:i]
			}
			if !example.MatchString(line) && word.MatchString(code) {
				t.Errorf("%s:%d names an ecosystem: %s", path, n, strings.TrimSpace(line))
			}
		}
	})
}

func TestImportsKeepTheirDirection(t *testing.T) {
	t.Parallel()
	for below, forbidden := range map[string][]string{
		"sdk":     {"host", "plugins", "examples"},
		"plugins": {"host", "plugins", "examples"},
		"host":    {"plugins", "examples"},
	} {
		faultSources(t, below, func(path string) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", path), nil, parser.ImportsOnly)
			if err != nil {
				t.Error(err)
				return
			}
			for _, i := range file.Imports {
				rest, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
				if !ours {
					continue
				}
				for _, f := range forbidden {
					own := strings.Join(strings.Split(path, "/")[:min(2, strings.Count(path, "/"))], "/")
					if (rest == f || strings.HasPrefix(rest, f+"/")) && rest != own && !strings.HasPrefix(rest, own+"/") {
						t.Errorf("%s imports %s", path, rest)
					}
				}
				if below == "host" && rest == "sdk" && !strings.HasSuffix(path, "_test.go") {
					t.Errorf("%s imports what plugins are written against", path)
				}
			}
		})
	}
}
