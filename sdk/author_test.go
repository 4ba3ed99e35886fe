package sdk

import (
	"bytes"
	"strings"
	"testing"
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
		{"a mount that is no path", `plugin boxes: mount "v2" must begin with a slash`, func(e *Ecosystem) { e.Mounts = []string{"v2"} }},
		{"a mount twice", `mount "/v2/" stands twice`, func(e *Ecosystem) { e.Mounts = []string{"/v2", "/v2/"} }},
		{"the default mount", `mount "/boxes" stands twice; /boxes is always there`, func(e *Ecosystem) { e.Mounts = []string{"/boxes"} }},
		{"a role twice", `two upstreams have the role "main"`, func(e *Ecosystem) { e.Upstreams = []Upstream{{}, {Role: "main"}} }},
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
	for report, err := range map[string]error{
		`option a has no help text: write help:"…"`:     opens[noHelp](),
		`option field A has no tag: write hcl:"a"`:      opens[noName](),
		"option a: its default must be JSON":            opens[badDefault](),
		"option a is a []int: use string, bool, a numb": opens[badType](),
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

func TestHexDigest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]byte{"": {}, "0aFF": {10, 255}, "none": []byte("none")} {
		if got := HexDigest("sha256", text); got.Algorithm != "sha256" || !bytes.Equal(got.Sum, want) {
			t.Errorf("%q gives %v, want %x", text, got, want)
		}
	}
}
