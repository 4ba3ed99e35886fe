package cache

import (
	"context"
	"errors"
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

// TestRenderingsGetWhatTheyNeed has one that looks at a tag alone, whatever else the
// package has.
func TestRenderingsGetWhatTheyNeed(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	repo.Hosted = &config.Hosted{Any: true}
	operations := []*pb.Operation{{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: "boat", Version: "1"}, File: -1}}
	for _, tag := range []string{"new", "old"} {
		operations = append(operations, &pb.Operation{Kind: pb.Operation_KIND_TAG, Version: &pb.Version{Name: "boat", Version: "1"}, Value: tag})
	}
	if err := c.catalog.Apply(catalog.Change{Repository: repo.Name, Now: time.Now(), Blind: true, Operations: operations}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		excerpts    []*pb.Excerpt
		tags, files int
	}{
		{nil, 2, 1},
		{[]*pb.Excerpt{{Name: "boat", Tags: []string{"new", "none"}}}, 1, 0},
		{[]*pb.Excerpt{{Name: "other"}}, 2, 1},
	} {
		got, err := c.hostedPackages(repo, &pb.Document{Names: []string{"boat"}, Excerpts: test.excerpts})
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if p := got[0]; len(p.GetTags()) != test.tags || len(p.GetEntries()) != test.files || p.GetRevision() == 0 {
			t.Errorf("with the excerpts %v it gets %v", test.excerpts, p)
		}
	}
}

// TestFilesOfAVersionComeFromOnePublisher says of which versions upstream's files
// are not served, once a version is published here: however the request, what is
// kept or the facts name it.
func TestFilesOfAVersionComeFromOnePublisher(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	repo.Hosted = &config.Hosted{Merge: []string{"boat"}}
	if err := c.catalog.Apply(catalog.Change{Repository: repo.Name, Now: time.Now(), Blind: true, Operations: []*pb.Operation{
		{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: "boat", Version: "1.0.0", Canonical: "1"}, Path: "/boat-1.0.0.hull", File: -1},
		{Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: "boat"}, Path: "/boat.flag", File: -1},
	}}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		v     *pb.Version
		alone bool
	}{
		{"the version", &pb.Version{Name: "boat", Version: "1.0.0"}, true},
		{"another spelling", &pb.Version{Name: "boat", Version: "1.0", Canonical: "1"}, true},
		{"another version", &pb.Version{Name: "boat", Version: "1.1", Canonical: "1.1"}, false},
		{"no version", &pb.Version{Name: "boat"}, false},
		{"another package", &pb.Version{Name: "raft", Version: "1.0.0"}, false},
	} {
		plan := &pb.Artifact{Path: "/boat-1.0.0.sail", Version: test.v}
		_, err := c.hostedFile(context.Background(), repo, plan)
		var f *Failure
		if alone := errors.As(err, &f) && f.Kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND; alone != test.alone {
			t.Errorf("asked for %s: %v", test.name, err)
		}
	}
	_, err := c.kept(context.Background(), repo, &pb.Artifact{Path: "/boat-1.0.0.sail"}, "", &artifact{Name: "boat", Version: "1.0.0"})
	if f := (*Failure)(nil); !errors.As(err, &f) || f.Kind != pb.ErrorKind_ERROR_KIND_NOT_FOUND {
		t.Errorf("what was kept of upstream's before is answered with %v", err)
	}
}
