package sdk

import (
	"strings"
	"testing"
)

// TestInputIsOfNoUseOnceRenderHasReturned is about goroutines that go on: what
// they tell must neither pile up nor get into another rendering.
func TestInputIsOfNoUseOnceRenderHasReturned(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*Input){
		"Keep": func(in *Input) { in.Keep(Version{Name: "lamp", Version: "1.0"}) },
		"Doc":  func(in *Input) { in.Doc(Source{URL: "lamp"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &Input{}
			use(in)
			in.over.Store(true)
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, "Input."+name+" was called after Render had returned") {
					t.Errorf("it says %q", said)
				}
			}()
			use(in)
		})
	}
}
