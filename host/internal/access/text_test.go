package access

import (
	"regexp"
	"testing"
)

func TestTextIsForScanners(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		text := newText("")
		if !regexp.MustCompile(`^ent_[0-9A-Za-z]{46}$`).MatchString(text) || !WellFormed([]byte(text)) || seen[text] {
			t.Fatalf("%q", text)
		}
		seen[text] = true
	}
}

// The checksum must remain what scanners compute.
func TestChecksumStaysAsItIs(t *testing.T) {
	t.Parallel()
	const text = "ent_0123456789abcdefghijABCDEFGHIJ0123456789"
	sum := checksum([]byte(text))
	if got := string(sum[:]); got != "0sNlTW" {
		t.Errorf("the checksum of %s is %s", text, got)
	}
}

func TestWellFormedSeesEveryChange(t *testing.T) {
	t.Parallel()
	text := newText("")
	for i := range text {
		b := []byte(text)
		if b[i]++; WellFormed(b) {
			t.Errorf("changed at %d: %s", i, b)
		}
		if WellFormed([]byte(text[:i])) {
			t.Errorf("cut at %d", i)
		}
	}
	if WellFormed([]byte(text + "0")) {
		t.Error("a longer text passes")
	}
}

func TestRandomTakesEveryCharacterAsOften(t *testing.T) {
	t.Parallel()
	counts := map[byte]int{}
	const each = 2000
	for _, b := range random(each * len(base62)) {
		counts[b]++
	}
	for i := range len(base62) {
		if n := counts[base62[i]]; n < each*8/10 || n > each*12/10 {
			t.Errorf("%c: %d times, want about %d", base62[i], n, each)
		}
	}
}

func TestRedactLeavesTheIDOnly(t *testing.T) {
	t.Parallel()
	a, b := newText("aaaaaaaaaa"), newText("bbbbbbbbbb")
	for text, want := range map[string]string{
		"":                             "",
		"/ent_/" + a[:20]:              "/ent_/" + a[:20],
		"ent_" + a + b + "?t=" + b:     "ent_ent_aaaaaaaaaa***ent_bbbbbbbbbb***?t=ent_bbbbbbbbbb***",
		"/-/user/token/" + a + "/x?b=": "/-/user/token/ent_aaaaaaaaaa***/x?b=",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}
