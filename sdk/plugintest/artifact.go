package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// artifact serves a file: judged by its facts, fetched, verified.
func (h *host) artifact(a *pb.Artifact) (*answer, error) {
	found, err := h.file(a)
	if err != nil || len(a.GetHeaders()) == 0 {
		return found, err
	}
	headed := *found
	headed.header = map[string]string{}
	for name, value := range a.GetHeaders() {
		headed.header[strings.ToLower(name)] = value
	}
	maps.Copy(headed.header, found.header)
	return &headed, nil
}

// file is an artifact without the headers of its plan.
func (h *host) file(a *pb.Artifact) (*answer, error) {
	if a.GetSnapshot() != "" {
		return h.part(a)
	}
	if f, ok := h.catalogue.files[a.GetPath()]; ok {
		contentType := or(f.contentType, or(a.GetContentType(), "application/octet-stream"))
		return &answer{status: 200, header: map[string]string{"content-type": contentType}, body: f.body}, nil
	}
	if err := h.besideOurs(a.GetPath(), a.GetVersion()); err != nil {
		return nil, err
	}
	fact, err := h.judge(a)
	if err == nil {
		err = h.besideOurs(a.GetPath(), &pb.Version{Name: fact.GetName(), Version: fact.GetVersion()})
	}
	if err != nil {
		return nil, err
	}
	sources := a.GetSources()
	if fact.GetUrl() != "" {
		sources = []*pb.Source{wire.FactSource(a, fact)}
	}
	var addresses []string
	for _, s := range sources {
		addresses = append(addresses, absolute(s.GetRole(), s.GetUrl()))
	}
	for _, address := range addresses {
		doc := h.upstream(address)
		if doc.status != 200 {
			continue
		}
		for _, digests := range [][]*pb.Digest{fact.GetDigests(), {a.GetDigest()}} {
			if err := verify(doc.body, digests, address); err != nil {
				return nil, err
			}
			if err := verifyMembers(doc.body, digests, address); err != nil {
				return nil, err
			}
		}
		contentType := or(a.GetContentType(), or(doc.header["content-type"], "application/octet-stream"))
		return &answer{status: 200, header: map[string]string{"content-type": contentType}, body: doc.body}, nil
	}
	return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: fmt.Sprintf("upstream does not have %s (asked %q)", a.GetPath(), addresses)}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// judge finds an artifact's facts and judges it: by those of its path, or else
// by all those of its version, of which the strictest verdict counts. The fact
// returned is that of its path, nil when there is none.
func (h *host) judge(a *pb.Artifact) (*pb.Fact, error) {
	if a.GetUngated() {
		return nil, nil
	}
	facts, err := h.facts(a)
	if err != nil {
		return nil, err
	}
	policy := h.policy()
	if len(facts) == 0 {
		return nil, h.unknown(a, policy)
	}
	var strictest cooldown.Verdict
	last := facts[0]
	for _, f := range facts {
		if v := verdict(policy, f); v.Held && v.Until.After(strictest.Until) {
			strictest, last = v, f
		}
	}
	if strictest.Held {
		return nil, &failure{
			kind:    pb.ErrorKind_ERROR_KIND_HELD,
			message: strictest.Message(last.GetName(), last.GetVersion()),
			name:    last.GetName(), version: last.GetVersion(), until: cooldown.Instant(strictest.Until),
		}
	}
	if facts[0].GetPath() != a.GetPath() {
		return nil, nil
	}
	return facts[0], nil
}

// unknown is the failure for an artifact without facts; nil: upstream's
// listings are not complete and no cool-down applies, so it is served.
func (h *host) unknown(a *pb.Artifact, policy *cooldown.Policy) error {
	name, version := a.GetVersion().GetName(), a.GetVersion().GetVersion()
	if len(a.GetFacts()) > 0 && h.about.GetCompleteListings() {
		return &failure{
			kind:    pb.ErrorKind_ERROR_KIND_NOT_FOUND,
			message: strings.TrimPrefix(a.GetPath(), "/") + " is not listed upstream",
			name:    name, version: version,
		}
	}
	rule := policy.Rule(name, version)
	if rule != nil && rule.Window > 0 && !policy.Exempt[cooldown.Version{Name: name, Version: version}] {
		return &failure{
			kind:    pb.ErrorKind_ERROR_KIND_REFUSED,
			message: fmt.Sprintf("%s %s is refused: its age cannot be known, and a cool-down applies (rule: %s)", name, version, rule.Label),
			name:    name, version: version,
		}
	}
	return nil
}

