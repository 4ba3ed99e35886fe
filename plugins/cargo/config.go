package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/sdk"
)

// registryConfig is an index's config.json (Cargo book, "Index Format", index
// configuration).
type registryConfig struct {
	// DL is the template of crate files' addresses.
	DL string `json:"dl"`
	// API is the base of the web API; empty: the registry has none.
	API string `json:"api,omitempty"`
	// AuthRequired has cargo send its token with every request.
	AuthRequired bool `json:"auth-required,omitempty"`
}

// configSource is where upstream's own configuration stands.
var configSource = sdk.Source{URL: "/config.json", Role: roleIndex}

// planConfig answers with our own configuration. A template without markers
// has cargo append /{crate}/{version}/download.
func (o options) planConfig(r sdk.Request) sdk.Plan {
	return sdk.JSON(registryConfig{DL: r.URL("/crates"), API: r.URL(""), AuthRequired: o.AuthRequired || r.LoginRequired()})
}

// parseConfig reads upstream's config.json.
func parseConfig(body []byte) (registryConfig, error) {
	var c registryConfig
	if err := json.Unmarshal(body, &c); err != nil {
		return c, fmt.Errorf("config.json: %w", err)
	}
	if c.DL == "" {
		return c, errors.New("config.json names no download address (dl)")
	}
	return c, nil
}

// download returns upstream's address of a crate file. The name is as the
// index line has it; sum is the file's sha256.
func (c registryConfig) download(name, version string, sum []byte) string {
	address := c.DL
	if strings.Contains(address, "{") {
		address = strings.NewReplacer(
			"{crate}", name,
			"{version}", version,
			"{prefix}", shard(name),
			"{lowerprefix}", shard(canonical(name)),
			"{sha256-checksum}", hex.EncodeToString(sum),
		).Replace(address)
	}
	if address == c.DL {
		address += "/" + name + "/" + version + "/download"
	}
	return address
}

// api returns a question to the registry's web API; false: it has none. The
// address is the one that the registry itself names, so that the names of a
// private registry are never asked of another. The default registry's is left
// to the role, whose address a configuration may replace by a mirror.
func (c registryConfig) api(path string) (sdk.Source, bool) {
	base := strings.TrimSuffix(c.API, "/")
	if base == "" {
		return sdk.Source{}, false
	}
	if base == strings.TrimSuffix(purl.DefaultRegistry("cargo"), "/") {
		base = ""
	}
	return sdk.Source{URL: base + path, Role: roleAPI, Accept: "application/json", Optional: true}, true
}
