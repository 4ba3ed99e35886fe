package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// shown is what a head is about: a kept body as an address shows it.
type shown struct {
	digest   blobs.Digest // of the body in no encoding
	size     int64        // in the encoding
	encoding string       // empty: none
	typ      string
	modified time.Time // zero: unknown
}

// head are the fields of an answer that are the same whenever an address shows the
// same, as it mostly does.
type head struct {
	shown
	fields [headFields]string
}

// The fields of a head.
const (
	headType = iota
	headLength
	headEtag
	headEncoding
	headModified
	headVary
	headFields
)

// field is a field's value as a header has it. It must not be changed.
func (h *head) field(i int) []string { return h.fields[i : i+1 : i+1] }

// headOf is the head of an answer at a route.
func (rt *route) headOf(repo *cache.Repository, s shown) *head {
	if h := rt.head.Load(); h != nil && h.shown == s {
		return h
	}
	h := &head{shown: s}
	h.fields[headType] = s.typ
	h.fields[headLength] = strconv.FormatInt(s.size, 10)
	h.fields[headEtag] = etagOf(s.digest, s.encoding)
	h.fields[headEncoding] = s.encoding
	h.fields[headModified] = s.modified.UTC().Format(http.TimeFormat)
	h.fields[headVary] = strings.Join(append([]string{"Accept-Encoding"}, repo.Describe.GetVary()...), ", ")
	rt.head.Store(h)
	return h
}
