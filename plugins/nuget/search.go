package main

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// Bounds of how many packages a search finds at once.
const (
	defaultHits = 20
	maxHits     = 100
)

// found is what upstream's search answers with.
type found struct {
	Total int      `json:"totalHits"`
	Hits  []object `json:"data"`
}

// question returns the parameters of a search that count, written one way.
func question(r sdk.Request, names ...string) url.Values {
	q := url.Values{}
	for _, name := range names {
		if value := r.Param(name); value != "" {
			q.Set(name, value)
		}
	}
	take, err := strconv.Atoi(q.Get("take"))
	if err != nil || take < 0 {
		take = defaultHits
	}
	q.Set("take", strconv.Itoa(min(take, maxHits)))
	if skip, err := strconv.Atoi(q.Get("skip")); err != nil || skip <= 0 {
		q.Del("skip")
	}
	return q
}

// planSearch answers a search with what is published here, and then by
// upstream's (NuGet v3 API, search), with the versions of each package found
// judged by its registration.
func (f feed) planSearch(r sdk.Request) sdk.Plan {
	q := question(r, "q", "skip", "take", "prerelease", "semVerLevel", "packageType")
	return sdk.Document{
		Path:   "/v3/search?" + q.Encode(),
		From:   []sdk.Source{f.index},
		Query:  true,
		Hosted: "*",
		Render: func(in *sdk.Input) error { return renderSearch(in, q) },
	}
}

func renderSearch(in *sdk.Input, q url.Values) error {
	ours, err := ownHits(in, q.Get("q"), wantedBy(q))
	if err != nil {
		return err
	}
	own, rest := turn(ours, q)
	shown := []object{}
	for _, r := range own {
		shown = append(shown, r.hit(in))
	}
	total := len(ours)
	if upstream, err := servicesOf(in); err != nil || upstream != nil {
		if err != nil {
			return err
		}
		answer, ok, err := ask(in, upstream, rest)
		if !ok {
			return err
		}
		hidden := 0
		for _, hit := range answer.Hits {
			if h, ok := judgeHit(in, upstream, hit); ok {
				shown = append(shown, h)
			} else {
				hidden++
			}
		}
		total += answer.Total - hidden
	}
	if len(ours) == 0 {
		if err := nothingFound(in); err != nil {
			return err
		}
	}
	return in.JSON(map[string]any{"totalHits": max(total, len(shown)), "data": shown})
}

// wantedBy says which versions of a package published here a search wants.
func wantedBy(q url.Values) func(*entry) bool {
	pre, level := strings.EqualFold(q.Get("prerelease"), "true"), strings.HasPrefix(q.Get("semVerLevel"), "2")
	return func(e *entry) bool { return (pre || !prerelease(e.version)) && (level || !e.semVer2()) }
}

// turn returns those of our hits that are shown, which come first, and the
// question to ask upstream for the others.
func turn(ours []*registration, q url.Values) ([]*registration, url.Values) {
	number := func(name string) int {
		n, _ := strconv.Atoi(q.Get(name)) // question wrote them
		return n
	}
	skip, take := number("skip"), number("take")
	own := ours[min(skip, len(ours)):]
	own = own[:min(take, len(own))]
	rest := url.Values{}
	for name, values := range q {
		rest[name] = values
	}
	rest.Set("take", strconv.Itoa(take-len(own)))
	if rest.Has("skip") {
		rest.Set("skip", strconv.Itoa(max(skip-len(ours), 0)))
	}
	return own, rest
}

// ours reports whether what upstream says of a package is to be left out.
func ours(in *sdk.Input, id string) bool { return in.Ours(id) || in.Hosted(id) != nil }

