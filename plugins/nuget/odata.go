package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// countOutput is the output of a feed that has only the number of its entries.
const countOutput = "count"

// A query is a question in OData, as far as NuGet's clients ask it.
type query struct {
	// function is what is asked: FindPackagesById, Packages, Search, GetUpdates.
	function string
	// params are its parameters that count, without quotes.
	params url.Values
	filter filter
	order  ordering
}

// keyed is a question about one version, by its key.
var keyed = regexp.MustCompile(`^Packages\(Id='([^']+)',\s*Version='([^']+)'\)$`)

// planOData answers questions in OData (NuGet v2).
func (f feed) planOData(r sdk.Request) sdk.Plan {
	text := r.Get("question")
	text, count := strings.CutSuffix(text, "/$count")
	of, file := strings.CutSuffix(text, "/$value")
	if m := keyed.FindStringSubmatch(of); m != nil {
		return f.planKeyed(m[1], m[2], file)
	}
	q, err := parseQuery(r, strings.TrimSuffix(text, "()"))
	if err != nil {
		return failure(err)
	}
	id := q.params.Get("id")
	if (q.function == "FindPackagesById" || id != "") && !packageID.MatchString(id) {
		return sdk.BadRequest("the question names no package")
	}
	index := f.index
	index.Optional = id != "" // of a name that is ours upstream is not asked
	d := sdk.Document{
		Path:   q.path(),
		Name:   id,
		From:   []sdk.Source{index},
		Query:  true,
		Render: func(in *sdk.Input) error { return renderQuery(in, q) },
	}
	if id == "" {
		d.Hosted = "*"
	}
	if count {
		d.Output = countOutput
	}
	return d
}

// planKeyed serves the entry of one version, or its package file.
func (f feed) planKeyed(name, text string, file bool) sdk.Plan {
	id := strings.ToLower(name)
	version, ok := normalize(text)
	if !ok || !packageID.MatchString(id) {
		return noVersion
	}
	if file {
		return packageFile(id, version)
	}
	return sdk.Document{
		Path:   entryPath(id, version),
		Name:   id,
		From:   []sdk.Source{f.index},
		Query:  true,
		Render: func(in *sdk.Input) error { return renderKeyed(in, id, version) },
	}
}

// failure is what a client is told of an error.
func failure(err error) sdk.Failure {
	if f, ok := errors.AsType[sdk.Failure](err); ok {
		return f
	}
	return sdk.BadRequest(err.Error())
}

// parseQuery reads a question. One that is not understood is an error: an answer
// to another would have the wrong versions in it.
func parseQuery(r sdk.Request, function string) (query, error) {
	q := query{function: function, params: url.Values{}}
	set := func(name, value string) {
		if value != "" && value != "false" {
			q.params.Set(name, value)
		}
	}
	var err error
	if q.filter, err = parseFilter(r.Param("$filter")); err != nil {
		return q, fmt.Errorf("the $filter cannot be read: %w", err)
	}
	if q.order, err = parseOrdering(r.Param("$orderby")); err != nil {
		return q, fmt.Errorf("the $orderby cannot be read: %w", err)
	}
	set("$filter", q.filter.text)
	set("$orderby", strings.TrimSpace(r.Param("$orderby")))
	set("semVerLevel", quoted(r, "semVerLevel"))
	for _, name := range []string{"$skip", "$top"} {
		if n, err := strconv.ParseUint(r.Param(name), 10, 31); err == nil {
			q.params.Set(name, strconv.FormatUint(n, 10))
		}
	}
	switch function {
	case "FindPackagesById":
		set("id", strings.ToLower(quoted(r, "id")))
	case "Packages":
		id := quoted(r, "id")
		if ids := q.filter.about().ids; len(ids) == 1 {
			id = ids[0]
		}
		set("id", strings.ToLower(id))
		set("version", quoted(r, "version"))
	case "Search":
		set("searchTerm", quoted(r, "searchTerm"))
		set("includePrerelease", quoted(r, "includePrerelease"))
	case "GetUpdates":
		for _, name := range []string{"packageIds", "versions", "versionConstraints", "includePrerelease", "includeAllVersions"} {
			set(name, quoted(r, name))
		}
	default:
		return q, sdk.NotFound("no such question is answered in NuGet's v2 protocol")
	}
	return q, nil
}

// quoted returns a parameter without the quotes that strings have in OData.
func quoted(r sdk.Request, name string) string {
	value := r.Param(name)
	if inner, ok := strings.CutPrefix(value, "'"); ok {
		if inner, ok = strings.CutSuffix(inner, "'"); ok {
			return strings.ReplaceAll(inner, "''", "'")
		}
	}
	return value
}

