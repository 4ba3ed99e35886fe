package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// law is something that is true of every plugin, whatever a script expects.
type law struct {
	name  string
	check func(reporter, *script, starter)
}

func laws() []law {
	return []law{
		{"same question same answer", sameAnswer},
		{"canonical addresses", onHost(canonicalAddresses)},
		{"links lead somewhere", onHost(linksLead)},
		{"held files are nowhere", onHost(heldFilesNowhere)},
		{"mutilated addresses", onHost(mutilatedAddresses)},
		{"documents cut off", onHost(documentsCutOff)},
	}
}

// onHost is a law that looks at a host which has asked all of a script.
func onHost(check func(reporter, *host)) func(reporter, *script, starter) {
	return func(r reporter, s *script, start starter) {
		h, err := newHost(s, start)
		if err != nil {
			r.Errorf("%v", err)
			return
		}
		defer h.close()
		for _, e := range s.exchanges {
			if _, err := h.ask(e); err != nil {
				r.Errorf("%s: %v", e.title, err)
			}
		}
		check(r, h)
	}
}

// renderings are those of a host, in order of their addresses.
func (h *host) renderings() []*rendering {
	var all []*rendering
	for _, path := range slices.Sorted(maps.Keys(h.kept)) {
		all = append(all, h.kept[path])
	}
	return all
}

// sameAnswer asks everything twice of one plugin and then of others started
// anew, so that neither state nor the order of a map can show.
func sameAnswer(r reporter, s *script, start starter) {
	first, err := newHost(s, start)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	defer first.close()
	want := first.transcript(r)
	first.kept = map[string]*rendering{}
	first.sameAs(r, want)
	for range 2 {
		h, err := newHost(s, start)
		if err != nil {
			r.Errorf("%v", err)
			return
		}
		defer h.close()
		h.sameAs(r, want)
	}
}

// saying is what a plugin makes of one exchange.
type saying struct {
	plan      *pb.PlanResponse
	rendering *rendering // nil: the plan is no document
}

// transcript asks all of a script.
func (h *host) transcript(r reporter) []saying {
	var all []saying
	for _, e := range h.script.exchanges {
		plan, err := h.plan(e.method, e.path, e.query, e.header)
		x := saying{plan: plan}
		if err == nil && plan.GetDocument() != nil {
			x.rendering, err = h.render(plan.GetDocument())
		}
		if err != nil {
			r.Errorf("%s: %v", e.title, err)
		}
		all = append(all, x)
	}
	return all
}

// sameAs compares what a plugin says now with a transcript.
func (h *host) sameAs(r reporter, want []saying) {
	for i, got := range h.transcript(r) {
		title := h.script.exchanges[i].title
		if !proto.Equal(got.plan, want[i].plan) {
			r.Errorf("%s has two plans:\n%v\n%v\nA plan must be a pure function of the request.", title, got.plan, want[i].plan)
		} else if difference := got.rendering.differs(want[i].rendering); difference != "" {
			r.Errorf("%s was rendered twice from the same documents, and %s. Render must be a pure function of its input: look for a map that is iterated over, a clock, or state.", title, difference)
		}
	}
}

// differs says in what another rendering differs; empty: in nothing.
func (x *rendering) differs(y *rendering) string {
	switch {
	case x == nil || y == nil:
		return "" // no documents, or reported already
	case (x.failure == nil) != (y.failure == nil) || x.failure != nil && *x.failure != *y.failure:
		return fmt.Sprintf("one fails otherwise than the other: %v, %v", x.failure, y.failure)
	case !slices.EqualFunc(x.facts, y.facts, func(a, b *pb.Fact) bool { return proto.Equal(a, b) }):
		return fmt.Sprintf("the facts differ: %v, %v", x.facts, y.facts)
	}
	for _, name := range slices.Sorted(maps.Keys(x.outputs)) {
		if y.outputs[name] == nil || !bytes.Equal(x.outputs[name].body, y.outputs[name].body) {
			return fmt.Sprintf("output %q differs: %s, %s", name, text(x.outputs[name].body), text(y.body(name)))
		}
	}
	if len(x.outputs) != len(y.outputs) {
		return "there are more outputs in one than in the other"
	}
	return ""
}

func (x *rendering) body(name string) []byte {
	if out := x.outputs[name]; out != nil {
		return out.body
	}
	return nil
}

