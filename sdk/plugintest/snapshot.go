package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"path"
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
		resolved := &pb.Artifact{Path: f.GetPath(), ContentType: a.GetContentType(), Ungated: true, Sources: partSources(d, f)}
		for _, digest := range f.GetDigests() {
			if digest.GetAlgorithm() == "sha256" {
				resolved.Digest = digest
			}
		}
		if resolved.Digest == nil {
			return nil, fmt.Errorf("the part %s has no sha256", f.GetPath())
		}
		return h.artifact(resolved)
	}
	return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: fmt.Sprintf("%s is not part of %s", a.GetPath(), d.GetPath())}
}

// partSources are where upstream has a part: by its content, else beside the
// root as it lies here.
func partSources(root *pb.Document, part *pb.Fact) []*pb.Source {
	first := root.GetSources()[0]
	var sources []*pb.Source
	if part.GetUrl() != "" {
		sources = append(sources, &pb.Source{Url: part.GetUrl(), Role: first.GetRole()})
	}
	folder := strings.TrimSuffix(path.Dir(root.GetPath()), "/") + "/"
	if beside, ok := strings.CutPrefix(part.GetPath(), folder); ok {
		address := strings.TrimSuffix(path.Dir(first.GetUrl()), "/") + "/" + beside
		sources = append(sources, &pb.Source{Url: address, Role: first.GetRole()})
	}
	return sources
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
// that ends in /* they are the indexes of the snapshots asked for so far, as far
// as the script has the parts that they are of.
func (h *host) factsAddresses(a *pb.Artifact) ([]string, error) {
	var all []string
	for _, address := range a.GetFacts() {
		below, snapshots := strings.CutSuffix(address, "*")
		if !snapshots {
			all = append(all, address)
			continue
		}
		for _, document := range slices.Sorted(maps.Keys(h.kept)) {
			r := h.kept[document]
			if r.state == nil || !strings.HasPrefix(r.path, below) {
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
	address, query, _ := strings.Cut(s.GetUrl(), "?")
	got, err := h.ask(&exchange{method: "GET", path: address, query: query})
	if err != nil {
		return nil, err
	}
	return &upstreamDoc{status: got.status, header: got.header, body: got.body}, nil
}
