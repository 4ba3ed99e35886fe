package main

import (
	"slices"
	"strings"
	"testing"
)

// lamps are entries to ask about.
var lamps = []row{
	{"Id": "Lamp", "Version": "1.0.0", "NormalizedVersion": "1.0.0", "IsLatestVersion": "true", "IsAbsoluteLatestVersion": "false", "IsPrerelease": "false", "Published": "2025-01-01T00:00:00.000", "Tags": "light home", "DownloadCount": "0"},
	{"Id": "Lamp", "Version": "1.10.0-beta", "NormalizedVersion": "1.10.0-beta", "IsLatestVersion": "false", "IsAbsoluteLatestVersion": "true", "IsPrerelease": "true", "Published": "2025-06-01T00:00:00.000", "DownloadCount": "0"},
	{"Id": "Lamp.Shade", "Version": "1.9", "NormalizedVersion": "1.9.0", "IsLatestVersion": "true", "IsAbsoluteLatestVersion": "true", "IsPrerelease": "false", "Published": "2025-03-01T00:00:00.000", "Title": "It's a shade", "DownloadCount": "7"},
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                         "1.0.0 1.10.0-beta 1.9",
		"IsLatestVersion":                          "1.0.0 1.9",
		"IsLatestVersion eq true":                  "1.0.0 1.9",
		"IsLatestVersion eq false":                 "1.10.0-beta",
		"not IsPrerelease":                         "1.0.0 1.9",
		"IsPrerelease ne true":                     "1.0.0 1.9",
		"Id eq 'lamp'":                             "1.0.0 1.10.0-beta",
		"tolower(Id) eq 'lamp.shade'":              "1.9",
		"toupper(Id) eq 'LAMP.SHADE'":              "1.9",
		"'Lamp.Shade' eq Id":                       "1.9",
		"Version eq '1.9.0'":                       "1.9",
		"NormalizedVersion ge '1.9'":               "1.10.0-beta 1.9",
		"Version gt '1.0' and Version lt '1.10'":   "1.10.0-beta 1.9",
		"Version le '1.9.0.0'":                     "1.0.0 1.9",
		"startswith(Id,'Lamp.')":                   "1.9",
		"startswith(tolower(Id), 'lamp.') eq true": "1.9",
		"endswith(Id,'shade')":                     "1.9",
		"substringof('SHADE',Id)":                  "1.9",
		"substringof('''s a',Title)":               "1.9",
		"Tags ne null and substringof('home', tolower(Tags))": "1.0.0",
		"Tags eq null": "1.10.0-beta 1.9",
		"Id eq 'none' or IsPrerelease and IsAbsoluteLatestVersion":                                                                               "1.10.0-beta",
		"(Id eq 'none' or Id eq 'Lamp') and IsLatestVersion":                                                                                     "1.0.0",
		"((((Id ne null) and substringof('shade',tolower(Id))) or ((Tags ne null) and substringof('shade',tolower(Tags)))) and IsLatestVersion)": "1.9",
		"Published gt datetime'2025-02-01T00:00:00' and Published lt datetime'2025-05-01T00:00:00'":                                              "1.9",
		"DownloadCount gt 5L": "1.9",
		"not (Id eq 'Lamp')":  "1.9",
		"not startswith(Id,'Lamp.') AND isprerelease EQ True": "1.10.0-beta",
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, r := range lamps {
			if f.wants(r) {
				got = append(got, r["Version"])
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s wants %q, want %q", text, s, want)
		}
	}
	for _, text := range []string{
		"Id", "Id eq", "Id eq 'x", "(Id eq 'x'", "Id eq 'x')", "Id eq 'x' 'y'", "Colour eq 'red'", "length(Id) gt 3", "substringof('a')", "Id add 'x'", "Id eq 3",
		"IsPrerelease and Id", "not Id", "Published gt '2025'", "Published gt datetime'soon'", "startswith(Id,'a'", "tolower(3) eq 'a'", "'", "()", "and", strings.Repeat("(", 200),
		strings.Repeat("not ", 200) + "IsPrerelease", strings.Repeat("IsPrerelease and ", 2000) + "IsPrerelease",
	} {
		if _, err := parseFilter(text); err == nil {
			t.Errorf("%.60s is read", text)
		}
	}
}

// TestFilterAbout holds what decides which document is read.
func TestFilterAbout(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]expression{
		"":             {},
		"Id eq 'Lamp'": {ids: []string{"lamp"}},
		"tolower(Id) eq 'lamp' and IsLatestVersion":             {ids: []string{"lamp"}, stable: true},
		"Id eq 'Lamp' or Id eq 'Shade'":                         {ids: []string{"lamp", "shade"}},
		"Id eq 'Lamp' or Id eq 'lamp'":                          {ids: []string{"lamp"}},
		"Id eq 'Lamp' or IsLatestVersion":                       {},
		"Id eq 'Lamp' and Id eq 'Shade'":                        {ids: []string{}},
		"(Id eq 'b' or Id eq 'a') and (Id eq 'a' or Id eq 'c')": {ids: []string{"a"}},
		"not (Id eq 'Lamp')":                                    {},
		"Id ne 'Lamp'":                                          {},
		"IsAbsoluteLatestVersion eq true":                       {latest: true},
		"IsAbsoluteLatestVersion eq false":                      {},
		"not IsPrerelease":                                      {stable: true},
		"IsPrerelease eq false":                                 {stable: true},
		"substringof('lamp', Id) or substringof('lamp', Tags)":  {hint: "lamp"},
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if a := f.about(); !slices.Equal(a.ids, want.ids) || (a.ids == nil) != (want.ids == nil) || a.latest != want.latest || a.stable != want.stable || a.hint != want.hint {
			t.Errorf("%s is about %+v", text, a)
		}
	}
}

func TestOrdering(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "1.0.0 1.10.0-beta 1.9", "Version": "1.0.0 1.9 1.10.0-beta", "NormalizedVersion desc": "1.10.0-beta 1.9 1.0.0",
		"Id desc, Version asc": "1.9 1.0.0 1.10.0-beta", "published DESC": "1.10.0-beta 1.9 1.0.0", "DownloadCount desc,Id,Version desc": "1.9 1.10.0-beta 1.0.0",
	} {
		o, err := parseOrdering(text)
		if err != nil {
			t.Fatal(err)
		}
		sorted := slices.Clone(lamps)
		slices.SortStableFunc(sorted, o.compare)
		var got []string
		for _, r := range sorted {
			got = append(got, r["Version"])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("ordered by %q they are %s, want %s", text, s, want)
		}
	}
	for _, text := range []string{"Colour", "Id up", "Id,", "Id desc x"} {
		if _, err := parseOrdering(text); err == nil {
			t.Errorf("an order by %q is read", text)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("((Id eq 'a''b') and not substringof('x', tolower(Tags))) or Published ge datetime'2025-01-01T00:00:00'")
	f.Fuzz(func(t *testing.T, text string) {
		if parsed, err := parseFilter(text); err == nil {
			for _, r := range lamps {
				parsed.wants(r)
			}
		}
	})
}
