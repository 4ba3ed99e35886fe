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
	c, all := diagnosed("repository \"a\" {}\nrepository \"b\" {\n  plugin = \"a\"\n  path = \"/x/y/\"\n}\nplugin \"c\" {}\nplugin \"d\" {\n  idle = \"0\"\n}\n")
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
	if a, c, d := c.Plugin("a"), c.Plugin("c"), c.Plugin("d"); a.Idle != time.Minute || c.Idle != a.Idle || d.Idle != 0 {
		t.Errorf("plugins are stopped after %s, %s and %s", a.Idle, c.Idle, d.Idle)
	}
}

func TestParsePointsAtMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"duration":                           {"cooldown {\n  default = \"3x\"\n}", []string{"2:13 Bad duration"}},
		"null duration":                      {"cooldown {\n  default = null\n}", []string{"2:13 Bad duration"}},
		"unknown function":                   {"cooldown {\n  default = days(3)\n}", []string{"2:13 Call to unknown function"}},
		"pattern":                            {"cooldown {\n  packages = { \"npm/a\" = \"1d\" }\n}", []string{"2:16 Bad package pattern"}},
		"empty version":                      {"cooldown {\n  packages = { \"pkg:npm/a@\" = \"1d\" }\n}", []string{"2:16 Bad package pattern"}},
		"the same twice":                     {"cooldown {\n  packages = {\n    \"pkg:npm/a\" = \"1d\"\n    \"pkg:npm/a\" = \"0\"\n  }\n}", []string{"4:5 Duplicate key"}},
		"two cool-downs":                     {"cooldown {}\ncooldown {}", []string{"2:1 Duplicate cooldown block"}},
		"path without slash":                 {"repository \"a\" {\n  path = \"a\"\n}", []string{"2:10 Bad path"}},
		"path that climbs":                   {"repository \"a\" {\n  path = \"/a/../b\"\n}", []string{"2:10 Bad path"}},
		"path that clients resolve":          {"repository \"a\" {\n  path = \"/a/./b\"\n}", []string{"2:10 Bad path"}},
		"path that clients escape":           {"repository \"a\" {\n  path = \"/ä b\"\n}", []string{"2:10 Bad path"}},
		"base URL that clients resolve":      {"base_url = \"https://packages.example.com/a/../b\"", []string{"1:12 Bad address"}},
		"name with a slash":                  {"repository \"a/b\" {}", []string{"1:1 Bad repository name"}},
		"header alone":                       {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    header = \"X\"\n  }\n}", []string{"2:3 Incomplete header"}},
		"empty secret":                       {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    token = \"\"\n  }\n}", []string{"4:13 Empty secret"}},
		"file that is absent":                {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    ca = \"no/such.pem\"\n  }\n}", []string{"4:10 File cannot be read"}},
		"query in an address":                {"base_url = \"https://a.example/?b\"", []string{"1:12 Bad address"}},
		"scheme":                             {"base_url = \"ftp://a.example\"", []string{"1:12 Bad address"}},
		"size":                               {"cache_size = \"-1\"", []string{"1:14 Bad size"}},
		"ecosystem by another name":          {"cooldown {\n  ecosystems = { go = \"0\" }\n}", []string{"2:18 Unknown ecosystem"}},
		"the same twice, escaped":            {"cooldown {\n  packages = {\n    \"pkg:npm/@a/*\" = \"0\"\n    \"pkg:NPM/%40a/*\" = \"30d\"\n  }\n}", []string{"4:5 Duplicate rule"}},
		"size as a number":                   {"cache_size = 5", []string{"1:14 Not a string"}},
		"listen a number":                    {"listen = 8080", []string{"1:10 Bad listen address"}},
		"listen without a port":              {"listen = \"127.0.0.1\"", []string{"1:10 Bad listen address"}},
		"listen with a port out of range":    {"listen = \"127.0.0.1:65536\"", []string{"1:10 Bad listen address"}},
		"listen with a port by name":         {"listen = \"127.0.0.1:http\"", []string{"1:10 Bad listen address"}},
		"listen with a scheme":               {"listen = \"http://127.0.0.1:80\"", []string{"1:10 Bad listen address"}},
		"listen that is empty":               {"listen = \"\"", []string{"1:10 Bad listen address"}},
		"empty directories":                  {"data_dir = \"\"\nplugin_dir = \"\"", []string{"1:12 Empty directory", "2:14 Empty directory"}},
		"ecosystem that is misspelt":         {"cooldown {\n  ecosystems = { npn = \"0\", NPM = \"0\" }\n}", []string{"2:18 Unknown ecosystem", "2:29 Unknown ecosystem"}},
		"type of a pattern that is misspelt": {"cooldown {\n  packages = { \"pkg:npn/a\" = \"0\", \"pkg:*/a\" = \"0\" }\n}", []string{"2:16 Unknown ecosystem", "2:35 Unknown ecosystem"}},
		"path of ours":                       {"repository \"a\" {\n  path = \"/healthz/\"\n}\nrepository \"b\" {\n  path = \"/readyz\"\n}", []string{"2:10 Reserved path", "5:10 Reserved path"}},
		"name of ours":                       {"repository \"metrics\" {}", []string{"1:1 Reserved path"}},
		"upstream twice":                     {"repository \"a\" {\n  upstream \"m\" {\n    url = \"http://127.0.0.1\"\n  }\n  upstream \"m\" {\n    url = \"http://127.0.0.2\"\n  }\n}", []string{"5:3 Duplicate upstream"}},
		"header name":                        {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    header = \"X Y\"\n    value = \"a\"\n  }\n}", []string{"4:14 Bad header name"}},
		"empty header name":                  {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    header = \"\"\n    value = \"a\"\n  }\n}", []string{"4:14 Bad header name"}},
		"header value":                       {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    header = \"X\"\n    value = \"a\\r\\nY: b\"\n  }\n}", []string{"5:13 Bad header value"}},
		"token of two lines":                 {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    token = \"a\\nb\"\n  }\n}", []string{"4:13 Bad header value"}},
		"file without certificates":          {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1\"\n    ca = \"file_test.go\"\n  }\n}", []string{"4:10 No certificate"}},
		"url without a host":                 {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://:80/x\"\n  }\n}", []string{"3:11 Bad address"}},
		"url with a port of zero":            {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://a.example:0\"\n  }\n}", []string{"3:11 Bad address"}},
		"url with a port out of range":       {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://a.example:99999\"\n  }\n}", []string{"3:11 Bad address"}},
		"url with an empty port":             {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://a.example:/\"\n  }\n}", []string{"3:11 Bad address"}},
		"url with a port that is none":       {"repository \"a\" {\n  upstream \"main\" {\n    url = \"http://a.example:x/\"\n  }\n}", []string{"3:11 Bad address"}},
		"hosts":                              {"hosts = [\"http://a.example/\", \"\", \"a.example:0\", \"a b\", \"a.example\"]", []string{"1:10 Bad host", "1:31 Bad host", "1:35 Bad host", "1:50 Bad host"}},
		"allowed hosts":                      {"repository \"a\" {\n  allow_hosts = [\"http://a.example\", \"a/b\", \"\", \"a.example:80\"]\n}", []string{"2:18 Bad host", "2:38 Bad host", "2:45 Bad host", "2:49 Bad host"}},
		"log in no directory":                {"access_log = \"no/such/access.log\"", []string{"1:14 No directory for the log"}},
		"log that is a directory":            {"access_log = \".\"", []string{"1:14 Log is a directory"}},
		"all of them":                        {"log_level = \"x\"\nlog_format = \"y\"\ncooldown {\n  default = \"z\"\n}", []string{"1:13 Bad value", "2:14 Bad value", "4:13 Bad duration"}},
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

func TestParseTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`listen = "127.0.0.1:0"`, `listen = ":8080"`, `listen = "[::1]:8080"`, `listen = "localhost:65535"`,
		`hosts = ["a.example", "a.example:8080", "10.0.0.1", "::1", "[::1]:80", "host_1"]`,
		"repository \"a\" {\n  allow_hosts = [\"files.internal\", \"10.0.0.1\", \"::1\"]\n}",
		"cooldown {\n  ecosystems = { npm = \"0\", golang = \"1d\", own = \"0\" }\n  packages = { \"pkg:maven/a/b\" = \"0\", \"pkg:own/*\" = \"0\" }\n}\nrepository \"a\" {\n  plugin = \"own\"\n}",
		`cache_size = "0"`, `cache_size = "50B"`,
		`access_log = ""`, `access_log = "-"`, `access_log = "access.log"`,
		"repository \"a\" {\n  path = \"/metrics/a\"\n}",
	} {
		if _, all := diagnosed(text); len(all) > 0 {
			t.Errorf("%s: %q", text, all)
		}
	}
	c, _ := diagnosed(`hosts = ["A.example:80", "::1"]`)
	if len(c.Hosts) != 2 || c.Hosts[0] != "A.example:80" || c.Hosts[1] != "[::1]" {
		t.Errorf("hosts are %q", c.Hosts)
	}
}

func TestParseWarnsOfSizesWithoutAUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`cache_size = "50"`: 1, `cache_size = "50B"`: 0, `cache_size = "0"`: 0, "repository \"a\" {\n  hosted {\n    quota = \"1000\"\n  }\n}": 1,
	} {
		c, diags := Parse([]byte(text), "config.hcl")
		if w := c.Warnings(); len(diags) > 0 || len(w) != want || want > 0 && !strings.Contains(w[0].Detail, "bytes: write the unit") {
			t.Errorf("%s: %v, warnings are %v", text, diags, w)
		}
	}
}

