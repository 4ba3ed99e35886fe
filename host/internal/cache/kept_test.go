package cache

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func newCache(t testing.TB) *Cache {
	t.Helper()
	d, err := store.Open(filepath.Join(t.TempDir(), "d"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b, err := blobs.Open(d, blobs.Options{Limit: 1 << 30, Pinned: Pinned(d.Keep)}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(config.Cooldown{}, d.Keep)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Dir: d, Blobs: b, Policy: p, Memory: 1 << 20, Log: hclog.NewNullLogger()})
	t.Cleanup(c.Close)
	return c
}

// newRepository makes one whose listings are complete.
func newRepository() *Repository {
	return &Repository{
		Repository: &config.Repository{Name: "r", Plugin: "x", TTL: time.Minute, NegativeTTL: time.Minute},
		Describe:   &pb.DescribeResponse{CompleteListings: true},
		Upstreams:  &upstream.Set{},
	}
}

// putFile keeps a file of a package p.
func putFile(t *testing.T, c *Cache, repo *Repository, path, version string) *artifact {
	t.Helper()
	w, err := c.blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := fmt.Fprint(w, path); err != nil {
		t.Fatal(err)
	}
	a := &artifact{Body: Body{Digest: w.Digest(), Size: w.Size()}, Name: "p", Version: version}
	name := artifactName(repo, path)
	if _, err := w.Commit(store.Change{name: a.encode()}, false); err != nil {
		t.Fatal(err)
	}
	c.artifacts.Set(name, a)
	return a
}

func putFacts(t *testing.T, c *Cache, repo *Repository, facts ...*pb.Fact) {
	t.Helper()
	if err := c.putFacts(repo, "/listing", facts, nil, true); err != nil {
		t.Fatal(err)
	}
}

func planOf(path, version string) *pb.Artifact {
	return &pb.Artifact{Path: path, Version: &pb.Version{Name: "p", Version: version}, Facts: []string{"/listing"}}
}

func refusedAs(err error) pb.ErrorKind {
	var f *Failure
	if errors.As(err, &f) {
		return f.Kind
	}
	return 0
}

// TestAFileThatLandsAfterItsWithdrawalIsRefused has a listing change while a
// file is on its way.
func TestAFileThatLandsAfterItsWithdrawalIsRefused(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	one, two := &pb.Fact{Name: "p", Version: "1", Path: "/1"}, &pb.Fact{Name: "p", Version: "2", Path: "/2"}
	putFacts(t, c, repo, one, two)
	judged := &found{fact: two, exact: true, document: "/listing"}
	putFacts(t, c, repo, one)
	a := putFile(t, c, repo, "/2", "2")
	if err := c.stillListed(repo, planOf("/2", "2"), judged, a); refusedAs(err) != pb.ErrorKind_ERROR_KIND_REFUSED {
		t.Errorf("the client is told %v", err)
	}
	if a := c.knownArtifact(repo, artifactName(repo, "/2")); a == nil || !a.Withdrawn {
		t.Error("the file is not withdrawn")
	}
	a = putFile(t, c, repo, "/1", "1")
	if err := c.stillListed(repo, planOf("/1", "1"), &found{fact: one, exact: true, document: "/listing"}, a); err != nil {
		t.Errorf("of a file that is listed the client is told %v", err)
	}
}

// TestAFileThatNoListingHasIsRefused has the process end before the files that
// left a listing were told.
func TestAFileThatNoListingHasIsRefused(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	putFacts(t, c, repo, &pb.Fact{Name: "p", Version: "1", Path: "/1"}, &pb.Fact{Name: "p", Version: "3"})
	for _, version := range []string{"1", "2", "3"} {
		a := putFile(t, c, repo, "/"+version, version)
		a.epoch.Store(c.policy.Epoch())
		plan := planOf("/"+version, version)
		if got, want := c.unlisted(repo, plan), version == "2"; got != want {
			t.Errorf("the file of version %s is unlisted: %t", version, got)
		}
	}
	c.factSets.Clear() // as after a start
	two := planOf("/2", "2")
	f, err := c.kept(t.Context(), repo, two, "", c.knownArtifact(repo, artifactName(repo, "/2")))
	if f != nil || refusedAs(err) != pb.ErrorKind_ERROR_KIND_REFUSED {
		t.Errorf("the client gets %v, %v", f, err)
	}
	two.Facts = append(two.Facts, "/unknown")
	if c.unlisted(repo, two) {
		t.Error("what another document says is not known, and the file is taken for unlisted")
	}
}

// TestPurgeIsNotUndoneByTraffic purges what clients ask for all the while.
func TestPurgeIsNotUndoneByTraffic(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	name := sourceName(repo, &pb.Source{Url: "a"})
	whileReading(t, func() {
		if err := c.putSource(name, &source{Status: 200}); err != nil {
			t.Fatal(err)
		}
	}, func() { c.knownSource(name) }, func() {
		if err := c.dropAll([]string{name}); err != nil {
			t.Fatal(err)
		}
		if c.knownSource(name) != nil {
			t.Fatal("it is still in memory")
		}
	})
}

// TestFactsInMemoryAreThoseThatWerePutLast reads facts while they are replaced.
func TestFactsInMemoryAreThoseThatWerePutLast(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	round := 0
	whileReading(t, func() {
		c.factSets.Clear()
	}, func() { c.knownFacts(repo, "/listing") }, func() {
		round++
		putFacts(t, c, repo, &pb.Fact{Name: "p", Version: "1", Path: "/1", Url: fmt.Sprint(round)})
		if got := c.knownFacts(repo, "/listing").facts[0].GetUrl(); got != fmt.Sprint(round) {
			t.Fatalf("in round %d they are those of round %s", round, got)
		}
	})
}

// whileReading does something again and again, after what is to come before,
// while others read.
func whileReading(t *testing.T, before, read, do func()) {
	t.Helper()
	for range 100 {
		before()
		stop := make(chan struct{})
		var reading, wg sync.WaitGroup
		reading.Add(2)
		for range 2 {
			wg.Go(func() {
				read()
				reading.Done()
				for {
					select {
					case <-stop:
						return
					default:
						read()
					}
				}
			})
		}
		func() {
			defer wg.Wait()
			defer close(stop)
			reading.Wait()
			do()
		}()
	}
}

// TestAnEncodingDoesNotReplaceANewerRendering asks for an encoding of a rendering
// that was made anew meanwhile.
func TestAnEncodingDoesNotReplaceANewerRendering(t *testing.T) {
	t.Parallel()
	c, repo := newCache(t), newRepository()
	d := &pb.Document{Path: "/p"}
	name := renderingName(repo, "/p", "")
	render := func(tag string) *Rendering {
		w, err := c.blobs.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(w, "%s %0500d", tag, 1); err != nil {
			t.Fatal(err)
		}
		size := w.Size()
		digest, err := w.Commit(nil, false)
		if err != nil {
			t.Fatal(err)
		}
		r := &Rendering{renderingRecord: renderingRecord{Plugin: tag, Outputs: map[string]*Output{"": {Type: "text/plain", Plain: Body{digest, size}}}}}
		if err := c.putRendering(name, r); err != nil {
			t.Fatal(err)
		}
		c.renderings.Set(name, r)
		return r
	}
	old := render("old")
	fresh := render("new")
	for _, r := range []*Rendering{old, fresh} {
		content, encoding, err := c.OpenOutput(repo, d, "", &Answer{Rendering: r, Output: r.Outputs[""]}, Gzip)
		if err != nil || encoding != Gzip {
			t.Fatal(encoding, err)
		}
		content.Close()
	}
	c.renderings.Clear()
	r := c.knownRendering(name)
	if r.Plugin != "new" || r.Outputs[""].Gzip.Load() == nil {
		t.Errorf("the kept record is the %s one, its encoding %v", r.Plugin, r.Outputs[""].Gzip.Load())
	}
}
