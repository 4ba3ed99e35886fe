package main

import (
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planSearch asks with the parameters that a search has, in one order, so that
// the same question is kept once.
func planSearch(r sdk.Request) sdk.Plan {
	query := url.Values{}
	for _, name := range []string{"text", "size", "from", "quality", "popularity", "maintenance"} {
		if value := r.Param(name); value != "" {
			query.Set(name, value)
		}
	}
	address := "-/v1/search?" + query.Encode()
	return sdk.Document{Path: "/" + address, From: sdk.From(address), Query: true, Render: renderSearch}
}

// renderSearch shows each hit in the newest version that may be shown. A hit
// whose version is held, or does not say how old it is, is looked up in its
// packument; one that cannot be looked up goes.
func renderSearch(in *sdk.Input) error {
	doc := in.Docs()[0].Body
	if err := checkJSON(doc); err != nil {
		return err
	}
	doc = doc[skipSpace(doc, 0):]
	if !isObject(doc) {
		return errors.New("it is no object")
	}
	var hits [][]byte
	dropped := 0
	for m := range members(doc) {
		if !m.is("objects") {
			continue
		}
		for value := range elements(m.value) {
			if h, ok := readHit(value); ok && h.judge(in) {
				hits = append(hits, h.splice())
			} else {
				dropped++
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
				m.value = strconv.AppendInt(nil, int64(max(total-dropped, len(hits))), 10)
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
