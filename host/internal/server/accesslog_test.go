package server

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// writes keeps what each call of Write got.
type writes struct {
	mu  sync.Mutex
	all [][]byte
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, bytes.Clone(p))
	return len(p), nil
}

func TestAccessLogWritesWholeLinesOnly(t *testing.T) {
	t.Parallel()
	first, second := &writes{}, &writes{}
	a := NewAccessLog(first)
	const count = 5000
	for i := range count {
		if i == count/2 {
			a.Swap(second)
		}
		a.add(fmt.Appendf(nil, "%d %s\n", i, strings.Repeat("x", i%300)))
	}
	a.Swap(nil)
	a.add([]byte("nobody\n"))
	a.Close()
	n := 0
	for _, w := range []*writes{first, second} {
		for _, p := range w.all {
			if len(p) > maxLog || !bytes.HasSuffix(p, []byte("\n")) {
				t.Errorf("a write of %d bytes ends with %q", len(p), p[max(0, len(p)-10):])
			}
			for line := range bytes.Lines(p) {
				if !bytes.HasPrefix(line, fmt.Appendf(nil, "%d ", n)) {
					t.Fatalf("line %d is %q", n, line)
				}
				n++
			}
		}
		if w == first && n != count/2 {
			t.Errorf("%d lines before the swap", n)
		}
	}
	if n != count {
		t.Errorf("%d lines", n)
	}
}
