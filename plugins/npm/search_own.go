package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// searchOurs are packages of ours of which the name, the description or a
// keyword has all words of a text, as hits.
func searchOurs(in *sdk.Input, query string) ([][]byte, error) {
	words := strings.Fields(strings.ToLower(query))
	var hits [][]byte
	for _, h := range in.HostedPackages() {
		if len(h.Files) == 0 {
			continue
		}
		p, err := ownPackument(h, in.URL)
		if err != nil {
			return nil, err
		}
		e := p.byVersion[tagged(p.tags, "latest")]
		if e != nil && e.shown && matches(e, words) {
			hits = append(hits, ownHit(e, p.released[e.Version.Version].quoted, h.Owners))
		}
	}
	return hits, nil
}

// matches reports whether a manifest has all words where people look for them.
func matches(e *entry, words []string) bool {
	about := []string{e.Name}
	for m := range members(e.manifest) {
		switch string(m.key) {
		case "description":
			said, _ := text(m.value)
			about = append(about, said)
		case "keywords":
			for word := range elements(m.value) {
				said, _ := text(word)
				about = append(about, said)
			}
		}
	}
	all := strings.ToLower(strings.Join(about, " "))
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(all, word) })
}

// ownHit is a package of ours as a hit.
func ownHit(e *entry, date []byte, owners []string) []byte {
	people := []map[string]string{}
	for _, name := range owners {
		people = append(people, map[string]string{"username": name, "email": ""})
	}
	about := map[string]any{
		"name": e.Name, "version": e.Version.Version, "date": json.RawMessage(date), "links": struct{}{}, "maintainers": people,
		"scope": strings.TrimPrefix(strings.TrimSuffix(e.Name, "/"+baseName(e.Name)), "@"),
	}
	if !strings.HasPrefix(e.Name, "@") {
		about["scope"] = "unscoped"
	}
	if len(people) > 0 {
		about["publisher"] = people[0]
	}
	for m := range members(e.manifest) {
		switch string(m.key) {
		case "description", "keywords", "license", "author":
			about[string(m.key)] = json.RawMessage(m.value)
		}
	}
	encoded, _ := json.Marshal(map[string]any{ // parts of valid JSON always can be
		"package":     about,
		"score":       map[string]any{"final": 1, "detail": map[string]int{"quality": 1, "popularity": 1, "maintenance": 1}},
		"searchScore": 1,
	})
	return encoded
}