func TestParseSaysWhatAnEcosystemIsCalled(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"go": `write "golang"`, "NPM": `write "npm"`, "rubygems": `write "gem"`, "npn": "write a plugin's name"} {
		_, diags := Parse([]byte("cooldown {\n  ecosystems = { "+name+" = \"0\" }\n}"), "config.hcl")
		if len(diags) != 1 || !strings.Contains(diags[0].Detail, want) {
			t.Errorf("%s: %v, want %s", name, diags, want)
		}
	}
}

func TestOverrideRefusesABadAddress(t *testing.T) {
	t.Parallel()
	c, _ := diagnosed("")
	for _, listen := range []string{"8080", "127.0.0.1", "127.0.0.1:99999"} {
		diags := c.Override(Overrides{Listen: listen})
		if !diags.HasErrors() || diags[0].Subject.Filename != "--listen" || c.Listen != "127.0.0.1:8080" {
			t.Errorf("%s: %v, and listens on %s", listen, diags, c.Listen)
		}
	}
	if diags := c.Override(Overrides{Listen: "127.0.0.1:0"}); diags.HasErrors() || c.Listen != "127.0.0.1:0" {
		t.Errorf("%v, and listens on %s", diags, c.Listen)
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
		r, err := ParsePackagePattern(pattern)
		if got := [3]string{r.Type, r.Name, r.Version}; err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"", "lodash", "npm/lodash", "pkg:", "pkg:npm", "pkg:npm/", "pkg:/a", "pkg:npm/a@", "pkg:npm/%zz", "pkg:npm/a?repository_url=b"} {
		if r, err := ParsePackagePattern(pattern); err == nil {
			t.Errorf("%q is read as %+v", pattern, r)
		}
	}
}

func TestPatternsThatMayFitNothingAreToldOf(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]int{"pkg:npm/lib*": 0, "pkg:npm/@acme/?ib@1.*": 0, "pkg:npm/[lm]ib": 1, "pkg:npm/{a,b}": 1, "pkg:npm/ lib": 1, "pkg:npm/lib@{1,2}": 1} {
		c, diags := Parse([]byte(fmt.Sprintf("cooldown {\n  packages = {\n    %q = \"9d\"\n  }\n}\nrepository \"npm\" {}\n", pattern)), "config.hcl")
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if w := c.Warnings(); len(w) != want || want > 0 && w[0].Subject.Start.Line != 3 {
			t.Errorf("%s: %v", pattern, w)
		}
	}
}
