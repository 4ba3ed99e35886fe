package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// date fills in the publish times of lines without one, from the registry's
// web API. Registries without an API, and crates that it does not know, leave
// them zero; an API that does not answer is an error, as versions would be let
// through whose age is not known.
func date(in *sdk.Input, c registryConfig, name string, releases []release) error {
	if !undated(releases) || !in.CoolsDown(name) {
		return nil
	}
	source, ok := c.api("/api/v1/crates/" + name)
	if !ok {
		return nil
	}
	doc, ok := in.Doc(source)
	if !ok {
		return nil
	}
	switch doc.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil
	default:
		return fmt.Errorf("the index does not say when %s was published, and the registry's API answers with status %d", name, doc.Status)
	}
	times, err := parseTimes(doc.Body)
	if err != nil {
		return err
	}
	for i := range releases {
		r := &releases[i]
		if t, ok := times[r.version.Original()]; ok && r.published.IsZero() && t.of(r.checksum) {
			r.published = t.created
		}
	}
	return nil
}

func undated(releases []release) bool {
	for _, r := range releases {
		if r.published.IsZero() {
			return true
		}
	}
	return false
}

// created is when the web API says that a version was published.
type created struct {
	created  time.Time
	checksum string
}

// of reports whether it is about the file of a checksum. An API that says no
// checksum is taken at its word.
func (c created) of(sum []byte) bool {
	return c.checksum == "" || strings.EqualFold(c.checksum, hex.EncodeToString(sum))
}

// parseTimes reads the web API's document about a crate.
func parseTimes(body []byte) (map[string]created, error) {
	if !gjson.ValidBytes(body) {
		return nil, errors.New("the registry's API answers with something else than JSON")
	}
	times := map[string]created{}
	gjson.GetBytes(body, "versions").ForEach(func(_, v gjson.Result) bool {
		if t, err := time.Parse(time.RFC3339, v.Get("created_at").Str); err == nil {
			times[v.Get("num").Str] = created{t, v.Get("checksum").Str}
		}
		return true
	})
	return times, nil
}
