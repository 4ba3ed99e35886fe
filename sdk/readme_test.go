package sdk

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")

// TestGuideShowsRunningCode checks that every piece of Go, and every script, in
// README.md stands in a plugin that is tested.
func TestGuideShowsRunningCode(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var running []string
	for _, pattern := range []string{"../examples/*/*.go", "../examples/*/testdata/*.txtar", "../plugins/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file matches %s (%v)", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			running = append(running, unindented(string(text)))
		}
	}
	all, pieces := strings.Join(running, "\x00"), 0
	for _, m := range fenced.FindAllStringSubmatch(string(guide), -1) {
		if language := m[1]; language != "go" && language != "" {
			continue
		}
		pieces++
		if !strings.Contains(all, unindented(m[2])) {
			t.Errorf("this is in no plugin:\n%s", m[2])
		}
	}
	if pieces == 0 {
		t.Error("the guide shows no code")
	}
}

// unindented is a text without the white space at the beginnings of lines.
func unindented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimLeft(line, "\t "))
	}
	return out.String()
}
