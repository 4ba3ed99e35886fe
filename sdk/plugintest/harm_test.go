package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// jsonFixture is a listing of three versions as JSON, the youngest of them held.
const jsonFixture = `Three versions, of which the youngest is held.

now 2025-06-10
cooldown 7d
-- upstream /lamp --
{"versions": [
  {"version": "1.0", "published": "2025-01-01T00:00:00Z"},
  {"version": "1.1", "published": "2025-01-02T00:00:00Z"},
  {"version": "2.0", "published": "2025-06-09T00:00:00Z"}
], "latest": "2.0"}
-- GET /lamp --
`

// jsonListing renders jsonFixture's listing from what decode makes of it.
func jsonListing(decode func([]byte) ([]release, error), show func(shown []release) any) func(*sdk.Input, string) error {
	return func(in *sdk.Input, name string) error {
		all, err := decode(in.Docs()[0].Body)
		if err != nil {
			return err
		}
		shown := []release{}
		for _, r := range all {
			if in.Keep(sdk.Version{Name: name, Version: r.Version, Published: r.Published}, sdk.File{Path: filePath(name, r.Version)}) {
				shown = append(shown, r)
			}
		}
		if len(shown) == 0 {
			return in.Held()
		}
		return in.JSON(show(shown))
	}
}

type release struct {
	Version   string    `json:"version"`
	Published time.Time `json:"published"`
}

func strict(body []byte) ([]release, error) {
	var listing struct{ Versions []release }
	err := json.Unmarshal(body, &listing)
	return listing.Versions, err
}

func lastOf(shown []release) any {
	return map[string]any{"versions": shown, "latest": shown[len(shown)-1].Version}
}

// breaches are what the laws find in a plugin on a script.
func breaches(t *testing.T, fixture string, p parts) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, l := range laws() {
		s, err := parseScript([]byte(fixture))
		if err != nil {
			t.Fatal(err)
		}
		var out problems
		l.check(&out, s, plugin(p.open))
		if len(out) > 0 {
			found[l.name] = strings.Join(out, "\n")
		}
	}
	return found
}

