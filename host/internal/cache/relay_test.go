package cache

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
)

func TestNamesAreTakenOut(t *testing.T) {
	t.Parallel()
	tree := []string{"/name", "/**/requires/*", "/**/dependencies/*"}
	for name, c := range map[string]struct {
		pointers   []string
		body, want string
	}{
		"keys":                 {[]string{"/*"}, `{"@acme/a":["1"],"b":["2"]}`, `{"b":["2"]}`},
		"texts":                {[]string{"/packages/*"}, `{"packages":["b","@acme/a","c"],"@acme/a":1}`, `{"@acme/a":1,"packages":["b","c"]}`},
		"members of a list":    {[]string{"/*/name"}, `[{"name":"@acme/a","n":1},{"name":"b"}]`, `[{"n":1},{"name":"b"}]`},
		"trees":                {tree, `{"name":"@acme/app","requires":{"@acme/a":"1","b":"1"},"dependencies":{"@acme/a":{"version":"1"},"b":{"requires":{"@acme/c":"1"},"dependencies":{"@acme/d":{},"e":{"requires":{"@acme/f":"1"}}}}}}`, `{"dependencies":{"b":{"dependencies":{"e":{"requires":{}}},"requires":{}}},"requires":{"b":"1"}}`},
		"an escaped pointer":   {[]string{"/a~1b/*"}, `{"a/b":{"@acme/a":1},"a":{"b":{"@acme/a":1}}}`, `{"a":{"b":{"@acme/a":1}},"a/b":{}}`},
		"elsewhere":            {[]string{"/a/*"}, `{"b":{"@acme/a":1}}`, `{"b":{"@acme/a":1}}`},
		"no object":            {tree, `["@acme/a",1,null]`, `["@acme/a",1,null]`},
		"numbers stay as such": {tree, `{"n":12345678901234567890.10}`, `{"n":12345678901234567890.10}`},
	} {
		value, err := readTree(strings.NewReader(c.body), "")
		if err != nil {
			t.Fatal(err)
		}
		trimmed := trimming{ours: func(name string) bool { return strings.HasPrefix(name, "@acme/") }}
		value, _ = trimmed.trim(value, "", pointersOf(c.pointers))
		if got, err := json.Marshal(value); string(got) != c.want || err != nil {
			t.Errorf("%s: %s is left (%v), want %s", name, got, err, c.want)
		}
	}
}

func TestRelayedBodiesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(append([]byte(`"`), make([]byte, maxUnzipped+1)...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ body, encoding string }{
		"no JSON":             {`{`, ""},
		"two values":          {`{} {}`, ""},
		"not gzip":            {`{}`, "gzip"},
		"an unknown encoding": {`{}`, "br"},
		"a bomb":              {bomb.String(), "gzip"},
	} {
		if _, err := readTree(strings.NewReader(c.body), c.encoding); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}
