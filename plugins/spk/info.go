package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// info is an INFO file: keys and their values (Synology package developer guide,
// "INFO").
type info map[string]string

// parseInfo reads an INFO file, lines of key="value".
func parseInfo(text string) info {
	i := info{}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		i[key] = strings.ReplaceAll(value, `\"`, `"`)
	}
	return i
}

// yes reports whether a key says yes; otherwise is what it means where it says
// nothing.
func (i info) yes(key string, otherwise bool) bool {
	switch strings.ToLower(i[key]) {
	case "yes", "true", "1":
		return true
	case "no", "false", "0":
		return false
	}
	return otherwise
}

// in is a text in a language, or in another that there is.
func (i info) in(key, language string) string {
	for _, k := range []string{key + "_" + language, key + "_enu", key} {
		if i[k] != "" {
			return i[k]
		}
	}
	return ""
}

// platforms are those that the package is built for.
func (i info) platforms() []string {
	all := strings.Fields(i["arch"])
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return []string{"noarch"}
	}
	return all
}

// first is the first DSM that the package is for, in whichever of two keys.
func (i info) first() string {
	if v := i["os_min_ver"]; v != "" {
		return v
	}
	return i["firmware"]
}

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)
	versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~+-]{0,99}$`)
)

func validName(name string) bool { return namePattern.MatchString(name) }

func validVersion(version string) bool { return versionPattern.MatchString(version) }

var runs = regexp.MustCompile(`[0-9]+|[A-Za-z]+`)

// canonical is what versions have in common that are neither before nor behind
// each other.
func canonical(version string) string {
	all := runs.FindAllString(version, -1)
	for i, part := range all {
		if part[0] <= '9' {
			all[i] = cmp.Or(strings.TrimLeft(part, "0"), "0")
		}
	}
	return strings.Join(all, ".")
}

// compare orders versions, by the numbers and words in them.
func compare(a, b string) int {
	x, y := runs.FindAllString(a, -1), runs.FindAllString(b, -1)
	return slices.CompareFunc(x, y, func(p, q string) int {
		number := p[0] <= '9'
		if other := q[0] <= '9'; number != other {
			if number {
				return 1
			}
			return -1
		}
		if number {
			p, q = strings.TrimLeft(p, "0"), strings.TrimLeft(q, "0")
			if len(p) != len(q) {
				return len(p) - len(q)
			}
		}
		return strings.Compare(p, q)
	})
}