func TestLawsCatchWhatPassesAtFirstSight(t *testing.T) {
	t.Parallel()
	list := func(decode func([]byte) ([]release, error), show func([]release) any) func(*parts) {
		return func(p *parts) { p.list = jsonListing(decode, show) }
	}
	route := func(r sdk.Route) func(*parts) {
		return func(p *parts) {
			p.list, p.more = jsonListing(strict, lastOf), []sdk.Route{r}
		}
	}
	for _, c := range []struct {
		name, law, report string // empty: there is nothing to report
		change            func(*parts)
	}{
		{"nothing", "", "", list(strict, lastOf)},
		{"an error of decoding is ignored", "documents cut off", "fails with \"there are no versions of it here\", as if upstream had said so: return the error of decoding", list(func(body []byte) ([]release, error) {
			all, _ := strict(body)
			return all, nil
		}, lastOf)},
		{"a decoder that stops silently", "documents cut off", "no longer lists lamp 1.0, as if upstream had removed it: return the error", list(func(body []byte) ([]release, error) {
			all := []release{{Version: "0.1"}}
			_, versions, _ := bytes.Cut(body, []byte(`"versions": `))
			d := json.NewDecoder(bytes.NewReader(versions))
			for _, err := d.Token(); err == nil && d.More(); {
				var r release
				if err = d.Decode(&r); err == nil {
					all = append(all, r)
				}
			}
			return all, nil
		}, lastOf)},
		{"latest is upstream's", "held files are nowhere", `.latest in the document /lamp (output "") names a version that is held back`, list(strict, func(shown []release) any {
			return map[string]any{"versions": shown, "latest": "2.0"}
		})},
		{"times are upstream's", "held files are nowhere", `.time.2.0 in the document /lamp (output "") names a version that is held back`, list(strict, func(shown []release) any {
			return map[string]any{"versions": shown, "time": map[string]string{"2.0": "2025-06-09"}}
		})},
		{"tags are upstream's", "held files are nowhere", `.dist-tags.next in the document`, list(strict, func(shown []release) any {
			return map[string]any{"versions": shown, "dist-tags": map[string]string{"next": "2.0"}}
		})},
		{"another's version, and a version of the format", "", "", list(strict, func(shown []release) any {
			return map[string]any{"versions": shown, "api-version": "2.0", "dependencies": map[string]any{"chair": "2.0"}, "score": "2.0"}
		})},
		{"a query that nobody meant", "mutilated addresses", "panic: no query was meant", func(p *parts) {
			p.list = jsonListing(strict, lastOf)
			p.plan = func(r sdk.Request) sdk.Plan {
				if r.Param("q") != "" && r.Param("q") != "example" {
					panic("no query was meant")
				}
				name := r.Get("name")
				return sdk.Document{Path: "/" + url.PathEscape(name), Name: name, From: sdk.From(url.PathEscape(name)), Render: func(in *sdk.Input) error { return p.list(in, name) }}
			}
		}},
		{"a semicolon", "mutilated addresses", "panic: a semicolon", func(p *parts) {
			p.list = jsonListing(strict, lastOf)
			p.plan = func(r sdk.Request) sdk.Plan {
				if strings.Contains(r.Query, ";") {
					panic("a semicolon")
				}
				name := r.Get("name")
				return sdk.Document{Path: "/" + url.PathEscape(name), Name: name, From: sdk.From(url.PathEscape(name)), Render: func(in *sdk.Input) error { return p.list(in, name) }}
			}
		}},
		{"a route that no script asks", "mutilated addresses", "returned no plan: return sdk.NotFound",
			route(sdk.Route{Match: "GET /-/forgotten/{x}", Plan: func(r sdk.Request) sdk.Plan {
				if r.Get("x") == strings.ToUpper(r.Get("x")) && len(r.Get("x")) < 5 { // the start asks for none of them
					return nil
				}
				return sdk.JSON(true)
			}})},
		{"a route that no script asks counts", "same question same answer", "GET /-/forgotten/a has two plans", func(p *parts) {
			var asked atomic.Int32
			p.list, p.more = jsonListing(strict, lastOf), []sdk.Route{{Match: "GET /-/forgotten/{x}", Plan: func(sdk.Request) sdk.Plan { return sdk.JSON(asked.Add(1)) }}}
		}},
		{"links of upstream's", "clients come here", "https://files.example.com/lamp-1.0.box stands in the document /lamp", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				file := sdk.File{Path: filePath(name, "1.0"), URL: "https://files.example.com/lamp-1.0.box"}
				if _, err := strict(in.Docs()[0].Body); err != nil {
					return err
				}
				if !in.Keep(sdk.Version{Name: name, Version: "1.0", Published: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}, file) {
					return in.Held()
				}
				return in.JSON(map[string]string{"file": file.URL})
			}
		}},
		{"Keep is not told", "versions are told of", "[0].version in the document /lamp (output \"\") names a version that upstream lists, and Input.Keep was not told of it", func(p *parts) {
			p.list = func(in *sdk.Input, _ string) error {
				all, err := strict(in.Docs()[0].Body)
				if err != nil {
					return err
				}
				return in.JSON(all)
			}
		}},
		{"Keep is not told of one", "versions are told of", ".versions[0].version in the document /lamp", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				all, err := strict(in.Docs()[0].Body)
				if err != nil || len(all) == 0 {
					return errors.Join(err, in.Held())
				}
				shown := all[:1]
				for _, r := range all[1:] {
					if in.Keep(sdk.Version{Name: name, Version: r.Version, Published: r.Published}, sdk.File{Path: filePath(name, r.Version)}) {
						shown = append(shown, r)
					}
				}
				return in.JSON(lastOf(shown))
			}
		}},
		{"Keep is told of another", "versions are told of", `the document /lamp is about "lamp", and Input.Keep was told of "chair"`, func(p *parts) {
			list := jsonListing(strict, lastOf)
			p.list = func(in *sdk.Input, _ string) error { return list(in, "chair") }
		}},
		{"Keep is not asked", "held files are nowhere", "if all were", func(p *parts) {
			p.list = func(in *sdk.Input, name string) error {
				all, err := strict(in.Docs()[0].Body)
				if err != nil {
					return err
				}
				for i, r := range all {
					if !in.Keep(sdk.Version{Name: name, Version: r.Version, Published: r.Published}, sdk.File{Path: filePath(name, r.Version)}) && i == 2 {
						all = all[:2] // as the script expects
					}
				}
				return in.JSON(lastOf(all))
			}
		}},
		{"an upload that nothing accepts", "mutilated addresses", "plugin shelf: the route \"PUT /-/upload\", asked for /-/upload, returned an Upload without Accept",
			route(sdk.Route{Match: "PUT /-/upload", Plan: func(sdk.Request) sdk.Plan { return sdk.Upload{Body: "raw"} }})},
		{"a document without a name", "documents say what they are about", "the document /lamp is about lamp, but its Document.Name is empty: write it", func(p *parts) {
			p.list = jsonListing(strict, lastOf)
			p.plan = func(r sdk.Request) sdk.Plan {
				return sdk.Document{Path: "/lamp", Several: true, From: sdk.From("lamp"), Render: func(in *sdk.Input) error { return p.list(in, "lamp") }}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := whole()
			c.change(&p)
			found := breaches(t, jsonFixture, p)
			if c.law == "" && len(found) > 0 {
				t.Errorf("a plugin without fault is accused: %q", found)
			}
			if !strings.Contains(found[c.law], c.report) {
				t.Errorf("law %q: %q, which does not say %q", c.law, found, c.report)
			}
		})
	}
}

// TestEndlessRenderingIsReportedOnce has a rendering that does not end: one
// sentence, no law after it, and no waiting for what cannot come.
func TestEndlessRenderingIsReportedOnce(t *testing.T) {
	t.Parallel()
	var over atomic.Bool
	t.Cleanup(func() { over.Store(true) })
	p := whole()
	p.list = func(*sdk.Input, string) error {
		for !over.Load() {
		}
		return nil
	}
	s, err := parseScript([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	run := func(name string, check func(reporter)) {
		var out problems
		check(&out)
		if len(out) > 0 {
			found[name] = strings.Join(out, "\n")
		}
	}
	began := time.Now()
	if err := s.expectations(plugin(p.open), run); err != nil {
		t.Fatal(err)
	}
	s.laws(plugin(p.open), run)
	if took := time.Since(began); took > 2*patience {
		t.Errorf("it took %s", took)
	}
	if len(found) != 2 || !strings.Contains(found["GET /lamp"], errSlow.Error()) || !strings.Contains(found["GET /files/lamp-1.0.box"], errHangs.Error()) {
		t.Errorf("reported is %q", found)
	}
}
