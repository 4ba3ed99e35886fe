package cache

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// BenchmarkNamedBy looks for what names a file among 2,000 that are kept, of which
// every fifth may.
func BenchmarkNamedBy(b *testing.B) {
	c, repo := newCache(b), newRepository()
	for i := range 2000 {
		w, err := c.blobs.Create()
		if err != nil {
			b.Fatal(err)
		}
		for j := range 20 {
			fmt.Fprintf(w, "%x ", sha256.Sum256(fmt.Append(nil, i, j)))
		}
		a := &artifact{Body: Body{Digest: w.Digest(), Size: w.Size()}, Name: "p", Version: "1", Type: "application/leaf"}
		if i%5 == 0 {
			a.Type = "application/index"
		}
		if _, err := w.Commit(store.Change{artifactName(repo, fmt.Sprintf("/p/manifests/%d", i)): a.encode()}, false); err != nil {
			b.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte("nobody"))
	plan := &pb.Artifact{LeafTypes: []string{"application/leaf"}, Path: "/p/manifests/x", NamedIn: "/p/manifests/*", Digest: &pb.Digest{Algorithm: "sha256", Sum: sum[:]}}
	for b.Loop() {
		if a, err := c.namedBy(repo, plan, nil); a != nil || err != nil {
			b.Fatal(a, err)
		}
	}
}
