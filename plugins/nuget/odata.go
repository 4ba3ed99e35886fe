package main

import (
	"errors"
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
}

// keyed is a question about one version, by its key.
var keyed = regexp.MustCompile(`^Packages\(Id='([^']+)',\s*Version='([^']+)'\)$`)

// What clients put into filters.
var (
	filterID      = regexp.MustCompile(`(?:tolower\(Id\)|\bId)\s+eq\s+'([^']+)'`)
	filterVersion = regexp.MustCompile(`\b(?:Normalized)?Version\s+eq\s+'([^']+)'`)
)

// planOData answers questions in OData (NuGet v2).
func (f feed) planOData(r sdk.Request) sdk.Plan {
	text := r.Get("question")
	text, count := strings.CutSuffix(text, "/$count")
	if m := keyed.FindStringSubmatch(text); m != nil {
		return f.planKeyed(m[1], m[2])
	}
	q, ok := parseQuery(r, strings.TrimSuffix(text, "()"))
	if !ok {
		return sdk.NotFound("no such question is answered in NuGet's v2 protocol")
	}
	id := q.params.Get("id")
	if (q.function == "FindPackagesById" || id != "") && !packageID.MatchString(id) {
		return sdk.BadRequest("the question names no package")
	}
	d := sdk.Document{
		Path:   q.path(),
		Name:   id,
		From:   []sdk.Source{f.index},
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

// planKeyed serves the entry of one version.
func (f feed) planKeyed(name, text string) sdk.Plan {
	id := strings.ToLower(name)
	version, ok := normalize(text)
	if !ok || !packageID.MatchString(id) {
		return noVersion
	}
	return sdk.Document{
		Path:   entryPath(id, version),
		Name:   id,
		From:   []sdk.Source{f.index},
		Query:  true,
		Render: func(in *sdk.Input) error { return renderKeyed(in, id, version) },
	}
}

// parseQuery reads a question. False: it is none that is answered.
func parseQuery(r sdk.Request, function string) (query, bool) {
	q := query{function, url.Values{}}
	set := func(name, value string) {
		if value != "" && value != "false" {
			q.params.Set(name, value)
		}
	}
	filter := r.Param("$filter")
	switch {
	case strings.Contains(filter, "IsAbsoluteLatestVersion"):
		set("latest", "absolute")
	case strings.Contains(filter, "IsLatestVersion"):
		set("latest", "stable")
	}
	set("latest", r.Param("latest"))
	set("semVerLevel", quoted(r, "semVerLevel"))
	for _, name := range []string{"$skip", "$top"} {
		if n, err := strconv.ParseUint(r.Param(name), 10, 31); err == nil {
			q.params.Set(name, strconv.FormatUint(n, 10))
		}
	}
	switch function {
	case "FindPackagesById":
		set("id", strings.ToLower(quoted(r, "id")))
		return q, true
	case "Packages":
		set("id", strings.ToLower(quoted(r, "id")))
		set("version", quoted(r, "version"))
		if m := filterID.FindStringSubmatch(filter); m != nil {
			set("id", strings.ToLower(m[1]))
		}
		if m := filterVersion.FindStringSubmatch(filter); m != nil {
			set("version", m[1])
		}
		return q, true
	case "Search":
		set("searchTerm", quoted(r, "searchTerm"))
		set("includePrerelease", quoted(r, "includePrerelease"))
		return q, true
	case "GetUpdates":
		for _, name := range []string{"packageIds", "versions", "includePrerelease", "includeAllVersions"} {
			set(name, quoted(r, name))
		}
		return q, true
	}
	return q, false
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
		return a.write(0, -1)
	}
	switch {
	case !ok:
		return err
	case len(r.pages) == 0:
		return in.Held()
	}
	version, _ := normalize(q.params.Get("version"))
	for _, e := range r.entries() {
		if (q.params.Get("version") == "" || e.version == version) && q.matches(r, e) {
			a.add(r, e, e.hosted)
		}
	}
	return a.write(q.number("$skip", 0), q.number("$top", -1))
}

// matches reports whether a version is one that the question's filter wants.
func (q query) matches(r *registration, e *entry) bool {
	if e.semVer2() && !strings.HasPrefix(q.params.Get("semVerLevel"), "2") {
		return false
	}
	switch q.params.Get("latest") {
	case "absolute":
		return e == r.absolute
	case "stable":
		return e == r.stable
	}
	return true
}

// renderHits answers a search with what is published here, and then by
// upstream's v3 search.
func renderHits(in *sdk.Input, q query) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	pre := q.wants("includePrerelease") || q.params.Get("latest") == "absolute"
	skip, take := q.number("$skip", 0), min(q.number("$top", defaultHits), maxHits)
	v3 := url.Values{"q": {q.params.Get("searchTerm")}, "skip": {strconv.Itoa(skip)}, "take": {strconv.Itoa(take)}, "prerelease": {strconv.FormatBool(pre)}}
	if level := q.params.Get("semVerLevel"); level != "" {
		v3.Set("semVerLevel", level)
	}
	ours, err := ownHits(in, v3.Get("q"), wantedBy(v3))
	if err != nil {
		return err
	}
	own, rest := turn(ours, v3)
	a := newAtom(in, q)
	for _, r := range own {
		for _, e := range r.entries() {
			if q.matches(r, e) {
				a.add(r, e, e.hosted)
			}
		}
	}
	answer := found{}
	if upstream != nil {
		var ok bool
		if answer, ok, err = ask(in, upstream, rest); !ok {
			return err
		}
	}
	hidden := 0
	for _, hit := range answer.Hits {
		r, ok := loadHit(in, upstream, strings.ToLower(hit.text("id")), all)
		if !ok {
			continue
		}
		if ok, err := r.filter(in); !ok {
			if err != nil {
				return err
			}
			continue
		}
		before := len(a.entries)
		for _, e := range r.entries() {
			if e.listed && (pre || !prerelease(e.version)) && q.matches(r, e) {
				a.add(r, e, e.hosted)
			}
		}
		if len(a.entries) == before {
			hidden++
		}
	}
	a.total = len(ours) + answer.Total - hidden
	if now := skip + len(own) + len(answer.Hits); q.params.Get("$top") == "" && now < len(ours)+answer.Total && now > skip {
		a.next = now
	}
	return a.write(0, -1)
}

// renderUpdates answers with what is newer than the versions of packages that a
// client has.
func renderUpdates(in *sdk.Input, q query) error {
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	a := newAtom(in, q)
	versions := strings.Split(q.params.Get("versions"), "|")
	for i, name := range strings.Split(q.params.Get("packageIds"), "|") {
		id := strings.ToLower(strings.TrimSpace(name))
		if i >= len(versions) || i >= maxHits {
			break
		}
		has, ok := normalize(versions[i])
		if !ok {
			continue
		}
		r, err := ownRegistration(in, in.Hosted(id))
		if err != nil {
			return err
		}
		if r == nil {
			if r, ok = loadHit(in, upstream, id, all); !ok {
				continue
			}
			if ok, err := r.filter(in); !ok {
				if err != nil {
					return err
				}
				continue
			}
		}
		a.addUpdates(q, r, has)
	}
	return a.write(0, -1)
}

// addUpdates adds the newest version above one, or all of them.
func (a *atom) addUpdates(q query, r *registration, has string) {
	newer := func(e *entry) bool {
		return e.listed && (q.wants("includePrerelease") || !prerelease(e.version)) && q.matches(r, e) && compare(e.version, has) > 0
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
