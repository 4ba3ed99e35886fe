package sdk

import (
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestExcerptsAreAskedFor has Accept look at some of a package, as it is run again
// with what it asked for: by a host that knows excerpts, which come in pieces, and
// by one that sends the whole.
func TestExcerptsAreAskedFor(t *testing.T) {
	t.Parallel()
	entry := func(path string) *pb.Entry { return &pb.Entry{Version: &pb.Version{Name: "boat"}, Path: path} }
	look := func(p *Publication) *HostedPackage {
		return p.Excerpt("boat", []string{"/1", "/3"}, []string{"new", "none"})
	}
	begun := func() *Publication { return &Publication{packages: map[string]*HostedPackage{}} }
	first := begun()
	if got := look(first); got.Name != "boat" || got.Revision != 0 || len(first.missing) != 1 || len(first.wanted) != 1 {
		t.Fatalf("at first there is %v, and it asks for %v and %v", got, first.missing, first.wanted)
	}
	asked := first.wanted[0]
	for name, sent := range map[string][]*pb.HostedPackage{
		"excerpts": {
			{Name: "boat", Revision: 7, Tags: map[string]string{"new": "1"}, Excerpt: asked, Entries: []*pb.Entry{entry("/1")}},
			{Name: "boat", Excerpt: asked, Entries: []*pb.Entry{entry("/3")}},
		},
		"whole": {
			{Name: "boat", Revision: 7, Tags: map[string]string{"new": "1", "old": "2"}, Entries: []*pb.Entry{entry("/1"), entry("/2")}},
			{Name: "boat", Entries: []*pb.Entry{entry("/3")}},
		},
	} {
		p := begun()
		for _, m := range sent {
			p.receive(m)
		}
		got := look(p)
		if got.Revision != 7 || len(got.Tags) != 1 || got.Tags["new"] != "1" || len(got.Files) != 2 || got.Files[1].File.Path != "/3" || len(p.missing) > 0 {
			t.Errorf("%s: there is %v, and it asks for %v", name, got, p.missing)
		}
		p.Package("boat")
		if want := name == "excerpts"; (len(p.missing) == 1) != want || len(p.wanted) > 0 {
			t.Errorf("%s: for the whole it asks for %v and %v", name, p.missing, p.wanted)
		}
		if p.Excerpt("boat", []string{"/2"}, nil); (len(p.wanted) == 1) != (name == "excerpts") {
			t.Errorf("%s: for another one it asks for %v", name, p.wanted)
		}
	}
}
