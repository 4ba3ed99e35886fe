package access

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func events(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range bytes.Lines(text) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

func TestAuditSurvivesRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	a := NewAudit(path, hclog.NewNullLogger())
	defer a.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is made before there is an event")
	}
	note := func(id string) { a.Write(Event{Time: time.Now(), ID: id, Result: Done}) }
	note("a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	note("b")
	note("c")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	note("d")
	if err := a.Reopen(path + ".new"); err != nil {
		t.Fatal(err)
	}
	note("e")
	for file, want := range map[string]string{path + ".1": "a", path: "d", path + ".new": "e"} {
		if got := events(t, file); got != want {
			t.Errorf("%s has %q, want %q", filepath.Base(file), got, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestAuditThatCannotBeWrittenIsToldToTheLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := NewAudit(filepath.Join(t.TempDir(), "missing", "audit.log"), hclog.New(&hclog.LoggerOptions{Output: &out}))
	a.Write(Event{ID: "lost", Result: Done})
	if !strings.Contains(out.String(), "lost") {
		t.Errorf("the log has %q", out.String())
	}
	if err := a.Reopen(""); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	a.Write(Event{ID: "unwanted", Result: Done})
	if out.Len() > 0 {
		t.Errorf("the log has %q", out.String())
	}
}
