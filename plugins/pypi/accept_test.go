package main

import "testing"

func TestNegotiate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ accept, want string }{
		"none":               {"", outputHTML},
		"anything":           {"*/*", outputHTML},
		"browser":            {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", outputHTML},
		"pip":                {"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01", outputJSON},
		"uv":                 {"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01", outputJSON},
		"latest":             {"application/vnd.pypi.simple.latest+json", outputJSON},
		"latest HTML":        {"application/vnd.pypi.simple.latest+html", outputHTMLv1},
		"HTML above JSON":    {"text/html;q=0.9, application/vnd.pypi.simple.v1+json;q=0.3", outputHTML},
		"alike":              {"text/html, application/vnd.pypi.simple.v1+json", outputJSON},
		"JSON refused":       {"application/vnd.pypi.simple.v1+json;q=0, text/html;q=0.1", outputHTML},
		"only a refusal":     {"application/vnd.pypi.simple.v1+json;q=0", outputHTML},
		"capitals":           {"Application/Vnd.PyPI.Simple.V1+JSON; Q=0.5", outputJSON},
		"malformed weight":   {"application/vnd.pypi.simple.v1+json;q=x, text/html;q=0.1", outputHTML},
		"weight above one":   {"application/vnd.pypi.simple.v1+json;q=2, text/html;q=0.1", outputHTML},
		"no number":          {"application/vnd.pypi.simple.v1+json;q=NaN, text/html;q=0.1", outputHTML},
		"other parameters":   {"application/vnd.pypi.simple.v1+json;charset=utf-8;q=0.9, text/html;q=0.8", outputJSON},
		"unknown version":    {"application/vnd.pypi.simple.v9+json", outputHTML},
		"plain JSON is none": {"application/json", outputHTML},
		"empty parts":        {",, ;q=1,", outputHTML},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := negotiate(tt.accept); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
