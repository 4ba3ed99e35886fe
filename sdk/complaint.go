package sdk

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// complaint says what is wrong with a plan that no host could carry out; empty:
// nothing.
func (r *router) complaint(plan Plan) string {
	switch p := plan.(type) {
	case nil:
		return "returned no plan: return sdk.NotFound(…) where there is nothing"
	case Document:
		if p.Render == nil {
			return "returned a Document without Render: write the function that makes it of upstream's documents"
		}
		if p.Name == "" && p.Hosted == "" && !p.Query && !p.Several {
			return "returned a Document that names no package: write its Name, as Name: r.Get(\"name\"), so that upstream is not asked for names that are ours, or Several: true where it is about more than one or none"
		}
		return cmp.Or(relative("a Document", p.Path), r.sourceComplaint("a Document", p.From), headerComplaint("a Document that", p.Header))
	case Artifact:
		for _, facts := range p.Facts {
			if facts == "" || facts[0] != '/' {
				return fmt.Sprintf("returned an Artifact whose Facts have %q: write the Path of a Document, which begins with a slash", facts)
			}
		}
		return cmp.Or(relative("an Artifact", p.Path), r.sourceComplaint("an Artifact", p.From), headerComplaint("an Artifact that", p.Header))
	case Upload:
		if complaint := p.complaint(); complaint != "" {
			return complaint
		}
		if r.Package == nil {
			return "returned an Upload, and Ecosystem.Package is nil, so that nothing can be hosted: say there how package files are read"
		}
		return p.Reply.complaint("an Upload whose Reply")
	case Reply:
		return p.complaint("a Reply that")
	case Relay:
		return r.sourceComplaint("a Relay", []Source{p.To})
	case Identity:
		return cmp.Or(p.Reply.complaint("an Identity whose Reply"), p.Nobody.complaint("an Identity whose Nobody"))
	case Failure:
		if _, known := pb.ErrorKind_name[int32(p.Kind)]; !known {
			return fmt.Sprintf("returned a Failure of the Kind %d: write one of the constants, as KindNotFound", p.Kind)
		}
	default:
		return fmt.Sprintf("returned a %T: return the plan itself, without the &", plan)
	}
	return ""
}

// relative is the complaint about a plan's canonical address.
func relative(plan, path string) string {
	if path == "" || path[0] == '/' {
		return ""
	}
	return fmt.Sprintf("returned %s with the Path %q: begin it with a slash", plan, path)
}

// sourceComplaint is the complaint about sources of which nobody knows where
// they are.
func (r *router) sourceComplaint(plan string, sources []Source) string {
	for _, s := range sources {
		if s.Here || s.Role == "" && strings.Contains(s.URL, "://") || r.hasRole(s.Role) {
			continue
		}
		if len(r.Upstreams) == 0 {
			return fmt.Sprintf("returned %s that asks upstream for %q, and Ecosystem.Upstreams has none: write []sdk.Upstream{{}} for one that the configuration names", plan, s.URL)
		}
		return fmt.Sprintf("returned %s that asks the upstream of role %q, which Ecosystem.Upstreams does not have: write one of its roles, or add it there", plan, s.Role)
	}
	return ""
}

// hasRole reports whether there can be an upstream of a role.
func (r *router) hasRole(role string) bool {
	return slices.ContainsFunc(r.Upstreams, func(u Upstream) bool {
		return role == "" || u.Role == "*" || or(u.Role, "main") == role
	})
}

// complaint is router.complaint of a Reply.
func (r Reply) complaint(whose string) string {
	if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
		return fmt.Sprintf("returned %s has the Status %d: write one from 200 to 599, or 0 for 200", whose, r.Status)
	}
	return headerComplaint(whose, r.Header)
}

// headerComplaint is the complaint about headers that cannot be sent.
func headerComplaint(whose string, header map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !headerName.MatchString(name) {
			return fmt.Sprintf("returned %s has the header %q: write the name of a header, as \"Location\"", whose, name)
		}
		if strings.ContainsAny(header[name], "\r\n\x00") {
			return fmt.Sprintf("returned %s has the header %s with a line break in it: escape what it is made of", whose, name)
		}
		if strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") {
			return fmt.Sprintf("returned %s has the header %s: leave it to the host, which counts what it sends", whose, name)
		}
	}
	return ""
}

var framed = regexp.MustCompile(`^u32le:@?[^,@]+(,@?[^,@]+)*$`)

// complaint is router.complaint of an Upload.
func (u Upload) complaint() string {
	if u.Accept == nil && (u.Step == 0 || u.Step == StepCommit || u.Step == StepOpen && len(u.Mount.Digest.Sum) > 0) {
		return "returned an Upload without Accept"
	}
	kind, rest, _ := strings.Cut(u.Body, ":")
	switch {
	case u.Body == "", u.Body == "none", u.Body == "raw", u.Body == "form", framed.MatchString(u.Body):
	case kind == "json" && (rest == "" || rest[0] == '/'):
	case kind == "bytes":
		if n, err := strconv.ParseInt(rest, 10, 64); err != nil || n <= 0 {
			return fmt.Sprintf("returned an Upload with the Body %q: write the most bytes that it may have, as \"bytes:4194304\"", u.Body)
		}
	default:
		return fmt.Sprintf("returned an Upload with the Body %q: write one of none, raw, form, json:POINTER, u32le:NAME,@NAME and bytes:MAX", u.Body)
	}
	if actions := []Action{"", ActionPublish, ActionDelete, ActionAdmin}; !slices.Contains(actions, u.Action) {
		return fmt.Sprintf("returned an Upload with the Action %q: write ActionPublish, ActionDelete or ActionAdmin", u.Action)
	}
	return ""
}
