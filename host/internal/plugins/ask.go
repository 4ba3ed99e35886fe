package plugins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Bounds on how long a plugin may take.
const (
	planTime   = 5 * time.Second
	renderTime = 2 * time.Minute
)

// ask puts a question to the process, and once more to a new one if it died.
func (p *Plugin) ask(ctx context.Context, question func(*wire.Client) error) error {
	for try := 0; ; try++ {
		g, err := p.ensure(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrDown) {
			err = fmt.Errorf("%w: %w", ErrDown, err)
		}
		if err != nil {
			return err
		}
		g.calls.Add(1)
		err = question(g.process.Client)
		g.last.Store(time.Now().UnixMilli())
		g.calls.Add(-1)
		if errors.Is(err, wire.ErrGone) && try == 0 && ctx.Err() == nil {
			waitExit(ctx, g.process)
			continue
		}
		return err
	}
}

// waitExit waits a moment for a dying process to be noticed as dead.
func waitExit(ctx context.Context, process *wire.Process) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(500 * time.Millisecond)
	for !process.Exited() {
		select {
		case <-ctx.Done():
			return
		case <-deadline:
			return
		case <-tick.C:
		}
	}
}

// Plan asks what to do with a request.
func (p *Plugin) Plan(ctx context.Context, r *pb.PlanRequest) (plan *pb.PlanResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	err = p.ask(ctx, func(c *wire.Client) error {
		plan, err = c.Plan(ctx, r)
		return err
	})
	return plan, err
}

// Configure asks whether a repository's options make sense beside upstreams of roles.
func (p *Plugin) Configure(ctx context.Context, repository, options string, upstreams []string) (r *pb.ConfigureResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	err = p.ask(ctx, func(c *wire.Client) error {
		r, err = c.Configure(ctx, repository, options, upstreams)
		return err
	})
	return r, err
}

// Render has a document rendered, see [wire.Client.Render]. The sink is reset
// before the question is asked again.
func (p *Plugin) Render(ctx context.Context, start *pb.RenderStart, hosted []*pb.HostedPackage, sources []*pb.Source, fetch wire.Fetch, sink wire.Sink) (done *pb.RenderDone, err error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	first := true
	err = p.ask(ctx, func(c *wire.Client) error {
		if !first {
			if err := sink.Reset(); err != nil {
				return err
			}
		}
		first = false
		done, err = c.Render(ctx, start, hosted, sources, fetch, sink)
		return err
	})
	return done, err
}

// Inspect asks what a package file is.
func (p *Plugin) Inspect(ctx context.Context, file *pb.PackageFile, members []wire.Member, measured ...*pb.Measured) (r *pb.InspectResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	err = p.ask(ctx, func(c *wire.Client) error {
		r, err = c.Inspect(ctx, file, members, measured...)
		return err
	})
	return r, err
}

// Accept asks for a decision on an upload or a change. It only decides, so it
// may be asked again.
func (p *Plugin) Accept(ctx context.Context, publication wire.Publication) (r *pb.AcceptResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	err = p.ask(ctx, func(c *wire.Client) error {
		r, err = c.Accept(ctx, publication)
		return err
	})
	return r, err
}

// Watch starts the process again when it died, until the context ends.
func (p *Plugin) Watch(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.stopIdle(now)
			if !p.Running() && !p.Idle() {
				_, _ = p.ensure(ctx) // logged there; tried again at the next tick
			}
		}
	}
}
