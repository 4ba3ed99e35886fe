package cooldown

import (
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false}, {"*", "", true}, {"*", "a/b", true}, {"**", "a", true},
		{"lodash", "lodash", true}, {"lodash", "lodash-es", false}, {"lodash*", "lodash-es", true}, {"*lodash", "xlodash", true},
		{"@acme/*", "@acme/a", true}, {"@acme/*", "@acme/", true}, {"@acme/*", "@acmee/a", false}, {"@acme/*", "x@acme/a", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"a?c", "abbc", false}, {"?", "", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"a*b*c", "abbc", true}, {"*a*a*a*a*b", strings.Repeat("a", 2000), false},
		{"A", "a", false}, {"a.c", "abc", false}, {"[ab]", "a", false}, {"4.*", "4.17.21", true}, {"4.*", "40.1", false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%q, %.20q) is %t", test.pattern, test.name, got)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 6, 10, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	key := Key{Name: "a", Version: "1", Path: "/a.tgz"}
	week := []Rule{{Name: "*", Window: 7 * day, Label: "default"}}
	for name, test := range map[string]struct {
		policy    Policy
		published time.Time
		held      bool
		until     time.Time
		why       string
	}{
		"old enough":                    {Policy{Rules: week}, now.Add(-8 * day), false, time.Time{}, "published"},
		"to the instant":                {Policy{Rules: week}, now.Add(-7 * day), false, time.Time{}, "published"},
		"one second short":              {Policy{Rules: week}, now.Add(-7*day + time.Second), true, now.Add(time.Second), "published"},
		"from the future":               {Policy{Rules: week}, now.Add(day), true, now.Add(8 * day), "published"},
		"no time":                       {Policy{Rules: week}, time.Time{}, false, time.Time{}, "age is unknown"},
		"no time, but a floor":          {Policy{Rules: week, Floors: map[Key]time.Time{key: now.Add(-day)}}, time.Time{}, true, now.Add(6 * day), "not seen before"},
		"back-dated":                    {Policy{Rules: week, Floors: map[Key]time.Time{key: now.Add(-day)}}, now.AddDate(-5, 0, 0), true, now.Add(6 * day), "not seen before"},
		"floor before it was published": {Policy{Rules: week, Floors: map[Key]time.Time{key: now.AddDate(-1, 0, 0)}}, now.Add(-day), true, now.Add(6 * day), "published"},
		"floor of another file":         {Policy{Rules: week, Floors: map[Key]time.Time{{Name: "a", Version: "1", Path: "/b.tgz"}: now}}, now.AddDate(-1, 0, 0), false, time.Time{}, "published"},
		"floor of the version":          {Policy{Rules: week, Floors: map[Key]time.Time{{Name: "a", Version: "1"}: now}}, now.AddDate(-1, 0, 0), true, now.Add(7 * day), "not seen before"},
		"exempt":                        {Policy{Rules: week, Exempt: map[Version]bool{{"a", "1"}: true}}, now, false, time.Time{}, "an exemption"},
		"another version exempt":        {Policy{Rules: week, Exempt: map[Version]bool{{"a", "2"}: true}}, now, true, now.Add(7 * day), "published"},
		"first rule wins":               {Policy{Rules: append([]Rule{{Name: "a", Window: 0, Label: "package"}}, week...)}, now, false, time.Time{}, "cool-down is off (rule: package)"},
		"rule of another version":       {Policy{Rules: append([]Rule{{Name: "a", Version: "2*", Window: 0}}, week...)}, now, true, now.Add(7 * day), "rule: default"},
		"no rules":                      {Policy{}, now, false, time.Time{}, "no cool-down rule"},
	} {
		test.policy.Now = now
		v := test.policy.Judge(key, test.published)
		if v.Held != test.held || v.Held && !v.Until.Equal(test.until) || !strings.Contains(v.Reason(), test.why) {
			t.Errorf("%s: held %t until %s because %q", name, v.Held, v.Until, v.Reason())
		}
		if message := v.Message("a", "1"); v.Held && (!strings.Contains(message, Instant(test.until)) || !strings.Contains(message, v.Reason())) {
			t.Errorf("%s: the message is %q", name, message)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0", 72 * time.Hour: "3d", 36 * time.Hour: "36h", 90 * time.Minute: "90m", 5 * time.Second: "5s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%d is written %q, want %q", d, got, want)
		}
	}
}
