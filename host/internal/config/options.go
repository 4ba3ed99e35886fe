package config

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

var optionTypes = map[string]cty.Type{
	"string":       cty.String,
	"number":       cty.Number,
	"bool":         cty.Bool,
	"list(string)": cty.List(cty.String),
	"map(string)":  cty.Map(cty.String),
}

// DecodeOptions reads the options block by a plugin's schema into a JSON
// object with sorted keys, so that equal options are equal text.
func (r *Repository) DecodeOptions(schema []*pb.Option) (string, hcl.Diagnostics) {
	body := &hcl.BodySchema{}
	for _, o := range schema {
		body.Attributes = append(body.Attributes, hcl.AttributeSchema{Name: o.GetName(), Required: o.GetRequired()})
	}
	content := &hcl.BodyContent{}
	var diags hcl.Diagnostics
	if r.options != nil {
		content, diags = r.options.Content(body)
	} else {
		for _, o := range schema {
			if o.GetRequired() {
				diags = append(diags, &hcl.Diagnostic{
					Severity: hcl.DiagError, Summary: "Missing option", Subject: &r.Range,
					Detail: fmt.Sprintf("Repository %q needs options { %s = … }: %s", r.Name, o.GetName(), o.GetHelp()),
				})
			}
		}
	}
	values := map[string]json.RawMessage{}
	for _, o := range schema {
		a, ok := content.Attributes[o.GetName()]
		if value := os.Getenv(o.GetVariable()); !ok && value != "" {
			values[o.GetName()], _ = json.Marshal(value) // a string always can be
		}
		if !ok {
			continue
		}
		v, d := a.Expr.Value(evaluation())
		diags = append(diags, d...)
		if d.HasErrors() {
			continue
		}
		want, known := optionTypes[o.GetType()]
		if !known {
			want = cty.DynamicPseudoType
		}
		v, err := convert.Convert(v, want)
		if err == nil {
			values[o.GetName()], err = ctyjson.Marshal(v, want)
		}
		if err != nil {
			at := a.Expr.Range()
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad option", Detail: fmt.Sprintf("%s: %s.", o.GetName(), err), Subject: &at})
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad options", Detail: err.Error(), Subject: &r.Range})
	}
	return string(text), diags
}

// OptionRange is where an option stands, or the repository when it does not.
func (r *Repository) OptionRange(name string) hcl.Range {
	if r.options != nil {
		if attributes, _ := r.options.JustAttributes(); attributes[name] != nil {
			return attributes[name].Expr.Range()
		}
	}
	return r.Range
}
