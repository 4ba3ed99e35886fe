package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, object, want string }{
		{"empty", `{}`, ``},
		{"empty with spaces", "{ \n\t}", ``},
		{"no object", `["a"]`, ``},
		{"nothing", ``, ``},
		{"one", `{"a":1}`, `a=1`},
		{"spaces", "{ \"a\" : 1 ,\r\n\"b\":\ttrue }", `a=1 b=true`},
		{"duplicates", `{"a":1,"a":2}`, `a=1 a=2`},
		{"escaped keys", `{"\u0061\"\\":1,"\ud83d\ude00":2}`, `a"\=1 😀=2`},
		{"brackets in strings", `{"a":"}]{","b":["\"}",{"c":"]"}]}`, `a="}]{" b=["\"}",{"c":"]"}]`},
		{"backslashes at the end of strings", `{"a":"\\","b\\":"\\\"","c":"x"}`, `a="\\" b\="\\\"" c="x"`},
		{"nested emptiness", `{"a":{},"b":[],"c":[[],{}]}`, `a={} b=[] c=[[],{}]`},
		{"numbers at the end", `{"a":-1.5e+3}`, `a=-1.5e+3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for m := range members([]byte(c.object)) {
				got = append(got, fmt.Sprintf("%s=%s", m.key, m.value))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("members of %s are %s, want %s", c.object, text, c.want)
			}
		})
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	var got []string
	for value := range elements([]byte(`[ 1 , "a,]" ,[2,{"b":[]}],{},null ]`)) {
		got = append(got, string(value))
	}
	if text := strings.Join(got, " "); text != `1 "a,]" [2,{"b":[]}] {} null` {
		t.Errorf("elements are %s", text)
	}
	for range elements([]byte(`{"a":1}`)) {
		t.Error("an object has elements")
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, report string }{
		{"valid", ` {"a":[1,"é",null]} `, ""},
		{"as deep as allowed", strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), ""},
		{"brackets in a string", `"` + strings.Repeat("[", 2*maxDepth) + `"`, ""},
		{"too deep", strings.Repeat(`{"a":`, maxDepth+1), "nested more than"},
		{"so deep that recursion would end the process", strings.Repeat("[", 10<<20), "nested more than"},
		{"empty", "", "no valid JSON"},
		{"cut off", `{"a":`, "no valid JSON"},
		{"cut off in a string", `{"a`, "no valid JSON"},
		{"two values", `{}{}`, "no valid JSON"},
		{"a control character", "\"a\x01\"", "no valid JSON"},
		{"a comma too many", `{"a":1,}`, "no valid JSON"},
		{"not UTF-8", "\"\xff\"", "not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := checkJSON([]byte(c.doc))
			if c.report == "" && err != nil || c.report != "" && (err == nil || !strings.Contains(err.Error(), c.report)) {
				t.Errorf("error is %v, want %q", err, c.report)
			}
		})
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	const sha1 = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" // of nothing, as shasum has it in hex
	const shasum = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	for _, c := range []struct{ name, integrity, shasum, want string }{
		{"none", "", "", ""},
		{"shasum", "", shasum, "sha1:20"},
		{"shasum of another length", "", "da39", ""},
		{"all that are listed", "sha512-" + strings.Repeat("A", 86) + "== sha256-" + strings.Repeat("A", 43) + "=?ct=x", shasum, "sha512:64 sha256:32 sha1:20"},
		{"once for each algorithm", "sha1-" + sha1, shasum, "sha1:20"},
		{"a sum that is cut off", "sha512-AAAA", shasum, "sha1:20"},
		{"an unknown algorithm", "sha3-AAAA", "", ""},
		{"no base64", "sha1-****", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range digests(c.integrity, c.shasum) {
				got = append(got, fmt.Sprintf("%s:%d", d.Algorithm, len(d.Sum)))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("digests are %q, want %q", text, c.want)
			}
		})
	}
}
