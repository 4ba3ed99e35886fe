package main

import (
	"encoding/json"
	"errors"
	"testing"
)

// TestManifestsAgreeWithTheirTarballs has what clients send stay where it means
// what the tarball says, and give way where it does not.
func TestManifestsAgreeWithTheirTarballs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent, packed string
		want         string // empty: as it was sent
	}{
		"nothing":                      {`{"name":"a"}`, `{"name":"a"}`, ""},
		"the same":                     {`{"dependencies":{"b":"^1"},"bin":{"a":"a.js"},"engines":{"node":">=20"}}`, `{"dependencies":{"b":"^1"},"bin":{"a":"./a.js"},"engines":{"node":">=20"}}`, ""},
		"more dependencies":            {`{"dependencies":{"b":"^1","evil":"*"}}`, `{"dependencies":{"b":"^1"}}`, `{"dependencies":{"b":"^1"}}`},
		"dependencies out of nowhere":  {`{"dependencies":{"evil":"*"},"x":1}`, `{}`, `{"x":1}`},
		"fewer dependencies":           {`{}`, `{"dependencies":{"b":"^1"}}`, `{"dependencies":{"b":"^1"}}`},
		"another version of one":       {`{"dependencies":{"b":"*"}}`, `{"dependencies":{"b":"^1"}}`, `{"dependencies":{"b":"^1"}}`},
		"optional ones written twice":  {`{"dependencies":{"b":"^1","c":"^2"},"optionalDependencies":{"c":"^2"}}`, `{"dependencies":{"b":"^1"},"optionalDependencies":{"c":"^2"}}`, ""},
		"optional ones out of nowhere": {`{"optionalDependencies":{"evil":"*"}}`, `{}`, `{}`},
		"peers":                        {`{"peerDependencies":{"evil":"*"}}`, `{"peerDependencies":{"b":"*"}}`, `{"peerDependencies":{"b":"*"}}`},
		"what only developers need":    {`{"devDependencies":{"b":"*"}}`, `{}`, ""},
		"another platform":             {`{"os":["linux"]}`, `{"os":["linux","darwin"]}`, `{"os":["linux","darwin"]}`},
		"bundled, spelled otherwise":   {`{"bundleDependencies":["b"]}`, `{"bundledDependencies":["b"]}`, ""},
		"all bundled, as a list":       {`{"bundleDependencies":["b"]}`, `{"bundleDependencies":true}`, ""},
		"bundled out of nowhere":       {`{"bundleDependencies":["b"]}`, `{}`, `{}`},
		"a program out of nowhere":     {`{"bin":{"ls":"evil.js"}}`, `{}`, `{}`},
		"another program":              {`{"bin":{"a":"evil.js"}}`, `{"bin":{"a":"a.js"}}`, `{"bin":{"a":"a.js"}}`},
		"one program by its name":      {`{"name":"@acme/a","bin":"a.js"}`, `{"name":"@acme/a","bin":{"a":"./a.js"}}`, ""},
		"a folder of programs, listed": {`{"bin":{"a":"bin/a.js"}}`, `{"directories":{"bin":"./bin"}}`, ""},
		"a script out of nowhere":      {`{"scripts":{"postinstall":"evil"}}`, `{"scripts":{"test":"x"}}`, `{"scripts":{"test":"x"}}`},
		"another script":               {`{"scripts":{"install":"evil"}}`, `{"scripts":{"install":"make"},"hasInstallScript":true}`, `{"scripts":{"install":"make"}}`},
		"no script":                    {`{}`, `{"scripts":{"install":"make"},"hasInstallScript":true}`, `{"scripts":{"install":"make"}}`},
		"scripts that do not matter":   {`{"scripts":{"test":"x","start":"node server.js"}}`, `{"scripts":{"test":"x"}}`, ""},
		"native, as clients note it":   {`{"scripts":{"install":"node-gyp rebuild"},"gypfile":true}`, `{"hasInstallScript":true}`, ""},
		"native, and it is not":        {`{"scripts":{"install":"node-gyp rebuild"}}`, `{}`, `{}`},
		"null is nothing":              {`{"os":null}`, `{}`, ""},
		"no object":                    {`{"dependencies":["evil"],"bin":7,"scripts":[]}`, `{}`, `{}`},
	} {
		var sent, packed map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal([]byte(c.sent), &sent), json.Unmarshal([]byte(c.packed), &packed)); err != nil {
			t.Fatal(err)
		}
		agree(sent, packed)
		got, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		want := c.want
		if want == "" {
			want = c.sent
		}
		if !sameJSON(got, []byte(want)) {
			t.Errorf("%s: %s stays of %s, want %s", name, got, c.sent, want)
		}
	}
}
