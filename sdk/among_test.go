package sdk

import (
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestAmong has the same options be other ecosystems beside other upstreams.
func TestAmong(t *testing.T) {
	t.Parallel()
	e := Ecosystem{Name: "boxes", Routes: []Route{{Match: "GET /{name}", Plan: func(Request) Plan { return Reply{} }}}}
	e.Among = func(roles []string) Ecosystem {
		among := e
		among.Names = names.Rules{Prefix: roles[0] + "/"}
		return among
	}
	s, err := NewServer(func(struct{}) (Ecosystem, error) { return e, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		upstreams []string
		prefix    string
	}{{nil, ""}, {[]string{"a", "b"}, "a/"}, {[]string{"b", "a"}, "b/"}, {nil, ""}} {
		said, err := s.Configure(t.Context(), &pb.ConfigureRequest{Repository: "boxes", Upstreams: test.upstreams})
		if err != nil || said.GetNames().GetPrefix() != test.prefix {
			t.Errorf("beside %v: %v, %v", test.upstreams, said, err)
		}
	}
}
