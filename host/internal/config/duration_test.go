package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "3d": 3 * day, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute,
		"1w": 7 * day, "1w1d1h1m1s": 8*day + time.Hour + time.Minute + time.Second,
		"5s": 5 * time.Second, "250ms": 250 * time.Millisecond, "1m250ms": time.Minute + 250*time.Millisecond, "36500d": 36500 * day,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q is %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "3", "-3d", "+3d", "3 d", "3D", "3days", "3d ", " 3d", "d", "3x", "1.5d", "3d4", "0x3d", "３d", "1e3s", "off", "none", "never", "1y", "1M",
		"99999999999999d", "36501d", "999999w", "3d;", "3d\n",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		} else if got != 0 {
			t.Errorf("%q is refused and still %s", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"3d", "1d12h", "5ms", "0", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && (d < 0 || d == 0 && s != "0" && s[0] != '0') {
			t.Errorf("%q is read as %s", s, d)
		}
	})
}
