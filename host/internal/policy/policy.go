// Package policy turns the configuration and the exemptions into the rules
// that every surface is judged by.
//
// An [Engine] answers for one ecosystem and a set of package names with a
// [cooldown.Policy]. [Engine.Epoch] changes whenever any answer may have
// changed, so that what was judged before need not be judged again until then.
package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Exemption serves one version whatever the rules say.
type Exemption struct {
	// Plugin is the ecosystem; Name is the package's canonical name.
	Plugin, Name, Version string
	// As is what the version was called when this was made, where that only stood
	// for it, as a tag; empty: it was named itself.
	As string `json:",omitempty"`
	// Reason is why, for people.
	Reason string
	// Created is when it was made.
	Created time.Time
	// Expires is when it ends; zero: never.
	Expires time.Time
}

const exemptionKey = "exempt/"

func (e Exemption) key() string {
	return exemptionKey + e.Plugin + "\x00" + e.Name + "\x00" + e.Version
}

// Ecosystem is which rules are asked for: the plugin's name and its package
// URL type, either of which the configuration may use.
type Ecosystem struct {
	Plugin, PURL string
	// Urgent are patterns of names that only rules for packages hold back.
	Urgent []string
	// Names say which names are the same.
	Names names.Rules
}

// Engine holds the rules in force.
type Engine struct {
	keep  *store.DB
	epoch atomic.Uint64

	mu       sync.RWMutex
	cooldown config.Cooldown
	exempt   map[string]Exemption
	expiry   *time.Timer
}

// New makes an engine with the exemptions that were kept.
func New(c config.Cooldown, keep *store.DB) (*Engine, error) {
	e := &Engine{keep: keep, cooldown: c, exempt: map[string]Exemption{}}
	var bad error
	err := keep.Each(exemptionKey, false, func(key string, value []byte) bool {
		var x Exemption
		if bad = json.Unmarshal(value, &x); bad != nil {
			bad = fmt.Errorf("exemption %q: %w", key, bad)
			return false
		}
		e.exempt[key] = x
		return true
	})
	e.epoch.Store(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.schedule()
	return e, cmp.Or(err, bad)
}

// Epoch changes with every change of the rules.
func (e *Engine) Epoch() uint64 { return e.epoch.Load() }

// Configure puts new rules in force.
func (e *Engine) Configure(c config.Cooldown) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cooldown = c
	e.epoch.Add(1)
}

// Longest is the longest window of all rules.
func (e *Engine) Longest() time.Duration {
	e.mu.RLock()
	defer e.mu.RUnlock()
	longest := e.cooldown.Default
	for _, d := range e.cooldown.Ecosystems {
		longest = max(longest, d)
	}
	for _, r := range e.cooldown.Packages {
		longest = max(longest, r.Window)
	}
	return longest
}

// Exempt adds or replaces an exemption; it is in force when this returns.
func (e *Engine) Exempt(x Exemption) error {
	value, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if err := e.keep.Apply(store.Change{x.key(): value}); err != nil {
		return err
	}
	if err := e.keep.Sync(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.exempt[x.key()] = x
	e.epoch.Add(1)
	e.schedule()
	return nil
}

// Revoke ends an exemption and reports whether there was one.
func (e *Engine) Revoke(plugin, name, version string) (bool, error) {
	key := Exemption{Plugin: plugin, Name: name, Version: version}.key()
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.exempt[key]; !ok {
		return false, nil
	}
	if err := e.keep.Apply(store.Change{key: nil}); err != nil {
		return true, err
	}
	delete(e.exempt, key)
	e.epoch.Add(1)
	return true, e.keep.Sync()
}

// Exemptions lists those in force, by key.
func (e *Engine) Exemptions() []Exemption {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var out []Exemption
	for _, x := range e.exempt {
		if x.inForce(time.Now()) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b Exemption) int { return strings.Compare(a.key(), b.key()) })
	return out
}

func (x Exemption) inForce(now time.Time) bool { return x.Expires.IsZero() || now.Before(x.Expires) }

// schedule has the epoch change when the next exemption ends.
func (e *Engine) schedule() {
	if e.expiry != nil {
		e.expiry.Stop()
	}
	var next time.Time
	now := time.Now()
	for _, x := range e.exempt {
		if x.Expires.After(now) && (next.IsZero() || x.Expires.Before(next)) {
			next = x.Expires
		}
	}
	if next.IsZero() {
		return
	}
	e.expiry = time.AfterFunc(next.Sub(now)+time.Millisecond, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.epoch.Add(1)
		e.schedule()
	})
}

