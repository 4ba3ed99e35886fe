package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func TestIndexLineOfWhatIsPublished(t *testing.T) {
	t.Parallel()
	const plain = `"deps":[],"cksum":"","features":{},"yanked":false,"links":null`
	tests := map[string]struct{ metadata, line, says string }{
		"bare": {
			metadata: `{"name":"Foo","vers":"1.0.0","deps":[],"features":{},"authors":[],"description":null,"links":null}`,
			line:     `{"name":"Foo","vers":"1.0.0",` + plain + `}`,
		},
		"links and a version of Rust": {
			metadata: `{"name":"foo","vers":"1.0.0","links":"z","rust_version":"1.80"}`,
			line:     `{"name":"foo","vers":"1.0.0","deps":[],"cksum":"","features":{},"yanked":false,"links":"z","rust_version":"1.80"}`,
		},
		"a dependency of another registry": {
			metadata: `{"name":"foo","vers":"1.0.0","deps":[{"name":"bar","version_req":"^1","features":["x"],"optional":true,"default_features":false,"target":"cfg(unix)","kind":"build","registry":"https://index.example.com"}]}`,
			line:     `{"name":"foo","vers":"1.0.0","deps":[{"name":"bar","req":"^1","features":["x"],"optional":true,"default_features":false,"target":"cfg(unix)","kind":"build","registry":"https://index.example.com","package":null}],"cksum":"","features":{},"yanked":false,"links":null}`,
		},
		"a renamed dependency of this one": {
			metadata: `{"name":"foo","vers":"1.0.0","deps":[{"name":"bar","version_req":"^1","default_features":true,"kind":"normal","registry":null,"explicit_name_in_toml":"baz"}]}`,
			line:     `{"name":"foo","vers":"1.0.0","deps":[{"name":"baz","req":"^1","features":[],"optional":false,"default_features":true,"target":null,"kind":"normal","registry":null,"package":"bar"}],"cksum":"","features":{},"yanked":false,"links":null}`,
		},
		"features of a newer syntax": {
			metadata: `{"name":"foo","vers":"1.0.0","features":{"a":["b"],"b":["dep:bar"],"c":["a","bar?/x"]}}`,
			line:     `{"name":"foo","vers":"1.0.0","deps":[],"cksum":"","features":{"a":["b"]},"features2":{"b":["dep:bar"],"c":["a","bar?/x"]},"yanked":false,"links":null,"v":2}`,
		},
		"a dependency without a name": {metadata: `{"name":"foo","vers":"1.0.0","deps":[{"version_req":"^1","kind":"normal"}]}`, says: "dependency"},
		"a dependency of no kind":     {metadata: `{"name":"foo","vers":"1.0.0","deps":[{"name":"bar","version_req":"^1","kind":"odd"}]}`, says: `"bar"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m metadata
			if err := json.Unmarshal([]byte(tt.metadata), &m); err != nil {
				t.Fatal(err)
			}
			line, err := m.line()
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want %q", err, tt.says)
				}
				return
			}
			got, failed := json.Marshal(line)
			if err != nil || failed != nil || string(got) != tt.line {
				t.Errorf("got  %s\nwant %s (%v, %v)", got, tt.line, err, failed)
			}
		})
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	got, err := spellings("a-b_c")
	if want := "a-b-c a-b_c a_b-c a_b_c"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v, %v; want %s", got, err, want)
	}
	if got, err := spellings("abc"); err != nil || len(got) != 1 || got[0] != "abc" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := spellings(strings.Repeat("-", maxSeparators+1)); err == nil {
		t.Error("a name of too many separators has spellings")
	}
}

func TestSameVersion(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]bool{
		{"1.0.0", "1.0.0+mac"}: true, {"1.0.0+a", "1.0.0+b"}: true, {"1.0.0-rc.1", "1.0.0-rc.1+x"}: true,
		{"1.0.0", "1.0.1"}: false, {"1.0.0", "1.0.0-rc.1"}: false, {"1.0.0", "1.1.0"}: false, {"1.0.0", "2.0.0"}: false,
	} {
		if got := sameVersion(semver.MustParse(pair[0]), semver.MustParse(pair[1])); got != want {
			t.Errorf("%v: %v, want %v", pair, got, want)
		}
	}
}

func TestNamesToPublishBy(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"serde": true, "Serde_json": true, "a-1": true, strings.Repeat("a", maxName): true,
		"": false, "1a": false, "-a": false, "_a": false, "a.b": false, "é": false, strings.Repeat("a", maxName+1): false,
	} {
		if err := goodName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}
