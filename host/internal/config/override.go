package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Overrides are settings from flags and variables; empty ones change nothing.
type Overrides struct {
	Listen, DataDir, PluginDir, BaseURL, LogLevel, LogFormat string
}

// Override puts settings in the place of the file's.
func (c *Config) Override(o Overrides) hcl.Diagnostics {
	r := &reader{}
	set := func(to *string, value string) {
		if value != "" {
			*to = value
		}
	}
	if o.Listen != "" {
		c.Listen = r.listen(given("listen", o.Listen), c.Listen)
	}
	set(&c.DataDir, o.DataDir)
	set(&c.PluginDir, o.PluginDir)
	if o.BaseURL != "" {
		if u := r.baseURL(given("base-url", o.BaseURL)); u != nil {
			c.BaseURL = u
		}
	}
	if o.LogLevel != "" {
		c.LogLevel = r.oneOf(given("log-level", o.LogLevel), c.LogLevel, logLevels...)
	}
	if o.LogFormat != "" {
		c.LogFormat = r.oneOf(given("log-format", o.LogFormat), c.LogFormat, logFormats...)
	}
	return r.diags
}

// given makes an attribute of a flag, so that it is read like one.
func given(name, value string) *hcl.Attribute {
	at := hcl.Range{Filename: "--" + name, Start: hcl.InitialPos, End: hcl.InitialPos}
	return &hcl.Attribute{Name: name, Expr: &hclsyntax.LiteralValueExpr{Val: cty.StringVal(value), SrcRange: at}, Range: at}
}
