package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// heldFilesNowhere checks that no output has the name of a file that is held, as
// the script has it and, unless there are files of ours, which may be called the
// same, if all were held back.
func heldFilesNowhere(r reporter, s *script, start starter) {
	check := func(held, because string) func(reporter, *host) {
		return func(r reporter, h *host) {
			if because == ifAll && len(h.catalogue.packages) > 0 {
				return
			}
			policy := h.policy()
			is := func(f *pb.Fact) bool { return verdict(policy, f).Held }
			for _, x := range h.renderings() {
				x.mustNotShow(r, heldNames(x.facts, is), held+", but its name stands in")
				x.mustNotTell(r, heldVersions(x.facts, is), because)
			}
		}
	}
	onHost(check("is held back", "that is held back"))(r, s, start)
	everything := *s
	everything.fallback = &pb.CooldownRule{Name: "*", WindowMs: ages.Milliseconds(), Label: "all"}
	everything.policy = &pb.Policy{NowMs: s.policy.GetNowMs(), Rules: []*pb.CooldownRule{everything.fallback}}
	var out problems
	onHost(check("would be held back if all were", ifAll))(&out, &everything, start)
	for _, problem := range out {
		r.Errorf("%s", problem)
	}
}

const ifAll = "that would be held back if all were"

// ages are longer than anything was published ago.
const ages = 200 * 365 * 24 * time.Hour

// heldVersions are the versions of which nothing is kept, in a document about
// one package.
func heldVersions(facts []*pb.Fact, held func(*pb.Fact) bool) map[string]bool {
	versions := map[string]bool{}
	for _, f := range facts {
		if f.GetName() != facts[0].GetName() {
			return nil
		}
		if before, seen := versions[f.GetVersion()]; !seen || before {
			versions[f.GetVersion()] = held(f)
		}
	}
	maps.DeleteFunc(versions, func(_ string, held bool) bool { return !held })
	return versions
}

// mustNotTell reports held versions that a JSON output names where versions
// stand: as a member's name, or as the value of a member like "latest".
func (x *rendering) mustNotTell(r reporter, held map[string]bool, because string) {
	if x.failure != nil || len(held) == 0 {
		return
	}
	for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
		value, err := decode(x.outputs[output].body)
		if err != nil {
			continue // no JSON
		}
		for _, at := range told(value, "", false, held) {
			r.Errorf("%s in the document %s (output %q) names a version %s: work tags, \"latest\" and counts out of what Input.Keep says yes to", at, x.path, output, because)
		}
	}
}

// ofVersions are names of members whose values are versions.
var ofVersions = regexp.MustCompile(`(?i)^(versions?|tags?|dist-tags|.*(latest|newest|current|stable|last).*|max[-_]?version)$`)

// tags are names of members whose members' values are versions.
var tags = regexp.MustCompile(`(?i)^(tags?|dist-tags)$`)

// elsewhere are names of members in which other packages' versions stand.
var elsewhere = regexp.MustCompile(`(?i)depend|require|engine|constraint|compat|conflict|provide`)

// told are the places in a JSON value at which one of the versions stands; of
// says that a text there is a version.
func told(value any, at string, of bool, versions map[string]bool) []string {
	var places []string
	switch v := value.(type) {
	case string:
		if of && versions[v] {
			places = append(places, at)
		}
	case []any:
		for i, element := range v {
			_, text := element.(string)
			places = append(places, told(element, fmt.Sprintf("%s[%d]", at, i), of && text, versions)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			place := at + "." + key
			if elsewhere.MatchString(key) {
				continue
			}
			if versions[key] {
				places = append(places, place)
			}
			_, object := v[key].(map[string]any)
			isVersion := of || ofVersions.MatchString(key)
			if object {
				isVersion = tags.MatchString(key)
			}
			places = append(places, told(v[key], place, isVersion, versions)...)
		}
	}
	return places
}

// mustNotShow reports names that stand in a rendering's outputs.
func (x *rendering) mustNotShow(r reporter, names []string, complaint string) {
	if x.failure != nil {
		return
	}
	for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
		for _, name := range names {
			if standsIn(x.outputs[output].body, name) {
				r.Errorf("%s %s the document %s (output %q): write only what Input.Keep says yes to", name, complaint, x.path, output)
			}
		}
	}
}

// heldNames are the names of held files that no kept file shares. Where a path's
// last segment does not tell the version, the whole path is the name.
func heldNames(facts []*pb.Fact, held func(*pb.Fact) bool) []string {
	names := map[string]bool{}
	for _, f := range facts {
		if f.GetPath() == "" {
			continue
		}
		name := f.GetPath()[strings.LastIndexByte(f.GetPath(), '/')+1:]
		if !strings.Contains(name, f.GetVersion()) {
			name = f.GetPath()
		}
		isHeld := held(f)
		if before, seen := names[name]; !seen || before {
			names[name] = isHeld
		}
	}
	maps.DeleteFunc(names, func(_ string, held bool) bool { return !held })
	return slices.Sorted(maps.Keys(names))
}

// standsIn reports whether a name stands in a text and is not the end of a
// longer one.
func standsIn(text []byte, name string) bool {
	for {
		i := bytes.Index(text, []byte(name))
		if i < 0 {
			return false
		}
		if i == 0 || !nameByte(text[i-1]) || name[0] == '/' {
			return true
		}
		text = text[i+1:]
	}
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}
