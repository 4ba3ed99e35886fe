package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// part serves a part of a snapshot: the one with the digest that is asked for,
// or else the one of the path. A script sees one state only.
func (h *host) part(a *pb.Artifact) (*answer, error) {
	plan, err := h.planGET(a.GetSnapshot())
	if err != nil {
		return nil, err
	}
	d := plan.GetDocument()
	if !d.GetSnapshot() {
		return nil, fmt.Errorf("%s is said to be part of %s, which is no snapshot", a.GetPath(), a.GetSnapshot())
	}
	r, err := h.render(d)
	if err != nil {
		return nil, err
	}
	if r.failure != nil {
		return nil, r.failure
	}
	if r.state == nil {
		return nil, fmt.Errorf("the rendering of the snapshot %s does not say its state", d.GetPath())
	}
	for _, f := range r.facts {
		if !isPart(f, a) {
			continue
		}
		resolved := &pb.Artifact{Path: f.GetPath(), ContentType: a.GetContentType(), Ungated: true}
		for _, address := range []string{f.GetUrl(), f.GetPath()} {
			if address != "" {
				resolved.Sources = append(resolved.Sources, &pb.Source{Url: address, Role: d.GetSources()[0].GetRole()})
			}
		}
		for _, digest := range f.GetDigests() {
			resolved.Digest = digest
		}
		return h.artifact(resolved)
	}
	return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: fmt.Sprintf("%s is not part of %s", a.GetPath(), d.GetPath())}
}

func isPart(f *pb.Fact, a *pb.Artifact) bool {
	if !f.GetPart() || len(a.GetDigest().GetSum()) == 0 {
		return f.GetPart() && f.GetPath() == a.GetPath()
	}
	for _, d := range f.GetDigests() {
		if d.GetAlgorithm() == a.GetDigest().GetAlgorithm() && bytes.Equal(d.GetSum(), a.GetDigest().GetSum()) {
			return true
		}
	}
	return false
}

// factsAddresses are the documents that may hold an artifact's facts. For one
// that ends in a slash they are the indexes of the snapshots asked for so far,
// as far as the script has the parts that they are of.
func (h *host) factsAddresses(a *pb.Artifact) ([]string, error) {
	var all []string
	for _, address := range a.GetFacts() {
		if !strings.HasSuffix(address, "/") {
			all = append(all, address)
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(h.kept)) {
			r := h.kept[path]
			if r.state == nil || !strings.HasPrefix(r.path, address) {
				continue
			}
			for _, f := range r.facts {
				if f.GetIndex() == "" {
					continue
				}
				if got, err := h.ask(&exchange{method: "GET", path: f.GetPath()}); err == nil && got.status == 200 {
					all = append(all, f.GetIndex())
				}
			}
		}
	}
	return all, nil
}

// here is a file of ours as a plugin's source.
func (h *host) here(s *pb.Source) (*upstreamDoc, error) {
	path, query, _ := strings.Cut(s.GetUrl(), "?")
	got, err := h.ask(&exchange{method: "GET", path: path, query: query})
	if err != nil {
		return nil, err
	}
	return &upstreamDoc{status: got.status, header: got.header, body: got.body}, nil
}
