package memory

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

func TestValuesAreKeptUntilTheyAreDropped(t *testing.T) {
	t.Parallel()
	c := New(Options[*int]{Size: 10})
	if v, kept := c.Get("a"); kept || v != nil {
		t.Errorf("an empty cache has %v, %t", v, kept)
	}
	one := 1
	c.Set("a", &one)
	c.Set("b", nil)
	if v, kept := c.Get("a"); !kept || v != &one {
		t.Errorf("kept is %v, %t", v, kept)
	}
	if v, kept := c.Get("b"); !kept || v != nil {
		t.Errorf("nil is kept as %v, %t", v, kept)
	}
	c.Drop("a")
	if _, kept := c.Get("a"); kept {
		t.Error("what was dropped is kept")
	}
	c.Clear()
	if _, kept := c.Get("b"); kept {
		t.Error("what was cleared is kept")
	}
}

func TestManyLoadOnce(t *testing.T) {
	t.Parallel()
	c := New(Options[int64]{Size: 10})
	var reads atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			v, err := c.Load("a", func() (int64, error) { return 40 + reads.Add(1), nil })
			if v != 41 || err != nil {
				t.Errorf("loaded is %d, %v", v, err)
			}
		})
	}
	all.Wait()
	failed := errors.New("failed")
	if v, err := c.Load("b", func() (int64, error) { return 7, failed }); v != 0 || !errors.Is(err, failed) {
		t.Errorf("a failure to read is %d, %v", v, err)
	}
	if _, kept := c.Get("b"); kept {
		t.Error("a failure is kept")
	}
	if v := c.Find("b", func() (int64, bool) { return 7, false }); v != 0 {
		t.Errorf("what is not there is %d", v)
	}
	if v := c.Find("b", func() (int64, bool) { return 8, true }); v != 8 {
		t.Errorf("found is %d", v)
	}
}

func TestALoadIsNotOlderThanAChange(t *testing.T) {
	t.Parallel()
	c := New(Options[int64]{Size: 10})
	if _, err := c.Load("a", func() (int64, error) {
		c.Set("a", 2)
		return 1, nil
	}); err != nil {
		t.Error(err)
	}
	if v, kept := c.Get("a"); v != 2 || !kept {
		t.Errorf("kept is %d, %t, want what was set", v, kept)
	}
	reads := int64(0)
	v, err := c.Load("b", func() (int64, error) {
		if reads++; reads == 1 {
			c.Drop("b")
		}
		return reads, nil
	})
	if v != 2 || err != nil {
		t.Errorf("loaded is %d, %v, want what was read after it was dropped", v, err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	sized := New(Options[int64]{Size: 10})
	weighed := New(Options[int64]{Weight: 100, Weigh: func(_ string, v int64) uint32 { return uint32(v) }})
	for i := range 1000 {
		sized.Set(strconv.Itoa(i), 1)
		weighed.Set(strconv.Itoa(i), 10)
	}
	for name, c := range map[string]*Cache[int64]{"by size": sized, "by weight": weighed} {
		c.kept.CleanUp()
		if n := c.kept.EstimatedSize(); n < 1 || n > 10 {
			t.Errorf("%s %d are kept of a thousand, want up to ten", name, n)
		}
	}
}
