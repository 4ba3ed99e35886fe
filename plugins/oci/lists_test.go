package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestPage(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	for about, test := range map[string]struct {
		page page
		want []string
		next string
		link string // the query of the page after
	}{
		"all":                  {page{n: -1}, names, "", ""},
		"the first":            {page{n: 2}, names[:2], "b", "?last=b&n=2"},
		"the second":           {page{n: 2, last: "b"}, names[2:], "", ""},
		"after what is gone":   {page{n: 1, last: "bb"}, names[2:3], "c", "?last=c&n=1"},
		"after the last":       {page{n: 1, last: "d"}, nil, "", ""},
		"after all":            {page{n: -1, last: "z"}, nil, "", ""},
		"none":                 {page{n: 0}, nil, "", ""},
		"as many as there are": {page{n: 4}, names, "", ""},
	} {
		some, next := test.page.cut(names)
		if !slices.Equal(some, test.want) || next != test.next {
			t.Errorf("%s: %v, %q", about, some, next)
		}
		if query := (page{test.page.n, next}).query(); next != "" && query != test.link {
			t.Errorf("%s: the page after is %q", about, query)
		}
	}
}

func TestNextPage(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"": "",
		`</v2/a/tags/list?last=b&n=2>; rel="next"`:                          "/v2/a/tags/list?last=b&n=2",
		`</v2/a/tags/list?last=b>; rel=next`:                                "/v2/a/tags/list?last=b",
		`<?last=b>; rel="next"`:                                             "/v2/a/tags/list?last=b",
		`<https://main.example.com/v2/a/tags/list?last=b>; rel="next"`:      "/v2/a/tags/list?last=b",
		`</first>; rel="first", </v2/a/tags/list?last=b>; rel="next"`:       "/v2/a/tags/list?last=b",
		`<https://elsewhere.example.com/v2/a/tags/list?last=b>; rel="next"`: "",
		`</v2/a/tags/list?last=b>; rel="prev"`:                              "",
		`</v2/a/tags/list?last=b`:                                           "",
		`/v2/a/tags/list?last=b; rel="next"`:                                "",
		`<http://[::1>; rel="next"`:                                         "",
		`</v2/a/tags/list?last=a,b>; Rel="Next"`:                            "/v2/a/tags/list?last=a,b",
	} {
		doc := &sdk.Doc{Source: sdk.Source{URL: "/v2/a/tags/list?n=1000"}, URL: "https://main.example.com/v2/a/tags/list?n=1000", Header: map[string]string{"link": link}}
		if got, _ := nextPage(doc); got != want {
			t.Errorf("%s leads to %q, want %q", link, got, want)
		}
		if _, more := nextPage(doc); more != (strings.Contains(link, "<") && strings.Contains(link, ">") && strings.Contains(strings.ToLower(link), "next")) {
			t.Errorf("%s says that there is more: %v", link, more)
		}
	}
}

// TestNextPageBelowAPath has an upstream whose own address has a path, which the
// registry may know or not.
func TestNextPageBelowAPath(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		`</hub/v2/a/tags/list?last=b>; rel="next"`:                         "/v2/a/tags/list?last=b",
		`<https://main.example.com/hub/v2/a/tags/list?last=b>; rel="next"`: "/v2/a/tags/list?last=b",
		`<?last=b>; rel="next"`:                                            "/v2/a/tags/list?last=b",
		`</v2/a/tags/list?last=b>; rel="next"`:                             "/v2/a/tags/list?last=b",
		`</hubs/v2/a/tags/list?last=b>; rel="next"`:                        "/hubs/v2/a/tags/list?last=b",
	} {
		doc := &sdk.Doc{Source: sdk.Source{URL: "/v2/a/tags/list?n=1000"}, URL: "https://main.example.com/hub/v2/a/tags/list?n=1000", Header: map[string]string{"link": link}}
		if got, _ := nextPage(doc); got != want {
			t.Errorf("%s leads to %q, want %q", link, got, want)
		}
	}
}

// TestAutoTags has tags that look like versions.
func TestAutoTags(t *testing.T) {
	t.Parallel()
	for about, test := range map[string]struct {
		tags                       []string
		wantLatest, wantPrerelease string
	}{
		"a pre-release":             {[]string{"1.10.0", "v1.11.0-rc.1", "1.9.0"}, "1.10.0", "v1.11.0-rc.1"},
		"a date, and a variant":     {[]string{"1.10.0", "v1.11.0-rc.1", "2024-01-01", "3-alpine", "3.20-slim"}, "1.10.0", "v1.11.0-rc.1"},
		"less than three numbers":   {[]string{"1.9", "v2"}, "v2", "v2"},
		"nothing that is a version": {[]string{"main", "2024-01-01"}, "", ""},
	} {
		ours := &sdk.HostedPackage{Tags: map[string]string{}}
		for _, tag := range test.tags {
			ours.Tags[tag] = tag
		}
		all := registry{options: options{Auto: true}}.tags(ours)
		if all["latest"] != test.wantLatest || all["prerelease"] != test.wantPrerelease {
			t.Errorf("%s: latest is %q, prerelease %q", about, all["latest"], all["prerelease"])
		}
	}
}
