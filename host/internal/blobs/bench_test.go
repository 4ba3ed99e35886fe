package blobs

import (
	"bytes"
	"testing"
)

// BenchmarkOpen is what it costs to open a body that was open before.
func BenchmarkOpen(b *testing.B) {
	d := openDir(b, b.TempDir())
	defer d.Close()
	s := openStore(b, d, Options{Limit: 1 << 30})
	body := bytes.Repeat([]byte("x"), 1<<20)
	digest := put(b, s, body, nil)
	b.ReportAllocs()
	for b.Loop() {
		f, err := s.Open(digest, int64(len(body)))
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}
