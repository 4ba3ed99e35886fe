package sdk

import (
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

func TestCoolsDown(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := map[string]struct {
		rules []cooldown.Rule
		want  bool
	}{
		"no rule":                     {nil, false},
		"default":                     {[]cooldown.Rule{{Name: "*", Window: day}}, true},
		"off":                         {[]cooldown.Rule{{Name: "*"}}, false},
		"off for it, on for others":   {[]cooldown.Rule{{Name: "demo"}, {Name: "*", Window: day}}, false},
		"off for others":              {[]cooldown.Rule{{Name: "other"}, {Name: "*", Window: day}}, true},
		"off for some versions of it": {[]cooldown.Rule{{Name: "demo", Version: "1.*"}, {Name: "*", Window: day}}, true},
		"off for all versions of it":  {[]cooldown.Rule{{Name: "demo", Version: "*"}, {Name: "*", Window: day}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &Input{policy: cooldown.Policy{Rules: tt.rules}}
			if got := in.CoolsDown("demo"); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestHeldNamesTheVersionServedFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC)
	in := &Input{policy: cooldown.Policy{Now: now, Rules: []cooldown.Rule{{Name: "*", Window: 7 * 24 * time.Hour, Label: "default"}}}}
	for version, age := range map[string]int{"3.0": 1, "1.0": 5, "2.0": 3, "0.9": 30} {
		in.Keep(Version{Name: "demo", Version: version, Published: now.AddDate(0, 0, -age)})
	}
	f := in.Held()
	if want := "demo 1.0 is held back until 2025-06-12T00:00:00Z"; f.Kind != KindHeld || !strings.HasPrefix(f.Message, want) {
		t.Errorf("got %v, want %q", f, want)
	}
}

func TestHeldOfNothingIsNotFound(t *testing.T) {
	t.Parallel()
	if f := (&Input{}).Held(); f.Kind != KindNotFound || f.Message == "" {
		t.Errorf("where nothing is held back the answer is %v", f)
	}
}

// TestNamelessDocumentDoesNotShowWhatIsOurs is about a listing whose Document
// has no Name: upstream was asked, and what it has is not to be mixed in.
func TestNamelessDocumentDoesNotShowWhatIsOurs(t *testing.T) {
	t.Parallel()
	v := Version{Name: "acme-lamp", Version: "9.9"}
	for _, tt := range []struct {
		in    *Input
		shown bool
	}{
		{&Input{ours: []string{"acme-*"}, several: true}, false},
		{&Input{ours: []string{"other"}, several: true}, true},
		{&Input{ours: []string{"acme-*"}}, true}, // the host has seen to it
	} {
		if got := tt.in.Keep(v); got != tt.shown || (len(tt.in.facts) > 0) != tt.shown {
			t.Errorf("with ours %q it is kept: %t, facts %v", tt.in.ours, got, tt.in.facts)
		}
	}
}
