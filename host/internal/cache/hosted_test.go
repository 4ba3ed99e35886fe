package cache

import (
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestHostedKey says by which publications a rendering is made again.
func TestHostedKey(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	repo.Hosted = &config.Hosted{Any: true}
	publish := func(kind pb.Operation_Kind, name string) {
		t.Helper()
		if err := c.catalog.Apply(catalog.Change{Repository: repo.Name, Now: time.Now(), Blind: true, Operations: []*pb.Operation{
			{Kind: kind, Version: &pb.Version{Name: name, Version: "1"}, File: -1},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	publish(pb.Operation_KIND_STORE, "sea/boat")
	for _, test := range []struct {
		names             []string
		pattern, changing string
		kind              pb.Operation_Kind
		want              bool // whether it changes the key
	}{
		{nil, "*", "lake/raft", pb.Operation_KIND_STORE, true},
		{nil, "sea/*", "lake/ferry", pb.Operation_KIND_STORE, false},
		{nil, "sea/*", "seaside/hut", pb.Operation_KIND_STORE, false},
		{nil, "sea/*", "sea/ferry", pb.Operation_KIND_STORE, true},
		{nil, "sea/*", "sea/boat", pb.Operation_KIND_DEPRECATE, true},
		{nil, "sea/*", "sea/ferry", pb.Operation_KIND_DELETE, true},
		{nil, "?ea/*", "sea/tug", pb.Operation_KIND_STORE, true},
		{[]string{"lake/raft"}, "sea/*", "lake/raft", pb.Operation_KIND_DELETE, true},
		{[]string{"sea/boat"}, "", "lake/ferry", pb.Operation_KIND_DELETE, false},
		{[]string{"sea/boat"}, "", "sea/boat", pb.Operation_KIND_DELETE, true},
	} {
		before, err := c.hostedKey(repo, test.names, test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		publish(test.kind, test.changing)
		after, err := c.hostedKey(repo, test.names, test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if changed := before != after; changed != test.want {
			t.Errorf("%v of %s changes the key of %v and %q: %t", test.kind, test.changing, test.names, test.pattern, changed)
		}
	}
}
