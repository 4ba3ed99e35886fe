package e2e

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startNuGet plays a v3 feed with the releases: its service index, registrations,
// catalog and search on one server and the package files on another.
func startNuGet(t testing.TB) *fixture {
	t.Helper()
	feed, flat := newShelf(), newShelf()
	var hits []any
	feeds := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/query" {
			feed.ServeHTTP(w, r)
			return
		}
		skip, _ := strconv.Atoi(r.FormValue("skip"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(marshal(t, map[string]any{"totalHits": len(hits), "data": hits[min(skip, len(hits)):]}))
	}))
	files := startUpstream(t, flat)
	f := &fixture{
		repository: "nuget",
		upstream:   fmt.Sprintf("upstream \"main\" { url = \"%s/v3\" }", feeds.URL),
		servers:    []*Upstream{feeds, files},
		files:      map[string]*fixtureFile{},
	}
	feed.put("/v3/index.json", "application/json", marshal(t, map[string]any{"version": "3.0.0", "resources": []any{
		map[string]any{"@id": files.URL + "/flat/", "@type": "PackageBaseAddress/3.0.0"},
		map[string]any{"@id": feeds.URL + "/v3/registration/", "@type": "RegistrationsBaseUrl/3.6.0"},
		map[string]any{"@id": feeds.URL + "/query", "@type": "SearchQueryService"},
	}}))
	grouped(releases, func(name string, of []release) {
		var items, versions []any
		for _, r := range of {
			path := fmt.Sprintf("/flat/%s/%s/%s.%s.nupkg", name, r.version, name, r.version)
			file := &fixtureFile{release: r, here: "/v3/flatcontainer" + strings.TrimPrefix(path, "/flat"), path: path, on: files, shelf: flat, body: nupkg(t, r)}
			sum := sha512.Sum512(file.body)
			file.digest = base64.StdEncoding.EncodeToString(sum[:])
			f.files[r.String()] = file
			file.mend()
			items = append(items, nugetItem(r, feeds.URL, files.URL+path))
			versions = append(versions, map[string]any{"version": r.version, "downloads": 1})
			feed.put("/catalog/"+name+"."+r.version+".json", "application/json", marshal(t, map[string]any{
				"id": name, "version": r.version, "created": r.published().Format(time.RFC3339),
				"packageHash": file.digest, "packageHashAlgorithm": "SHA512", "packageSize": len(file.body),
			}))
		}
		last := of[len(of)-1]
		feed.put("/v3/registration/"+name+"/index.json", "application/json", marshal(t, map[string]any{"count": 1, "items": []any{map[string]any{
			"@id": feeds.URL + "/v3/registration/" + name + "/index.json#page", "commitTimeStamp": last.published().Format(time.RFC3339),
			"count": len(items), "lower": of[0].version, "upper": last.version, "items": items,
		}}}))
		hits = append(hits, map[string]any{"id": name, "version": last.version, "description": "about " + name, "versions": versions})
	})
	return f
}

// nugetItem is a version in a registration. What was withdrawn is unlisted.
func nugetItem(r release, feed, content string) map[string]any {
	published := r.published().Format(time.RFC3339)
	entry := map[string]any{
		"@id": feed + "/catalog/" + r.name + "." + r.version + ".json", "id": r.name, "version": r.version, "authors": "harbour master",
		"description": "about " + r.name, "published": published, "listed": r.withdrawn == "", "packageContent": content,
	}
	if r.undated || r.withdrawn != "" {
		entry["published"] = "1900-01-01T00:00:00+00:00"
	}
	if r.needs != "" {
		entry["dependencyGroups"] = []any{map[string]any{"dependencies": []any{map[string]any{
			"id": r.needs, "range": "[1.0.0, )", "registration": feed + "/v3/registration/" + r.needs + "/index.json",
		}}}}
	}
	return map[string]any{"commitTimeStamp": published, "catalogEntry": entry, "packageContent": content}
}

// nupkg is a package file as NuGet of all ages reads it.
func nupkg(t testing.TB, r release) []byte {
	t.Helper()
	dependencies := ""
	if r.needs != "" {
		dependencies = fmt.Sprintf(`<dependencies><dependency id="%s" version="1.0.0" /></dependencies>`, r.needs)
	}
	return zipped(t,
		"_rels/.rels", `<?xml version="1.0" encoding="utf-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/`+r.name+`.nuspec" Id="R1" /></Relationships>`,
		"[Content_Types].xml", `<?xml version="1.0" encoding="utf-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" /><Default Extension="nuspec" ContentType="application/octet" /><Default Extension="bin" ContentType="application/octet" /></Types>`,
		r.name+".nuspec", fmt.Sprintf(`<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd"><metadata><id>%s</id><version>%s</version><authors>harbour master</authors><description>about %s</description>%s</metadata></package>`, r.name, r.version, r.name, dependencies),
		"content/data.bin", string(r.data()),
	)
}
