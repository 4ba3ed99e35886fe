package plugintest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// logBuffer is what many write to at once.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// asked starts crate with a fault, asks it for a plan and returns the host's
// log once it says all that is wanted.
func asked(t *testing.T, fault string, wanted ...string) string {
	t.Helper()
	log := &logBuffer{}
	p, err := wire.Start(wire.Options{
		Path:   faulty(t, "crate", fault),
		Logger: hclog.New(&hclog.LoggerOptions{Name: "crate", Level: hclog.Trace, Output: log}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	_, _ = p.Plan(context.Background(), &pb.PlanRequest{ // its error is no matter here
		Subject: &pb.PlanRequest_Request{Request: &pb.Request{Method: "GET", Path: "/apple"}},
	})
	lacks := func() string {
		for _, w := range wanted {
			if !strings.Contains(log.String(), w) {
				return w
			}
		}
		return ""
	}
	for deadline := time.Now().Add(20 * time.Second); lacks() != ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the host's log does not say %q:\n%s", lacks(), log)
		}
	}
	return log.String()
}

func TestWhatAServingPluginPrintsIsLogged(t *testing.T) {
	t.Parallel()
	asked(t, "log", "[WARN]  crate: a line with fields: count=3", `{"@level":"info","@message":"unfinished`, "crate: plain words", "crate: words on standard output")
}

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	log := asked(t, "panic", "[ERROR] crate: panic: no plan", "stack=")
	if !strings.Contains(log, "main.open.func1 (main.go:") {
		t.Errorf("the stack does not say where:\n%s", log)
	}
}

func TestEachProcessHasASocketDirectoryOfItsOwn(t *testing.T) {
	t.Parallel()
	binary, sockets := faulty(t, "crate", ""), t.TempDir()
	var all []*wire.Process
	for range 2 {
		p, err := wire.Start(wire.Options{Path: binary, SocketDir: sockets})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Kill()
		all = append(all, p)
	}
	dirs, err := filepath.Glob(filepath.Join(sockets, "*"))
	if err != nil || len(dirs) != 2 {
		t.Fatalf("two processes have the directories %q (%v)", dirs, err)
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %v (%v)", dir, info.Mode(), err)
		}
		if inside, err := os.ReadDir(dir); err != nil || len(inside) != 1 || inside[0].Type() != os.ModeSocket {
			t.Errorf("in %s is %v (%v)", dir, inside, err)
		}
	}
	for _, p := range all {
		p.Kill()
	}
	if left, err := os.ReadDir(sockets); err != nil || len(left) != 0 {
		t.Errorf("ended processes leave %v (%v)", left, err)
	}
}
