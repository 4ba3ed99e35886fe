package main

import (
	"errors"
	"text/template"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"github.com/entrepot-registry/entrepot/sdk"
)

// render writes a manifest of the files that policy lets be shown. Upstream's is
// a program, of which nothing but a table is looked at.
func render(in *sdk.Input) error {
	statements, err := parse.Parse(in.Docs()[0].Reader(), "manifest")
	if err != nil {
		return err
	}
	var repository ast.Expr
	for _, s := range statements {
		if a, ok := s.(*ast.AssignStmt); ok && text(a.Lhs[0]) == "repository" {
			repository = a.Rhs[0]
		}
	}
	if repository == nil {
		return errors.New("the manifest has no repository")
	}
	shown := map[string]map[string][]string{} // architectures by name and version
	walk(repository, nil, func(name, version, arch string) {
		file := name + "-" + version + "." + arch
		if arch != "rockspec" {
			file += ".rock"
		}
		if rockFile.MatchString(file) && in.Keep(sdk.Version{Name: name, Version: version}, sdk.File{Path: "/" + file}) {
			if shown[name] == nil {
				shown[name] = map[string][]string{}
			}
			shown[name][version] = append(shown[name][version], arch)
		}
	})
	return manifest.Execute(in.Output("", "text/x-lua"), shown)
}

// walk visits what is called "arch" in a list of files by name and version.
func walk(e ast.Expr, keys []string, visit func(name, version, arch string)) {
	if len(keys) == 4 && keys[3] == "arch" {
		visit(keys[0], keys[1], text(e))
	}
	if table, ok := e.(*ast.TableExpr); ok && len(keys) < 4 {
		for _, f := range table.Fields {
			walk(f.Value, append(keys, text(f.Key)), visit)
		}
	}
}

// text is what a name or a string says; anything else says nothing.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.IdentExpr:
		return e.Value
	case *ast.StringExpr:
		return e.Value
	}
	return ""
}

var manifest = template.Must(template.New("manifest").Parse(`commands = {}
modules = {}
repository = { {{- range $name, $versions := .}}
   [{{printf "%q" $name}}] = { {{- range $version, $architectures := $versions}}
      [{{printf "%q" $version}}] = { {{range $architectures}}{ arch = {{printf "%q" .}} }, {{end}}}, {{- end}}
   }, {{- end}}
}
`))