// facts renders the documents that may hold an artifact's facts, in order, until
// one does. The error is the failure of one that could not be rendered, when
// none does.
func (h *host) facts(a *pb.Artifact) ([]*pb.Fact, error) {
	var failed error
	addresses, err := h.factsAddresses(a)
	if err != nil {
		return nil, err
	}
	absent := false
	for _, address := range addresses {
		plan, err := h.planGET(address)
		if err != nil {
			return nil, err
		}
		if plan.GetDocument() == nil {
			return nil, fmt.Errorf("the facts of %s are said to be at %s, which is no document", a.GetPath(), address)
		}
		r, err := h.render(plan.GetDocument())
		if err != nil {
			return nil, err
		}
		var byPath, byVersion []*pb.Fact
		for _, f := range r.facts {
			if f.GetPath() == a.GetPath() {
				byPath = append(byPath, f)
			}
			if f.GetName() == a.GetVersion().GetName() && f.GetVersion() == a.GetVersion().GetVersion() {
				byVersion = append(byVersion, f)
			}
		}
		if len(byPath) > 0 {
			return byPath, nil
		}
		if len(byVersion) > 0 && slices.Contains(a.GetFacts(), address) {
			return byVersion, nil
		}
		switch {
		case r.failure == nil:
		case r.failure.kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND:
			absent = true
		default:
			failed = r.failure
		}
	}
	if failed == nil && absent && !h.about.GetCompleteListings() {
		failed = &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: "upstream has no " + strings.TrimPrefix(a.GetPath(), "/")}
	}
	return nil, failed
}

func verdict(p *cooldown.Policy, f *pb.Fact) cooldown.Verdict {
	var published time.Time
	if ms := f.GetPublishedMs(); ms != 0 {
		published = time.UnixMilli(ms)
	}
	return p.Judge(cooldown.Key{Name: f.GetName(), Version: f.GetVersion(), Path: f.GetPath()}, published)
}

// policy is the script's policy as the host judges by it.
func (h *host) policy() *cooldown.Policy {
	wire := h.script.policy
	p := &cooldown.Policy{
		Now:    time.UnixMilli(wire.GetNowMs()),
		Names:  h.names,
		Exempt: map[cooldown.Version]bool{},
		Floors: map[cooldown.Key]time.Time{},
	}
	for _, r := range wire.GetRules() {
		p.Rules = append(p.Rules, cooldown.Rule{Name: r.GetName(), Window: time.Duration(r.GetWindowMs()) * time.Millisecond, Label: r.GetLabel()})
	}
	for _, e := range wire.GetExempt() {
		p.Exempt[cooldown.Version{Name: e.GetName(), Version: e.GetVersion()}] = true
	}
	for _, f := range wire.GetFloors() {
		p.Floors[cooldown.Key{Name: f.GetName(), Version: f.GetVersion(), Path: f.GetPath()}] = time.UnixMilli(f.GetAtMs())
	}
	return p
}

// verifyMembers checks the "h1" digests of a body, if there are any.
func verifyMembers(body []byte, digests []*pb.Digest, address string) error {
	for _, d := range digests {
		if wire.OfMembers(d.GetAlgorithm()) {
			sum, err := wire.MembersDigest(d.GetAlgorithm(), bytes.NewReader(body), int64(len(body)))
			if err == nil && !bytes.Equal(sum, d.GetSum()) {
				err = fmt.Errorf("it is %x, but should be %x", sum, d.GetSum())
			}
			if err != nil {
				return &failure{kind: pb.ErrorKind_ERROR_KIND_UPSTREAM, message: fmt.Sprintf("the %s of %s: %s", d.GetAlgorithm(), address, err)}
			}
		}
	}
	return nil
}

// verify checks a body against the strongest of its digests.
func verify(body []byte, digests []*pb.Digest, address string) error {
	d := wire.Strongest(digests)
	h := wire.NewHash(d)
	if h == nil {
		return nil
	}
	h.Write(body)
	if sum := h.Sum(nil); !bytes.Equal(sum, d.GetSum()) {
		return &failure{
			kind:    pb.ErrorKind_ERROR_KIND_UPSTREAM,
			message: fmt.Sprintf("the %s of %s is %x, but should be %x", d.GetAlgorithm(), address, sum, d.GetSum()),
		}
	}
	return nil
}
