package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// object is a JSON object whose other members are passed on.
type object map[string]json.RawMessage

// text returns a member that is a string; empty: it is none.
func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s) // what is no string stays empty
	return s
}

// set makes a member a string, or what else JSON can say.
func (o object) set(name string, value any) {
	raw, err := json.Marshal(value)
	if err == nil { // there is nothing in here that cannot be written
		o[name] = raw
	}
}

// texts returns a member that is a list of strings, or one of them.
func (o object) texts(name string) []string {
	var all []string
	if json.Unmarshal(o[name], &all) != nil {
		all = []string{o.text(name)}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// page is a page of a registration (NuGet v3 API, package metadata).
type page struct {
	ID     string   `json:"@id"`
	Commit string   `json:"commitTimeStamp"`
	Lower  string   `json:"lower"`
	Upper  string   `json:"upper"`
	Items  []object `json:"items"`

	// apart says that upstream has the page in a document of its own.
	apart   bool
	entries []*entry
}

// registration is all that upstream says of a package.
type registration struct {
	// id is lower-case.
	id string
	// content is the address of upstream's flat container; empty: it has none.
	content string
	pages   []*page
	// absolute is the highest listed version that filter or admit left, and stable
	// that of those that are no pre-release; nil: there is none.
	absolute, stable *entry
}

// entry is a version of a package.
type entry struct {
	item, catalog object
	// version is normalized, original is as its author wrote it.
	version, original string
	// published is when it was; zero: unknown.
	published time.Time
	// listed is whether searches find it.
	listed bool
	// details is the address of its document in upstream's catalog.
	details string
	// own is whether it is published here, hosted what the catalog would say of
	// it then.
	own    bool
	hosted object
}

// load gets a package's registration, with the pages that are wanted, and the
// versions published here in the place of upstream's. False, without an error:
// it is not whole yet.
func load(in *sdk.Input, upstream services, id string, wanted func(*page) bool) (*registration, bool, error) {
	own, err := ownPage(in.Hosted(id))
	if err != nil {
		return nil, false, err
	}
	r, whole, err := loadUpstream(in, upstream, id, wanted)
	if own == nil {
		return r, whole, err
	}
	if f, missing := errors.AsType[sdk.Failure](err); missing && f.Kind == sdk.KindNotFound {
		r, whole, err = &registration{id: id}, true, nil
	}
	if r == nil {
		return nil, whole, err
	}
	for _, p := range r.pages {
		p.entries = slices.DeleteFunc(p.entries, func(e *entry) bool {
			return slices.ContainsFunc(own.entries, func(o *entry) bool { return o.version == e.version })
		})
	}
	r.pages = append(r.pages, own)
	return r, whole, err
}

func loadUpstream(in *sdk.Input, upstream services, id string, wanted func(*page) bool) (*registration, bool, error) {
	base := upstream.find(registrations)
	if base == "" {
		return nil, false, sdk.NotFound("the upstream feed has no registrations")
	}
	r := &registration{id: id, content: upstream.find(flatContainer)}
	var index struct{ Items []*page }
	whole, err := fetch(in, below(base, url.PathEscape(id)+"/index.json"), sdk.NotFound("upstream has no package "+id), &index)
	if !whole {
		return nil, false, err
	}
	if index.Items == nil {
		return nil, false, fmt.Errorf("the registration of %s has no pages", id)
	}
	for _, p := range index.Items {
		if p == nil {
			return nil, false, fmt.Errorf("the registration of %s has a page that is none", id)
		}
		if p.Items == nil && wanted(p) {
			got, err := p.fetch(in)
			if err != nil {
				return nil, false, err
			}
			whole = whole && got
		}
		if err := p.parse(); err != nil {
			return nil, false, fmt.Errorf("the registration of %s: %w", id, err)
		}
		r.pages = append(r.pages, p)
	}
	return r, whole, nil
}

// whole gets all versions of a package that policy keeps, lowest first. False,
// without an error: they are not all there yet.
func whole(in *sdk.Input, id string) (*registration, bool, error) {
	upstream, err := servicesOf(in)
	if err != nil {
		return nil, false, err
	}
	r, ok, err := load(in, upstream, id, all)
	if !ok {
		return nil, false, err
	}
	if len(r.entries()) == 0 {
		return nil, false, sdk.NotFound("upstream has no version of " + id)
	}
	ok, err = r.filter(in)
	return r, ok, err
}

// all wants every page.
func all(*page) bool { return true }

// fetch gets a page that is a document of its own.
func (p *page) fetch(in *sdk.Input) (bool, error) {
	var apart page
	ok, err := fetch(in, p.ID, fmt.Errorf("upstream lacks the page %s of a registration", p.ID), &apart)
	if !ok {
		return false, err
	}
	if apart.Items == nil {
		return false, fmt.Errorf("the page %s of a registration has no items", p.ID)
	}
	p.Items, p.apart = apart.Items, true
	return true, nil
}

// has reports whether a version may be in the page.
func (p *page) has(version string) bool {
	lower, ok1 := normalize(p.Lower)
	upper, ok2 := normalize(p.Upper)
	return !ok1 || !ok2 || compare(lower, version) <= 0 && compare(version, upper) <= 0
}

// parse reads the items, and sorts them by their versions.
func (p *page) parse() error {
	for _, item := range p.Items {
		e, err := parseEntry(item)
		if err != nil {
			return err
		}
		if e != nil {
			p.entries = append(p.entries, e)
		}
	}
	slices.SortStableFunc(p.entries, func(a, b *entry) int { return compare(a.version, b.version) })
	return nil
}

// parseEntry reads an item of a page; nil: its version is none that a client
// could ask for.
func parseEntry(item object) (*entry, error) {
	e := &entry{item: item, listed: true}
	if err := json.Unmarshal(item["catalogEntry"], &e.catalog); err != nil {
		return nil, errors.Join(errors.New("an item has no catalogEntry"), err)
	}
	e.original, e.details = e.catalog.text("version"), e.catalog.text("@id")
	var ok bool
	if e.version, ok = normalize(e.original); !ok {
		return nil, nil
	}
	e.published = instant(e.catalog.text("published"))
	if e.published.Year() == unlistedYear {
		e.published, e.listed = time.Time{}, false
	}
	if listed := string(e.catalog["listed"]); listed == "false" {
		e.listed = false
	}
	return e, nil
}

// unlistedYear is when what is unlisted says it was published.
const unlistedYear = 1900

// instant reads a time; zero: it is none. Those of old have no zone.
func instant(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// date finds out when a version was published that does not say it: not after
// the last change, of which the catalog tells more if that matters. False,
// without an error: it is not known yet.
func (e *entry) date(in *sdk.Input, id string) (bool, error) {
	if !e.published.IsZero() {
		return true, nil
	}
	changed := instant(e.item.text("commitTimeStamp"))
	if changed.IsZero() || in.Holds(sdk.Version{Name: id, Version: e.version, Published: changed}) {
		d, ok, err := e.detail(in)
		if !ok {
			return false, err
		}
		if created := instant(d.text("created")); !created.IsZero() {
			changed = created
		}
	}
	e.published = changed
	return true, nil
}

// detail gets a version's document in upstream's catalog; nil: it has none.
// False, without an error: it is not there yet.
func (e *entry) detail(in *sdk.Input) (object, bool, error) {
	if e.own {
		return e.hosted, true, nil
	}
	if !strings.HasPrefix(e.details, "https://") && !strings.HasPrefix(e.details, "http://") {
		return nil, true, nil
	}
	var d object
	ok, err := fetch(in, e.details, errNone, &d)
	if errors.Is(err, errNone) {
		return nil, true, nil
	}
	return d, ok, err
}

var errNone = errors.New("upstream has no such document")

// keep tells of a version, and reports whether policy lets it be shown. Digest
// and size are those of its package; zero: unknown.
func (r *registration) keep(in *sdk.Input, e *entry, digests []sdk.Digest, size int64) bool {
	if e.own {
		return true
	}
	v := sdk.Version{Name: r.id, Version: e.version, Published: e.published, Yanked: !e.listed, License: e.catalog.text("licenseExpression")}
	content := e.item.text("packageContent")
	if content == "" {
		content = e.catalog.text("packageContent")
	}
	nuspec := ""
	if r.content != "" {
		at := below(r.content, url.PathEscape(r.id)+"/"+url.PathEscape(e.version)+"/")
		nuspec = at + url.PathEscape(r.id) + ".nuspec"
		if content == "" {
			content = at + url.PathEscape(r.id+"."+e.version) + ".nupkg"
		}
	}
	return in.Keep(v,
		sdk.File{Path: packagePath(r.id, e.version), URL: content, Digests: digests, Size: size},
		sdk.File{Path: nuspecPath(r.id, e.version), URL: nuspec},
	)
}

// filter leaves the versions that policy keeps, and the pages that have any.
// False, without an error: not all is known yet.
func (r *registration) filter(in *sdk.Input) (bool, error) {
	whole := true
	var pages []*page
	for _, p := range r.pages {
		var kept []*entry
		for _, e := range p.entries {
			ok, err := e.date(in, r.id)
			if err != nil {
				return false, err
			}
			whole = whole && ok
			if r.keep(in, e, nil, 0) {
				kept = append(kept, e)
			}
		}
		if p.entries = kept; len(kept) > 0 {
			pages = append(pages, p)
		}
	}
	r.pages = pages
	r.flag()
	return whole, nil
}

// flag finds the highest of the versions.
func (r *registration) flag() {
	r.absolute = r.highest(func(e *entry) bool { return e.listed })
	r.stable = r.highest(func(e *entry) bool { return e.listed && !prerelease(e.version) })
}

// admit leaves the versions that a client understands: those of SemVer 2.0.0 only
// if it says so. What is the highest is among these.
func (r *registration) admit(semVer2 bool) {
	if semVer2 {
		return
	}
	for _, p := range r.pages {
		p.entries = slices.DeleteFunc(p.entries, (*entry).semVer2)
	}
	r.flag()
}

// highest returns the highest version that is wanted; nil: there is none.
func (r *registration) highest(wanted func(*entry) bool) *entry {
	var best *entry
	for _, e := range r.entries() {
		if wanted(e) && (best == nil || compare(e.version, best.version) > 0) {
			best = e
		}
	}
	return best
}

// entries are those of all pages.
func (r *registration) entries() []*entry {
	var all []*entry
	for _, p := range r.pages {
		all = append(all, p.entries...)
	}
	return all
}
