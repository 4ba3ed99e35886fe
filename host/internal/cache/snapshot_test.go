package cache

import (
	"slices"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestStateInForce(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2025, 6, 10, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	// seen is a state that was published and first seen at an instant, when the
	// one before had been there until a moment ago.
	seen := func(version string, age time.Duration) *state {
		return &state{Version: version, Published: ago(age), Floor: ago(age), Seen: ago(age)}
	}
	changed := func(st *state, change func(*state)) *state { change(st); return st }
	week := []cooldown.Rule{{Name: "*", Window: 7 * day, Label: "default"}}
	for name, test := range map[string]struct {
		states []*state
		rules  []cooldown.Rule
		exempt map[cooldown.Version]bool
		lacks  []string // states that are not whole
		want   string
	}{
		"the first, however young":     {[]*state{seen("a", 0)}, week, nil, nil, "a"},
		"the first until it lags":      {[]*state{seen("a", 2*day), seen("b", day)}, week, nil, nil, "a"},
		"the newest that is old":       {[]*state{seen("a", 30*day), seen("b", 9*day), seen("c", 8*day), seen("d", day)}, week, nil, nil, "c"},
		"the newest without cool-down": {[]*state{seen("a", 2*day), seen("b", day)}, nil, nil, nil, "b"},
		"the newest where a rule says so": {
			[]*state{seen("a", 2*day), seen("b", day)},
			append([]cooldown.Rule{{Name: "sea/*-fixes"}}, week...), nil, nil, "b",
		},
		"a younger that is exempt": {
			[]*state{seen("a", 9*day), seen("b", 2*day), seen("c", day)},
			week, map[cooldown.Version]bool{{Name: "sea/stable-fixes", Version: "b"}: true}, nil, "b",
		},
		"not what is back-dated": {
			[]*state{seen("a", 30*day), changed(seen("b", day), func(st *state) { st.Published = ago(20 * day) })}, week, nil, nil, "a",
		},
		"not what was published lately, though it could have been seen long ago": {
			[]*state{seen("a", 30*day), changed(seen("b", day), func(st *state) { st.Floor = ago(20 * day) })}, week, nil, nil, "a",
		},
		"without a time by when it was seen": {
			[]*state{seen("a", 30*day), changed(seen("b", 8*day), func(st *state) { st.Published = time.Time{} })}, week, nil, nil, "b",
		},
		"the next when one is about to expire": {
			[]*state{changed(seen("a", 6*day), func(st *state) { st.Expires = now.Add(expiryMargin / 2) }), seen("b", 2*day), seen("c", day)}, week, nil, nil, "b",
		},
		"beyond all that has expired": {
			[]*state{
				changed(seen("a", 6*day), func(st *state) { st.Expires = ago(2 * day) }),
				changed(seen("b", 5*day), func(st *state) { st.Expires = ago(day) }), seen("c", day),
			}, week, nil, nil, "c",
		},
		"the newest though it has expired": {[]*state{changed(seen("a", 6*day), func(st *state) { st.Expires = ago(day) })}, week, nil, nil, "a"},
		"not one that lacks parts":         {[]*state{seen("a", 2*day), seen("b", time.Minute)}, nil, nil, []string{"b"}, "a"},
		"one that lacked parts for long":   {[]*state{seen("a", 2*day), seen("b", completion+time.Minute)}, nil, nil, []string{"b"}, "b"},
		"not one that lacks parts which upstream has left": {
			[]*state{seen("a", 9*day), seen("b", 8*day), seen("c", day)}, week, nil, []string{"b"}, "a",
		},
		"one that lacks parts rather than one that has expired": {
			[]*state{changed(seen("a", 6*day), func(st *state) { st.Expires = ago(day) }), seen("b", time.Minute)}, nil, nil, []string{"b"}, "b",
		},
	} {
		s := &snapshot{Name: "sea/stable-fixes", States: test.states}
		p := &cooldown.Policy{Now: now, Rules: test.rules, Exempt: test.exempt}
		at := s.inForce(p, func(at int) bool { return !slices.Contains(test.lacks, s.States[at].Version) })
		if got := s.States[at].Version; got != test.want {
			t.Errorf("%s: %s is in force, want %s", name, got, test.want)
		}
	}
}

func TestPartsComeFromTheirContentOrFromBesideTheRoot(t *testing.T) {
	t.Parallel()
	sum := blobs.Digest{1, 2, 3}
	digests := []*pb.Digest{{Algorithm: "SHA256", Sum: sum[:]}}
	s := &snapshot{Path: "/sea/suite/root", Role: "sea", Dir: "/suite"}
	for name, test := range map[string]struct {
		part *pb.Fact
		want []string
	}{
		"both":              {&pb.Fact{Path: "/sea/suite/a/b", Url: "/by/sum", Digests: digests}, []string{"/by/sum", "/suite/a/b"}},
		"beside":            {&pb.Fact{Path: "/sea/suite/a/b", Digests: digests}, []string{"/suite/a/b"}},
		"elsewhere":         {&pb.Fact{Path: "/sea/other/a", Url: "/by/sum", Digests: digests}, []string{"/by/sum"}},
		"a longer name":     {&pb.Fact{Path: "/sea/suites/a", Url: "/by/sum", Digests: digests}, []string{"/by/sum"}},
		"without a digest":  {&pb.Fact{Path: "/sea/suite/a"}, nil},
		"with a weaker one": {&pb.Fact{Path: "/sea/suite/a", Digests: []*pb.Digest{{Algorithm: "sha1", Sum: sum[:20]}}}, nil},
	} {
		plan, err := s.artifact(test.part)
		var got []string
		for _, source := range plan.GetSources() {
			got = append(got, source.GetUrl())
			if source.GetRole() != "sea" {
				t.Errorf("%s: the role is %s", name, source.GetRole())
			}
		}
		if (err != nil) != (test.want == nil) || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q (%v), want %q", name, got, err, test.want)
		}
	}
}

func TestOutputsOfOneStateMayDiffer(t *testing.T) {
	t.Parallel()
	out := func(digests ...byte) map[string]*Output {
		all := map[string]*Output{}
		for i, d := range digests {
			if d != 0 {
				all[[]string{"", "other", "third"}[i]] = &Output{Plain: Body{Digest: blobs.Digest{d}, Size: 1}}
			}
		}
		return all
	}
	for _, test := range []struct {
		a, b       map[string]*Output
		same, root bool
	}{
		{out(1, 2), out(1, 2), true, true},
		{out(1, 2), out(1), false, true},
		{out(1), out(1, 2, 3), false, true},
		{out(1, 2), out(3, 2), false, false},
		{out(0, 2), out(0, 3), false, false},
		{out(0, 2), out(0, 2), true, false},
	} {
		if same, root := sameOutputs(test.a, test.b), sameRoot(test.a, test.b); same != test.same || root != test.root {
			t.Errorf("%v and %v: same %t, same root %t", test.a, test.b, same, root)
		}
	}
}
