package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// evaluation gives expressions two functions: env("NAME") and file("path").
func evaluation() *hcl.EvalContext {
	text := []function.Parameter{{Name: "name", Type: cty.String}}
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"env": function.New(&function.Spec{
			Params: text,
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				name := args[0].AsString()
				value, ok := os.LookupEnv(name)
				if !ok {
					return cty.NilVal, function.NewArgErrorf(0, "the environment has no variable %s", name)
				}
				return cty.StringVal(value), nil
			},
		}),
		"file": function.New(&function.Spec{
			Params: text,
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				text, err := os.ReadFile(args[0].AsString())
				if err != nil {
					return cty.NilVal, function.NewArgError(0, fmt.Errorf("reading it: %w", err))
				}
				return cty.StringVal(strings.TrimRight(string(text), "\r\n")), nil
			},
		}),
	}}
}
