package catalog

import (
	"errors"
	"slices"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestAlikeNames has packages found by names that are the same, as they come,
// go, and are there after a restart.
func TestAlikeNames(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	rules := names.Rules{IgnoreCase: true, Alike: "-_"}
	alike := func(name string, want bool) {
		t.Helper()
		if got, err := s.Ours("r", name, rules); err != nil || got != want {
			t.Errorf("something like %s is there: %t (%v), want %t", name, got, err, want)
		}
	}
	alike("acme-lamp", false)
	s.must(t, []string{"1"}, stored("acme_lamp", "1.0.0", "/acme_lamp-1.0.0", 0))
	s.must(t, []string{"2"}, stored("tide-gauge", "1.0.0", "/tide-gauge-1.0.0", 0))
	for range 2 {
		for _, name := range []string{"acme_lamp", "acme-lamp", "ACME-Lamp", "tide-gauge", "tide_gauge"} {
			alike(name, true)
		}
		alike("acmelamp", false)
		alike("acme--lamp", false)
		if got, err := s.Ours("r", "acme-lamp", names.Rules{}); err != nil || got {
			t.Errorf("acme-lamp is there where each name is only itself (%v)", err)
		}
		if got, err := s.Ours("other", "acme-lamp", rules); err != nil || got {
			t.Errorf("acme-lamp is there in another repository (%v)", err)
		}
		s.reopen(t)
	}
	alike("acme-lamp", true)
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "acme_lamp", "", ""))
	alike("acme-lamp", true)
	if given, err := s.GiveUp("r", "ACME-*", rules, noon); err != nil || !slices.Equal(given, []string{"acme_lamp"}) {
		t.Fatalf("%q are given up (%v)", given, err)
	}
	alike("acme-lamp", false)
}

// TestNamesStayOurs has names of packages that went, or of which there never was
// more than a loose file, and gives them up.
func TestNamesStayOurs(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ours := func(want ...string) {
		t.Helper()
		for range 2 {
			for _, name := range []string{"boat", "raft", "ship", "tug"} {
				got, err := s.Ours("r", name, names.Rules{})
				if err != nil || got != slices.Contains(want, name) {
					t.Errorf("%s is ours: %t (%v), want %q", name, got, err, want)
				}
			}
			s.reopen(t)
		}
	}
	loose := stored("raft", "1", "/r", 1)
	loose.Loose = true
	s.must(t, []string{"1", "2"}, stored("boat", "1", "/1", 0), loose)
	s.must(t, []string{"3"}, stored("ship", "1", "/3", 0))
	if _, err := s.GiveUp("r", "*", names.Rules{}, noon); err != nil {
		t.Fatal(err)
	}
	ours("boat", "raft", "ship")
	s.must(t, nil, operation(pb.Operation_KIND_DELETE, "boat", "1", ""), operation(pb.Operation_KIND_DELETE, "raft", "", ""), operation(pb.Operation_KIND_DELETE, "ship", "", ""))
	ours("boat", "ship")
	s.must(t, []string{"4"}, stored("ship", "2", "/4", 0))
	if err := s.Apply(Change{Repository: "r", Now: noon, Gone: map[string]Graves{"tug": {"/5": {Version: "1"}}}}); err != nil {
		t.Fatal(err)
	}
	ours("boat", "ship", "tug")
	if given, err := s.GiveUp("r", "*", names.Rules{}, noon); err != nil || len(given) != 3 {
		t.Errorf("%q are given up (%v)", given, err)
	}
	ours("ship")
	if any, err := s.Any("r"); err != nil || !any {
		t.Errorf("there is nothing of ours (%v)", err)
	}
	if any, err := s.Any("other"); err != nil || any {
		t.Errorf("there is something of another repository (%v)", err)
	}
}

// TestNewNamesAreLikeNoOther publishes packages whose names are the same to
// their ecosystem.
func TestNewNamesAreLikeNoOther(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	rules := names.Rules{IgnoreCase: true}
	publish := func(name, version string) error {
		ch := s.change(t, []string{name + version}, stored(name, version, "/"+name+"-"+version, 0))
		ch.Rules = rules
		return s.Apply(ch)
	}
	if err := publish("Lamp", "1.0.0"); err != nil {
		t.Fatal(err)
	}
	var alike *AlikeError
	for range 2 {
		if err := publish("lamp", "1.0.0"); !errors.As(err, &alike) || alike.Other != "Lamp" {
			t.Errorf("lamp beside Lamp: %v", err)
		}
		s.reopen(t)
	}
	if err := publish("Lamp", "2.0.0"); err != nil {
		t.Error(err)
	}
}
