package sdk

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestPatternsCapture(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		match, path string
		want        map[string]string // nil: it does not match
	}{
		{"GET /", "/", map[string]string{}},
		{"GET /{a}", "/x", map[string]string{"a": "x"}},
		{"GET /{a}", "/", nil},
		{"GET /{a}", "/x/y", nil},
		{"GET /{a}", "/x%2fy", map[string]string{"a": "x%2fy"}},
		{"GET /{a}/-/{file}", "/@s%2fn/-/n-1.tgz", map[string]string{"a": "@s%2fn", "file": "n-1.tgz"}},
		{"GET /@{scope}/{name}", "/@s/n", map[string]string{"scope": "s", "name": "n"}},
		{"GET /@{scope}/{name}", "/s/n", nil},
		{"GET /{name}-{version}.gem", "/a-b-1.0.gem", map[string]string{"name": "a", "version": "b-1.0"}},
		{"GET /{mod...}/@v/{ver}.info", "/a/b/c/@v/v1.0.0.info", map[string]string{"mod": "a/b/c", "ver": "v1.0.0"}},
		{"GET /{all...}", "/a/b", map[string]string{"all": "a/b"}},
		{"GET /a.b", "/axb", nil},
		{"GET /a+(b)", "/a+(b)", map[string]string{}},
		{"GET /{a}", "/x\n", map[string]string{"a": "x\n"}},
	} {
		p, err := compile(test.match)
		if err != nil {
			t.Errorf("%s: %v", test.match, err)
			continue
		}
		got := p.match(test.path)
		if (got == nil) != (test.want == nil) || !maps.Equal(got, test.want) {
			t.Errorf("%s of %q captures %v, want %v", test.match, test.path, got, test.want)
		}
	}
}

func TestPatternsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for match, why := range map[string]string{
		"": "method and a path", "GET": "method and a path", "get /a": "method and a path", "HEAD /a": "write GET", "GET a": "slash",
		"GET /{a}/{a}": "twice", "GET /{A}": "captures", "GET /{": "captures", "GET /}": "captures", "GET /{a..}": "captures", "GET /{}": "captures", "GET /{a b}": "captures",
	} {
		if _, err := compile(match); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want something about %q", match, err, why)
		}
	}
}

func TestRouterAnswersWhatNoRouteTakes(t *testing.T) {
	t.Parallel()
	r, err := newRouter(Ecosystem{Name: "x", Routes: []Route{
		{Match: "GET /first", Plan: func(Request) Plan { return Reply{Body: []byte("1")} }},
		{Match: "GET /{any}", Plan: func(r Request) Plan { return Reply{Body: []byte(r.Get("any"))} }},
		{Match: "POST /only", Plan: func(Request) Plan { return Reply{} }},
		{Match: "POST /deep/only", Plan: func(Request) Plan { return Reply{} }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /first":     "1",
		"GET /a%20b":     "a b",
		"GET /only":      "only",
		"GET /deep/only": "method",
		"GET /deep/none": "not_found",
		"GET /%zz":       "bad_request",
		"GET /%ff":       "bad_request",
		"GET /%0a":       "bad_request",
		"GET /%2e%2e":    "bad_request",
		"GET /a%2f..":    "bad_request",
	} {
		method, path, _ := strings.Cut(request, " ")
		plan, _ := r.plan(Request{Method: method, Path: path})
		got := ""
		switch p := plan.(type) {
		case Reply:
			got = string(p.Body)
		case Failure:
			got = map[Kind]string{KindMethod: "method", KindNotFound: "not_found", KindBadRequest: "bad_request"}[p.Kind]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

func TestEcosystemsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	plan := func(Request) Plan { return Reply{} }
	for i, e := range []Ecosystem{
		{}, {Name: "Upper"}, {Name: "a b"}, {Name: "a/b"},
		{Name: "a", Routes: []Route{{Match: "GET /"}}},
		{Name: "a", Routes: []Route{{Match: "GET", Plan: plan}}},
		{Name: "a", Routes: []Route{{Match: "GET /", Plan: plan}, {Match: "GET /", Plan: plan}}},
		{Name: "a", Mounts: []string{"v2/"}},
	} {
		if _, err := newRouter(e); err == nil {
			t.Errorf("ecosystem %d is accepted: %s", i, fmt.Sprint(e.Name, e.Routes, e.Mounts))
		}
	}
}
