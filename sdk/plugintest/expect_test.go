package plugintest

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, want string
		yes       bool
	}{
		{"abc", "abc", true},
		{"abc", "ab", false},
		{"abc", "a…c", true},
		{"ac", "a…c", true},
		{"abcabd", "…ab…d", true},
		{"abc", "…", true},
		{"ab", "ab…b", false},
		{"xaby", "…b…a…", false},
	} {
		if matches(c.got, c.want) != c.yes {
			t.Errorf("matches(%q, %q) = %v", c.got, c.want, !c.yes)
		}
	}
}

func TestCompareTellsWhereJSONDiffers(t *testing.T) {
	t.Parallel()
	got := `{"a":{"b":[1,2]},"big":12345678901234567890,"more":1,"s":"x<y"}`
	want := `{"a":{"b":[1,3]},"big":12345678901234567891,"less":1,"s":"x>y"}`
	report := compare([]byte(got), want)
	for _, line := range []string{
		`.a.b[1] is 2, want 3`,
		`.big is 12345678901234567890, want 12345678901234567891`,
		`.more is not wanted: 1`,
		`.less is missing: want 1`,
		`.s is "x<y", want "x>y"`,
	} {
		if !strings.Contains(report, line) {
			t.Errorf("the difference does not say %s:\n%s", line, report)
		}
	}
	if report := compare([]byte(`{"b":1, "a":[]}`), "{\n\"a\":[],\"b\":1}\n"); report != "" {
		t.Errorf("equal values are said to differ: %s", report)
	}
	if report := compare([]byte("a\nb\nc"), "a\nx\nc\n"); !strings.Contains(report, "from line 2 on") {
		t.Errorf("the difference of texts does not say where: %s", report)
	}
}

func TestRewriteHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, old string
		got       answer
	}{
		{"JSON", "{}", answer{status: 200, body: []byte(`{"a":[1,{"b":null}]}`)}},
		{"text", "old\n", answer{status: 200, body: []byte("a\nb\n")}},
		{"text like a status", "old\n", answer{status: 200, body: []byte("404 nothing\n")}},
		{"nothing", "old\n", answer{status: 200}},
		{"an error", "old\n", answer{status: 403, message: "lamp is held back", body: []byte("lamp is held back")}},
		{"an error with its body", "404 x\n\nx\n", answer{status: 403, message: "lamp is held back", body: []byte(`{"error":"lamp is held back"}`)}},
		{"a header", "200\nLocation: /x\n\n", answer{status: 301, header: map[string]string{"location": "/y"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old, err := parseExpectation(c.old)
			if err != nil {
				t.Fatal(err)
			}
			if len(old.check(&c.got)) == 0 {
				t.Fatal("the old expectation holds already")
			}
			text, err := old.rewrite(&c.got)
			if err != nil {
				t.Fatal(err)
			}
			rewritten, err := parseExpectation(text)
			if err != nil {
				t.Fatal(err)
			}
			if problems := rewritten.check(&c.got); len(problems) > 0 {
				t.Errorf("the expectation rewritten as %q does not hold: %q", text, problems)
			}
		})
	}
}
