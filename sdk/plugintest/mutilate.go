package plugintest

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// mutations is how many mutilated addresses each script's plugin is asked.
const mutations = 400

// mutilatedAddresses plans what is left of a script's addresses, and of the
// plugin's routes, after somebody played with them.
func mutilatedAddresses(r reporter, h *host) {
	addresses, methods := h.addresses()
	for _, route := range h.about.GetRoutes() {
		method, path := example(route)
		if err := h.planMutilated(method, path, nil); err != nil {
			r.Errorf("%s %s: %v", method, path, err)
			return
		}
		addresses, methods = append(addresses, path), append(methods, method)
	}
	parameters := h.parameters()
	random := rand.New(rand.NewPCG(1, 2)) // the same addresses every time
	for range mutations {
		address := addresses[random.IntN(len(addresses))]
		method := methods[random.IntN(len(methods))]
		if random.IntN(4) == 0 {
			address = mutilateQuery(random, address, parameters)
		} else {
			for range 1 + random.IntN(3) {
				address = mutilate(random, address)
			}
		}
		var header map[string]string
		if vary := h.about.GetVary(); len(vary) > 0 && random.IntN(4) == 0 {
			header = map[string]string{strings.ToLower(vary[random.IntN(len(vary))]): headerValues()[random.IntN(len(headerValues()))]}
		}
		if err := h.planMutilated(method, address, header); err != nil {
			r.Errorf("%s %.200q: %v", method, address, err)
			return
		}
	}
}

// addresses are all that a script's plugin knows, and the methods asked with.
func (h *host) addresses() (addresses, methods []string) {
	for _, e := range h.script.exchanges {
		if e.found != "" {
			continue
		}
		address := e.path
		if e.query != "" {
			address += "?" + e.query
		}
		addresses = append(addresses, address)
		methods = append(methods, e.method)
	}
	for _, x := range h.renderings() {
		addresses = append(addresses, x.path)
		for _, f := range x.facts {
			if f.GetPath() != "" {
				addresses = append(addresses, f.GetPath())
			}
		}
	}
	return addresses, methods
}

// planMutilated asks for a plan and checks what is true of every plan.
func (h *host) planMutilated(method, address string, header map[string]string) error {
	path, query, _ := strings.Cut(address, "?")
	plan, err := h.plan(method, path, query, header)
	if err != nil {
		return err
	}
	var sources []*pb.Source
	switch p := plan.GetPlan().(type) {
	case *pb.PlanResponse_Document:
		sources = p.Document.GetSources()
		if err := h.leadsToItself(p.Document.GetPath()); err != nil {
			return err
		}
	case *pb.PlanResponse_Artifact:
		sources = p.Artifact.GetSources()
		for _, facts := range p.Artifact.GetFacts() {
			if strings.HasSuffix(facts, "/*") {
				continue // stands for the indexes of snapshots
			}
			if err := h.leadsToItself(facts); err != nil {
				return fmt.Errorf("facts of the artifact: %w", err)
			}
		}
	case *pb.PlanResponse_Relay:
		sources = []*pb.Source{p.Relay.GetSource()}
	}
	for _, s := range sources {
		if err := staysBelow(s.GetUrl()); err != nil {
			return err
		}
	}
	return nil
}

// staysBelow checks that an address asks nothing above upstream's base, however
// upstream takes escapes.
func staysBelow(address string) error {
	path, _, _ := strings.Cut(address, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return fmt.Errorf("upstream is asked %q, which is no address: %w", address, err)
	}
	for _, segment := range strings.Split(plain, "/") {
		if segment == ".." || segment == "." {
			return fmt.Errorf("upstream is asked %q, which leads above its base", address)
		}
	}
	if strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return fmt.Errorf("upstream is asked %q, which has spaces or control characters: escape them", address)
	}
	return nil
}

// insertions are what mutilate puts into addresses.
func insertions() []string {
	return []string{
		"%00", "%2e%2e", "%2f", "%2F", "%2e%2e%2f", "/../", "/./", "..", "//", "/", "%", "%zz", "%ff", "\xff", "%0d%0a", "%25", "%252f",
		"?", "&", "=", "#", " ", "+", "%2B", "@", ":", "~", "!", "{", "}", "\"", "'", "<", "\\", "|", "*", "-", ".", "é", "%C3%A9", "💥",
		"https://example.com/", strings.Repeat("a", 10<<10), strings.Repeat("/x", 1000), strings.Repeat("%2e", 1000),
	}
}

// parameters are names of query parameters: those that the script knows, and
// some that plugins like to read.
func (h *host) parameters() []string {
	names := []string{"q", "query", "search", "text", "name", "id", "version", "page", "per_page", "size", "from", "n", "last", "digest", "filter", ""}
	for _, e := range h.script.exchanges {
		values, _ := url.ParseQuery(e.query) // of what is malformed, the rest
		for name := range values {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mutilateQuery gives an address a query that nobody meant.
func mutilateQuery(random *rand.Rand, address string, parameters []string) string {
	values := append(insertions(), "", "0", "-1", "99999999999999999999", "1e9", "a;b", "[", "(", "%5B%5D", "null", "a,b", "sha256:")
	separators := []string{"&", ";", "&&", "&", "&"}
	query := "?"
	if strings.Contains(address, "?") {
		query = separators[random.IntN(len(separators))]
	}
	for i := range 1 + random.IntN(3) {
		if i > 0 {
			query += separators[random.IntN(len(separators))]
		}
		query += parameters[random.IntN(len(parameters))]
		if random.IntN(5) > 0 {
			query += "=" + values[random.IntN(len(values))]
		}
	}
	return address + query
}

// headerValues are values of headers that nobody meant.
func headerValues() []string {
	return []string{"", "*/*", "text/html;q=0.5, application/json;q=x", ";", ",,,", "=", strings.Repeat("a/b,", 1000), "Bearer", "bytes=0-", "é"}
}

// mutilate changes an address in one place.
func mutilate(random *rand.Rand, address string) string {
	if len(address) < 2 {
		address = "/a"
	}
	at := 1 + random.IntN(len(address)-1)
	segments := strings.Split(address[1:], "/")
	i := random.IntN(len(segments))
	switch random.IntN(7) {
	case 0: // cut off
		return address[:at]
	case 1: // a byte lost
		return address[:at] + address[at+1:]
	case 2: // another case
		return address[:at] + strings.ToUpper(address[at:])
	case 3: // a segment replaced
		all := insertions()
		segments[i] = all[random.IntN(len(all))]
	case 4: // a segment doubled
		segments = slices.Insert(segments, i, segments[i])
	case 5: // a segment lost
		segments = slices.Delete(segments, i, i+1)
	default:
		all := insertions()
		return address[:at] + all[random.IntN(len(all))] + address[at:]
	}
	return "/" + strings.Join(segments, "/")
}
