package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// Bounds of per_page (Cargo book, "Web API", search).
const (
	defaultHits = 10
	maxHits     = 100
)

// searchAnswer is what a search answers with.
type searchAnswer struct {
	Crates []hit `json:"crates"`
	Meta   struct {
		Total int64 `json:"total"`
	} `json:"meta"`
}

// hit is a crate found. Other fields of upstream's are left out, as they name
// versions of their own.
type hit struct {
	Name        string  `json:"name"`
	MaxVersion  string  `json:"max_version"`
	Description *string `json:"description"`
}

// planSearch answers a search by upstream's, with each hit judged by its index
// file, after what is published here.
func planSearch(r sdk.Request) sdk.Plan {
	question := url.Values{}
	question.Set("q", r.Param("q"))
	hits, err := strconv.Atoi(r.Param("per_page"))
	if err != nil || hits < 1 {
		hits = defaultHits
	}
	question.Set("per_page", strconv.Itoa(min(hits, maxHits)))
	if page, err := strconv.Atoi(r.Param("page")); err == nil && page > 1 {
		question.Set("page", strconv.Itoa(page))
	}
	path := "/api/v1/crates?" + question.Encode()
	return sdk.Document{
		Path:   path,
		Query:  true,
		Hosted: "*",
		From:   []sdk.Source{configSource},
		Render: func(in *sdk.Input) error { return renderSearch(in, path, question) },
	}
}

func renderSearch(in *sdk.Input, path string, question url.Values) error {
	ours, err := searchHosted(in, question.Get("q"))
	if err != nil {
		return err
	}
	answer := searchAnswer{Crates: []hit{}}
	answer.Meta.Total = int64(len(ours))
	if !question.Has("page") {
		answer.Crates = append(answer.Crates, ours...)
	}
	switch config := in.Docs()[0]; {
	case config.OK():
		if err := answer.searchUpstream(in, path); err != nil {
			return err
		}
	case config.Status == 0 && len(ours) == 0:
		return errors.New("the registry could not be searched, and nothing of ours is found")
	}
	hits, err := strconv.Atoi(question.Get("per_page"))
	if err != nil {
		return err
	}
	answer.Crates = answer.Crates[:min(hits, len(answer.Crates))]
	return in.JSON(answer)
}

// searchHosted finds what is published here, by name and description.
func searchHosted(in *sdk.Input, text string) ([]hit, error) {
	var hits []hit
	text = strings.ToLower(text)
	for _, p := range in.HostedPackages() {
		releases, err := hostedReleases(p)
		if err != nil {
			return nil, err
		}
		var best *hostedRelease
		for i := range releases {
			if r := &releases[i]; !r.Line.Yanked && (best == nil || above(r.version, best.version)) {
				best = r
			}
		}
		if best != nil && (strings.Contains(p.Name, text) || strings.Contains(strings.ToLower(best.Description), text)) {
			hits = append(hits, hit{Name: best.Line.Name, MaxVersion: best.Line.Version, Description: &best.Description})
		}
	}
	return hits, nil
}

// searchUpstream adds what upstream finds, but for names that are ours.
func (a *searchAnswer) searchUpstream(in *sdk.Input, path string) error {
	c, err := parseConfig(in.Docs()[0].Body)
	if err != nil {
		return err
	}
	source, ok := c.api(path)
	if !ok && len(in.HostedPackages()) == 0 {
		return sdk.NotFound("the upstream registry has no search")
	}
	if !ok {
		return nil
	}
	doc, ok := in.Doc(source)
	if !ok {
		return nil
	}
	if !doc.OK() {
		return fmt.Errorf("the registry's search answers with status %d", doc.Status)
	}
	if !gjson.ValidBytes(doc.Body) {
		return errors.New("the registry's search answers with something else than JSON")
	}
	found := gjson.ParseBytes(doc.Body)
	a.Meta.Total += found.Get("meta.total").Int()
	found.Get("crates").ForEach(func(_, h gjson.Result) bool {
		name := canonical(h.Get("name").Str)
		if in.Ours(name) || in.Hosted(name) != nil {
			a.Meta.Total--
		} else if v := version(in, c, h); v != "" {
			a.Crates = append(a.Crates, hit{
				Name:        h.Get("name").Str,
				MaxVersion:  v,
				Description: description(h),
			})
		} else {
			a.Meta.Total--
		}
		return true
	})
	a.Meta.Total = max(a.Meta.Total, int64(len(a.Crates)))
	return nil
}

// version returns the version that a hit is shown with: upstream's, or the
// highest that policy keeps. Empty: none is left, or not known yet.
func version(in *sdk.Input, c registryConfig, h gjson.Result) string {
	name := canonical(h.Get("name").Str)
	if !validName(name) {
		return ""
	}
	doc, ok := in.Doc(sdk.Source{URL: indexPath(name), Role: roleIndex, Optional: true})
	if !ok || !doc.OK() {
		return ""
	}
	releases, err := parseIndex(name, doc.Body)
	if err != nil {
		return ""
	}
	// No version is younger than the crate's last change.
	changed, err := time.Parse(time.RFC3339, h.Get("updated_at").Str)
	if err != nil {
		changed = time.Time{}
	}
	highest, kept := h.Get("max_version").Str, false
	var best *release
	for i := range releases {
		r := &releases[i]
		if r.published.IsZero() {
			r.published = changed
		}
		if !r.keep(in, c) || r.yanked {
			continue
		}
		if r.version.Original() == highest {
			kept = true
		}
		if best == nil || above(r.version, best.version) {
			best = r
		}
	}
	switch {
	case kept:
		return highest
	case best != nil:
		return best.version.Original()
	}
	return ""
}

func description(h gjson.Result) *string {
	d := h.Get("description")
	if d.Type != gjson.String {
		return nil
	}
	return &d.Str
}
