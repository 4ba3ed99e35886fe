package main

import (
	"slices"
	"strconv"
	"strings"
)

// Outputs of a simple page.
const (
	outputHTML   = ""     // text/html
	outputHTMLv1 = "html" // the same bytes under PEP 691's type
	outputJSON   = "json"
)

// Content types of PEP 691.
const (
	typeHTML   = "text/html; charset=utf-8"
	typeHTMLv1 = "application/vnd.pypi.simple.v1+html"
	typeJSON   = "application/vnd.pypi.simple.v1+json"
)

// acceptUpstream asks for JSON, which has upload times; indexes that only have
// HTML answer with that.
const acceptUpstream = typeJSON + ", " + typeHTMLv1 + ";q=0.2, text/html;q=0.1"

// offer is a representation and the media ranges that ask for it by name.
type offer struct {
	output string
	types  []string
}

// offers are in the order of preference among those asked for alike.
var offers = []offer{
	{outputJSON, []string{typeJSON, "application/vnd.pypi.simple.latest+json"}},
	{outputHTMLv1, []string{typeHTMLv1, "application/vnd.pypi.simple.latest+html"}},
	{outputHTML, []string{"text/html"}},
}

// negotiate returns the output for an Accept header (PEP 691, version and
// format selection; RFC 9110, section 12.5.1). Only what is named counts as
// wished; anything else, also a header that nothing fits, gets text/html, as
// PEP 691 allows.
func negotiate(accept string) string {
	best, output := 0.0, outputHTML
	for _, o := range offers {
		if q := quality(accept, o.types); q > best {
			best, output = q, o.output
		}
	}
	return output
}

// quality returns the highest weight that an Accept header gives to one of
// some media types by name; 0: none, or refused.
func quality(accept string, types []string) float64 {
	best := 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.TrimSpace(name)
		if !slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, name) }) {
			continue
		}
		if q := weight(parameters); q > best {
			best = q
		}
	}
	return best
}

// weight returns the q parameter of a media range; 1 without one, 0 for one
// that is malformed.
func weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
