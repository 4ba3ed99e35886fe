package sdk

import (
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// hold is the version held back that is served first.
type hold struct {
	key     cooldown.Key
	verdict cooldown.Verdict
}

// note remembers a verdict that holds something back, if it ends earlier than
// the others.
func (h *hold) note(key cooldown.Key, v cooldown.Verdict) {
	if !h.verdict.Held || v.Until.Before(h.verdict.Until) {
		h.key, h.verdict = key, v
	}
}

// Held is the failure for a document of which policy lets nothing be shown. It
// says which of the versions that [Input.Keep] refused is served first, from
// when, and why it is held back. Where Keep has refused nothing there is nothing,
// and that is what it says.
func (in *Input) Held() Failure {
	if !in.held.verdict.Held {
		return NotFound("there are no versions of it here")
	}
	key, v := in.held.key, in.held.verdict
	return Failure{Kind: KindHeld, Message: v.Message(key.Name, key.Version)}
}

// HeldVersion is the failure for a document about one version that
// [Input.Keep] has refused; of several files, the one served last counts. Where
// Keep has not refused it, the message names no instant that makes sense: return
// [NotFound] there.
func (in *Input) HeldVersion(name, version string) Failure {
	return in.heldVersion(name, version, time.Time.After)
}

// HeldFiles is [Input.HeldVersion] where files of a version are shown one without
// the other: the one served first counts.
func (in *Input) HeldFiles(name, version string) Failure {
	return in.heldVersion(name, version, time.Time.Before)
}

func (in *Input) heldVersion(name, version string, counts func(this, other time.Time) bool) Failure {
	var verdict cooldown.Verdict
	for _, f := range in.facts {
		if f.GetKept() || f.GetName() != name || f.GetVersion() != version {
			continue
		}
		key := cooldown.Key{Name: name, Version: version, Path: f.GetPath()}
		if v := in.policy.Judge(key, instant(f.GetPublishedMs())); verdict.Until.IsZero() || counts(v.Until, verdict.Until) {
			verdict = v
		}
	}
	return Failure{Kind: KindHeld, Message: verdict.Message(name, version)}
}

// CoolsDown reports whether versions of a package can be held back at all. A
// plugin that has to ask for a further document only to learn ages can spare
// the question when they cannot.
func (in *Input) CoolsDown(name string) bool {
	for _, r := range in.policy.Rules {
		if !in.policy.Names.Exact().Match(r.Name, name) {
			continue
		}
		if r.Window > 0 {
			return true
		}
		if r.Version == "" || r.Version == "*" {
			return false
		}
	}
	return false
}
