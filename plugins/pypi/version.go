package main

import (
	"cmp"
	"regexp"
	"strings"

	pep440 "github.com/aquasecurity/go-pep440-version"
)

// parseVersion reads a version as PEP 440 has it. The parts of a local version
// may be apart by dashes and underscores, too, and its numbers have zeros before
// them (local version identifiers).
func parseVersion(s string) (pep440.Version, error) {
	public, local, is := strings.Cut(s, "+")
	if !is {
		return pep440.Parse(s)
	}
	parts := strings.Split(strings.NewReplacer("-", ".", "_", ".").Replace(strings.ToLower(strings.TrimSpace(local))), ".")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = cmp.Or(strings.TrimLeft(part, "0"), "0")
		}
	}
	return pep440.Parse(public + "+" + strings.Join(parts, "."))
}

// pythonTag is where the names of eggs and installers say what Python they are
// for, which a local version could be taken to go on with.
var pythonTag = regexp.MustCompile(`-py[0-9](?:\.[0-9]+)?(?:-.*)?$`)

// versions turns what listings and file names call a version into PEP 440's
// normal form. It remembers them, as a version has many files. The zero value
// is not ready for use: make it.
type versions map[string]string

// normal returns the normal form of the longest beginning, up to a dash or
// dot, that is a version: "1.0-py2.7" and "1.0.linux-x86_64", from the names of
// eggs and installers, are 1.0. What has none stays as it is.
func (m versions) normal(s string) string {
	if v, ok := m[s]; ok {
		return v
	}
	normal := s
	for rest := pythonTag.ReplaceAllString(s, ""); rest != ""; rest = rest[:max(strings.LastIndexAny(rest, "-."), 0)] {
		if v, err := parseVersion(rest); err == nil {
			normal = v.String()
			break
		}
	}
	m[s] = normal
	return normal
}

// same spells equal versions alike, which differ in the zeros that a release
// ends in (PEP 440, final releases): 1.0 and 1.0.0. It takes a normal form.
func same(version string) string {
	end := len(version)
	for i, c := range []byte(version) {
		digit := '0' <= c && c <= '9'
		if !digit && c != '!' && (c != '.' || i+1 == len(version) || version[i+1] < '0' || version[i+1] > '9') {
			end = i
			break
		}
	}
	release := version[:end]
	for strings.HasSuffix(release, ".0") {
		release = strings.TrimSuffix(release, ".0")
	}
	return release + version[end:]
}

// canonical is what all spellings of a version have in common. What is no version
// is only itself.
func canonical(version string) string {
	v, err := parseVersion(version)
	if err != nil {
		return version
	}
	return same(v.String())
}

// newest returns the version that an index shows first: the highest, but a
// pre-release only when there is nothing else, and what does not follow PEP 440
// only after that. Empty: there are none.
func newest(candidates []string) string {
	best, bestRank := "", 0
	var bestVersion pep440.Version
	for _, c := range candidates {
		v, err := parseVersion(c)
		rank := 3
		switch {
		case err != nil:
			rank = 1
		case v.IsPreRelease():
			rank = 2
		}
		if rank > bestRank || rank == bestRank && (rank == 1 && c > best || rank > 1 && v.GreaterThan(bestVersion)) {
			best, bestRank, bestVersion = c, rank, v
		}
	}
	return best
}
