package plugintest

import (
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestScriptErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, report string }{
		{"no prose", "now 2025-06-10\n-- GET / --\n", "begin with a sentence"},
		{"a misspelt directive", "Prose.\n\ncooldwon 7d\n-- GET / --\n", `unknown directive "cooldwon 7d"`},
		{"a directive within prose", "Prose.\ncooldown 7d\n-- GET / --\n", "put an empty line before"},
		{"a misspelt duration", "Prose.\n\ncooldown 7days\n-- GET / --\n", "write a cool-down as 7d"},
		{"a misspelt instant", "Prose.\n\nnow yesterday\n-- GET / --\n", "write an instant as"},
		{"options that are no JSON", "Prose.\n\noptions a=b\n-- GET / --\n", "options {"},
		{"nothing asked", "Prose.\n-- upstream /a --\n", "asks nothing"},
		{"an unknown section", "Prose.\n-- upstraem /a --\n-- GET / --\n", `section "upstraem /a"`},
		{"an answer given twice", "Prose.\n-- upstream /a --\n-- upstream main a --\n-- GET / --\n", "answered twice"},
		{"an open header", "Prose.\n-- GET / [Accept: a --\n", "headers are written as"},
		{"a file that is not there", "Prose.\n-- PUT /a < b --\n", "there is no section -- file b --"},
		{"a part that is not there", "Prose.\n-- PUT /a < name=b --\n", "there is no section -- file b --"},
		{"a directory of nothing", "Prose.\n-- directory b.tar --\n", "there is no section -- file b.tar --"},
		{"a file given twice", "Prose.\n-- file a --\n-- file a --\n-- GET / --\n", "the file a stands twice"},
		{"a member of no archive", "Prose.\n-- file a.txt b --\n-- GET / --\n", "a.txt is no archive with members"},
		{"a member given twice", "Prose.\n-- file a.zip b --\n-- file a.zip b --\n-- GET / --\n", "the member b stands twice"},
		{"a body after a status", "Prose.\n-- GET / --\n200\nbody\n", "is no header line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseScript([]byte(c.script))
			if err == nil || !strings.Contains(err.Error(), c.report) {
				t.Errorf("error is %v, want one that says %q", err, c.report)
			}
		})
	}
}

// TestContractBreaches shows that what a host could not carry out is told from
// what a client may be told.
func TestContractBreaches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, request, report string
		broken                func(*parts)
	}{
		{"a header that does not vary", "GET /lamp [Cookie: a]", "not in Ecosystem.Vary", func(*parts) {}},
		{"an unknown role", "GET /lamp", "returned a Document that asks the upstream of role \"mirror\"", func(p *parts) {
			p.plan = func(r sdk.Request) sdk.Plan {
				if r.Get("name") != "lamp" { // the start does not ask for
					return sdk.NotFound("there is none")
				}
				return sdk.Document{Name: "lamp", From: []sdk.Source{{URL: "lamp", Role: "mirror"}}, Render: listingOf("lamp")}
			}
		}},
		{"an output that is not written", "GET /lamp", `has no output "short"`, func(p *parts) {
			p.plan = func(sdk.Request) sdk.Plan {
				return sdk.Document{Name: "lamp", Output: "short", From: sdk.From("lamp"), Render: listingOf("lamp")}
			}
		}},
		{"facts that are no document", "GET /files/lamp-1.0.box", "which is no document", func(p *parts) {
			p.file = func(sdk.Request) sdk.Artifact { return sdk.Artifact{Facts: []string{"/-/accept"}} }
		}},
		{"a version of no package", "GET /lamp", "a version without the name of its package in /lamp", func(p *parts) {
			p.list = func(in *sdk.Input, _ string) error { return listing(true)(in, "") }
		}},
		{"documents without end", "GET /lamp", "asks for more than", func(p *parts) {
			p.list = func(in *sdk.Input, _ string) error {
				url := "a"
				for {
					if _, ok := in.Doc(sdk.Source{URL: url, Optional: true}); !ok {
						return nil
					}
					url += "a"
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := whole()
			c.broken(&p)
			s, err := parseScript([]byte(strings.Replace(fixture, "GET /lamp", c.request, 1)))
			if err != nil {
				t.Fatal(err)
			}
			h, err := newHost(s, plugin(p.open))
			if err != nil {
				t.Fatal(err)
			}
			defer h.close()
			if got, err := h.ask(s.exchanges[0]); err == nil || !strings.Contains(err.Error(), c.report) {
				t.Errorf("the answer is %+v, the error %v, want one that says %q", got, err, c.report)
			}
		})
	}
}

func TestFileThatDiffersFromItsDigestIsRefused(t *testing.T) {
	t.Parallel()
	p := whole()
	p.file = func(sdk.Request) sdk.Artifact {
		digest := sdk.Digest{Algorithm: "md5", Sum: make([]byte, 16)}
		return sdk.Artifact{Digest: digest, From: sdk.From("files/lamp-1.0"), Facts: []string{"/lamp"}, Version: sdk.Version{Name: "lamp", Version: "1.0"}}
	}
	s, err := parseScript([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHost(s, plugin(p.open))
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	got, err := h.ask(s.exchanges[1])
	if err != nil {
		t.Fatal(err)
	}
	if got.status != 502 || !strings.Contains(got.message, "but should be 00000000000000000000000000000000") {
		t.Errorf("the answer is %d %s, want 502", got.status, got.message)
	}
}