// ask asks upstream's search. False, without an error: the answer is not there
// yet.
func ask(in *sdk.Input, upstream services, q url.Values) (found, bool, error) {
	address := upstream.find(searches)
	if address == "" {
		return found{}, false, sdk.NotFound("the upstream feed has no search")
	}
	var answer struct {
		Total int       `json:"totalHits"`
		Hits  *[]object `json:"data"`
	}
	ok, err := fetch(in, withQuery(address, q), errors.New("upstream's search is gone"), &answer)
	if !ok {
		return found{}, false, err
	}
	if answer.Hits == nil {
		return found{}, false, errors.New("upstream's search answers without data")
	}
	hits := *answer.Hits
	if take, err := strconv.Atoi(q.Get("take")); err == nil {
		hits = hits[:min(take, len(hits))]
	}
	return found{answer.Total, hits}, true, nil
}

func withQuery(address string, q url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + q.Encode()
	}
	return address + "?" + q.Encode()
}

// hitVersions are the versions that a hit is of, as it writes them.
func hitVersions(hit object) []object {
	if all := hit.objects("versions"); len(all) > 0 {
		return all
	}
	return []object{{"version": hit["version"]}}
}

// judgeHit returns a hit with the versions that policy keeps and addresses of
// ours. False: none is left, or not all is known yet.
func judgeHit(in *sdk.Input, upstream services, hit object) (object, bool) {
	id := strings.ToLower(hit.text("id"))
	r, ok := loadHit(in, upstream, id, nil)
	if !ok {
		return nil, false
	}
	var kept []object
	best, highest := "", ""
	for _, v := range hitVersions(hit) {
		version, ok := normalize(v.text("version"))
		if !ok || !r.judge(in, version) {
			continue
		}
		v = clone(v)
		v.set("@id", in.URL(semVer2.leaf(id, version)))
		kept = append(kept, v)
		if highest == "" || compare(version, highest) > 0 {
			best, highest = v.text("version"), version
		}
	}
	if len(kept) == 0 {
		return nil, false
	}
	shown := clone(hit)
	if now, ok := normalize(hit.text("version")); !ok || !r.judge(in, now) {
		shown.set("version", best)
	}
	shown.set("@id", in.URL(semVer2.index(id)))
	shown.set("registration", in.URL(semVer2.index(id)))
	shown.set("versions", kept)
	return shown, true
}

// loadHit gets the registration of a package that a search found, without the
// pages that were not changed for so long that all of them is served, unless
// they may have the version wanted. False: there is none, or not all is known
// yet.
func loadHit(in *sdk.Input, upstream services, id string, wanted func(*page) bool) (*registration, bool) {
	if !packageID.MatchString(id) || ours(in, id) {
		return nil, false
	}
	r, ok, err := load(in, upstream, id, func(p *page) bool {
		changed := instant(p.Commit)
		young := changed.IsZero() || in.Holds(sdk.Version{Name: id, Version: p.Upper, Published: changed})
		return young && in.CoolsDown(id) || wanted != nil && wanted(p)
	})
	return r, ok && err == nil
}

// judge reports whether policy keeps a version: by its entry, or where its page
// was not asked for as one as old as that.
func (r *registration) judge(in *sdk.Input, version string) bool {
	for _, p := range r.pages {
		for _, e := range p.entries {
			if e.version == version {
				ok, err := e.date(in, r.id)
				return ok && err == nil && r.keep(in, e, nil, 0)
			}
		}
		if p.Items == nil && p.has(version) {
			return r.keep(in, &entry{version: version, published: instant(p.Commit), listed: true}, nil, 0)
		}
	}
	return false
}

// any reports whether policy keeps any version.
func (r *registration) any(in *sdk.Input) bool {
	for _, p := range r.pages {
		if lower, ok := normalize(p.Lower); ok && p.Items == nil && r.judge(in, lower) {
			return true
		}
		for _, e := range p.entries {
			if r.judge(in, e.version) {
				return true
			}
		}
	}
	return false
}

