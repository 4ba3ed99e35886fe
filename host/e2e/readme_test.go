package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

var update = flag.Bool("update", false, "write the README of each plugin anew")

// described is what a plugin prints of itself.
type described struct {
	Name, Title string
	PURL        string `json:"purl_type"`
	Upstreams   []struct{ Role, URL string }
	Options     []struct {
		Name, Type, Help, Variable string
		Default                    string `json:"default_json"`
	}
	Names struct {
		IgnoreCase bool `json:"ignore_case"`
		CaseApart  bool `json:"case_apart"`
		Alike      string
		Loose      string
		Runs       bool
		Prefix     string
		Home       string
	}
	Setup        []struct{ Client, File, Text string }
	Ungated      []struct{ Route, Reason string }
	Capabilities struct{ Host bool }
}

// Default reports whether the plugin knows where its packages come from.
func (d described) Default() bool { return len(d.Upstreams) > 0 && d.Upstreams[0].URL != "" }

var readme = template.Must(template.New("").Funcs(template.FuncMap{
	"at": func(text, name string) string {
		return strings.TrimRight(strings.NewReplacer("{url}", "http://127.0.0.1:8080/"+name, "{host}", "127.0.0.1:8080").Replace(text), "\n")
	},
	"cell": func(s string) string { return strings.ReplaceAll(s, "|", `\|`) },
}).Parse(`# {{.Title}}

This page is written from what the plugin says of itself (` + "`entrepot plugin describe {{.Name}}`" + `); ` + "`go test ./host/e2e -run Readmes -update`" + ` writes it anew.

Package URLs: ` + "`pkg:{{.PURL}}/…`" + `. {{if .Default}}It has a default upstream.{{else}}Its upstreams must be configured.{{end}} {{if .Capabilities.Host}}It can host packages of your own.{{else}}It hosts no packages.{{end}}

` + "```hcl\nrepository \"{{.Name}}\" {{if .Default}}{}{{else}}{\n  upstream \"main\" { url = \"https://packages.example.com\" }\n}{{end}}\n```" + `
{{with .Names}}{{if or .IgnoreCase .Alike .Prefix}}
Names are the same, also in patterns,{{if .IgnoreCase}} whatever the case of their letters{{if .Alike}}, and{{end}}{{end}}{{if .Alike}} whichever of ` + "`{{.Alike}}`" + ` they have{{if .Runs}}, be it once or several times in a row{{end}}{{end}}{{if .Prefix}} with or without ` + "`{{.Prefix}}`" + ` before them{{end}}{{if .Home}}, and with or without ` + "`{{.Home}}`" + ` before a single name{{end}}.{{if .CaseApart}} That is so for what is ours; for rules of cool-down and permissions of tokens, names that differ in case are different packages.{{end}}{{if .Loose}} In patterns, but not in names, so are ` + "`{{.Loose}}`" + `.{{end}}
{{end}}{{end}}{{range .Setup}}
## {{.Client}}
{{if .File}}
` + "`{{.File}}`" + `:
{{end}}
` + "```{{if not .File}}sh{{end}}\n{{at .Text $.Name}}\n```" + `
{{end}}{{if .Options}}
## Options

| option | type | default | |
|---|---|---|---|
{{range .Options}}| ` + "`{{.Name}}`" + ` | {{.Type}} | {{with .Default}}` + "`{{cell .}}`" + `{{end}}{{with .Variable}} variable ` + "`{{.}}`" + `{{end}} | {{cell .Help}} |
{{end}}{{end}}{{if .Ungated}}
## Not judged by policy

{{range .Ungated}}- ` + "`{{.Route}}`" + `: {{.Reason}}
{{end}}{{end}}`))

// TestPluginReadmesAreWhatPluginsSay compares each plugin's README with its
// description. Addresses of upstreams are left out.
func TestPluginReadmesAreWhatPluginsSay(t *testing.T) {
	t.Parallel()
	plugins, err := filepath.Glob(filepath.Join(built(t), "plugins", "*"))
	if err != nil || len(plugins) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, path := range plugins {
		cmd := exec.Command(path, "describe")
		cmd.Env = []string{} // what this machine's variables say belongs in no document
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var d described
		if err := json.Unmarshal(out, &d); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := readme.Execute(&want, d); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("..", "..", "plugins", d.Name, "README.md")
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want.Bytes()) {
			t.Errorf("%s is not what the plugin says (%v); run this test with -update", file, err)
		}
	}
}
