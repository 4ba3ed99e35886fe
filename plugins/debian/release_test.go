package main

import (
	"strings"
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	t.Parallel()
	want := time.Date(2025, 6, 8, 12, 1, 2, 0, time.UTC)
	for text, ok := range map[string]bool{
		"Sun, 08 Jun 2025 12:01:02 UTC":   true,
		"Sun, 8 Jun 2025 12:01:02 GMT":    true,
		"Sun, 08 Jun 2025 12:01:02 Z":     true,
		"Sun, 08 Jun 2025 12:01:02 +0000": true,
		"Sun, 08 Jun 2025 12:01:02":       false,
		"Sun, 08 Jun 2025 12:01:02 CET":   false,
		"Sun, 08 Jun 2025 12:01:02 +0100": false,
		"2025-06-08":                      false,
	} {
		got, err := instant(text)
		if (err == nil) != ok || ok && !got.Equal(want) {
			t.Errorf("%q is %s (%v)", text, got, err)
		}
	}
	if got, err := instant(""); err != nil || !got.IsZero() {
		t.Errorf("nothing is %s (%v), want the zero time", got, err)
	}
}

func TestStateWithoutDate(t *testing.T) {
	t.Parallel()
	a, b := release{}.version([]byte("a")), release{}.version([]byte("b"))
	if a == b || !strings.HasPrefix(a, "sha256:") {
		t.Errorf("two states without a date are called %s and %s", a, b)
	}
}

func FuzzParseRelease(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add("Date: Sun, 08 Jun 2025 12:01:02 UTC\nAcquire-By-Hash: yes\nSHA256:\n " + sum + " 12 main/binary-amd64/Packages\n")
	f.Add("SHA256:\n " + sum + " 12 ../x\n\n\nSHA256:\n")
	f.Add("SHA256: \r\n\t" + sum + " 1 a\n# comment\n b")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRelease([]byte(text))
		if err != nil {
			return
		}
		for i, l := range r.files {
			if !clean(l.path) || l.size < 0 || len(l.sha256) != 64 {
				t.Errorf("%+v is listed", l)
			}
			if i > 0 && r.files[i-1].path >= l.path {
				t.Errorf("%s stands there twice, or not in order", l.path)
			}
		}
	})
}
