package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// shelfOptions are those of shelf, a plugin of a protocol made up for these
// tests: a listing /NAME has lines of version and date, and ends with "end".
type shelfOptions struct {
	Suffix string `hcl:"suffix" default:".box" help:"How file names end."`
}

// parts are what the broken plugins replace.
type parts struct {
	name string
	plan func(sdk.Request) sdk.Plan
	list func(in *sdk.Input, name string) error
	file func(sdk.Request) sdk.Artifact
	more []sdk.Route // that no script asks
}

func whole() parts {
	p := parts{name: "shelf"}
	p.list = listing(true)
	p.file = func(r sdk.Request) sdk.Artifact {
		name, version := r.Get("name"), r.Get("version")
		return sdk.Artifact{
			Version: sdk.Version{Name: name, Version: version},
			Path:    filePath(name, version),
			From:    sdk.From("files/" + url.PathEscape(name) + "-" + url.PathEscape(version)),
			Facts:   []string{"/" + url.PathEscape(name)},
		}
	}
	return p
}

func filePath(name, version string) string {
	return "/files/" + url.PathEscape(name) + "-" + url.PathEscape(version) + ".box"
}

type box struct {
	Version string `json:"version"`
	URL     string `json:"url"`
}

// listing renders a listing; strictly means that Keep is heeded.
func listing(strictly bool) func(*sdk.Input, string) error {
	return func(in *sdk.Input, name string) error {
		boxes := []box{}
		body := string(in.Docs()[0].Body)
		if !strings.HasSuffix(body, "end\n") {
			return errors.New("the listing has no end")
		}
		for line := range strings.Lines(strings.TrimSuffix(body, "end\n")) {
			version, date, _ := strings.Cut(strings.TrimSpace(line), " ")
			published, err := time.Parse(time.DateOnly, date)
			if err != nil {
				return err
			}
			path := filePath(name, version)
			if in.Keep(sdk.Version{Name: name, Version: version, Published: published}, sdk.File{Path: path}) || !strictly {
				boxes = append(boxes, box{version, in.URL(path)})
			}
		}
		if len(boxes) == 0 {
			return in.Held()
		}
		return in.JSON(boxes)
	}
}

func (p parts) open(shelfOptions) (sdk.Ecosystem, error) {
	document := func(r sdk.Request) sdk.Plan {
		name := r.Get("name")
		return sdk.Document{
			Path:   "/" + url.PathEscape(name),
			Name:   name,
			From:   sdk.From(url.PathEscape(name)),
			Render: func(in *sdk.Input) error { return p.list(in, name) },
		}
	}
	if p.plan != nil {
		document = p.plan
	}
	return sdk.Ecosystem{
		Name:      p.name,
		Upstreams: []sdk.Upstream{{URL: "https://shelf.example.com"}},
		Vary:      []string{"Accept"},
		Errors: sdk.ErrorFormat{
			Type:   "application/json",
			Body:   `{"error":{message},"until":{until}}`,
			Status: map[sdk.Kind]int{sdk.KindRefused: 451},
		},
		Routes: append(p.more, []sdk.Route{
			{Match: "GET /files/{name}-{version}.box", Plan: func(r sdk.Request) sdk.Plan { return p.file(r) }},
			{Match: "GET /-/old/{name}", Plan: func(r sdk.Request) sdk.Plan { return sdk.Redirect(r.URL("/" + r.Raw("name"))) }},
			{Match: "GET /-/accept", Plan: func(r sdk.Request) sdk.Plan { return sdk.Reply{Body: []byte(r.Header("Accept"))} }},
			{Match: "POST /-/ask", Plan: func(sdk.Request) sdk.Plan { return sdk.Relay{To: sdk.Source{URL: "ask"}} }},
			{Match: "GET /{name}", Plan: document},
		}...),
	}, nil
}

func TestScripts(t *testing.T) {
	Run(t, whole().open, "testdata/*.txtar")
}

const fixture = `Two versions, of which the younger is held.

now 2025-06-10
cooldown 7d
-- upstream /lamp --
1.0 2025-01-01
2.0 2025-06-09
end
-- upstream /chair --
1.0 2025-01-01
end
-- upstream /files/lamp-1.0 --
light
-- GET /lamp --
-- GET /files/lamp-1.0.box --
`