// For returns the policy for some packages of an ecosystem; of no names, all
// rules that may apply to any. Floors are left to the caller.
func (e *Engine) For(eco Ecosystem, packages []string, now time.Time) *cooldown.Policy {
	e.mu.RLock()
	defer e.mu.RUnlock()
	p := &cooldown.Policy{Now: now, Names: eco.Names, Exempt: map[cooldown.Version]bool{}}
	for _, r := range eco.sorted(e.cooldown.Packages) {
		if r.Type != eco.PURL && r.Type != eco.Plugin || !eco.fits(r.Name, packages) {
			continue
		}
		p.Rules = append(p.Rules, cooldown.Rule{Name: r.Name, Version: r.Version, Window: r.Window, Label: "package " + r.Pattern})
	}
	for _, pattern := range eco.Urgent {
		if eco.fits(pattern, packages) {
			p.Rules = append(p.Rules, cooldown.Rule{Name: eco.Names.Exact().Fold(pattern), Label: "urgent " + pattern})
		}
	}
	window, label := e.cooldown.Default, "default"
	if d, ok := e.cooldown.Ecosystems[eco.PURL]; ok {
		window, label = d, "ecosystem "+eco.PURL
	}
	if d, ok := e.cooldown.Ecosystems[eco.Plugin]; ok {
		window, label = d, "ecosystem "+eco.Plugin
	}
	p.Rules = append(p.Rules, cooldown.Rule{Name: "*", Window: window, Label: label})
	for _, x := range e.exempt {
		if x.Plugin != eco.Plugin || !x.inForce(now) {
			continue
		}
		if len(packages) == 0 {
			p.Exempt[cooldown.Version{Name: x.Name, Version: x.Version}] = true
		}
		for _, name := range packages { // which may be spelled otherwise
			if name == x.Name || eco.Names.Exact().Fold(name) == eco.Names.Exact().Fold(x.Name) {
				p.Exempt[cooldown.Version{Name: name, Version: x.Version}] = true
			}
		}
	}
	return p
}

// fits reports whether a pattern is about some of the packages; nil: about any.
func (eco Ecosystem) fits(pattern string, packages []string) bool {
	return len(packages) == 0 || slices.ContainsFunc(packages, func(n string) bool { return eco.Names.Exact().Match(pattern, n) })
}

// sorted orders rules, their names folded, so that the most specific comes first:
// without wildcards before with, with a version before without, more literal
// characters before fewer. Of rules for the same the longest comes first, as of
// two for one package whose names are spelled differently.
func (eco Ecosystem) sorted(rules []config.PackageRule) []config.PackageRule {
	out := slices.Clone(rules)
	for i := range out {
		out[i].Name = eco.Names.Exact().Fold(out[i].Name)
	}
	slices.SortStableFunc(out, func(a, b config.PackageRule) int {
		return cmp.Or(
			cmp.Compare(wildcard(a.Name), wildcard(b.Name)),
			-cmp.Compare(len(a.Version), len(b.Version)),
			-cmp.Compare(len(a.Name), len(b.Name)),
			-cmp.Compare(a.Window, b.Window),
		)
	})
	return out
}

func wildcard(s string) int {
	if strings.ContainsAny(s, "*?") {
		return 1
	}
	return 0
}

// Key tells policies apart that may give other answers at the same instant
// with the same floors.
func Key(p *cooldown.Policy) string {
	var b strings.Builder
	for _, r := range p.Rules {
		fmt.Fprintf(&b, "%q %q %d %q\n", r.Name, r.Version, r.Window, r.Label)
	}
	var exempt []string
	for v := range p.Exempt {
		exempt = append(exempt, fmt.Sprintf("%q %q", v.Name, v.Version))
	}
	slices.Sort(exempt)
	b.WriteString(strings.Join(exempt, "\n"))
	return b.String()
}

// Wire is a policy as plugins get it.
func Wire(p *cooldown.Policy) *pb.Policy {
	out := &pb.Policy{NowMs: p.Now.UnixMilli()}
	for _, r := range p.Rules {
		out.Rules = append(out.Rules, &pb.CooldownRule{Name: r.Name, Version: r.Version, WindowMs: r.Window.Milliseconds(), Label: r.Label})
	}
	for v := range p.Exempt {
		out.Exempt = append(out.Exempt, &pb.Version{Name: v.Name, Version: v.Version})
	}
	for k, at := range p.Floors {
		out.Floors = append(out.Floors, &pb.Floor{Name: k.Name, Version: k.Version, Path: k.Path, AtMs: at.UnixMilli()})
	}
	return out
}
