package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// diagnosed reads a configuration and returns "line:column summary" of each
// complaint.
func diagnosed(text string) (*Config, []string) {
	c, diags := Parse([]byte(text), "config.hcl")
	var all []string
	for _, d := range diags {
		at := "0:0"
		if d.Subject != nil {
			at = fmt.Sprintf("%d:%d", d.Subject.Start.Line, d.Subject.Start.Column)
		}
		all = append(all, at+" "+d.Summary)
	}
	return c, all
}

func TestParseFillsInDefaults(t *testing.T) {
	t.Parallel()
	c, all := diagnosed("repository \"a\" {}\nrepository \"b\" {\n  plugin = \"a\"\n  path = \"/x/y/\"\n}\n")
	if len(all) > 0 {
		t.Fatal(all)
	}
	if c.Cooldown.Default != 3*24*time.Hour {
		t.Errorf("cool-down is %s without a word about it", c.Cooldown.Default)
	}
	a, b := c.Repositories[0], c.Repositories[1]
	if a.Plugin != "a" || a.Path != "/a" || b.Plugin != "a" || b.Path != "/x/y" || a.TTL != DefaultTTL || a.MaxDocument != DefaultMaxDocument || a.ServeRemoved || a.HoldUnknown {
		t.Errorf("repositories are %+v and %+v", a, b)
	}
	if names := c.PluginNames(); len(names) != 1 || names[0] != "a" {
		t.Errorf("plugins are %v", names)
	}
}

func TestParsePointsAtMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"duration":            {"cooldown {\n  default = \"3x\"\n}", []string{"2:13 Bad duration"}},
		"null duration":       {"cooldown {\n  default = null\n}", []string{"2:13 Bad duration"}},
		"unknown function":    {"cooldown {\n  default = days(3)\n}", []string{"2:13 Call to unknown function"}},
		"pattern":             {"cooldown {\n  packages = { \"npm/a\" = \"1d\" }\n}", []string{"2:16 Bad package pattern"}},
		"empty version":       {"cooldown {\n  packages = { \"pkg:npm/a@\" = \"1d\" }\n}", []string{"2:16 Bad package pattern"}},
		"the same twice":      {"cooldown {\n  packages = {\n    \"pkg:npm/a\" = \"1d\"\n    \"pkg:npm/a\" = \"0\"\n  }\n}", []string{"4:5 Duplicate key"}},
		"two cool-downs":      {"cooldown {}\ncooldown {}", []string{"2:1 Duplicate cooldown block"}},
		"path without slash":  {"repository \"a\" {\n  path = \"a\"\n}", []string{"2:10 Bad path"}},
		"path that climbs":    {"repository \"a\" {\n  path = \"/a/../b\"\n}", []string{"2:10 Bad path"}},
		"name with a slash":   {"repository \"a/b\" {}", []string{"1:1 Bad repository name"}},
		"header alone":        {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    header = \"X\"\n  }\n}", []string{"2:3 Incomplete header"}},
		"empty secret":        {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    token = \"\"\n  }\n}", []string{"4:13 Empty secret"}},
		"file that is absent": {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    ca = \"no/such.pem\"\n  }\n}", []string{"4:10 File cannot be read"}},
		"query in an address": {"base_url = \"https://a.example/?b\"", []string{"1:12 Bad address"}},
		"scheme":              {"base_url = \"ftp://a.example\"", []string{"1:12 Bad address"}},
		"size":                {"cache_size = \"-1\"", []string{"1:14 Bad size"}},
		"size as a number":    {"cache_size = 5", []string{"1:14 Not a string"}},
		"all of them":         {"log_level = \"x\"\nlog_format = \"y\"\ncooldown {\n  default = \"z\"\n}", []string{"1:13 Bad value", "2:14 Bad value", "4:13 Bad duration"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := diagnosed(test.text)
			for _, want := range test.want {
				found := false
				for _, g := range got {
					found = found || strings.HasPrefix(g, want)
				}
				if !found {
					t.Errorf("complaints are %q, want %q", got, want)
				}
			}
			if len(got) < len(test.want) {
				t.Errorf("complaints are %q", got)
			}
		})
	}
}

func TestParsePatternTakesPackageURLsApart(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][3]string{
		"pkg:npm/lodash":              {"npm", "lodash", ""},
		"pkg:npm/lodash@4.17.21":      {"npm", "lodash", "4.17.21"},
		"pkg:npm/lodash@4.*":          {"npm", "lodash", "4.*"},
		"pkg:npm/@acme/*":             {"npm", "@acme/*", ""},
		"pkg:npm/%40acme/thing@1.0.0": {"npm", "@acme/thing", "1.0.0"},
		"pkg:npm/@acme/thing@1.0.0":   {"npm", "@acme/thing", "1.0.0"},
		"pkg:NPM/*":                   {"npm", "*", ""},
		"pkg:maven/org.a/b":           {"maven", "org.a/b", ""},
	} {
		r, err := parsePattern(pattern)
		if got := [3]string{r.Type, r.Name, r.Version}; err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"", "lodash", "npm/lodash", "pkg:", "pkg:npm", "pkg:npm/", "pkg:/a", "pkg:npm/a@", "pkg:npm/%zz"} {
		if r, err := parsePattern(pattern); err == nil {
			t.Errorf("%q is read as %+v", pattern, r)
		}
	}
}
