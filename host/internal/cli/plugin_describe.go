package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

type pluginDescribeCommand struct {
	Name string `arg:"" help:"Name of a plugin in the plugin directory, or path of a binary."`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Run prints what a plugin says of itself.
func (x *pluginDescribeCommand) Run(e *env) error {
	o := wire.Options{Path: x.Name}
	var without []string
	if !strings.ContainsRune(x.Name, filepath.Separator) {
		c, diags := e.load()
		if diags.HasErrors() {
			return daemon.Diagnostics{Diagnostics: diags}
		}
		o.Path, o.SHA256, without = filepath.Join(c.PluginDir, x.Name), c.Plugins[x.Name].SHA256, c.SandboxWithout
	}
	_, o.Wrap = lockUp(without)
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no plugin %s; \"entrepot plugin list\" lists those that there are", o.Path)
	}
	p := examine(o)
	if p.failed != nil {
		return p.failed
	}
	if x.JSON {
		text, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(p.describe)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", text)
		return err
	}
	return p.write(e.out)
}

func (p installed) write(w io.Writer) error {
	return description.Execute(w, struct {
		*pb.DescribeResponse
		Protocol, SHA256 string
	}{p.describe, p.protocol(), p.sum})
}

var description = template.Must(template.New("description").Funcs(template.FuncMap{
	"join": func(all []string) string { return strings.Join(all, ", ") },
	"indent": func(text string) string {
		return "      " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ")
	},
}).Parse(`{{.Name}} {{.Version}}: {{.Title}}

  protocol   {{.Protocol}}
  sha256     {{.SHA256}}
  purl type  {{.PurlType}}
  mounts     /{{.Name}}{{range .Mounts}}, {{.}}{{end}}
{{- with .Vary}}
  varies by  {{join .}}
{{- end}}

upstreams
{{- range .Upstreams}}
  {{.Role}}: {{or .Url "to be configured"}}{{with .Variables}} (or from {{join .}}){{end}}
{{- end}}
{{- with .Options}}

options
{{- range .}}
  {{.Name}} = {{.Type}}{{if .Required}}, required{{end}}{{with .DefaultJson}}, default {{.}}{{end}}
      {{.Help}}
{{- end}}
{{- end}}

routes
{{- range .Routes}}
  {{.}}
{{- end}}
{{- with .Ungated}}

not judged by cool-down
{{- range .}}
  {{.Route}}: {{.Reason}}
{{- end}}
{{- end}}
{{- with .Setup}}

set-up
{{- range .}}
  {{.Client}}{{with .File}}, in {{.}}{{end}}
{{indent .Text}}
{{- end}}
{{- end}}
`))
