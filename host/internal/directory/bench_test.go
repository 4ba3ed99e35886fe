package directory

import (
	"fmt"
	"testing"
)

// BenchmarkUnchanged looks at 20,000 files that are as they were.
func BenchmarkUnchanged(b *testing.B) {
	tr := newTree(b)
	for i := range 20_000 {
		tr.write(fmt.Sprintf("%d/boat%d_%d.tgz", i/100, i/50, i))
	}
	if _, err := tr.Scan(b.Context(), tr.repo); err != nil {
		b.Fatal(err)
	}
	before := tr.inspects.Load()
	for b.Loop() {
		if found, err := tr.Scan(b.Context(), tr.repo); err != nil || found.Files != 20_000 {
			b.Fatal(found, err)
		}
	}
	if n := tr.inspects.Load() - before; n > 0 {
		b.Errorf("%d files are looked into", n)
	}
}
