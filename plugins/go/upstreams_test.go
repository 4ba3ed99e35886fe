package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestProxies(t *testing.T) {
	t.Parallel()
	const a, b = "https://a.example.com", "https://b.example.com/team"
	tests := map[string]struct {
		list string
		want []sdk.Upstream
	}{
		"none":             {"", []sdk.Upstream{{Role: roleMain}}},
		"direct alone":     {"direct", []sdk.Upstream{{Role: roleMain}}},
		"off alone":        {"off", []sdk.Upstream{{Role: roleMain}}},
		"one":              {a, []sdk.Upstream{{Role: roleMain, URL: a}}},
		"without a scheme": {"a.example.com", []sdk.Upstream{{Role: roleMain, URL: a}}},
		"comma":            {a + "," + b, []sdk.Upstream{{Role: roleMain, URL: a}, {Role: roleMain, URL: b}}},
		"bar":              {a + "|" + b + ",direct", []sdk.Upstream{{Role: roleMain, URL: a, Failover: true}, {Role: roleMain, URL: b}}},
		"spaces":           {" " + a + " , ," + b + " ", []sdk.Upstream{{Role: roleMain, URL: a}, {Role: roleMain, URL: b}}},
		"behind direct":    {a + ",direct," + b, []sdk.Upstream{{Role: roleMain, URL: a}}},
		"behind off":       {a + "|off|" + b, []sdk.Upstream{{Role: roleMain, URL: a, Failover: true}}},
		"twice":            {a + "," + a, []sdk.Upstream{{Role: roleMain, URL: a}}},
		"credentials":      {"https://u:p@a.example.com", []sdk.Upstream{{Role: roleMain, URL: "https://u:p@a.example.com"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseProxies(tt.list)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q is read as %+v, %v; want %+v", tt.list, got, err, tt.want)
			}
		})
	}
}

func TestSumDB(t *testing.T) {
	t.Parallel()
	// A verifier key of golang.org/x/mod/sumdb/note's own tests.
	const key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	tests := map[string]struct{ text, name, address string }{
		"none":             {"", "", ""},
		"off":              {"off", "", ""},
		"name":             {"sumdb.example.com", "sumdb.example.com", "https://sumdb.example.com"},
		"name with a path": {"example.com/sumdb", "example.com/sumdb", "https://example.com/sumdb"},
		"name and address": {"sumdb.example.com  http://mirror.example.com/db", "sumdb.example.com", "http://mirror.example.com/db"},
		"key":              {key, "PeterNeumann", "https://PeterNeumann"},
		"key and address":  {key + " https://sumdb.example.com", "PeterNeumann", "https://sumdb.example.com"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, address, err := parseSumDB(tt.text)
			proxied := db.name != "" && len(strings.Fields(tt.text)) == 1
			if err != nil || db.name != tt.name || address != tt.address || db.proxied != proxied {
				t.Errorf("%q is read as %+v at %q, %v; want %q at %q, asked through proxies: %t", tt.text, db, address, err, tt.name, tt.address, proxied)
			}
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options
		option, message string
	}{
		"file":              {options{Proxy: "file:///srv/modules"}, "proxy", "file:///srv/modules is not an address that can be asked here"},
		"no host":           {options{Proxy: "https:///x"}, "proxy", "https:///x is no address of a server"},
		"query":             {options{Proxy: "https://a.example.com?x"}, "proxy", "is no address of a server"},
		"malformed":         {options{Proxy: "https://a b"}, "proxy", "write addresses as https://goproxy.example.com"},
		"secret":            {options{Proxy: "ftp://u:secret@a.example.com"}, "proxy", "ftp://u:xxxxx@a.example.com is not"},
		"three fields":      {options{SumDB: "a b c"}, "sumdb", "at most its address"},
		"broken key":        {options{SumDB: "a+b+c"}, "sumdb", "the key cannot be read"},
		"address as name":   {options{SumDB: "https://sumdb.example.com"}, "sumdb", `"https://sumdb.example.com" is no name`},
		"name with slash":   {options{SumDB: "sumdb.example.com/"}, "sumdb", "is no name"},
		"name with query":   {options{SumDB: "sumdb.example.com?x"}, "sumdb", "is no name"},
		"database's scheme": {options{SumDB: "sumdb.example.com ftp://x"}, "sumdb", "ftp://x is not an address"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(tt.options)
			wrong, ok := errors.AsType[sdk.OptionError](err)
			if !ok || wrong.Option != tt.option || !strings.Contains(wrong.Message, tt.message) {
				t.Errorf("got %v, want an error about %s that says %q", err, tt.option, tt.message)
			}
		})
	}
}
