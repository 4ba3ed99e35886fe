package plugintest

import (
	"errors"
	"maps"
	"slices"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// maxLinks bounds how many links of one document are followed.
const maxLinks = 500

// linksLead follows the links of ours in every document: each must be planned,
// and one to a file must lead to a file of a package in that document, which
// policy lets through.
func linksLead(r reporter, h *host) {
	for _, x := range h.renderings() {
		if x.failure != nil {
			continue
		}
		names := map[string]bool{}
		for _, f := range x.facts {
			names[f.GetName()] = true
		}
		for name := range h.catalogue.packages {
			names[name] = true
		}
		for _, output := range slices.Sorted(maps.Keys(x.outputs)) {
			for _, link := range links(string(x.outputs[output].body), h.repository.GetBaseUrl()) {
				h.follow(r, x.path, link, names)
			}
		}
	}
}

func (h *host) follow(r reporter, from, link string, names map[string]bool) {
	plan, err := h.planGET(link)
	if err != nil {
		r.Errorf("link to %s in %s: %v", link, from, err)
		return
	}
	if f := plan.GetFailure(); f.GetKind() == pb.ErrorKind_ERROR_KIND_NOT_FOUND {
		r.Errorf("dead link in %s: %s is planned as not found (%s)", from, link, f.GetMessage())
	}
	a := plan.GetArtifact()
	if a == nil {
		return
	}
	if _, ours := h.catalogue.files[a.GetPath()]; ours {
		return
	}
	name := a.GetVersion().GetName()
	fact, err := h.judge(a)
	refused, isRefused := errors.AsType[*failure](err)
	switch {
	case isRefused:
		advice := "tell Input.Keep of every file that is linked to"
		if refused.kind == pb.ErrorKind_ERROR_KIND_HELD {
			advice = "write only what Input.Keep says yes to"
		}
		r.Errorf("link in %s to a file that is not served: %s: %s: %s", from, link, refused.message, advice)
		return
	case err != nil:
		r.Errorf("link to %s in %s: %v", link, from, err)
		return
	case fact != nil:
		name = fact.GetName()
	}
	if fact.GetUrl() == "" && len(a.GetSources()) == 0 && a.GetSnapshot() == "" {
		r.Errorf("link in %s to a file of which nothing says where upstream has it: %s: tell Input.Keep of a File with that Path and its URL, or write Artifact.From", from, a.GetPath())
		return
	}
	if !names[name] {
		r.Errorf("link in %s to a file of another package: %s is of %q, and Input.Keep was told of %q", from, link, name, slices.Sorted(maps.Keys(names)))
	}
}

// spelled undoes the ways in which JSON and HTML spell a link's characters.
var spelled = strings.NewReplacer(`\/`, "/", `\u0026`, "&", "&amp;", "&", `\u003d`, "=", "&#x2F;", "/")

// ends reports whether a character ends a link in a text.
func ends(c rune) bool { return c <= ' ' || strings.ContainsRune("\"'`<>\\()[],;#", c) }

// links are the addresses below a base in a text, without it, fragments cut off.
// Templates, which have braces, are left out.
func links(text, base string) []string {
	text = spelled.Replace(text)
	seen := map[string]bool{}
	for len(seen) < maxLinks {
		_, after, ok := strings.Cut(text, base)
		if !ok {
			break
		}
		text = after
		end := strings.IndexFunc(after, ends)
		if end < 0 {
			end = len(after)
		}
		link := after[:end]
		if len(link) > 1 && link[0] == '/' && !strings.ContainsAny(link, "{}") {
			seen[link] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
