package plugintest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

// drawer is a plugin that hosts: a file is put whole, as a part of a form or in
// steps, and an archive in a directory holds several.
func drawer(unpack func(*sdk.Unpacking) error) func(struct{}) (sdk.Ecosystem, error) {
	path := func(name string) string { return "/" + name + "/1.0" }
	accept := func(name string) func(p *sdk.Publication) (sdk.Reply, error) {
		return func(p *sdk.Publication) (sdk.Reply, error) {
			if len(p.Files) != 1 {
				return sdk.Reply{}, sdk.BadRequest("send one file")
			}
			if rename := p.Field("rename"); rename != nil {
				name = strings.TrimSpace(string(rename))
			}
			if had := p.Package(name); had.Revision > 0 && name == "once" {
				return sdk.Reply{}, sdk.Failure{Kind: sdk.KindConflict, Message: "there is one"}
			}
			p.Store(p.Files[0], sdk.Entry{Version: sdk.Version{Name: name, Version: "1.0"}, Path: path(name)}, false)
			return sdk.Reply{Status: 201}, nil
		}
	}
	step := func(step sdk.Step, reply sdk.Reply) func(sdk.Request) sdk.Plan {
		return func(r sdk.Request) sdk.Plan {
			return sdk.Upload{Step: step, Session: r.Get("session"), Range: r.Header("Content-Range"), Accept: accept(r.Get("name")), Reply: reply}
		}
	}
	return func(struct{}) (sdk.Ecosystem, error) {
		return sdk.Ecosystem{
			Name: "drawer",
			Vary: []string{"Content-Range"},
			Package: &sdk.Package{
				Peek:    []string{"folder:list.txt", "tar:*.txt", "head:3"},
				Inspect: func(*sdk.Members) (sdk.Entry, error) { return sdk.Entry{}, sdk.BadRequest("put it") },
				Unpack:  unpack,
			},
			Routes: []sdk.Route{
				{Match: "GET /{name}/1.0", Plan: func(r sdk.Request) sdk.Plan {
					return sdk.Artifact{Version: sdk.Version{Name: r.Get("name"), Version: "1.0"}, Path: path(r.Get("name"))}
				}},
				{Match: "PUT /{name}/1.0", Plan: func(r sdk.Request) sdk.Plan { return sdk.Upload{Body: "raw", Accept: accept(r.Get("name"))} }},
				{Match: "DELETE /{name}/1.0", Plan: func(r sdk.Request) sdk.Plan {
					return sdk.Upload{Accept: func(p *sdk.Publication) (sdk.Reply, error) {
						p.Package(r.Get("name"))
						p.Delete(r.Get("name"), "1.0", true)
						return sdk.Reply{Status: 204}, nil
					}}
				}},
				{Match: "POST /{name}/form", Plan: func(r sdk.Request) sdk.Plan { return sdk.Upload{Body: "form", Accept: accept(r.Get("name"))} }},
				{Match: "POST /{name}/up", Plan: step(sdk.StepOpen, sdk.Reply{Status: 202, Header: map[string]string{"Location": "{session}"}})},
				{Match: "PATCH /{name}/up/{session}", Plan: step(sdk.StepAppend, sdk.Reply{Status: 202, Header: map[string]string{"Range": "{size} {last}"}})},
				{Match: "PUT /{name}/up/{session}", Plan: step(sdk.StepCommit, sdk.Reply{})},
			},
		}, nil
	}
}

// unpackTexts stores each text of an archive.
func unpackTexts(u *sdk.Unpacking) error {
	for _, m := range u.All() {
		if name, ok := strings.CutSuffix(m.Name, ".txt"); ok {
			u.Store(m.Name, "", sdk.Entry{Version: sdk.Version{Name: name, Version: "1.0"}, Path: "/" + name + "/1.0"})
		}
	}
	return nil
}

const drawerScript = `Uploads are carried out.

-- file pen --
ink
-- file more --
and more
-- file name --
nib
-- file box.tar chalk.txt --
white
-- file box.tar notes.md --
none
`

