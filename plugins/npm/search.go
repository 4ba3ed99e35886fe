package main

import (
	"bytes"
	"errors"
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planSearch keeps the same question once, whatever the order of its
// parameters.
func planSearch(r sdk.Request) sdk.Plan {
	query := url.Values{}
	for _, name := range []string{"text", "size", "from", "quality", "popularity", "maintenance"} {
		if value := r.Param(name); value != "" {
			query.Set(name, value)
		}
	}
	return sdk.Document{
		Path:   "/-/v1/search?" + query.Encode(),
		Query:  true,
		Hosted: "*",
		Render: func(in *sdk.Input) error { return renderSearch(in, query) },
	}
}

// hitsPerPage is how many hits a search has that does not say.
const hitsPerPage = 20

// renderSearch shows hits of ours, then upstream's. Pages of both together are
// asked for with as much as ours leave of them.
func renderSearch(in *sdk.Input, query url.Values) error {
	ours, err := searchOurs(in, query.Get("text"))
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(query.Get("from"))
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil {
		size = hitsPerPage
	}
	first := min(max(from, 0), len(ours))
	page := ours[first:min(first+max(size, 0), len(ours))]
	rest := query
	if len(ours) > 0 {
		rest = maps.Clone(query)
		rest.Set("from", strconv.Itoa(max(from-len(ours), 0)))
		rest.Set("size", strconv.Itoa(max(size-len(page), 1))) // for the total
	}
	doc, ok := in.Doc(sdk.Source{URL: "-/v1/search?" + rest.Encode()})
	switch {
	case !ok:
		return nil
	case doc.Status == 0 && len(ours) == 0:
		return errors.New("the registry could not be searched, and nothing of ours is found")
	case !doc.OK():
		return writeHits(in, page, len(ours), len(page)+1, []byte(`{"objects":[],"total":0}`))
	}
	return writeHits(in, page, len(ours), size, doc.Body)
}

// writeHits writes a page of hits, size at most. A hit of upstream's whose
// version is held, or does not say how old it is, is looked up in its packument;
// one that cannot be looked up goes, and so does one whose name is ours.
func writeHits(in *sdk.Input, hits [][]byte, ours, size int, doc []byte) error {
	doc = bytes.ToValidUTF8(doc, []byte("\ufffd"))
	if err := checkJSON(doc); err != nil {
		return err
	}
	doc = doc[skipSpace(doc, 0):]
	if !isObject(doc) {
		return errors.New("it is no object")
	}
	dropped := 0
	for m := range members(doc) {
		if !m.is("objects") {
			continue
		}
		for value := range elements(m.value) {
			h, ok := readHit(value)
			switch {
			case !ok, in.Ours(h.name), in.Hosted(h.name) != nil, !h.judge(in):
				dropped++
			case ours == 0 || len(hits) < size:
				hits = append(hits, h.splice())
			}
		}
	}
	w := newWriter(in.Output("", jsonType))
	o := w.object()
	seen := false
	for m := range members(doc) {
		switch string(m.key) {
		case "objects":
			if seen {
				continue // all hits stand in the first
			}
			seen = true
			o.key(m.quoted)
			w.array(hits)
		case "total":
			if total, err := strconv.Atoi(string(m.value)); err == nil {
				m.value = strconv.AppendInt(nil, int64(max(ours+total-dropped, len(hits))), 10)
			}
			o.member(m.quoted, m.value)
		default:
			o.member(m.quoted, m.value)
		}
	}
	o.end()
	return w.Flush()
}

// hit is a package found by a search.
type hit struct {
	whole         []byte // the hit
	about         []byte // its member package
	name, version string
	date          time.Time
	shown         string // the version to show
	shownDate     []byte // its date, quoted; nil: none
}

// readHit reads a hit; false: it does not say of which version it is, or says
// it twice.
func readHit(whole []byte) (*hit, bool) {
	h := &hit{whole: whole}
	for m := range members(whole) {
		if m.is("package") {
			if h.about != nil {
				return nil, false
			}
			h.about = m.value
		}
	}
	seen := map[string]bool{}
	for m := range members(h.about) {
		key := string(m.key)
		switch key {
		case "name":
			h.name, _ = text(m.value)
		case "version":
			h.version, _ = text(m.value)
		case "date":
			value, _ := text(m.value)
			h.date, _ = time.Parse(time.RFC3339, value) // zero: to be looked up
			h.shownDate = m.value
		default:
			continue
		}
		if seen[key] {
			return nil, false
		}
		seen[key] = true
	}
	h.shown = h.version
	return h, validName(h.name) && h.version != ""
}

// judge finds the version to show; false: there is none, or it is not known
// yet.
func (h *hit) judge(in *sdk.Input) bool {
	if !h.date.IsZero() || !in.CoolsDown(h.name) {
		v := sdk.Version{Name: h.name, Version: h.version, Published: h.date}
		if in.Keep(v, sdk.File{Path: filePath(h.name, fileName(h.name, h.version))}) {
			return true
		}
	}
	source := packumentSource(h.name)
	source.Optional = true
	doc, ok := in.Doc(source)
	if !ok || !doc.OK() {
		return false
	}
	p, err := readPackument(h.name, doc.Body)
	if err != nil {
		return false
	}
	p.judge(in.Keep)
	e := p.byVersion[tagged(p.retag(), "latest")]
	if e == nil {
		return false
	}
	h.shown, h.shownDate = e.Version.Version, p.released[e.Version.Version].quoted
	return true
}

// splice writes the hit with the version to show.
func (h *hit) splice() []byte {
	if h.shown == h.version {
		return h.whole
	}
	return rewrite(h.whole, func(m member) []byte {
		if !m.is("package") {
			return m.value
		}
		return rewrite(m.value, func(m member) []byte {
			switch {
			case m.is("version"):
				return quote(h.shown)
			case m.is("date") && h.shownDate != nil:
				return h.shownDate
			}
			return m.value
		})
	})
}
