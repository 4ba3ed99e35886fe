package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

// logged writes pieces as a plugin would and returns the host's lines.
func logged(t *testing.T, pieces ...string) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	w := &logWriter{logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &out, JSONFormat: true})}
	for _, p := range pieces {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Errorf("%d bytes of %d are written: %v", n, len(p), err)
		}
	}
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("the host's own line is broken: %q", line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestPluginsLogLinesKeepLevelAndFields(t *testing.T) {
	t.Parallel()
	lines := logged(t, `{"@level":"warn","@message":"hello","@module":"x","@timestamp":"now","count":3,"who":"me"}`+"\n")
	if len(lines) != 1 || lines[0]["@level"] != "warn" || lines[0]["@message"] != "hello" || lines[0]["count"] != "3" || lines[0]["who"] != "me" {
		t.Errorf("%v", lines)
	}
}

func TestHostileLogLinesAreText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pieces []string
		want   []string // the messages
	}{
		"plain":               {[]string{"hello\n"}, []string{"hello"}},
		"in pieces":           {[]string{"hel", "lo\nwor", "ld\n"}, []string{"hello", "world"}},
		"without an end":      {[]string{"hello"}, nil},
		"empty":               {[]string{"\n\n \r\n"}, nil},
		"no object":           {[]string{"[1]\n", "null\n", "7\n", "\"a\"\n"}, []string{"[1]", "", "7", `"a"`}},
		"cut JSON":            {[]string{`{"@message":"a` + "\n"}, []string{`{"@message":"a`}},
		"message that is not": {[]string{`{"@message":{"a":1},"@level":[]}` + "\n"}, []string{""}},
		"unknown level":       {[]string{`{"@message":"a","@level":"panic"}` + "\n"}, []string{"a"}},
		"turned off":          {[]string{`{"@message":"a","@level":"off"}` + "\n"}, []string{"a"}},
		"control characters":  {[]string{"a\x00\x1b[31mb\x7f\n"}, []string{"a  [31mb "}},
		"JSON with newlines":  {[]string{`{"@message":"a\nb\u0000c","k\n":"v\r\n"}` + "\n"}, []string{"a b c"}},
		"no UTF-8":            {[]string{"a\xff\xfeb\n"}, []string{"a\uFFFDb"}},
	} {
		lines := logged(t, test.pieces...)
		var got []string
		for _, l := range lines {
			m, _ := l["@message"].(string)
			got = append(got, m)
			for k, v := range l {
				if s, ok := v.(string); ok && (strings.ContainsAny(k+s, "\n\r\x00\x1b") || !utf8.ValidString(s)) {
					t.Errorf("%s: %q: %q", name, k, s)
				}
			}
		}
		if strings.Join(got, "|") != strings.Join(test.want, "|") || len(got) != len(test.want) {
			t.Errorf("%s: messages are %q, want %q", name, got, test.want)
		}
	}
}

func TestHugeLogLinesAreCut(t *testing.T) {
	t.Parallel()
	lines := logged(t, strings.Repeat("x", 5<<20), strings.Repeat("y", 5<<20)+"\nnext\n", `{"@message":"`+strings.Repeat("z", 1<<20)+`"}`+"\nlast\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 4", len(lines))
	}
	for i, want := range []string{"", "next", "", "last"} {
		m, _ := lines[i]["@message"].(string)
		if want != "" && m != want || want == "" && (len(m) == 0 || len(m) > maxLine) {
			t.Errorf("line %d has %d bytes: %.20q", i, len(m), m)
		}
	}
}

func FuzzLogWriter(f *testing.F) {
	f.Add([]byte("{\"@message\":\"a\"}\n"))
	f.Add([]byte("\xff\x00\n{"))
	f.Fuzz(func(t *testing.T, p []byte) {
		w := &logWriter{logger: hclog.NewNullLogger()}
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Errorf("%d bytes of %d are written: %v", n, len(p), err)
		}
	})
}
