package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// resource is a service of a feed (NuGet v3 API, service index).
type resource struct {
	ID            string `json:"@id"`
	Type          string `json:"@type"`
	ClientVersion string `json:"clientVersion,omitempty"`
}

// Types of resources, with the names under which clients of all ages look for
// them, the best first.
var (
	flatContainer = []string{"PackageBaseAddress/3.0.0"}
	registrations = []string{
		"RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/Versioned", "RegistrationsBaseUrl/3.4.0",
		"RegistrationsBaseUrl/3.0.0-rc", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl",
	}
	searches = []string{
		"SearchQueryService/3.5.0", "SearchQueryService/Versioned", "SearchQueryService/3.4.0",
		"SearchQueryService/3.0.0-rc", "SearchQueryService/3.0.0-beta", "SearchQueryService",
	}
	autocompletes = []string{
		"SearchAutocompleteService/3.5.0", "SearchAutocompleteService/Versioned",
		"SearchAutocompleteService/3.0.0-rc", "SearchAutocompleteService/3.0.0-beta", "SearchAutocompleteService",
	}
)

// planIndex answers with our service index. Only registrations that say so have
// versions of SemVer 2.0.0 in them.
func planIndex(r sdk.Request) sdk.Plan {
	var all []resource
	add := func(path string, types ...string) {
		for _, t := range types {
			at := resource{ID: r.URL(path), Type: t}
			if strings.HasSuffix(t, "/Versioned") {
				at.ClientVersion = "4.3.0-alpha"
			}
			all = append(all, at)
		}
	}
	add("/v3/flatcontainer/", flatContainer...)
	add("/v3/registration/", registrations[:2]...)
	add("/v3/registration-semver1/", registrations[2:]...)
	add("/v3/search", searches...)
	add("/v3/autocomplete", autocompletes...)
	add("/v3/package", "PackagePublish/2.0.0")
	add("/api/v2/symbolpackage", "SymbolPackagePublish/4.9.0") // so that clients are told why not, and do not leave symbols out in silence
	add("/v2", "LegacyGallery/2.0.0", "LegacyGallery")
	return sdk.JSON(struct {
		Version   string     `json:"version"`
		Resources []resource `json:"resources"`
	}{"3.0.0", all})
}

// services are upstream's resources.
type services []resource

// servicesOf are upstream's resources; nil: upstream is not asked.
func servicesOf(in *sdk.Input) (services, error) {
	if doc := in.Docs()[0]; doc.OK() {
		return parseServices(doc.Body)
	}
	return nil, nil
}

// nothingFound is the answer to a search that finds nothing: an error where
// upstream could not be searched.
func nothingFound(in *sdk.Input) error {
	if in.Docs()[0].Status == 0 {
		return errors.New("the upstream feed could not be searched, and nothing of ours is found")
	}
	return nil
}

func parseServices(body []byte) (services, error) {
	var index struct {
		Resources []object `json:"resources"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return nil, fmt.Errorf("the service index: %w", err)
	}
	var all services
	for _, r := range index.Resources {
		id := r.text("@id")
		for _, t := range r.texts("@type") {
			if id != "" {
				all = append(all, resource{ID: id, Type: t})
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the service index lists no services")
	}
	return all, nil
}

// find returns the address of a service; empty: upstream has none.
func (s services) find(types []string) string {
	for _, t := range types {
		if i := slices.IndexFunc(s, func(r resource) bool { return r.Type == t }); i >= 0 {
			return s[i].ID
		}
	}
	return ""
}

// below returns an address below a service's.
func below(base, path string) string { return strings.TrimSuffix(base, "/") + "/" + path }

// fetch gets one more document in JSON. False, without an error: it is not there
// yet. What upstream does not have is the failure given.
func fetch(in *sdk.Input, address string, missing error, v any) (bool, error) {
	doc, ok := in.Doc(sdk.Source{URL: address, Accept: "application/json", Optional: true})
	if !ok {
		return false, nil
	}
	switch {
	case doc.Status == http.StatusNotFound || doc.Status == http.StatusGone:
		return false, missing
	case !doc.OK():
		return false, fmt.Errorf("%s is answered with status %d", address, doc.Status)
	}
	if err := json.Unmarshal(doc.Body, v); err != nil {
		return false, fmt.Errorf("%s: %w", address, err)
	}
	return true, nil
}
