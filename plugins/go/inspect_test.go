package main

import (
	"strings"
	"testing"
)

// TestCheckNames holds lists of names against the rules of module zips.
func TestCheckNames(t *testing.T) {
	t.Parallel()
	const at = "example.com/m@v1.0.0/"
	for name, test := range map[string]struct{ list, says string }{
		"good":               {"10 " + at + "go.mod\n5 " + at + "a b/c.go\n0 " + at + "a b/\n", ""},
		"without go.mod":     {"5 " + at + "c.go\n", ""},
		"nothing":            {"", "it is no module zip"},
		"no prefix":          {"5 c.go\n", "it is no module zip"},
		"another prefix":     {"5 " + at + "c.go\n5 example.com/m@v1.1.0/d.go\n", "does not begin with"},
		"no version":         {"5 example.com/m@v1/c.go\n", "no canonical version"},
		"wrong major":        {"5 example.com/m@v2.0.0/c.go\n", "v2.0.0"},
		"no path":            {"5 m@v1.0.0/c.go\n", "missing dot"},
		"bad name":           {"5 " + at + "a?b\n", "invalid char"},
		"reserved name":      {"5 " + at + "con.txt\n", "disallowed"},
		"case":               {"5 " + at + "a.go\n5 " + at + "A.go\n", "collide"},
		"case of folders":    {"5 " + at + "a/x.go\n5 " + at + "A/y.go\n", "collide"},
		"a file and folder":  {"5 " + at + "a\n5 " + at + "a/y.go\n", "collide"},
		"another module":     {"5 " + at + "sub/go.mod\n", "the go.mod of another module"},
		"spelling":           {"5 " + at + "Go.mod\n", "spelled go.mod"},
		"large go.mod":       {"16777217 " + at + "go.mod\n", "more than 16777216 bytes"},
		"large LICENSE":      {"16777217 " + at + "LICENSE\n", "more than 16777216 bytes"},
		"large":              {"524288001 " + at + "a\n", "more than 524288000 bytes"},
		"large all together": {"300000000 " + at + "a\n300000000 " + at + "b\n", "more than 524288000 bytes"},
		"overflow":           {"18446744073709551615 " + at + "a\n2 " + at + "b\n", "more than 524288000 bytes"},
	} {
		_, err := checkNames(test.list)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}
