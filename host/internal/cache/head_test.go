package cache

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestHeadsOfOneFileAskUpstreamOnce has many clients ask for the header of a file
// at the same time, and of one that there is not.
func TestHeadsOfOneFileAskUpstreamOnce(t *testing.T) {
	t.Parallel()
	const clients = 20
	var asked atomic.Int32
	waiting := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		<-waiting
		w.Header().Set("Content-Length", "7")
	}))
	defer s.Close()
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, repo := newCache(t), newRepository()
	repo.Upstreams, err = upstream.New(upstream.Options{Upstreams: []*config.Upstream{{Name: "main", Role: "main", URL: base, Timeout: config.DefaultTimeout}}})
	if err != nil {
		t.Fatal(err)
	}
	plan := func(path string) *pb.Artifact {
		return &pb.Artifact{Path: "/" + path, Ungated: true, Version: &pb.Version{Name: "p"}, Sources: []*pb.Source{{Url: path, Role: "main"}}}
	}
	var begun, all sync.WaitGroup
	begun.Add(clients)
	for range clients {
		all.Go(func() {
			begun.Done()
			f, err := c.Head(t.Context(), repo, plan("file"), "")
			if err != nil || f.Size != 7 {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
	begun.Wait()
	close(waiting)
	all.Wait()
	if n := asked.Load(); n >= clients/2 {
		t.Errorf("%d clients ask upstream %d times", clients, n)
	}
	asked.Store(0)
	for range 3 {
		if _, err := c.Head(t.Context(), repo, plan("gone"), ""); refusedAs(err) != pb.ErrorKind_ERROR_KIND_NOT_FOUND {
			t.Errorf("of a file that there is not: %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("upstream is asked %d times for what it does not have", n)
	}
}

// TestHeadOfAFileThatCameWrong asks for the header of a file of which upstream sent
// wrong bytes: it is answered as the file is. Bytes are asked for again, and once
// they are right, so is the header.
func TestHeadOfAFileThatCameWrong(t *testing.T) {
	t.Parallel()
	var right atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if right.Load() {
			io.WriteString(w, "right")
			return
		}
		io.WriteString(w, "wrong")
	}))
	defer s.Close()
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, repo := newCache(t), newRepository()
	repo.NegativeTTL, repo.MaxArtifact = time.Hour, 1<<20
	repo.Upstreams, err = upstream.New(upstream.Options{Upstreams: []*config.Upstream{{Name: "main", Role: "main", URL: base, Timeout: config.DefaultTimeout}}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("right"))
	plan := &pb.Artifact{
		Path: "/file", Ungated: true, Version: &pb.Version{Name: "p"}, Sources: []*pb.Source{{Url: "file", Role: "main"}},
		Digest: &pb.Digest{Algorithm: "sha256", Sum: sum[:]},
	}
	if _, err := c.landed(t.Context(), repo, plan, ""); !errors.Is(err, errUpstreamBody) {
		t.Fatalf("wrong bytes are taken: %v", err)
	}
	if _, err := c.Head(t.Context(), repo, plan, ""); refusedAs(err) != pb.ErrorKind_ERROR_KIND_UPSTREAM {
		t.Errorf("the header of a file that came wrong is answered with %v", err)
	}
	right.Store(true)
	if f, err := c.Artifact(t.Context(), repo, plan, ""); err != nil {
		t.Errorf("the file cannot be had when it is right: %v", err)
	} else if f.Flight != nil {
		f.Flight.Close()
	} else {
		f.Content.Close()
	}
	if _, err := c.landed(t.Context(), repo, plan, ""); err != nil {
		t.Fatal(err)
	}
	f, err := c.Head(t.Context(), repo, plan, "")
	if err != nil {
		t.Fatalf("the header of a file that is kept: %v", err)
	}
	f.Content.Close()
}