// planAutocomplete answers with names that begin with something, or with the
// versions of one package (NuGet v3 API, autocomplete).
func (f feed) planAutocomplete(r sdk.Request) sdk.Plan {
	if id := strings.ToLower(r.Param("id")); id != "" {
		if !packageID.MatchString(id) {
			return sdk.JSON(map[string]any{"totalHits": 0, "data": []string{}})
		}
		return f.versionsOf(id, r.Param("prerelease") == "true", strings.HasPrefix(r.Param("semVerLevel"), "2"))
	}
	q := question(r, "q", "skip", "take", "prerelease", "semVerLevel", "packageType")
	return sdk.Document{
		Path:   "/v3/autocomplete?" + q.Encode(),
		From:   []sdk.Source{f.index},
		Query:  true,
		Hosted: "*",
		Render: func(in *sdk.Input) error { return renderAutocomplete(in, q) },
	}
}

func renderAutocomplete(in *sdk.Input, q url.Values) error {
	begins := strings.ToLower(q.Get("q"))
	wanted := wantedBy(q)
	ours, err := ownHits(in, "", func(e *entry) bool {
		return wanted(e) && strings.HasPrefix(strings.ToLower(e.catalog.text("id")), begins)
	})
	if err != nil {
		return err
	}
	own, rest := turn(ours, q)
	shown := []string{}
	for _, r := range own {
		shown = append(shown, r.absolute.catalog.text("id"))
	}
	upstream, err := servicesOf(in)
	if err != nil {
		return err
	}
	total := len(ours)
	if upstream != nil {
		more, ids, err := complete(in, upstream, rest)
		if ids == nil {
			return err
		}
		shown = append(shown, ids...)
		total += more
	}
	if len(ours) == 0 {
		if err := nothingFound(in); err != nil {
			return err
		}
	}
	return in.JSON(map[string]any{"totalHits": max(total, len(shown)), "data": shown})
}

// complete asks upstream's autocomplete, and returns how many names there are
// and those shown; nil, without an error: they are not there yet.
func complete(in *sdk.Input, upstream services, q url.Values) (int, []string, error) {
	address := upstream.find(autocompletes)
	if address == "" {
		return 0, nil, sdk.NotFound("the upstream feed has no autocomplete")
	}
	var answer struct {
		Total int       `json:"totalHits"`
		IDs   *[]string `json:"data"`
	}
	ok, err := fetch(in, withQuery(address, q), errors.New("upstream's autocomplete is gone"), &answer)
	if !ok {
		return 0, nil, err
	}
	if answer.IDs == nil {
		return 0, nil, errors.New("upstream's autocomplete answers without data")
	}
	shown := []string{}
	for _, id := range *answer.IDs {
		if r, ok := loadHit(in, upstream, strings.ToLower(id), nil); ok && r.any(in) {
			shown = append(shown, id)
		}
	}
	return answer.Total - (len(*answer.IDs) - len(shown)), shown, nil
}

// versionsOf is the listed versions of a package that a client wants.
func (f feed) versionsOf(id string, pre, semVer2 bool) sdk.Document {
	q := url.Values{"id": {id}, "prerelease": {strconv.FormatBool(pre)}}
	if semVer2 {
		q.Set("semVerLevel", "2.0.0")
	}
	return sdk.Document{
		Path:  "/v3/autocomplete?" + q.Encode(),
		Name:  id,
		From:  []sdk.Source{f.index},
		Query: true,
		Render: func(in *sdk.Input) error {
			versions := []string{}
			r, ok, err := whole(in, id)
			if f, missing := errors.AsType[sdk.Failure](err); missing && f.Kind == sdk.KindNotFound {
				return in.JSON(map[string]any{"totalHits": 0, "data": versions})
			}
			if !ok {
				return err
			}
			for _, e := range r.entries() {
				if e.listed && (pre || !prerelease(e.version)) && (semVer2 || !e.semVer2()) {
					versions = append(versions, e.original)
				}
			}
			return in.JSON(map[string]any{"totalHits": len(versions), "data": versions})
		},
	}
}
