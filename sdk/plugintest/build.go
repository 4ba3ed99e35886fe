package plugintest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/wire"
)

// started is a starter of a binary, as the host starts it: a process of its own
// behind a socket.
func started(binary wire.Options) starter {
	return func() (*wire.Client, func(), error) {
		p, err := wire.Start(binary)
		if err != nil {
			return nil, nil, err
		}
		return p.Client, p.Kill, nil
	}
}

// buildPackage builds the package under test and starts the binary, which all
// scripts then ask. Nil: it is no main package, there is no source beside the
// test, or -short leaves it out.
func buildPackage(t *testing.T) starter {
	t.Helper()
	if testing.Short() {
		return nil
	}
	name, err := exec.Command("go", "list", "-f", "{{.Name}}", ".").Output()
	if err != nil {
		t.Logf("SKIPPED: the answers are not compared with the built binary's: go list: %v", err)
		return nil
	}
	if strings.TrimSpace(string(name)) != "main" {
		return nil
	}
	binary := filepath.Join(t.TempDir(), "plugin")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	client, stop, err := started(wire.Options{Path: binary})()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() (*wire.Client, func(), error) { return client, func() {}, nil }
}

// sameOverSocket checks that a built plugin says what the one in memory says.
func sameOverSocket(r reporter, s *script, start, built starter) {
	inMemory, err := newHost(s, start)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	defer inMemory.close()
	binary, err := newHost(s, built)
	if err != nil {
		r.Errorf("the built plugin: %v", err)
		return
	}
	defer binary.close()
	binary.sameAs(r, inMemory.transcript(r))
}