func TestUploadsInScripts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, requests string
		wrong          string // empty: nothing
	}{
		{"whole", "-- PUT /pen/1.0 < pen --\n201\n-- GET /pen/1.0 --\nink\n", ""},
		{"not served before", "-- GET /pen/1.0 --\nink\n-- PUT /pen/1.0 < pen --\n201\n", "status 404"},
		{"empty", "-- PUT /pen/1.0 --\n201\n-- GET /pen/1.0 --\n", ""},
		{"published twice", "-- PUT /pen/1.0 < pen --\n201\n-- PUT /pen/1.0 < pen --\n409 is there already\n", ""},
		{"the state of the package", "-- PUT /once/1.0 < pen --\n201\n-- PUT /once/1.0 < pen --\n409 there is one\n", ""},
		{"deleted for good", "-- PUT /pen/1.0 < pen --\n201\n-- DELETE /pen/1.0 --\n204\n-- GET /pen/1.0 --\n404\n-- PUT /pen/1.0 < more --\n409 does not come back with these\n-- PUT /pen/1.0 < pen --\n201\n", ""},
		{"a form", "-- POST /pen/form < rename=name @file=pen --\n201\n-- GET /nib/1.0 --\nink\n", ""},
		{"a form without parts", "-- POST /pen/form < pen --\n201\n", "send them as FIELD=NAME, and files as @FIELD=NAME"},
		{"steps", "-- POST /pen/up --\n202\nLocation: 1\n-- PATCH /pen/up/1 < pen [Content-Range: 0-3] --\n202\nRange: 4 3\n-- PUT /pen/up/1 < more --\n201\n-- GET /pen/1.0 --\nink\nand more\n", ""},
		{"a step that does not follow", "-- POST /pen/up --\n202\n-- PATCH /pen/up/1 < pen [Content-Range: 1-4] --\n416 0 bytes are there\n", ""},
		{"an upload that ended", "-- POST /pen/up --\n202\n-- PUT /pen/up/1 --\n201\n-- PUT /pen/up/1 --\n404 there is no such upload\n", ""},
		{"a directory", "-- directory box.tar --\nstore chalk 1.0 /chalk/1.0\n-- GET /chalk/1.0 --\nwhite\n", ""},
		{"a folder of a directory", "-- file shelf/ list.txt --\nwhite\n-- directory shelf/ --\nstore list 1.0 /list/1.0\n-- GET /list/1.0 --\nwhite\n", ""},
		{"a folder that stands for nothing", "-- file shelf/ chalk.txt --\nwhite\n-- directory shelf/ --\n", "Package.Peek has the name of no file in this folder"},
		{"a directory that is expected otherwise", "-- directory box.tar --\nstore chalk 2.0 /chalk/2.0\n", "body differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := parseScript([]byte(drawerScript + c.requests))
			if err != nil {
				t.Fatal(err)
			}
			var found problems
			run := func(_ string, check func(reporter)) { check(&found) }
			start := plugin(drawer(unpackTexts))
			if err := s.expectations(start, run); err != nil {
				t.Fatal(err)
			}
			s.laws(start, run)
			got := strings.Join(found, "\n")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("reported is %q, want %q", got, c.wrong)
			}
		})
	}
}

// TestUnpackMustBePure has an archive understood otherwise each time, and a
// member stored that is not there.
func TestUnpackMustBePure(t *testing.T) {
	t.Parallel()
	n := 0
	for want, unpack := range map[string]func(*sdk.Unpacking) error{
		"is understood in two ways": func(u *sdk.Unpacking) error {
			n++
			u.StoreBytes([]byte("x"), sdk.Entry{Version: sdk.Version{Name: "a", Version: fmt.Sprint(n)}, Path: "/a/1.0"})
			return nil
		},
		`stores the member "paint.txt", which the archive does not have`: func(u *sdk.Unpacking) error {
			u.Store("paint.txt", "", sdk.Entry{Version: sdk.Version{Name: "a", Version: "1"}, Path: "/a/1.0"})
			return nil
		},
	} {
		s, err := parseScript([]byte(drawerScript + "-- directory box.tar --\n"))
		if err != nil {
			t.Fatal(err)
		}
		var found problems
		sameAnswer(&found, s, plugin(drawer(unpack)))
		if got := strings.Join(found, "\n"); !strings.Contains(got, want) {
			t.Errorf("reported is %q, which does not say %q", got, want)
		}
	}
}
