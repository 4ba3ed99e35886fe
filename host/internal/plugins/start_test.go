package plugins

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestMain is also the plugin that these tests start.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "self" {
		sdk.Serve(func(struct{}) (sdk.Ecosystem, error) {
			return sdk.Ecosystem{Name: "self", Routes: []sdk.Route{{Match: "GET /", Plan: func(sdk.Request) sdk.Plan { return sdk.Reply{} }}}}, nil
		})
		return
	}
	os.Exit(m.Run())
}

// self makes a plugin whose binary is this test.
func self(t *testing.T) *Plugin {
	t.Helper()
	d, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "self")); err != nil {
		t.Fatal(err)
	}
	p := New("self", Settings{}, Options{Dir: bin, Version: "1.0.0", Keep: d.Keep, Log: hclog.NewNullLogger()})
	t.Cleanup(p.Close)
	return p
}

// TestAStartOutlivesTheClientThatNeededIt has a client leave before the plugin
// that it asks has started.
func TestAStartOutlivesTheClientThatNeededIt(t *testing.T) {
	t.Parallel()
	p := self(t)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_, _ = p.Plan(ctx, &pb.PlanRequest{})
	for deadline := time.After(time.Minute); !p.Running(); {
		select {
		case <-deadline:
			t.Fatal("the plugin does not run")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestARefusedReplacementChangesNothing replaces a plugin by itself with other
// settings.
func TestARefusedReplacementChangesNothing(t *testing.T) {
	t.Parallel()
	p := self(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, settings := p.current.Load(), Settings{Memory: 64 << 20}
	refused := errors.New("refused")
	if _, err := p.Replace(t.Context(), settings, func(*wire.Client, *pb.DescribeResponse) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if p.current.Load() != first || p.settings != (Settings{}) {
		t.Errorf("after a replacement that was refused the settings are %+v", p.settings)
	}
	if _, err := p.Replace(t.Context(), Settings{SHA256: "00"}, nil); err == nil || p.settings != (Settings{}) {
		t.Errorf("after one that cannot be started (%v) the settings are %+v", err, p.settings)
	}
	accept := func(*wire.Client, *pb.DescribeResponse) error { return nil }
	r, err := p.Replace(t.Context(), settings, accept)
	if err != nil || p.current.Load() == first || p.settings != settings {
		t.Fatalf("it is not replaced: %v", err)
	}
	r.Undo()
	if p.current.Load() != first || p.settings != (Settings{}) || !p.Running() {
		t.Errorf("after one that was undone the settings are %+v", p.settings)
	}
	if r, err = p.Replace(t.Context(), settings, accept); err != nil {
		t.Fatal(err)
	}
	r.Keep()
	if p.current.Load() == first || p.settings != settings || !p.Running() {
		t.Errorf("after one that was kept the settings are %+v", p.settings)
	}
}

// TestARestingPluginThatCannotStartIsDown takes the binary of a plugin away that
// was stopped because nobody asked.
func TestARestingPluginThatCannotStartIsDown(t *testing.T) {
	t.Parallel()
	p := self(t)
	p.settings.Idle = time.Minute
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.stopIdle(time.Now().Add(time.Hour))
	if !p.Idle() {
		t.Fatal("the plugin does not rest")
	}
	if err := os.Remove(p.path()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Plan(t.Context(), &pb.PlanRequest{}); err == nil {
		t.Fatal("a plugin without a binary answers")
	}
	if p.Idle() || p.Running() {
		t.Error("it is taken for one that the next question starts")
	}
}
