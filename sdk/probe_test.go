package sdk

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestMistakesInPlansAreToldAtTheStart configures plugins whose routes plan what
// no host could carry out, and some that are right.
func TestMistakesInPlansAreToldAtTheStart(t *testing.T) {
	t.Parallel()
	render := func(*Input) error { return nil }
	route := func(match string, plan func(Request) Plan) Ecosystem {
		return Ecosystem{Name: "boxes", Routes: []Route{{Match: match, Plan: plan}}}
	}
	always := func(p Plan) func(Request) Plan { return func(Request) Plan { return p } }
	for _, c := range []struct {
		name, report string // empty: there is nothing to report
		ecosystem    Ecosystem
	}{
		{"no name", `plugin boxes: the route "GET /{name}", asked for /example, returned a Document that names no package: write its Name, as Name: r.Get("name")`,
			route("GET /{name}", always(Document{Render: render}))},
		{"no name below a route for files", `the route "GET /{path...}", asked for /a, returned a Document that names no package`,
			route("GET /{path...}", func(r Request) Plan {
				if strings.Contains(r.Path, ".") || strings.Contains(r.Path, "example") {
					return Artifact{}
				}
				return Document{Render: render}
			})},
		{"no name of a version", `asked for /boxes/1.0.0, returned a Document that names no package`,
			route("GET /boxes/{version}", func(r Request) Plan {
				if r.Get("version") != "1.0.0" {
					panic("what is that?")
				}
				return Document{Render: render}
			})},
		{"no Render", `the route "GET /boxes", asked for /boxes, returned a Document without Render`, route("GET /boxes", always(Document{Name: "boxes"}))},
		{"no Accept", `the route "PUT /{name}", asked for /example, returned an Upload without Accept`, route("PUT /{name}", always(Upload{Body: "raw"}))},
		{"a pointer", "returned a *sdk.Document: return the plan itself", route("GET /{name}", always(&Document{}))},
		{"About", "plugin boxes: About returned a Document that names no package", Ecosystem{
			Name: "boxes", About: func(Version) Document { return Document{Path: "/boxes", Render: render} },
		}},

		{"several", "", route("GET /boxes", always(Document{Several: true, Render: render}))},
		{"a search", "", route("GET /search", always(Document{Query: true, Render: render}))},
		{"all that we host", "", route("GET /all", always(Document{Hosted: "*", Render: render}))},
		{"a panic", "", route("GET /{name}", func(Request) Plan { panic("what is that?") })},
		{"nothing", "", route("GET /{name}", always(nil))},
		{"a failure", "", route("GET /{name}", always(NotFound("there is none")))},
		{"no name where no client asks", "", route("GET /{path...}", func(r Request) Plan {
			name, _, _ := strings.Cut(r.Get("path"), "-")
			if name == r.Get("path") {
				name = ""
			}
			return Document{Name: name, Render: render}
		})},
		{"a panic in About", "", Ecosystem{Name: "boxes", About: func(Version) Document { panic("what is that?") }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewServer(func(struct{}) (Ecosystem, error) { return c.ecosystem, nil })
			if err != nil {
				t.Fatal(err)
			}
			said, err := s.Configure(t.Context(), &pb.ConfigureRequest{Repository: "boxes"})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, d := range said.GetDiagnostics() {
				got += d.GetMessage()
			}
			if c.report == "" && got != "" || !strings.Contains(got, c.report) {
				t.Errorf("reported is %q, want %q", got, c.report)
			}
		})
	}
}

// TestNoStartWaitsForSlowPlans has a plan take a second.
func TestNoStartWaitsForSlowPlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(Request) Plan { time.Sleep(time.Second); return NotFound("there is none") }
		r, err := newRouter(Ecosystem{Name: "boxes", Routes: []Route{{Match: "GET /a/{name}", Plan: slow}, {Match: "GET /b/{name}", Plan: slow}}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := r.probe(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestSamplesMatch fills every kind of pattern.
func TestSamplesMatch(t *testing.T) {
	t.Parallel()
	for _, match := range []string{"GET /", "GET /all", "GET /{name}", "GET /{a...}/@v/{version}.info", "GET /{name}-{version}.gem", "GET /{name...}/manifests/{reference}"} {
		p, err := compile(match)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range p.samples() {
			if p.match(path) == nil {
				t.Errorf("%s does not match %s", path, match)
			}
		}
	}
}
