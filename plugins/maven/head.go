package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// head is what upstream says of a file without sending it.
type head struct {
	// published is when upstream got the file; zero: unknown.
	published time.Time
	// size in bytes; 0: unknown.
	size int64
}

// look asks upstream about a file, where its age matters. False: there is no
// such file. An upstream that does not answer is an error, as files would be let
// through whose age is not known.
func look(in *sdk.Input, name, path string) (head, bool, error) {
	if !in.CoolsDown(name) {
		return head{}, true, nil
	}
	doc, ok := in.Doc(headOf(path))
	if !ok {
		return head{}, false, nil
	}
	h, err := readHead(doc)
	return h, doc.Status != http.StatusNotFound && doc.Status != http.StatusGone, err
}

// headOf asks about a file.
func headOf(path string) sdk.Source { return sdk.Source{URL: path, Optional: true, Head: true} }

func readHead(doc *sdk.Doc) (head, error) {
	if ok, err := has(doc); !ok {
		return head{}, err
	}
	var h head
	if t, err := http.ParseTime(doc.Header["last-modified"]); err == nil {
		h.published = t
	}
	if n, err := strconv.ParseInt(doc.Header["content-length"], 10, 64); err == nil {
		h.size = max(n, 0)
	}
	return h, nil
}

// has reports whether an optional document is there. Only an answer that says
// no counts as none.
func has(doc *sdk.Doc) (bool, error) {
	switch s := doc.Status; {
	case doc.OK():
		return true, nil
	case s == 0:
		return false, fmt.Errorf("%s cannot be had", doc.Source.URL)
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests, s == http.StatusNotImplemented:
		return false, nil
	}
	return false, fmt.Errorf("%s is answered with status %d", doc.Source.URL, doc.Status)
}
