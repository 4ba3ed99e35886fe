package config

import (
	"errors"
	"net/url"
	"strings"
)

// ParsePackagePattern takes a purl pattern apart. A scope's @ may be written as it is
// or as %40; * and ? are wildcards.
func ParsePackagePattern(pattern string) (r PackageRule, err error) {
	rest, ok := strings.CutPrefix(pattern, "pkg:")
	if !ok {
		return r, errors.New(`write a package URL, as "pkg:npm/lodash" or "pkg:npm/@acme/*"`)
	}
	r.Pattern = pattern
	r.Type, rest, ok = strings.Cut(rest, "/")
	if !ok || r.Type == "" || rest == "" {
		return r, errors.New(`write type and name, as "pkg:npm/lodash"; * stands for any`)
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 && strings.Contains(rest[i:], "=") {
		return r, errors.New("qualifiers, as ?repository_url=…, are not looked at: write the name as clients ask for it here, with the host of its registry before it where it has one")
	}
	r.Type = strings.ToLower(r.Type)
	if i := strings.LastIndexByte(rest, '@'); i > 0 && rest[i-1] != '/' {
		rest, r.Version = rest[:i], rest[i+1:]
		if r.Version == "" {
			return r, errors.New("the version after @ is empty")
		}
	}
	if r.Name, err = url.PathUnescape(rest); err != nil {
		return r, err
	}
	r.Version, err = url.PathUnescape(r.Version)
	return r, err
}
