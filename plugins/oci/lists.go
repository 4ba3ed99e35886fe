package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

// page is which part of a list is asked for (distribution specification,
// "Listing tags").
type page struct {
	n    int // -1: all
	last string
}

func pageOf(r sdk.Request) (page, *sdk.Failure) {
	p := page{n: -1, last: r.Param("last")}
	if n := r.Param("n"); n != "" {
		var err error
		if p.n, err = strconv.Atoi(n); err != nil || p.n < 0 {
			return p, &sdk.Failure{Kind: sdk.KindBadRequest, Code: "PAGINATION_NUMBER_INVALID", Message: fmt.Sprintf("n is %q: write how many are wanted", n)}
		}
	}
	return p, nil
}

// query is the page as an address has it, with a question mark, and further
// parameters, by name, that have a value.
func (p page) query(more ...string) string {
	q := url.Values{}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] != "" {
			q.Set(more[i], more[i+1])
		}
	}
	if p.n >= 0 {
		q.Set("n", strconv.Itoa(p.n))
	}
	if p.last != "" {
		q.Set("last", p.last)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// cut takes the page out of sorted names, and tells the last of them when there
// are more.
func (p page) cut(names []string) (some []string, next string) {
	if p.last != "" {
		at, found := slices.BinarySearch(names, p.last)
		if found {
			at++
		}
		names = names[at:]
	}
	if p.n < 0 || p.n >= len(names) {
		return names, ""
	}
	if p.n == 0 {
		return nil, ""
	}
	return names[:p.n], names[p.n-1]
}

// following is a Link to the page after one (RFC 8288).
func following(address string) string { return "<" + address + `>; rel="next"` }

// tagsPath is where the list is that tells of new tags.
func (im image) tagsPath() string { return "/" + im.name + "/tags/list" }

// tagsAddress is where clients that call the repository as this one does find a
// page of the list.
func (im image) tagsAddress(p page) string {
	return "/" + im.asked + "/tags/list" + p.query("ns", im.namespace)
}

// planTags lists tags. The whole list is what tells of new ones; a page, or the
// list under another name of the repository, is only an answer.
func (x registry) planTags(im image, r sdk.Request) sdk.Plan {
	p, failure := pageOf(r)
	if failure != nil {
		return *failure
	}
	return x.tagList(im, p)
}

func (x registry) tagList(im image, p page) sdk.Document {
	from := im.sources("/tags/list?n=1000", "application/json", countLists)
	d := sdk.Document{
		Path:   im.tagsAddress(p),
		Name:   im.name,
		From:   from[:1],
		Header: im.header(),
		Render: func(in *sdk.Input) error { return x.listTags(in, im, p, from) },
	}
	d.Listing = im.tagsPath()
	d.Query = d.Path != d.Listing
	return d
}

// about is what tells of a repository, of one of its tags, or of a digest, which
// only tags tell of.
func (x registry) about(v sdk.Version) sdk.Document {
	im, failure := x.image(v.Name, "")
	if failure != nil {
		return sdk.Document{Path: "/" + v.Name + "/tags/list", Name: v.Name}
	}
	im.asked = im.name
	if v.Version == "" || isDigest(v.Version) || !tagName.MatchString(v.Version) {
		return x.tagList(im, page{n: -1})
	}
	return x.tagged(im, v.Version)
}

// tags are those of a repository of ours, with those that are added.
func (x registry) tags(ours *sdk.HostedPackage) map[string]string {
	switch {
	case ours == nil:
		return nil
	case !x.Auto:
		return ours.Tags
	}
	all := maps.Clone(ours.Tags)
	var newest, released *semver.Version
	for _, tag := range slices.Sorted(maps.Keys(ours.Tags)) {
		v, err := semver.NewVersion(tag)
		if err != nil || v.Prerelease() != "" && !strings.Contains(tag, fmt.Sprintf("%d.%d.%d-", v.Major(), v.Minor(), v.Patch())) {
			continue // a date, or a variant as 3-alpine
		}
		if newest == nil || v.GreaterThan(newest) {
			newest = v
		}
		if v.Prerelease() == "" && (released == nil || v.GreaterThan(released)) {
			released = v
		}
	}
	if _, there := all["latest"]; !there && released != nil {
		all["latest"] = ours.Tags[released.Original()]
	}
	if _, there := all["prerelease"]; !there && newest != nil {
		all["prerelease"] = ours.Tags[newest.Original()]
	}
	return all
}

// listTags lists the tags of ours and of upstream, but for those that are new.
func (x registry) listTags(in *sdk.Input, im image, p page, from []sdk.Source) error {
	tags := []string{}
	ours := in.Hosted(im.name)
	for tag := range x.tags(ours) {
		tags = append(tags, tag)
	}
	theirs, whole, known, err := im.upstreamTags(in, from)
	if err != nil && (ours == nil || !errors.Is(err, errUnasked)) {
		return err
	}
	if ours == nil && !known {
		return sdk.Failure{Kind: sdk.KindNotFound, Code: "NAME_UNKNOWN", Message: fmt.Sprintf("there is no repository %s", im.name)}
	}
	if known && whole && len(theirs) == 0 {
		in.Empty()
	}
	var fresh []string
	for _, tag := range theirs {
		// Of a list that is cut nothing is learnt: what it lacks is not new.
		if !whole || tellsOfDigest(tag) || in.Keep(sdk.Version{Name: im.name, Version: tag}, sdk.File{Path: im.manifestPath(tag)}) {
			tags = append(tags, tag)
		} else {
			fresh = append(fresh, tag)
		}
	}
	for _, tag := range fresh[max(0, len(fresh)-maxFresh):] {
		if im.servesFresh(in, tag) {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	some, next := p.cut(slices.Compact(tags))
	if some == nil {
		some = []string{}
	}
	header := map[string]string{}
	if next != "" {
		header["Link"] = following(in.URL(im.tagsAddress(page{p.n, next})))
	}
	body := map[string]any{"name": below(in.URL("/")) + im.asked, "tags": some}
	return json.NewEncoder(in.OutputWith("", "application/json", header)).Encode(body)
}

// maxFresh bounds of how many new tags it is asked what they stand for.
const maxFresh = 100

// servesFresh reports whether a tag that is new stands for an image that is not,
// which is served by it.
func (im image) servesFresh(in *sdk.Input, tag string) bool {
	digest, _, err := im.current(in, tag, im.heads(tag))
	if err != nil || digest == "" {
		return false // nobody knows, or run again with it
	}
	return in.Keep(sdk.Version{Name: im.name, Version: digest}, sdk.File{Path: im.manifestPath(digest)})
}

// maxPages bounds how often upstream is asked for more of a list.
const maxPages = 50

// errUnasked says that upstream does not answer.
var errUnasked = errors.New("its registry could not be asked for its tags")

// upstreamTags are those that upstream lists. Not whole: there are more. Not
// known: it has no such repository.
func (im image) upstreamTags(in *sdk.Input, from []sdk.Source) (tags []string, whole, known bool, err error) {
	for _, s := range from {
		for range maxPages {
			doc, ok := in.Doc(s)
			if !ok {
				return tags, false, true, nil // run again with it
			}
			if doc.Status == 404 {
				break
			}
			if !doc.OK() {
				return nil, false, false, errUnasked
			}
			var list struct{ Tags []string }
			if err := json.Unmarshal(doc.Body, &list); err != nil {
				return nil, false, false, err
			}
			tags, known = append(tags, list.Tags...), true
			next, more := nextPage(doc)
			if next == "" {
				return tags, !more, true, nil
			}
			s.URL = next
		}
		if known {
			return tags, false, true, nil
		}
	}
	return nil, false, false, nil
}

// link is one of a Link header: its target, and its parameters (RFC 8288, section 3).
var link = regexp.MustCompile(`<([^>]*)>([^<]*)`)

// nextPage is where upstream has more of a list, below its own address, which may
// have a path, and whether there is more; empty: it says so, but not at itself.
func nextPage(doc *sdk.Doc) (next string, more bool) {
	for _, l := range link.FindAllStringSubmatch(doc.Header["link"], -1) {
		if !strings.Contains(strings.ReplaceAll(strings.ToLower(l[2]), `"`, ""), "rel=next") {
			continue
		}
		base, err := url.Parse(doc.URL)
		if err != nil {
			return "", true
		}
		next, err := base.Parse(l[1])
		if err != nil || next.Host != base.Host {
			return "", true
		}
		asked, _, _ := strings.Cut(doc.Source.URL, "?")
		if own, ok := strings.CutSuffix(base.EscapedPath(), asked); ok && strings.HasPrefix(next.RequestURI(), own+"/") {
			return strings.TrimPrefix(next.RequestURI(), own), true
		}
		return next.RequestURI(), true
	}
	return "", false
}

// planCatalog lists the repositories that are here (Docker Registry HTTP API V2,
// "Catalog").
func planCatalog(r sdk.Request) sdk.Plan {
	p, failure := pageOf(r)
	if failure != nil {
		return *failure
	}
	return sdk.Document{
		Path:      "/_catalog" + p.query(),
		Query:     true,
		Hosted:    "*",
		NamesOnly: true,

		MountedBelow: true,

		Render: func(in *sdk.Input) error {
			names := []string{}
			for _, ours := range in.HostedPackages() {
				names = append(names, ours.Name)
			}
			some, next := p.cut(names)
			if some == nil {
				some = []string{}
			}
			header := map[string]string{}
			if next != "" {
				header["Link"] = following(in.URL("/_catalog" + page{p.n, next}.query()))
			}
			body := map[string][]string{"repositories": some}
			return json.NewEncoder(in.OutputWith("", "application/json", header)).Encode(body)
		},
	}
}
