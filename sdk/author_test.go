package sdk

import (
	"bytes"
	"strings"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestAuthorsMistakesAreReported shows what Serve prints, with the plugin's
// name and what to write.
func TestAuthorsMistakesAreReported(t *testing.T) {
	t.Parallel()
	plan := func(Request) Plan { return Reply{} }
	for _, c := range []struct {
		name, report string
		change       func(*Ecosystem)
	}{
		{"nothing", "", func(*Ecosystem) {}},
		{"no name", "write lower-case letters, digits and dashes", func(e *Ecosystem) { e.Name = "" }},
		{"a route without a method", `plugin boxes: route "/{a}": write a method and a path`, func(e *Ecosystem) { e.Routes[0].Match = "/{a}" }},
		{"a capture that cannot be read", "write captures as {name}", func(e *Ecosystem) { e.Routes[0].Match = "GET /{a b}" }},
		{"a capture twice", "{a} stands twice in it", func(e *Ecosystem) { e.Routes[0].Match = "GET /{a}/{a}" }},
		{"a route twice", `route "GET /{a}" stands twice`, func(e *Ecosystem) { e.Routes = append(e.Routes, e.Routes[0]) }},
		{"a route without a plan", "has no Plan", func(e *Ecosystem) { e.Routes[0].Plan = nil }},
		{"a route for HEAD", "write GET: it answers HEAD too", func(e *Ecosystem) { e.Routes[0].Match = "HEAD /{a}" }},
		{"a pattern with a space", `plugin boxes: route "GET /a b": no path has spaces or letters beyond ASCII: write them escaped`, func(e *Ecosystem) { e.Routes[0].Match = "GET /a b" }},
		{"a pattern with a dot segment", `plugin boxes: route "GET /../{a}": no request gets to it: the address has a dot segment`, func(e *Ecosystem) { e.Routes[0].Match = "GET /../{a}" }},
		{"a watch of nothing", `plugin boxes: its Watch has "/a/b", which no route plans: write the Path of a Document`, func(e *Ecosystem) { e.Watch = []string{"/a/b"} }},
		{"a mount that is no path", `plugin boxes: mount "v2" must begin with a slash`, func(e *Ecosystem) { e.Mounts = []string{"v2"} }},
		{"a mount twice", `mount "/v2/" stands twice`, func(e *Ecosystem) { e.Mounts = []string{"/v2", "/v2/"} }},
		{"the default mount", `mount "/boxes" stands twice; /boxes is always there`, func(e *Ecosystem) { e.Mounts = []string{"/boxes"} }},
		{"a role twice", `two upstreams have the role "main" and the same address`, func(e *Ecosystem) { e.Upstreams = []Upstream{{}, {Role: "main"}} }},
		{"two addresses of a role", "", func(e *Ecosystem) {
			e.Upstreams = []Upstream{{URL: "https://a.example.com"}, {URL: "https://b.example.com"}}
		}},
		{"an address without a scheme", `plugin boxes: the upstream of role "main" has the URL "registry.example.com": write a whole address`, func(e *Ecosystem) {
			e.Upstreams = []Upstream{{URL: "registry.example.com"}}
		}},
		{"an address of any role", "has an URL: that role stands for upstreams that the configuration names", func(e *Ecosystem) {
			e.Upstreams = []Upstream{{Role: "*", URL: "https://a.example.com"}}
		}},
		{"a package without Inspect", "plugin boxes: Package has no Inspect: write the function", func(e *Ecosystem) { e.Package = &Package{} }},
		{"names of another archive", `Package.Peek has "names:tar": the names are those of a zip archive`, func(e *Ecosystem) { e.Package = peekAt("names:tar") }},
		{"names of an archive", "", func(e *Ecosystem) { e.Package = peekAt("names:zip") }},
		{"a kind of archive", `plugin boxes: Package.Peek has "rar:x": begin with tar:, tar.gz:, zip: or head:`, func(e *Ecosystem) { e.Package = peekAt("rar:x") }},
		{"a kind of archive alone", `Package.Peek has "zip": write which members`, func(e *Ecosystem) { e.Package = peekAt("zip") }},
		{"a head of no size", `Package.Peek has "head:all": write a number of bytes`, func(e *Ecosystem) { e.Package = peekAt("head:all") }},
		{"a package", "", func(e *Ecosystem) { e.Package = peekAt("tar:a", "tar.gz:*/b", "zip:**", "head:64") }},
		{"an ungated route that is none", `plugin boxes: Ungated names the route "GET /b", which is none: write a Match of Routes`, func(e *Ecosystem) {
			e.Ungated = []Ungated{{Route: "GET /b", Reason: "no"}}
		}},
		{"an ungated route without a reason", "without a Reason", func(e *Ecosystem) { e.Ungated = []Ungated{{Route: "GET /{a}"}} }},
		{"a method that nobody sends", "FETCH is no method that is served: write one of GET,", func(e *Ecosystem) { e.Routes[0].Match = "FETCH /{a}" }},
		{"a query in a pattern", "a path has no query", func(e *Ecosystem) { e.Routes[0].Match = "GET /a?b={c}" }},
		{"captures without anything between", "nothing stands between {a} and {b}", func(e *Ecosystem) { e.Routes[0].Match = "GET /{a}{b}" }},
		{"a route of the same shape", `plugin boxes: route "GET /{b}" is never asked, because "GET /{a}" stands before it and matches all that it matches: put it first`, func(e *Ecosystem) {
			e.Routes = append(e.Routes, Route{Match: "GET /{b}", Plan: plan})
		}},
		{"a route behind one for everything", `route "GET /{a}/x" is never asked, because "GET /{p...}"`, func(e *Ecosystem) {
			e.Routes = []Route{{Match: "GET /{p...}", Plan: plan}, {Match: "GET /{a}/x", Plan: plan}}
		}},
		{"a narrower route behind", `route "GET /a-{v}.tar" is never asked, because "GET /{n}-{v}.tar"`, func(e *Ecosystem) {
			e.Routes = []Route{{Match: "GET /{n}-{v}.tar", Plan: plan}, {Match: "GET /a-{v}.tar", Plan: plan}}
		}},
		{"routes that overlap", "", func(e *Ecosystem) {
			e.Routes = []Route{
				{Match: "GET /{a}/-/{b}", Plan: plan}, {Match: "GET /{a}/{v}", Plan: plan}, {Match: "GET /{a...}/b", Plan: plan},
				{Match: "GET /{a}-{b}.tar", Plan: plan}, {Match: "GET /{b}", Plan: plan}, {Match: "PUT /{b}", Plan: plan}, {Match: "GET /{p...}", Plan: plan},
			}
		}},
		{"a placeholder in quotes", `plugin boxes: Errors.Body has {message} in quotes: leave them out`, func(e *Ecosystem) {
			e.Errors = ErrorFormat{Type: "application/json", Body: `{"error":"{message}"}`}
		}},
		{"a placeholder that is none", "Errors.Body has {nope}, which stands for nothing: write some of {message}", func(e *Ecosystem) {
			e.Errors = ErrorFormat{Body: "{nope}"}
		}},
		{"an error that is no JSON", "Errors.Body is no JSON once", func(e *Ecosystem) { e.Errors = ErrorFormat{Type: "application/json", Body: `{"error":{message}`} }},
		{"an error's type", `Errors.Type is "json!;"`, func(e *Ecosystem) { e.Errors = ErrorFormat{Type: "json!;"} }},
		{"an error's status", "write a status from 400 to 599", func(e *Ecosystem) { e.Errors = ErrorFormat{Status: map[Kind]int{KindHeld: 200}} }},
		{"errors", "", func(e *Ecosystem) {
			e.Errors = ErrorFormat{Type: "application/vnd.x+json; charset=utf-8", Body: `{"errors":[{"detail":{message},"code":{code}}]}`}
		}},
		{"an empty snippet", "plugin boxes: entry 0 of Setup has no Client or no Text", func(e *Ecosystem) { e.Setup = []Snippet{{}} }},
		{"a header that is none", `Vary has "Accept: x": write the name of a header`, func(e *Ecosystem) { e.Vary = []string{"Accept: x"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewServer(func(struct{}) (Ecosystem, error) {
				e := Ecosystem{Name: "boxes", Routes: []Route{{Match: "GET /{a}", Plan: plan}}}
				c.change(&e)
				return e, nil
			})
			if c.report == "" && err != nil || c.report != "" && (err == nil || !strings.Contains(err.Error(), c.report)) {
				t.Errorf("the error is %v, want one that says %q", err, c.report)
			}
		})
	}
}

func TestMistakesInOptionsAreReported(t *testing.T) {
	t.Parallel()
	type noHelp struct {
		A string `hcl:"a"`
	}
	type noName struct {
		A string `help:"A."`
	}
	type badDefault struct {
		A int `hcl:"a" help:"A." default:"many"`
	}
	type badType struct {
		A []int `hcl:"a" help:"A."`
	}
	type twice struct {
		A string `hcl:"a" help:"A."`
		B string `hcl:"a" help:"B."`
	}
	type hidden struct {
		a string `hcl:"a" help:"A."`
	}
	type badName struct {
		A string `hcl:"d d" help:"A."`
	}
	type never struct {
		A string `hcl:"a" help:"A." required:"true" default:"b"`
	}
	type perhaps struct {
		A string `hcl:"a" help:"A." required:"yes"`
	}
	type badList struct {
		A []string `hcl:"a" help:"A." default:"b"`
	}
	_ = hidden{}.a
	for report, err := range map[string]error{
		`plugin boxes: option a has no help text: write help:"…"`:                                         opens[noHelp](),
		`option field A has no tag: write hcl:"a"`:                                                        opens[noName](),
		`option a is a number, which its default many is not: write JSON, as default:"5"`:                 opens[badDefault](),
		`option a is a list(string), which its default b is not: write JSON, as default:"[\"a\", \"b\"]"`: opens[badList](),
		"option a is a []int: use string, bool, a numb":                                                   opens[badType](),
		"option a is two fields, the second being B":                                                      opens[twice](),
		"option field a cannot be set: begin its name with an upper":                                      opens[hidden](),
		`option "d d" cannot be written in a configuration`:                                               opens[badName](),
		"option a is required and has a default, which is never used":                                     opens[never](),
		`option a has required:"yes": write required:"true"`:                                              opens[perhaps](),
	} {
		if err == nil || !strings.Contains(err.Error(), report) {
			t.Errorf("the error is %v, want one that says %q", err, report)
		}
	}
}

func opens[C any]() error {
	_, err := NewServer(func(C) (Ecosystem, error) { return Ecosystem{Name: "boxes"}, nil })
	return err
}

// TestErrorsOfOpenNameThePlugin shows what is printed where a plugin cannot be
// opened at all: it is called like its program.
func TestErrorsOfOpenNameThePlugin(t *testing.T) {
	t.Parallel()
	_, err := NewServer(func(struct{}) (Ecosystem, error) { return Ecosystem{}, OptionError{"greeting", "write a word"} })
	if want := "plugin sdk refuses the defaults of its options, for which it must open: greeting: write a word"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestMistakesInPlansAreReported(t *testing.T) {
	t.Parallel()
	accept := func(*Publication) (Reply, error) { return Reply{}, nil }
	for _, c := range []struct {
		name, report string
		plan         Plan
	}{
		{"nothing", "returned no plan: return sdk.NotFound", nil},
		{"a pointer", "returned a *sdk.Reply: return the plan itself, without the &", &Reply{}},
		{"a document that is not rendered", "returned a Document without Render", Document{}},
		{"a body", `returned an Upload with the Body "yaml": write one of none, raw,`, Upload{Body: "yaml", Accept: accept}},
		{"a body of no size", "write the most bytes", Upload{Body: "bytes:many", Accept: accept}},
		{"an action", `with the Action "read"`, Upload{Action: "read", Accept: accept}},
		{"nothing that accepts", "returned an Upload without Accept", Upload{Body: "raw"}},
		{"a commit that nothing accepts", "returned an Upload without Accept", Upload{Body: "raw", Step: StepCommit}},
		{"a step", "", Upload{Body: "raw", Step: StepAppend}},
		{"framed", "", Upload{Body: "u32le:metadata,@crate", Accept: accept}},
		{"JSON", "", Upload{Body: "json:/_attachments/*/data", Accept: accept}},
		{"all of JSON", "", Upload{Body: "json:", Accept: accept}},
		{"bytes", "", Upload{Body: "bytes:4194304", Accept: accept}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewServer(func(struct{}) (Ecosystem, error) {
				return Ecosystem{Name: "boxes", Package: peekAt("tar:a"), Routes: []Route{{Match: "PUT /a", Plan: func(Request) Plan { return c.plan }}}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Plan(t.Context(), &pb.PlanRequest{Subject: &pb.PlanRequest_Request{Request: &pb.Request{Method: "PUT", Path: "/a"}}})
			if c.report == "" && err != nil || c.report != "" && (err == nil || !strings.Contains(err.Error(), "plugin boxes: the route of PUT /a ") || !strings.Contains(err.Error(), c.report)) {
				t.Errorf("the error is %v, want one that says %q", err, c.report)
			}
		})
	}
}

func peekAt(patterns ...string) *Package {
	return &Package{Peek: patterns, Inspect: func(*Members) (Entry, error) { return Entry{}, nil }}
}

func TestHexDigest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]byte{"": {}, "0aFF": {10, 255}, "none": []byte("none")} {
		if got := HexDigest("sha256", text); got.Algorithm != "sha256" || !bytes.Equal(got.Sum, want) {
			t.Errorf("%q gives %v, want %x", text, got, want)
		}
	}
}
