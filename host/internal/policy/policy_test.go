package policy

import (
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

const day = 24 * time.Hour

func rule(name, version string, window time.Duration) config.PackageRule {
	pattern := "pkg:npm/" + name
	if version != "" {
		pattern += "@" + version
	}
	return config.PackageRule{Pattern: pattern, Type: "npm", Name: name, Version: version, Window: window}
}

func open(t *testing.T) *store.DB {
	t.Helper()
	d, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.Keep
}

func TestMostSpecificRuleDecides(t *testing.T) {
	t.Parallel()
	e, err := New(config.Cooldown{
		Default:    3 * day,
		Ecosystems: map[string]time.Duration{"npm": 7 * day},
		Packages: []config.PackageRule{
			rule("*", "", 20*day), rule("@acme/*", "", 5*day), rule("@acme/tool*", "", 6*day), rule("@acme/tools", "", 0), rule("@acme/tools", "2.*", 9*day),
			{Pattern: "pkg:cargo/lodash", Type: "cargo", Name: "lodash", Window: 99 * day},
		},
	}, open(t))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, test := range []struct {
		eco           Ecosystem
		name, version string
		want          time.Duration
		label         string
	}{
		{Ecosystem{Plugin: "npm", PURL: "npm"}, "lodash", "1.0.0", 20 * day, "package pkg:npm/*"},
		{Ecosystem{Plugin: "npm", PURL: "npm"}, "@acme/a", "1.0.0", 5 * day, "package pkg:npm/@acme/*"},
		{Ecosystem{Plugin: "npm", PURL: "npm"}, "@acme/tooling", "1.0.0", 6 * day, "package pkg:npm/@acme/tool*"},
		{Ecosystem{Plugin: "npm", PURL: "npm"}, "@acme/tools", "1.0.0", 0, "package pkg:npm/@acme/tools"},
		{Ecosystem{Plugin: "npm", PURL: "npm"}, "@acme/tools", "2.1.0", 9 * day, "package pkg:npm/@acme/tools@2.*"},
		{Ecosystem{Plugin: "crates", PURL: "cargo"}, "lodash", "1.0.0", 99 * day, "package pkg:cargo/lodash"},
		{Ecosystem{Plugin: "crates", PURL: "cargo"}, "serde", "1.0.0", 3 * day, "default"},
		{Ecosystem{Plugin: "npm", PURL: "npm", Urgent: []string{"@acme/*"}}, "@acme/a", "1.0.0", 5 * day, "package pkg:npm/@acme/*"},
		{Ecosystem{Plugin: "npm", PURL: "npm", Names: names.Rules{IgnoreCase: true}}, "@Acme/A", "1.0.0", 5 * day, "package pkg:npm/@acme/*"},
		{Ecosystem{Plugin: "npm", PURL: "npm", Names: names.Rules{IgnoreCase: true, CaseApart: true}}, "@Acme/A", "1.0.0", 20 * day, "package pkg:npm/*"},
		{Ecosystem{Plugin: "npm", PURL: "npm", Names: names.Rules{IgnoreCase: true, CaseApart: true}}, "@acme/A", "1.0.0", 5 * day, "package pkg:npm/@acme/*"},
		{Ecosystem{Plugin: "crates", PURL: "cargo", Urgent: []string{"*_FIXES"}, Names: names.Rules{IgnoreCase: true, Alike: "-_"}}, "serde-fixes", "1.0.0", 0, "urgent *_FIXES"},
		{Ecosystem{Plugin: "crates", PURL: "cargo", Urgent: []string{"*-fixes"}}, "serde-fixes", "1.0.0", 0, "urgent *-fixes"},
		{Ecosystem{Plugin: "crates", PURL: "cargo", Urgent: []string{"*-fixes"}}, "serde", "1.0.0", 3 * day, "default"},
	} {
		for _, names := range [][]string{{test.name}, nil} {
			got := e.For(test.eco, names, now).Rule(test.name, test.version)
			if got == nil || got.Window != test.want || got.Label != test.label {
				t.Errorf("%v %s %s asked with %v: %+v, want %s by %s", test.eco, test.name, test.version, names, got, test.want, test.label)
			}
		}
	}
}

// TestStricterOfTwoRulesForOnePackage has rules whose names are spelled
// differently, the laxer one first, and longer.
func TestStricterOfTwoRulesForOnePackage(t *testing.T) {
	t.Parallel()
	rule := func(name string, window time.Duration) config.PackageRule {
		return config.PackageRule{Pattern: "pkg:pypi/" + name, Type: "pypi", Name: name, Window: window}
	}
	e, err := New(config.Cooldown{Default: 3 * day, Packages: []config.PackageRule{
		rule("A__b", 0), rule("a-b", 30*day), rule("c__*", 0), rule("c-*", 20*day),
	}}, open(t))
	if err != nil {
		t.Fatal(err)
	}
	eco := Ecosystem{Plugin: "pypi", PURL: "pypi", Names: names.Rules{IgnoreCase: true, Alike: "-_.", Runs: true}}
	for name, want := range map[string]time.Duration{"a-b": 30 * day, "c-d": 20 * day} {
		if got := e.For(eco, []string{name}, time.Now()).Rule(name, "1.0"); got.Window != want {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
}

func TestEcosystemIsKnownByPluginAndByType(t *testing.T) {
	t.Parallel()
	e, err := New(config.Cooldown{Default: day, Ecosystems: map[string]time.Duration{"generic": 2 * day, "files": 4 * day}}, open(t))
	if err != nil {
		t.Fatal(err)
	}
	for names, want := range map[[2]string]time.Duration{{"a", "b"}: day, {"a", "generic"}: 2 * day, {"files", "generic"}: 4 * day} {
		if got := e.For(Ecosystem{Plugin: names[0], PURL: names[1]}, nil, time.Now()).Rule("x", "1").Window; got != want {
			t.Errorf("%v: %s, want %s", names, got, want)
		}
	}
}

func TestExemptionIsForOneVersionAndEnds(t *testing.T) {
	t.Parallel()
	keep := open(t)
	e, err := New(config.Cooldown{Default: 3 * day}, keep)
	if err != nil {
		t.Fatal(err)
	}
	held := func(name, version string, at time.Time) bool {
		return e.For(Ecosystem{Plugin: "npm", PURL: "npm"}, []string{name}, at).Judge(cooldown.Key{Name: name, Version: version}, at.Add(-time.Hour)).Held
	}
	epoch, now := e.Epoch(), time.Now()
	if err := e.Exempt(Exemption{Plugin: "npm", Name: "a", Version: "1", Reason: "why", Expires: now.Add(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if e.Epoch() == epoch {
		t.Error("an exemption does not change the epoch")
	}
	if held("a", "1", now) || !held("a", "2", now) || !held("b", "1", now) {
		t.Errorf("held: a 1 %t, a 2 %t, b 1 %t; want only the first served", held("a", "1", now), held("a", "2", now), held("b", "1", now))
	}
	if !held("a", "1", now.Add(2*time.Hour)) {
		t.Error("the exemption is in force after its end")
	}
	again, err := New(config.Cooldown{Default: 3 * day}, keep)
	if err != nil || len(again.Exemptions()) != 1 {
		t.Errorf("after a restart there are %d exemptions (%v)", len(again.Exemptions()), err)
	}
	if was, err := e.Revoke("npm", "a", "1"); !was || err != nil || !held("a", "1", now) {
		t.Errorf("revoking: %t %v, held %t", was, err, held("a", "1", now))
	}
	if was, err := e.Revoke("npm", "a", "1"); was || err != nil {
		t.Errorf("revoking again: %t %v", was, err)
	}
}

// TestExemptionKnowsAPackageByAnySpelling exempts a version of a package whose name
// may be spelled otherwise.
func TestExemptionKnowsAPackageByAnySpelling(t *testing.T) {
	t.Parallel()
	e, err := New(config.Cooldown{Default: 3 * day}, open(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Exempt(Exemption{Plugin: "cargo", Name: "foo_bar", Version: "1.0.0", Reason: "why"}); err != nil {
		t.Fatal(err)
	}
	crates := Ecosystem{Plugin: "cargo", PURL: "cargo", Names: names.Rules{IgnoreCase: true, Alike: "-_"}}
	for name, want := range map[string]bool{"foo_bar": false, "foo-bar": false, "Foo-Bar": false, "foobar": true} {
		p := e.For(crates, []string{name}, time.Now())
		if held := p.Judge(cooldown.Key{Name: name, Version: "1.0.0"}, time.Now()).Held; held != want {
			t.Errorf("%s is held: %t", name, held)
		}
	}
}

func TestEpochChangesWhenAnExemptionEnds(t *testing.T) {
	t.Parallel()
	e, err := New(config.Cooldown{Default: 3 * day}, open(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Exempt(Exemption{Plugin: "npm", Name: "a", Version: "1", Expires: time.Now().Add(100 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	epoch, deadline := e.Epoch(), time.After(20*time.Second)
	for e.Epoch() == epoch {
		select {
		case <-deadline:
			t.Fatal("the epoch is what it was")
		default:
			runtime.Gosched()
		}
	}
	if n := len(e.Exemptions()); n != 0 {
		t.Errorf("%d exemptions are in force", n)
	}
}

func TestKeyTellsApartWhatAnswersDifferently(t *testing.T) {
	t.Parallel()
	now := time.Now()
	base := cooldown.Policy{Now: now, Rules: []cooldown.Rule{{Name: "*", Window: day, Label: "default"}}, Exempt: map[cooldown.Version]bool{}}
	other := []cooldown.Policy{
		{Rules: []cooldown.Rule{{Name: "*", Window: 2 * day, Label: "default"}}},
		{Rules: []cooldown.Rule{{Name: "a*", Window: day, Label: "default"}}},
		{Rules: []cooldown.Rule{{Name: "*", Version: "1", Window: day, Label: "default"}}},
		{Rules: []cooldown.Rule{{Name: "*", Window: day, Label: "package x"}}},
		{Rules: base.Rules, Exempt: map[cooldown.Version]bool{{Name: "a", Version: "1"}: true}},
		{},
	}
	seen := map[string]bool{Key(&base): true}
	for i := range other {
		if k := Key(&other[i]); seen[k] {
			t.Errorf("policy %d has the key of another: %s", i, k)
		} else {
			seen[k] = true
		}
	}
	later := base
	later.Now = now.Add(time.Hour)
	if Key(&later) != Key(&base) {
		t.Error("the hour alone changes the key")
	}
}
