package cache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestPlansOfEverNewQueriesAreBounded names the places of more plans than are
// kept, and of as many of addresses, which all are.
func TestPlansOfEverNewQueriesAreBounded(t *testing.T) {
	t.Parallel()
	repo := newRepository()
	repo.Ecosystem = &plugins.Plugin{}
	for _, row := range []struct {
		name        string
		of          func(i int) PlanRequest
		least, most int
	}{
		{"queries", func(i int) PlanRequest { return PlanRequest{Target: fmt.Sprint("/p?", i)} }, 1000, planPlaces},
		{"headers", func(i int) PlanRequest { return PlanRequest{Target: "/p", Vary: fmt.Sprint(i)} }, 2, headerPlaces},
		{"addresses", func(i int) PlanRequest { return PlanRequest{Target: fmt.Sprint("/p", i), Vary: "text/html"} }, 2 * planPlaces, 2 * planPlaces},
	} {
		places := map[string]bool{}
		for i := range 2 * planPlaces {
			name, _ := planName(repo, row.of(i))
			places[name] = true
		}
		if n := len(places); n < row.least || n > row.most {
			t.Errorf("of %d %s %d plans are kept, want %d to %d", 2*planPlaces, row.name, n, row.least, row.most)
		}
	}
}

func TestKeptPlansAreThoseOfTheirRequests(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	repo.Ecosystem = &plugins.Plugin{}
	requests := []PlanRequest{{Target: "/p"}, {Target: "/q"}}
	// Two that share a place.
	taken := map[string]PlanRequest{}
	for i := 0; len(requests) < 4; i++ {
		r := PlanRequest{Target: fmt.Sprint("/p?", i)}
		name, _ := planName(repo, r)
		if other, ok := taken[name]; ok {
			requests = append(requests, other, r)
		}
		taken[name] = r
	}
	for _, r := range requests {
		c.KeepPlan(repo, r, &pb.PlanResponse{Plan: &pb.PlanResponse_Document{Document: &pb.Document{Path: r.Target}}})
	}
	for i, r := range requests {
		plan := c.KnownPlan(repo, r)
		if kept := i != 2; (plan != nil) != kept || kept && plan.GetDocument().GetPath() != r.Target {
			t.Errorf("the plan of %v is %v", r, plan)
		}
	}
	long := PlanRequest{Target: "/" + strings.Repeat("p", longestKept)}
	c.KeepPlan(repo, long, &pb.PlanResponse{})
	if c.KnownPlan(repo, long) != nil {
		t.Error("that of a long request is kept")
	}
	repo.Options = "others"
	if c.KnownPlan(repo, requests[0]) != nil {
		t.Error("a plan holds under other options")
	}
}

func TestKeysOfSourcesAreBounded(t *testing.T) {
	t.Parallel()
	repo := newRepository()
	long := strings.Repeat("u", 1<<17)
	a, b := sourceName(repo, &pb.Source{Url: long}), sourceName(repo, &pb.Source{Url: long + "v"})
	if a == b || len(a) > longestURL {
		t.Errorf("two long addresses have the keys %.100s and %.100s", a, b)
	}
}
