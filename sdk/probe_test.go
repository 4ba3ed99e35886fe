package sdk

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

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
	about := func(about func(Version) Document) Ecosystem {
		e := route("GET /{name}", func(Request) Plan { return Reply{} })
		e.About = about
		return e
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
		{"nothing that hosts", "returned an Upload, and Ecosystem.Package is nil", route("PUT /{name}", always(Upload{Accept: func(*Publication) (Reply, error) { return Reply{}, nil }}))},
		{"a pointer", "returned a *sdk.Document: return the plan itself", route("GET /{name}", always(&Document{}))},
		{"About", "plugin boxes: About returned a Document that names no package", about(func(Version) Document { return Document{Path: "/boxes", Render: render} })},
		{"About what no route plans", `plugin boxes: About returned a Document with the Path "/a/b/c", which no route plans: write the Path`, about(func(Version) Document {
			return Document{Path: "/a/b/c", Several: true, Render: render}
		})},
		{"warning: nothing", `the route "GET /{name}", asked for /example, returned no plan: return sdk.NotFound`, route("GET /{name}", always(nil))},
		{"warning: nothing where there is no query", "asked for /example, returned no plan", route("GET /{name}", func(r Request) Plan {
			if r.Param("q") == "" {
				return nil
			}
			return Reply{}
		})},
		{"no name of a search", `asked for /search?q=example&query=example`, route("GET /search", func(r Request) Plan {
			if r.Param("q") == "" {
				return NotFound("write ?q=")
			}
			return Document{Render: render}
		})},
		{"warning: a status", "returned a Reply that has the Status 42: write one from 200", route("GET /{name}", always(Reply{Status: 42}))},
		{"warning: a header", `returned a Reply that has the header "A B": write the name of a header`, route("GET /{name}", always(Reply{Header: map[string]string{"A B": "x"}}))},
		{"warning: a header of two lines", "has the header A with a line break in it", route("GET /{name}", always(Reply{Header: map[string]string{"A": "x\r\nB: y"}}))},
		{"warning: a length", "has the header content-length: leave it to the host", route("GET /{name}", always(Reply{Header: map[string]string{"content-length": "3"}}))},
		{"warning: a kind", "returned a Failure of the Kind 99: write one of the constants", route("GET /{name}", always(Failure{Kind: 99}))},
		{"a path without a slash", `returned a Document with the Path "boxes": begin it with a slash`, route("GET /boxes", always(Document{Path: "boxes", Several: true, Render: render}))},
		{"no upstream", `returned a Document that asks upstream for "/x", and Ecosystem.Upstreams has none: write []sdk.Upstream{{}}`, route("GET /boxes", always(Document{Several: true, From: From("/x"), Render: render}))},
		{"an absolute address", "", route("GET /boxes", always(Document{Several: true, From: From("https://example.com/x"), Render: render}))},
		{"warning: no such role", `returned a Relay that asks the upstream of role "api", which Ecosystem.Upstreams does not have`, Ecosystem{
			Name: "boxes", Upstreams: []Upstream{{}}, Routes: []Route{{Match: "GET /boxes", Plan: always(Relay{To: Source{URL: "/x", Role: "api"}})}},
		}},
		{"a role", "", Ecosystem{
			Name: "boxes", Upstreams: []Upstream{{Role: "*"}}, Routes: []Route{{Match: "GET /boxes", Plan: always(Relay{To: Source{URL: "/x", Role: "api"}})}},
		}},
		{"warning: ungated where nobody is told", `returned an Artifact that is Ungated: say so in Ecosystem.Ungated, as {Route: "GET /boxes"`, route("GET /boxes", always(Artifact{Ungated: true}))},
		{"warning: facts that no route plans", `returned an Artifact whose Facts have "/a/b", which no route plans`, route("GET /{name}", always(Artifact{Facts: []string{"/a/b"}}))},
		{"no routes", "plugin boxes: Ecosystem has no Routes: write one at least", Ecosystem{Name: "boxes"}},

		{"several", "", route("GET /boxes", always(Document{Several: true, Render: render}))},
		{"a search", "", route("GET /search", always(Document{Query: true, Render: render}))},
		{"all that we host", "", route("GET /all", always(Document{Hosted: "*", Render: render}))},
		{"a panic at some", "", route("GET /{name}", func(r Request) Plan {
			if r.Get("name") == "a" {
				panic("what is that?")
			}
			return Reply{}
		})},
		{"a failure", "", route("GET /{name}", always(NotFound("there is none")))},
		{"no name where no client asks", "", route("GET /{path...}", func(r Request) Plan {
			name, _, _ := strings.Cut(r.Get("path"), "-")
			if name == r.Get("path") {
				name = ""
			}
			return Document{Name: name, Render: render}
		})},
		{"a panic in About", "", about(func(v Version) Document {
			group, _, ok := strings.Cut(v.Name, ":")
			if !ok {
				panic("what is that?")
			}
			return Document{Path: "/" + group, Name: v.Name, Render: render}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := newServer(func(struct{}) (Ecosystem, error) { return c.ecosystem, nil })
			if err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			s.log = hclog.New(&hclog.LoggerOptions{Output: &log})
			said, err := s.Configure(t.Context(), &pb.ConfigureRequest{Repository: "boxes"})
			if err != nil {
				t.Fatal(err)
			}
			got := log.String()
			for _, d := range said.GetDiagnostics() {
				got += d.GetMessage()
			}
			if warned := strings.HasPrefix(c.name, "warning: "); warned != (log.Len() > 0) || warned && len(said.GetDiagnostics()) > 0 {
				t.Errorf("the log is %q, the report %v", &log, said.GetDiagnostics())
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
		if err := r.probe(func(string) {}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestAPlanThatDoesNotEndIsNamed has a plan wait for ever.
func TestAPlanThatDoesNotEndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		r, err := newRouter(Ecosystem{Name: "boxes", Routes: []Route{{Match: "GET /{name}", Plan: func(Request) Plan { <-over; return Reply{} }}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.probe(func(string) {}); err == nil || !strings.Contains(err.Error(), `plugin boxes: the route "GET /{name}", asked for /example, has not answered within 5s: look for a loop`) {
			t.Errorf("the error is %v", err)
		}
		close(over)
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
