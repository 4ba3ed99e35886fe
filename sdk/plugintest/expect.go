package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expectation is what a section asks of an answer.
type expectation struct {
	status   int
	explicit bool   // the status is written
	message  string // part of an error's message
	header   []headerLine
	body     string
	hasBody  bool
}

type headerLine struct{ name, value string }

var (
	statusLine = regexp.MustCompile(`^([1-5][0-9][0-9])(?: +(.*))?$`)
	headerText = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): *(.*)$`)
)

func parseExpectation(data string) (expectation, error) {
	first, rest, _ := strings.Cut(data, "\n")
	m := statusLine.FindStringSubmatch(first)
	if m == nil {
		return expectation{status: 200, body: data, hasBody: true}, nil
	}
	want := expectation{explicit: true, message: m[2]}
	want.status, _ = strconv.Atoi(m[1]) // three digits
	for rest != "" {
		var line string
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			want.body, want.hasBody = rest, true
			break
		}
		m := headerText.FindStringSubmatch(line)
		if m == nil {
			return want, fmt.Errorf("%q is no header line; after a status come header lines, an empty line and the body", line)
		}
		want.header = append(want.header, headerLine{m[1], m[2]})
	}
	return want, nil
}

// check returns what is wrong with an answer.
func (want expectation) check(got *answer) []string {
	var problems []string
	if got.status != want.status {
		why := got.message
		if why == "" {
			why = text(got.body)
		}
		return []string{fmt.Sprintf("status %d, want %d: %s", got.status, want.status, why)}
	}
	if want.message != "" && !matches(got.message, "…"+want.message+"…") {
		problems = append(problems, fmt.Sprintf("message does not contain what is expected\n got: %s\nwant: %s", got.message, want.message))
	}
	for _, h := range want.header {
		if value := got.header[strings.ToLower(h.name)]; !matches(value, h.value) {
			problems = append(problems, fmt.Sprintf("header %s is %q, want %q", h.name, value, h.value))
		}
	}
	if want.hasBody {
		if p := compare(got.body, want.body); p != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

// rewrite returns the section's text that the answer fulfils.
func (want expectation) rewrite(got *answer) (string, error) {
	body := string(got.body)
	if !utf8.ValidString(body) {
		return "", errors.New("the answer is no text: a script cannot hold it")
	}
	var indented bytes.Buffer
	if json.Indent(&indented, bytes.TrimSpace(got.body), "", "  ") == nil {
		body = indented.String()
	}
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	if got.status == 200 && !want.explicit && !statusLine.MatchString(strings.SplitN(body, "\n", 2)[0]) {
		return body, nil
	}
	out := strconv.Itoa(got.status)
	if message, _, _ := strings.Cut(got.message, "\n"); message != "" {
		out += " " + message
	}
	out += "\n"
	for _, h := range want.header {
		out += h.name + ": " + got.header[strings.ToLower(h.name)] + "\n"
	}
	if got.status == 200 || want.explicit && want.hasBody {
		out += "\n" + body
	}
	return out, nil
}

// matches reports whether a text is as wanted, where … stands for any run of
// characters.
func matches(got, want string) bool {
	parts := strings.Split(want, "…")
	if len(parts) == 1 {
		return got == want
	}
	rest, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, last)
}

// compare says where a body differs from the one wanted; empty: nowhere.
func compare(got []byte, want string) string {
	if !strings.Contains(want, "…") {
		wanted, err := decode([]byte(want))
		if err == nil {
			value, err := decode(got)
			if err != nil {
				return fmt.Sprintf("body is no JSON (%v):\n%s", err, text(got))
			}
			if diffs := diff("", value, wanted); len(diffs) > 0 {
				return "JSON differs:\n  " + strings.Join(diffs, "\n  ") + "\ngot: " + text(got)
			}
			return ""
		}
	}
	g, w := strings.TrimSuffix(string(got), "\n"), strings.TrimSuffix(want, "\n")
	if matches(g, w) {
		return ""
	}
	gotLines, wantLines := strings.Split(g, "\n"), strings.Split(w, "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if !matches(gotLines[i], wantLines[i]) {
			return fmt.Sprintf("body differs from line %d on\n got: %s\nwant: %s\nwhole body:\n%s", i+1, text([]byte(gotLines[i])), wantLines[i], text(got))
		}
	}
	return fmt.Sprintf("body has %d lines, want %d; whole body:\n%s", len(gotLines), len(wantLines), text(got))
}

// decode reads one JSON value and keeps numbers as they are written.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// diff lists where two JSON values differ.
func diff(at string, got, want any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		var diffs []string
		both := maps.Clone(w)
		maps.Copy(both, g)
		for _, key := range slices.Sorted(maps.Keys(both)) {
			place := at + "." + key
			gotValue, isThere := g[key]
			wantValue, isWanted := w[key]
			switch {
			case !isThere:
				diffs = append(diffs, fmt.Sprintf("%s is missing: want %s", place, encode(wantValue)))
			case !isWanted:
				diffs = append(diffs, fmt.Sprintf("%s is not wanted: %s", place, encode(gotValue)))
			default:
				diffs = append(diffs, diff(place, gotValue, wantValue)...)
			}
		}
		return diffs
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var diffs []string
		for i := range w {
			diffs = append(diffs, diff(fmt.Sprintf("%s[%d]", at, i), g[i], w[i])...)
		}
		return diffs
	default:
		if got == want {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s is %s, want %s", at, encode(got), encode(want))}
}

func encode(v any) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.Encode(v) // what was decoded can be encoded
	return strings.TrimSpace(out.String())
}