// path is the question's canonical address.
func (q query) path() string {
	path := "/v2/" + q.function + "()"
	if len(q.params) > 0 {
		path += "?" + q.params.Encode()
	}
	return path
}

// number returns a parameter that is a number.
func (q query) number(name string, otherwise int) int {
	if n, err := strconv.Atoi(q.params.Get(name)); err == nil {
		return n
	}
	return otherwise
}

// wants reports whether a flag is set.
func (q query) wants(name string) bool { return strings.EqualFold(q.params.Get(name), "true") }

func renderQuery(in *sdk.Input, q query) error {
	switch {
	case q.function == "GetUpdates":
		return renderUpdates(in, q)
	case q.params.Get("id") != "":
		return renderByID(in, q)
	case q.function == "Packages" && q.filter.about().ids != nil:
		return renderByIDs(in, q)
	}
	return renderHits(in, q)
}

// renderByID answers with versions of one package. Of one that does not exist
// there are none, but one of which all is held is a failure, whose text some
// clients print.
func renderByID(in *sdk.Input, q query) error {
	a := newAtom(in, q)
	r, ok, err := whole(in, q.params.Get("id"))
	if f, missing := errors.AsType[sdk.Failure](err); missing && f.Kind == sdk.KindNotFound {
		if index := in.Docs()[0]; !index.OK() && index.Status != http.StatusNotFound {
			return fmt.Errorf("the upstream feed cannot be asked for it: its index is answered with status %d", index.Status)
		}
		return a.write(0, -1)
	}
	switch {
	case !ok:
		return err
	case len(r.pages) == 0:
		return in.Held()
	}
	r.admit(q.semVer2())
	version, _ := normalize(q.params.Get("version"))
	for _, e := range r.entries() {
		if q.params.Get("version") == "" || e.version == version {
			a.add(r, e, e.hosted)
		}
	}
	return a.write(q.number("$skip", 0), q.number("$top", -1))
}

// renderByIDs answers with versions of the packages that the filter names. No
// search is asked, which would have to guess at them.
func renderByIDs(in *sdk.Input, q query) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	a := newAtom(in, q)
	ids := q.filter.about().ids
	for _, id := range ids[:min(len(ids), maxHits)] {
		r, err := candidate(in, upstream, id)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		r.admit(q.semVer2())
		for _, e := range r.entries() {
			a.add(r, e, e.hosted)
		}
	}
	return a.write(q.number("$skip", 0), q.number("$top", -1))
}

// candidate is what policy leaves of a package that a question names beside
// others; nil, without an error: there is none, or not all is known yet.
func candidate(in *sdk.Input, upstream services, id string) (*registration, error) {
	r, err := ownRegistration(in, in.Hosted(id))
	if r != nil || err != nil {
		return r, err
	}
	r, ok := loadHit(in, upstream, id, all)
	if !ok {
		return nil, nil
	}
	if ok, err := r.filter(in); !ok {
		return nil, err
	}
	return r, nil
}

// semVer2 reports whether the client understands versions of SemVer 2.0.0.
func (q query) semVer2() bool { return strings.HasPrefix(q.params.Get("semVerLevel"), "2") }

// pre reports whether a search is to find pre-releases: all packages have them,
// and hits where they are asked for.
func (q query) pre() bool {
	about := q.filter.about()
	if q.function == "Packages" {
		return !about.stable
	}
	return q.wants("includePrerelease") || about.latest && !about.stable
}

