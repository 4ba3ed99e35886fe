package plugintest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// versionsAreTold checks that a listing of one package tells Keep of versions,
// and of that package's.
func versionsAreTold(r reporter, h *host) {
	for _, x := range h.renderings() {
		if x.about == "" || x.query || x.failure != nil || x.answer != nil || x.state != nil {
			continue
		}
		if h.catalogue.packages[x.about] == nil {
			untold := x.untold()
			for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
				if at := shown(x.outputs[output].body, untold, len(x.facts) == 0); len(at) > 0 {
					r.Errorf("%s in the document %s (output %q) names a version that upstream lists, and Input.Keep was not told of it: tell it of each, and write only what it says yes to", at[0], x.path, output)
				}
			}
		}
		for _, f := range x.facts {
			if !f.GetPart() && h.names.Fold(f.GetName()) != h.names.Fold(x.about) {
				r.Errorf("the document %s is about %q, and Input.Keep was told of %q: write one name in one form, or say Several: true", x.path, x.about, f.GetName())
				break
			}
		}
	}
}

// likeVersion is what looks like a version in any ecosystem's documents.
var likeVersion = regexp.MustCompile(`\bv?[0-9]+(?:\.[0-9]+)+(?:[-+._a-zA-Z0-9]*[a-zA-Z0-9])?`)

// untold are what look like versions in upstream's documents, of which Keep was
// not told, nor of another spelling of them.
func (x *rendering) untold() map[string]bool {
	versions := map[string]bool{}
	for _, doc := range x.listed {
		for _, version := range likeVersion.FindAll(doc, -1) {
			versions[string(version)] = true
		}
	}
	releases := map[string]bool{}
	for _, f := range x.facts {
		releases[numbers(f.GetVersion())] = true
	}
	maps.DeleteFunc(versions, func(version string, _ bool) bool { return releases[numbers(version)] })
	return versions
}

// numbers are those of a version, without zeros that change nothing: where
// ecosystems spell a version in several ways, they agree in these.
func numbers(version string) string {
	version = strings.TrimPrefix(version, "v")
	if end := strings.IndexFunc(version, func(c rune) bool { return c != '.' && (c < '0' || c > '9') }); end >= 0 {
		version = version[:end]
	}
	parts := strings.Split(version, ".")
	for i, part := range parts {
		parts[i] = strings.TrimLeft(part, "0")
	}
	return strings.TrimRight(strings.Join(parts, "."), ".")
}

// shown are the places where versions stand in an output: in JSON as told finds
// them, in other texts as a line or, if wanted, an element of their own.
func shown(body []byte, versions map[string]bool, elements bool) []string {
	if value, err := decode(body); err == nil {
		return told(value, "", false, versions)
	}
	var found []string
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if _, element, ok := strings.Cut(line, ">"); ok && elements {
			line, _, _ = strings.Cut(element, "<")
		}
		if versions[line] {
			found = append(found, line)
		}
	}
	return found
}

// stands reports whether an address stands in a text and is not the beginning of
// a longer one.
func stands(text, address string) bool {
	text = spelled.Replace(text)
	for {
		_, after, ok := strings.Cut(text, address)
		if !ok {
			return false
		}
		if after == "" || strings.IndexFunc(after, ends) == 0 {
			return true
		}
		text = after
	}
}

// clientsComeHere checks that no document sends clients to upstream for what is
// served here: what they get there nobody judges, verifies or keeps.
func clientsComeHere(r reporter, h *host) {
	asked := map[string]bool{} // as documents
	for _, x := range h.renderings() {
		for _, address := range x.asked {
			asked[address] = true
		}
	}
	for _, x := range h.renderings() {
		if x.failure != nil {
			continue
		}
		files := map[string]bool{}
		for _, f := range x.facts {
			if strings.Contains(f.GetUrl(), "://") {
				files[f.GetUrl()] = true
			}
		}
		for address := range h.script.upstream {
			files[address] = !asked[address]
		}
		for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
			for _, address := range slices.Sorted(maps.Keys(files)) {
				if files[address] && stands(string(x.outputs[output].body), address) {
					r.Errorf("%s stands in the document %s (output %q): clients would get it past the host: write Input.URL of the file's Path, and tell Input.Keep of it", address, x.path, output)
				}
			}
		}
	}
}
