package main

import "testing"

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, accept, output string }{
		{"no header", "", ""},
		{"anything", "*/*", ""},
		{"what browsers send", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ""},
		{"full", "application/json", ""},
		{"abbreviated alone", "application/vnd.npm.install-v1+json", abbreviated},
		{"what clients send to install", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", abbreviated},
		{"full preferred", "application/vnd.npm.install-v1+json; q=0.5, application/json", ""},
		{"equal weights", "application/json, application/vnd.npm.install-v1+json", abbreviated},
		{"abbreviated refused", "application/vnd.npm.install-v1+json; q=0", ""},
		{"the closest range counts", "application/vnd.npm.install-v1+json;q=0.5, */*;q=0.9, application/json;q=0.1", abbreviated},
		{"a range of types", "application/vnd.npm.install-v1+json;q=0.5, application/*;q=0.9", ""},
		{"case and parameters", "Application/Vnd.Npm.Install-V1+JSON; charset=utf-8; Q=0.9, application/json;q=0.8", abbreviated},
		{"a weight that is none", "application/vnd.npm.install-v1+json;q=much", ""},
		{"a weight out of range", "application/vnd.npm.install-v1+json;q=2, application/json;q=0.1", ""},
		{"not a number", "application/vnd.npm.install-v1+json;q=NaN", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := negotiate(c.accept); got != c.output {
				t.Errorf("negotiate(%q) = %q, want %q", c.accept, got, c.output)
			}
		})
	}
}
