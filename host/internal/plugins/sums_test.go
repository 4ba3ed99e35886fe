package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// TestSumsAreRemembered reads a binary once, and again when it may have changed
// or is pinned.
func TestSumsAreRemembered(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("files cannot be told from what they were before here")
	}
	p := self(t)
	p.Name = "binary"
	write := func(content string, at time.Time) string {
		t.Helper()
		if err := os.WriteFile(p.path(), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p.path(), at, at); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(content))
		return hex.EncodeToString(sum[:])
	}
	check := func(why string, settings Settings, want string) {
		t.Helper()
		if got, err := p.sum(settings); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", why, got, err, want)
		}
	}
	old := time.Now().Add(-time.Hour)
	first := write("first", old)
	check("fresh", Settings{}, first)
	if _, err := p.o.Keep.Get(summedKey + p.Name); err == nil {
		t.Error("the sum of a file that was just written is remembered")
	}
	info, err := os.Stat(p.path())
	if err != nil {
		t.Fatal(err)
	}
	mark, _ := markOf(info)
	if err := p.o.Keep.Apply(store.Change{summedKey + p.Name: []byte("remembered " + mark)}); err != nil {
		t.Fatal(err)
	}
	check("unchanged", Settings{}, "remembered")
	check("pinned", Settings{SHA256: first}, first)
	check("of the same size and time", Settings{}, write("other", old))
	if err := os.Rename(p.path(), filepath.Join(p.o.Dir, "away")); err != nil {
		t.Fatal(err)
	}
	if sum, err := p.sum(Settings{}); err == nil {
		t.Errorf("what is not there has the sum %s", sum)
	}
}