// canonicalAddresses checks that a document's address leads to it, also from
// About.
func canonicalAddresses(r reporter, h *host) {
	for _, x := range h.renderings() {
		if err := h.leadsToItself(x.path); err != nil {
			r.Errorf("%v", err)
		}
		if !h.about.GetCapabilities().GetAbout() || len(x.facts) == 0 {
			continue
		}
		f := x.facts[0]
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		plan, err := h.client.Plan(ctx, &pb.PlanRequest{
			Repository: h.repository,
			Subject:    &pb.PlanRequest_About{About: &pb.Version{Name: f.GetName(), Version: f.GetVersion()}},
		})
		cancel()
		if err != nil {
			r.Errorf("about %s %s: %v", f.GetName(), f.GetVersion(), err)
			continue
		}
		if err := h.leadsToItself(plan.GetDocument().GetPath()); err != nil {
			r.Errorf("about %s %s: %v", f.GetName(), f.GetVersion(), err)
		}
	}
}

// leadsToItself checks that planning a document's canonical address gives that
// document.
func (h *host) leadsToItself(address string) error {
	plan, err := h.planGET(address)
	if err != nil {
		return fmt.Errorf("planning the canonical address %s: %w", address, err)
	}
	if got := plan.GetDocument(); got == nil || got.GetPath() != address {
		return fmt.Errorf("the document's canonical address is %s, but planning that gives %v: Document.Path must lead to the same document", address, plan)
	}
	return nil
}

// heldFilesNowhere checks that no output has the name of a file that is held.
func heldFilesNowhere(r reporter, h *host) {
	policy := h.policy()
	for _, x := range h.renderings() {
		held := heldNames(x.facts, func(f *pb.Fact) bool { return verdict(policy, f).Held })
		x.mustNotShow(r, held, "is held back, but its name stands in")
	}
}

// mustNotShow reports names that stand in a rendering's outputs.
func (x *rendering) mustNotShow(r reporter, names []string, complaint string) {
	if x.failure != nil {
		return
	}
	for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
		for _, name := range names {
			if standsIn(x.outputs[output].body, name) {
				r.Errorf("%s %s the document %s (output %q): drop what Input.Keep says no to", name, complaint, x.path, output)
			}
		}
	}
}

// heldNames are the names of held files that no kept file shares. Where a path's
// last segment does not tell the version, the whole path is the name.
func heldNames(facts []*pb.Fact, held func(*pb.Fact) bool) []string {
	names := map[string]bool{}
	for _, f := range facts {
		if f.GetPath() == "" {
			continue
		}
		name := f.GetPath()[strings.LastIndexByte(f.GetPath(), '/')+1:]
		if !strings.Contains(name, f.GetVersion()) {
			name = f.GetPath()
		}
		isHeld := held(f)
		if before, seen := names[name]; !seen || before {
			names[name] = isHeld
		}
	}
	maps.DeleteFunc(names, func(_ string, held bool) bool { return !held })
	return slices.Sorted(maps.Keys(names))
}

// standsIn reports whether a name stands in a text and is not the end of a
// longer one.
func standsIn(text []byte, name string) bool {
	for {
		i := bytes.Index(text, []byte(name))
		if i < 0 {
			return false
		}
		if i == 0 || !nameByte(text[i-1]) || name[0] == '/' {
			return true
		}
		text = text[i+1:]
	}
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

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
				h.renderCut(r, x.path, fmt.Sprintf("%s cut off after %d bytes", address, end), held, names)
			}
		}
	}
}

func (h *host) renderCut(r reporter, path, what string, held map[string]bool, names []string) {
	plan, err := h.planGET(path)
	if err != nil || plan.GetDocument() == nil {
		return // the law of canonical addresses reports it
	}
	cut, err := h.render(plan.GetDocument())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r.Errorf("rendering %s does not end with %s", path, what)
		return
	case err != nil:
		r.Errorf("with %s: %v", what, err)
		return
	}
	if cut.failure != nil {
		return
	}
	for _, f := range cut.facts {
		if f.GetKept() && held[factKey(f)] {
			r.Errorf("with %s, %s keeps %s %s, which is held back: what cannot be read to the end must fail", what, path, f.GetName(), f.GetVersion())
		}
	}
	cut.mustNotShow(r, names, "is held back, but with "+what+" its name stands in")
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
