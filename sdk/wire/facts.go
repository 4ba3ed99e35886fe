package wire

import (
	"net/http"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// SourceHeaders are those headers of an upstream answer that plugins see, names
// in lower case. Those that are all there is to know of a body are among them
// only where the body was not asked for.
func SourceHeaders(h http.Header, head bool, more []string) map[string]string {
	names := []string{"Content-Type", "Last-Modified", "Link"}
	if head {
		names = append(names, "Content-Length", "ETag")
	}
	seen := map[string]string{}
	for _, name := range append(names, more...) {
		if v := h.Get(name); v != "" {
			seen[strings.ToLower(name)] = v
		}
	}
	return seen
}

// FactSource is where upstream has a file, by the address in its fact.
func FactSource(a *pb.Artifact, f *pb.Fact) *pb.Source {
	s := &pb.Source{Url: f.GetUrl()}
	if sources := a.GetSources(); len(sources) > 0 {
		s.Role = sources[0].GetRole()
	}
	return s
}