// breach runs one law, or all, over the fixture and returns what it reports.
func breach(t *testing.T, p parts, laws []law) string {
	t.Helper()
	s, err := parseScript([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	var out problems
	for _, l := range laws {
		l.check(&out, s, plugin(p.open))
	}
	return strings.Join(out, "\n")
}

func TestWholePluginKeepsAllLaws(t *testing.T) {
	t.Parallel()
	if got := breach(t, whole(), laws()); got != "" {
		t.Errorf("a plugin without fault is accused:\n%s", got)
	}
}

func TestLawsCatchBrokenPlugins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, law, report string
		broken            func(*parts)
	}{
		{"Keep is not heeded", "held files are nowhere", "lamp-2.0.box is held back, but its name stands in", func(p *parts) {
			p.list = listing(false)
		}},
		{"Keep is not heeded, seen by its link", "links lead somewhere", "lamp 2.0 is held back until 2025-06-16", func(p *parts) {
			p.list = listing(false)
		}},
		{"Keep is not called", "links lead somewhere", "is not listed upstream", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error { return in.JSON([]box{{"2.0", in.URL(filePath(name, "2.0"))}}) }
		}},
		{"a link leads nowhere", "links lead somewhere", "dead link in /lamp: /files/lamp-1.0.tin", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error { return in.JSON([]box{{"1.0", in.URL("/files/lamp-1.0.tin")}}) }
		}},
		{"a link leads to another package", "links lead somewhere", "to a file of another package", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				in.Keep(sdk.Version{Name: name, Version: "1.0"}, sdk.File{Path: filePath(name, "1.0")})
				return in.JSON(in.URL(filePath("chair", "1.0")))
			}
		}},
		{"the order of a map shows", "same question same answer", "was rendered twice from the same documents", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				m := map[string]bool{}
				for i := range 100 {
					m[fmt.Sprint(i)] = true
				}
				for k := range m {
					fmt.Fprintln(in.Output("", "text/plain"), k)
				}
				return nil
			}
		}},
		{"a plan depends on state", "same question same answer", "has two plans", func(p *parts) {
			n := 0
			p.file = func(r sdk.Request) sdk.Artifact {
				n++
				return sdk.Artifact{Path: fmt.Sprint("/", n)}
			}
		}},
		{"an address is not canonical", "canonical addresses", "Document.Path must lead to the same document", func(p *parts) {
			p.plan = func(r sdk.Request) sdk.Plan {
				return sdk.Document{Name: "lamp", Path: r.Path + "x", From: sdk.From("lamp"), Render: listingOf("lamp")}
			}
		}},
		{"a plan panics", "mutilated addresses", "panic", func(p *parts) {
			p.plan = func(r sdk.Request) sdk.Plan {
				if r.Get("name") != "lamp" {
					panic("what is that?")
				}
				return sdk.Document{Name: "lamp", From: sdk.From("lamp"), Render: listingOf("lamp")}
			}
		}},
		{"upstream is asked what no address is", "mutilated addresses", "escape them", func(p *parts) {
			p.plan = func(r sdk.Request) sdk.Plan {
				return sdk.Document{Name: "lamp", From: sdk.From(r.Get("name")), Render: listingOf("lamp")}
			}
		}},
		{"a cut document panics", "documents cut off", "panic", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				var v string
				body := in.Docs()[0].Body
				if body[len(body)-1] != '\n' {
					panic("no end")
				}
				return in.JSON(v)
			}
		}},
		{"a cut document shows what was held", "documents cut off", "which is held back: what cannot be read to the end must fail", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				for line := range strings.Lines(string(in.Docs()[0].Body)) {
					version, date, _ := strings.Cut(strings.TrimSpace(line), " ")
					published, _ := time.Parse(time.DateOnly, date) // zero: served
					in.Keep(sdk.Version{Name: name, Version: version, Published: published}, sdk.File{Path: filePath(name, version)})
				}
				return in.JSON(json.RawMessage("[]"))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := whole()
			c.broken(&p)
			for _, l := range laws() {
				if l.name != c.law {
					continue
				}
				if got := breach(t, p, []law{l}); !strings.Contains(got, c.report) {
					t.Errorf("law %q reports %q, which does not say %q", l.name, got, c.report)
				}
				return
			}
			t.Errorf("there is no law %q", c.law)
		})
	}
}

func listingOf(name string) func(*sdk.Input) error {
	return func(in *sdk.Input) error { return listing(true)(in, name) }
}
