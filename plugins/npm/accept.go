package main

import (
	"strconv"
	"strings"
)

// Media types of packuments.
const (
	jsonType        = "application/json"
	abbreviatedType = "application/vnd.npm.install-v1+json"
)

// abbreviated is the name of the output of that type.
const abbreviated = "abbreviated"

// negotiate chooses the output for an Accept header (RFC 9110, section 12.5.1).
// The abbreviated form is for clients that name it and do not like the full one
// better; all others get the full one, whose output has no name.
func negotiate(accept string) string {
	var named, full float64
	specific := 0 // how closely a range has matched the full form
	for r := range strings.SplitSeq(accept, ",") {
		mediaType, q := mediaRange(r)
		closeness := 0
		switch mediaType {
		case abbreviatedType:
			named = max(named, q)
			continue
		case jsonType:
			closeness = 3
		case "application/*":
			closeness = 2
		case "*/*":
			closeness = 1
		}
		if closeness > specific {
			specific, full = closeness, q
		}
	}
	if named > 0 && named >= full {
		return abbreviated
	}
	return ""
}

// mediaRange reads one range of an Accept header and its weight; a weight that
// makes no sense is 0.
func mediaRange(r string) (string, float64) {
	parts := strings.Split(r, ";")
	q := 1.0
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(weight >= 0 && weight <= 1) {
			weight = 0
		}
		q = weight
	}
	return strings.ToLower(strings.TrimSpace(parts[0])), q
}
