package plugintest

import (
	"encoding/json"
	"fmt"
	"slices"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// documentsCutOff renders every document again with each of its upstream
// documents ending too early.
func documentsCutOff(r reporter, h *host) {
	policy := h.policy()
	isHeld := func(f *pb.Fact) bool { return verdict(policy, f).Held }
	for _, x := range h.renderings() {
		held := map[string]bool{}
		for _, f := range x.facts {
			held[factKey(f)] = held[factKey(f)] || isHeld(f)
		}
		names := heldNames(x.facts, isHeld)
		for _, address := range slices.Compact(slices.Sorted(slices.Values(x.asked))) {
			for _, end := range cuts(len(h.upstream(address).body)) {
				h.kept = map[string]*rendering{}
				h.cut = func(a string, body []byte) []byte {
					if a == address {
						return body[:min(end, len(body))]
					}
					return body
				}
				what := fmt.Sprintf("%s cut off after %d bytes", address, end)
				got := h.renderCut(r, x.path, what, held, names)
				body := h.upstream(address).body
				if complaint := got.mustFail(x, what); complaint != "" && json.Valid(body) && !json.Valid(body[:end]) {
					r.Errorf("%s", complaint)
					break // it is the same wherever it ends
				}
			}
		}
	}
}

// renderCut renders a document with one that is cut off; nil: that is reported.
func (h *host) renderCut(r reporter, path, what string, held map[string]bool, names []string) *rendering {
	plan, err := h.planGET(path)
	if err != nil || plan.GetDocument() == nil {
		return nil // the law of canonical addresses reports it
	}
	cut, err := h.render(plan.GetDocument())
	if err != nil {
		r.Errorf("with %s: %v", what, err)
		return nil
	}
	if cut.failure != nil {
		return cut
	}
	for _, f := range cut.facts {
		if f.GetKept() && held[factKey(f)] {
			r.Errorf("with %s, %s keeps %s %s, which is held back: what cannot be read to the end must fail", what, path, f.GetName(), f.GetVersion())
		}
	}
	cut.mustNotShow(r, names, "is held back, but with "+what+" its name stands in")
	return cut
}

// mustFail says what is wrong with a rendering of a document that ends too early:
// it must not pass for one of a document that lists less. Empty: nothing. What
// is no listing may leave out what it cannot read.
func (x *rendering) mustFail(whole *rendering, what string) string {
	const advice = "return the error of decoding, so that what was known before is served instead"
	if x == nil || whole.query || len(whole.facts) == 0 {
		return ""
	}
	if x.failure != nil {
		if x.failure.kind == pb.ErrorKind_ERROR_KIND_UPSTREAM || whole.failure != nil && whole.failure.kind == x.failure.kind {
			return ""
		}
		return fmt.Sprintf("with %s, %s fails with %q, as if upstream had said so: %s", what, x.path, x.failure.message, advice)
	}
	told := map[string]bool{}
	for _, f := range x.facts {
		told[factKey(f)] = true
	}
	for _, f := range whole.facts {
		if !told[factKey(f)] {
			return fmt.Sprintf("with %s, %s no longer lists %s %s, as if upstream had removed it: %s", what, x.path, f.GetName(), f.GetVersion(), advice)
		}
	}
	return ""
}

func factKey(f *pb.Fact) string { return f.GetName() + "\x00" + f.GetVersion() + "\x00" + f.GetPath() }

// cuts are the lengths that a body is cut to.
func cuts(n int) []int {
	var ends []int
	for _, end := range []int{0, 1, n / 4, n / 2, n * 3 / 4, n - 1} {
		if end >= 0 && end < n {
			ends = append(ends, end)
		}
	}
	return slices.Compact(ends)
}