// renderHits answers a search with what is published here, and then by
// upstream's v3 search, for what the filter looks for where the search does not
// say. Where an order is asked for, all of it is in that order if there are not
// more hits than one question to upstream may have; else the entries of one
// answer are.
func renderHits(in *sdk.Input, q query) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	pre := q.pre()
	skip, take := q.number("$skip", 0), min(q.number("$top", defaultHits), maxHits)
	v3 := url.Values{"q": {cmp.Or(q.params.Get("searchTerm"), q.filter.about().hint)}, "prerelease": {strconv.FormatBool(pre)}}
	if level := q.params.Get("semVerLevel"); level != "" {
		v3.Set("semVerLevel", level)
	}
	ours, err := ownHits(in, v3.Get("q"), wantedBy(v3))
	if err != nil {
		return err
	}
	var h hits
	ordered, ok := q.order != nil, true
	if ordered {
		h, ok, err = hitsFor(in, upstream, ours, v3, 0, maxHits)
		ordered = !ok || len(h.own)+len(h.upstream.Hits) >= len(ours)+h.upstream.Total
	}
	if !ordered {
		h, ok, err = hitsFor(in, upstream, ours, v3, skip, take)
	}
	if !ok {
		return err
	}
	a := newAtom(in, q)
	hidden := 0
	for _, r := range h.own {
		some := false
		for _, e := range r.entries() {
			some = a.add(r, e, e.hosted) || some
		}
		if !some {
			hidden++
		}
	}
	for _, hit := range h.upstream.Hits {
		r, ok := loadHit(in, upstream, strings.ToLower(hit.text("id")), all)
		if !ok {
			hidden++ // ours, or without a registration
			continue
		}
		if ok, err := r.filter(in); !ok {
			if err != nil {
				return err
			}
			continue
		}
		r.admit(q.semVer2())
		some := false
		for _, e := range r.entries() {
			some = e.listed && (pre || !prerelease(e.version)) && a.add(r, e, e.hosted) || some
		}
		if !some {
			hidden++
		}
	}
	if len(ours) == 0 {
		if err := nothingFound(in); err != nil {
			return err
		}
	}
	now, total := skip+len(h.own)+len(h.upstream.Hits), len(ours)+h.upstream.Total
	if ordered {
		now, total = skip+take, len(a.entries)
	} else {
		a.total = total - hidden
	}
	if q.params.Get("$top") == "" && now < total && now > skip {
		a.next = now
	}
	if ordered {
		return a.write(skip, take)
	}
	return a.write(0, -1)
}

// hits are a part of what a search finds: what is published here comes first.
type hits struct {
	own      []*registration
	upstream found
}

// hitsFor are the hits of a search from one on, of which ours are known. False,
// without an error: upstream's answer is not there yet.
func hitsFor(in *sdk.Input, upstream services, ours []*registration, v3 url.Values, skip, take int) (h hits, ok bool, err error) {
	v3.Set("skip", strconv.Itoa(skip))
	v3.Set("take", strconv.Itoa(take))
	own, rest := turn(ours, v3)
	h.own = own
	if upstream == nil {
		return h, true, nil
	}
	h.upstream, ok, err = ask(in, upstream, rest)
	return h, ok, err
}

// renderUpdates answers with what is newer than the versions of packages that a
// client has.
func renderUpdates(in *sdk.Input, q query) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	a := newAtom(in, q)
	versions, ranges := strings.Split(q.params.Get("versions"), "|"), strings.Split(q.params.Get("versionConstraints"), "|")
	for i, name := range strings.Split(q.params.Get("packageIds"), "|") {
		id := strings.ToLower(strings.TrimSpace(name))
		if i >= len(versions) || i >= maxHits {
			break
		}
		has, ok := normalize(versions[i])
		if !ok {
			continue
		}
		wanted := interval{}
		if i < len(ranges) {
			if wanted, ok = parseInterval(ranges[i]); !ok {
				return sdk.BadRequest(strconv.Quote(ranges[i]) + " is no range of versions")
			}
		}
		r, err := candidate(in, upstream, id)
		if err != nil {
			return err
		}
		if r != nil {
			a.addUpdates(q, r, has, wanted)
		}
	}
	if len(a.entries) == 0 {
		if err := nothingFound(in); err != nil {
			return err
		}
	}
	return a.write(0, -1)
}

// addUpdates adds the newest version above one in a range, or all of them.
func (a *atom) addUpdates(q query, r *registration, has string, wanted interval) {
	r.admit(q.semVer2())
	newer := func(e *entry) bool {
		return e.listed && (q.wants("includePrerelease") || !prerelease(e.version)) && q.filter.wants(e.properties(r, e.hosted)) && compare(e.version, has) > 0 && wanted.has(e.version)
	}
	best := r.highest(newer)
	for _, e := range r.entries() {
		if e == best || q.wants("includeAllVersions") && newer(e) {
			a.add(r, e, e.hosted)
		}
	}
}

// renderKeyed answers with the entry of one version, with its digest.
func renderKeyed(in *sdk.Input, id, version string) error {
	r, ok, err := whole(in, id)
	if !ok {
		return err
	}
	for _, e := range r.entries() {
		if e.version != version {
			continue
		}
		details, ok, err := e.detail(in)
		if !ok {
			return err
		}
		a := newAtom(in, query{})
		a.add(r, e, details)
		return a.writeEntry()
	}
	upstreams, err := servicesOf(in)
	if err != nil {
		return err
	}
	if _, _, _, ok, err := find(in, upstreams, id, version); !ok {
		return err
	}
	return in.HeldVersion(id, version)
}
