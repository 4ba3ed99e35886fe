// Package cooldown judges whether a version is old enough to be served.
//
// The host compiles its configuration into a [Policy] and hands it to every
// rendering; the SDK's Keep and the host's own verdict both call
// [Policy.Judge], so listings, tags and files cannot disagree. Nothing here
// reads a clock: the instant judged at is part of the policy.
package cooldown

import (
	"fmt"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/names"
)

// Rule says how long versions of matching packages are held back.
type Rule struct {
	// Name is a pattern of package names, see [names.Match]; "*" matches all, and
	// an empty one no package.
	Name string
	// Version is a pattern of versions; empty matches all.
	Version string
	// Window is how long a version is held after it was published. Zero or
	// negative: not at all.
	Window time.Duration
	// Label is how people know the rule, for messages alone: "default",
	// "package pkg:npm/lodash".
	Label string
}

// Key names a file of a version; Path is empty for a version without files.
type Key struct {
	Name, Version, Path string
}

// Version names a version of a package.
type Version struct {
	Name, Version string
}

// Policy is everything a judgement depends on. Zero: nothing is held back.
type Policy struct {
	// Now is the instant to judge at.
	Now time.Time
	// Rules are tried in order; the first that matches decides. None: no
	// cool-down.
	Rules []Rule
	// Names say which names are the same to Rules; zero: each is only itself.
	// Exempt and Floors have names as they are judged, in canonical form.
	Names names.Rules
	// Exempt versions are always served; nil: none are.
	Exempt map[Version]bool
	// Floors are instants at which a file was known not to be there yet: it is
	// no older, whatever it claims. One without a path is for all files of its
	// version. Nil: none.
	Floors map[Key]time.Time
}

// Verdict says whether something is held back, and why.
type Verdict struct {
	// Held is whether it is held back.
	Held bool
	// Until is when its window ends, and it is served from that instant on; zero:
	// it has none.
	Until time.Time
	// Since is when its window began; zero: unknown.
	Since time.Time
	// Floored is whether Since is our own observation, not the claimed time.
	Floored bool
	// Rule is the rule that decided; nil: none matched, or an exemption decided.
	Rule *Rule
	// Exempt is whether an exemption decided.
	Exempt bool
}

// Judge says whether a file that claims to have been published at an instant
// (zero: unknown) is held back. What has no time at all and no floor is served.
func (p *Policy) Judge(key Key, published time.Time) Verdict {
	if p.Exempt[Version{key.Name, key.Version}] {
		return Verdict{Exempt: true, Since: published}
	}
	v := Verdict{Since: published}
	for _, k := range [2]Key{key, {Name: key.Name, Version: key.Version}} {
		if floor, ok := p.Floors[k]; ok && floor.After(v.Since) {
			v.Since, v.Floored = floor, true
		}
	}
	v.Rule = p.Rule(key.Name, key.Version)
	if v.Rule == nil || v.Rule.Window <= 0 || v.Since.IsZero() {
		return v
	}
	v.Until = v.Since.Add(v.Rule.Window)
	v.Held = v.Until.After(p.Now)
	return v
}

// Rule returns the rule for a version; nil: none.
func (p *Policy) Rule(name, version string) *Rule {
	names := p.Names.Exact()
	for i := range p.Rules {
		r := &p.Rules[i]
		if names.Match(r.Name, name) && (r.Version == "" || Match(r.Version, version)) {
			return r
		}
	}
	return nil
}

// Reason is why it is held, or why not, in words for people.
func (v Verdict) Reason() string {
	switch {
	case v.Exempt:
		return "an exemption serves it"
	case v.Rule == nil:
		return "no cool-down rule applies"
	case v.Rule.Window <= 0:
		return fmt.Sprintf("cool-down is off (rule: %s)", v.Rule.Label)
	case v.Since.IsZero():
		return "its age is unknown and it was there at the first look"
	}
	how := "published"
	if v.Floored {
		how = "not seen before"
	}
	return fmt.Sprintf("%s %s, cool-down of %s (rule: %s)", how, Instant(v.Since), FormatDuration(v.Rule.Window), v.Rule.Label)
}

// Message is what a client is told about a version that is held; of one that is
// not, it makes no sense.
func (v Verdict) Message(name, version string) string {
	return fmt.Sprintf("%s %s is held back until %s: %s", name, version, Instant(v.Until), v.Reason())
}

// Instant writes a time as messages show it (RFC 3339): UTC, to the second. The
// zero time has no word of its own.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// FormatDuration writes a duration in days where it is whole days, else as Go
// does, without zero parts. Zero is "0", and a negative one has a minus.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "0"
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// Match reports whether a text fits a pattern, as [names.Match] does.
func Match(pattern, text string) bool { return names.Match(pattern, text) }
