package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
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
		{"documents say what they are about", onHost(documentsAreNamed)},
		{"versions are told of", onHost(versionsAreTold)},
		{"links lead somewhere", onHost(linksLead)},
		{"clients come here", onHost(clientsComeHere)},
		{"held files are nowhere", heldFilesNowhere},
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
				return
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
	want, plans := first.transcript(r), first.examples()
	first.kept = map[string]*rendering{}
	first.sameAs(r, want)
	first.planAs(r, plans)
	for range 2 {
		h, err := newHost(s, start)
		if err != nil {
			r.Errorf("%v", err)
			return
		}
		defer h.close()
		h.sameAs(r, want)
		h.planAs(r, plans)
	}
}

// examples are the plans of an address of each route, also of those that no
// script asks. Of what is not planned nothing is said: another law does.
func (h *host) examples() map[string]*pb.PlanResponse {
	plans := map[string]*pb.PlanResponse{}
	for _, route := range h.about.GetRoutes() {
		method, path := example(route)
		if plan, err := h.plan(method, path, "", nil); err == nil {
			plans[method+" "+path] = plan
		}
	}
	return plans
}

// planAs compares plans of routes with what they were.
func (h *host) planAs(r reporter, want map[string]*pb.PlanResponse) {
	got := h.examples()
	for _, title := range slices.Sorted(maps.Keys(want)) {
		if got[title] != nil && !proto.Equal(got[title], want[title]) {
			r.Errorf("%s has two plans:\n%v\n%v\nA plan must be a pure function of the request.", title, got[title], want[title])
		}
	}
}

// saying is what a plugin makes of one exchange.
type saying struct {
	plan      *pb.PlanResponse
	rendering *rendering // nil: the plan is no document
	found     string     // what is stored of a file in a directory
}

// transcript asks all of a script.
func (h *host) transcript(r reporter) []saying {
	var all []saying
	for _, e := range h.script.exchanges {
		if e.found != "" {
			all = append(all, saying{found: h.toldOf(r, e)})
			continue
		}
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
		if got.found != want[i].found {
			r.Errorf("%s is understood in two ways:\n%s\n%s\nUnpack and Inspect must be pure functions of the file.", title, got.found, want[i].found)
		} else if !proto.Equal(got.plan, want[i].plan) {
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
		plan, err := h.planned(&pb.PlanRequest{
			Repository: h.repository,
			Subject:    &pb.PlanRequest_About{About: &pb.Version{Name: f.GetName(), Version: f.GetVersion()}},
		})
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

// documentsAreNamed checks that upstream is not asked for a package whose name
// the host was not told, as it could be one of ours.
func documentsAreNamed(r reporter, h *host) {
	for _, x := range h.renderings() {
		if x.named || len(x.facts) == 0 {
			continue
		}
		name := x.facts[0].GetName()
		others := slices.ContainsFunc(x.facts, func(f *pb.Fact) bool { return f.GetName() != name })
		path, _, _ := strings.Cut(x.path, "?")
		if plain, err := url.PathUnescape(path); err == nil && !others && slices.Contains(strings.Split(plain, "/"), name) {
			r.Errorf("the document %s is about %s, but its Document.Name is empty: write it, or upstream is asked also where that name is one of ours", x.path, name)
		}
	}
}
