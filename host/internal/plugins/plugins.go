// Package plugins supervises ecosystem plugins: it starts them, asks them,
// starts them again when they die, and replaces them when their binary
// changes.
//
// A plugin's answers depend on nothing but the question, so a question that
// was under way when the process died is asked once more of a new one. A new
// binary takes over only after it has described itself and accepted every
// repository's options; until then, and if it does not, the old one answers.
package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// ErrDown says that a plugin does not run and cannot be started now.
var ErrDown = errors.New("plugin is down")

// describedKey is where what a plugin said of itself is remembered, so that
// cached packages can be served while it is broken.
const describedKey = "plugin/"

// Options of a supervisor.
type Options struct {
	// Dir holds the binaries.
	Dir string
	// SocketDir is a private directory for sockets; empty: among the system's
	// temporary files.
	SocketDir string
	// Version of the host.
	Version string
	// Wrap sandboxes a command that is going to be started; nil: none is.
	Wrap func(*exec.Cmd)
	// Keep remembers descriptions.
	Keep *store.DB
	// Log gets the host's and the plugins' lines.
	Log hclog.Logger
}

// Settings are what the configuration says of a plugin.
type Settings struct {
	// SHA256 that the binary must have, in hex; empty: any.
	SHA256 string
	// Memory is what its garbage collector keeps within, in bytes; 0: no bound.
	Memory int64
	// Idle is after how long without a question the process is stopped, to be
	// started again by the next; 0: never.
	Idle time.Duration
	// Attach is a process that somebody else started, as its "debug" printed;
	// empty: the binary is started.
	Attach string
}

// Plugin is one ecosystem plugin. Its methods may be called by many at once.
type Plugin struct {
	// Name of the plugin and its binary.
	Name string

	o        Options
	log      hclog.Logger
	restarts atomic.Int64

	starts  singleflight.Group // of those who need the process
	mu      sync.Mutex         // guards starting and replacing
	current atomic.Pointer[generation]
	// other is whether another binary was started than the one that the
	// configuration in force was checked with.
	other    atomic.Bool
	settings Settings
	failed   error     // why the last start failed
	next     time.Time // when the next start may be tried
	backoff  time.Duration
	closing  context.Context // ends with Close
	close    context.CancelFunc
}

// generation is one binary, as it described itself, and its running process.
type generation struct {
	sum      string
	describe *pb.DescribeResponse
	process  *wire.Process         // nil: known from before, not running
	stamp    atomic.Pointer[stamp] // of the file when it was last looked at
	calls    atomic.Int64          // questions under way
	last     atomic.Int64          // when the last question ended, Unix milliseconds
	idle     atomic.Bool           // whether it was stopped because nobody asked
}

// stamp tells whether a file was changed.
type stamp struct {
	size int64
	at   time.Time
}

func stampOf(path string) stamp {
	if info, err := os.Stat(path); err == nil {
		return stamp{info.Size(), info.ModTime()}
	}
	return stamp{}
}

// New makes a plugin that is not started yet.
func New(name string, settings Settings, o Options) *Plugin {
	p := &Plugin{Name: name, settings: settings, o: o, log: o.Log.Named(name)}
	p.closing, p.close = context.WithCancel(context.Background())
	return p
}

func (p *Plugin) path() string { return filepath.Join(p.o.Dir, p.Name) }

// Restarts is how often the process was started again.
func (p *Plugin) Restarts() int64 { return p.restarts.Load() }

// Running reports whether a process answers.
func (p *Plugin) Running() bool {
	g := p.current.Load()
	return g != nil && g.process != nil && !g.process.Exited()
}

// Idle reports whether the process was stopped because nobody asked it.
func (p *Plugin) Idle() bool {
	g := p.current.Load()
	return g != nil && g.idle.Load()
}

// stopIdle stops the process when nobody has asked it for long enough. A
// question that comes in this very moment is asked again of a new one.
func (p *Plugin) stopIdle(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.current.Load()
	if p.settings.Idle == 0 || p.settings.Attach != "" || g == nil || g.process == nil || g.idle.Load() || g.calls.Load() > 0 ||
		now.Sub(time.UnixMilli(g.last.Load())) < p.settings.Idle {
		return
	}
	g.idle.Store(true)
	g.process.Kill()
	p.log.Info("plugin stopped, because nobody asks it; the next question starts it again")
}

// PID is the id of the process; 0: none runs.
func (p *Plugin) PID() int {
	if g := p.current.Load(); g != nil && g.process != nil {
		return g.process.PID()
	}
	return 0
}

// Describe is what the plugin is; nil before the first start.
func (p *Plugin) Describe() *pb.DescribeResponse {
	if g := p.current.Load(); g != nil {
		return g.describe
	}
	return nil
}

// Sum is the sha256 of the binary that answers, in hex.
func (p *Plugin) Sum() string {
	if g := p.current.Load(); g != nil {
		return g.sum
	}
	return ""
}

// Start starts the plugin, or does nothing when it runs. When it cannot be
// started but is known from before, what it said then is used and the error
// returned wraps [ErrDown].
func (p *Plugin) Start(ctx context.Context) error {
	_, err := p.ensure(ctx)
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.Load() == nil {
		if g := p.remembered(); g != nil {
			p.current.Store(g)
			return fmt.Errorf("%w: %w", ErrDown, err)
		}
	}
	return err
}

// ensure returns a generation with a running process, starting one if needed.
// Who leaves meanwhile does not end the start, which others wait for, too.
func (p *Plugin) ensure(ctx context.Context) (*generation, error) {
	if g := p.current.Load(); g != nil && g.process != nil && !g.process.Exited() {
		return g, nil
	}
	started := p.starts.DoChan("", func() (any, error) { return p.start() })
	select {
	case r := <-started:
		g, _ := r.Val.(*generation)
		return g, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start returns a generation with a running process, which it starts if there is
// none.
func (p *Plugin) start() (*generation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.current.Load()
	if old != nil && old.process != nil && !old.process.Exited() {
		return old, nil
	}
	if p.closing.Err() != nil {
		return nil, ErrDown
	}
	if wait := time.Until(p.next); old != nil && old.idle.Load() {
		// It did not fail.
	} else if wait > patience {
		return nil, fmt.Errorf("%w: %w", ErrDown, p.failed)
	} else if wait > 0 {
		select {
		case <-p.closing.Done():
			return nil, ErrDown
		case <-time.After(wait):
		}
	}
	if old != nil && old.process != nil && !old.idle.Load() {
		old.process.Kill() // reaps what is left of it
		p.restarts.Add(1)
		p.log.Warn("plugin went away; starting it again")
	}
	g, err := p.launch(p.closing, p.settings)
	p.noteStart(err)
	if err != nil {
		if old != nil {
			old.idle.Store(false) // it is down
		}
		p.log.Error("plugin cannot be started", "error", err, "next try", time.Until(p.next).Round(time.Millisecond))
		return nil, err
	}
	if old != nil && old.sum != g.sum {
		p.other.Store(true)
	}
	p.current.Store(g)
	return g, nil
}

// Back-off between starts. A process that lived long enough resets it.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	livedLong    = 10 * time.Second
	// patience is how long a question waits for the next start.
	patience = time.Second
)

func (p *Plugin) noteStart(err error) {
	now := time.Now()
	if err == nil && now.Sub(p.next) > livedLong {
		p.backoff = 0
	}
	p.backoff = min(max(p.backoff*2, firstBackoff), lastBackoff)
	p.failed = err
	if err == nil {
		p.failed = errors.New("it died right after its start")
	}
	p.next = now.Add(p.backoff)
}

// launch starts a process and has it describe itself.
func (p *Plugin) launch(ctx context.Context, settings Settings) (*generation, error) {
	began, stamp := time.Now(), stampOf(p.path())
	process, err := p.process(settings)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no plugin binary %s; build or copy it there", p.path())
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d, err := process.Describe(ctx, p.o.Version)
	if err == nil && d.GetName() != p.Name {
		err = fmt.Errorf("it says that its name is %q; the file must be called that", d.GetName())
	}
	if err != nil {
		process.Kill()
		return nil, fmt.Errorf("plugin %s: %w", p.Name, err)
	}
	g := &generation{sum: process.SHA256, describe: d, process: process}
	g.stamp.Store(&stamp)
	g.last.Store(time.Now().UnixMilli())
	p.remember(g)
	p.log.Info("plugin started", "version", d.GetVersion(), "sha256", g.sum[:12], "pid", process.PID(), "seconds", time.Since(began).Round(time.Millisecond).Seconds())
	return g, nil
}

// process starts a process, or attaches to the one that the settings name.
func (p *Plugin) process(settings Settings) (*wire.Process, error) {
	if settings.Attach != "" {
		return wire.Attach(p.Name, settings.Attach)
	}
	sum, err := p.sum(settings)
	if err != nil {
		return nil, err
	}
	return wire.Start(wire.Options{
		Path:      p.path(),
		SocketDir: p.o.SocketDir,
		SHA256:    settings.SHA256,
		Sum:       sum,
		Memory:    settings.Memory,
		Wrap:      p.o.Wrap,
		Logger:    p.log,
	})
}

func (p *Plugin) remember(g *generation) {
	value, err := proto.Marshal(g.describe)
	if err == nil {
		err = p.o.Keep.Apply(store.Change{describedKey + p.Name: append([]byte(g.sum), value...)})
	}
	if err != nil {
		p.log.Warn("what the plugin is cannot be remembered", "error", err)
	}
}

func (p *Plugin) remembered() *generation {
	value, err := p.o.Keep.Get(describedKey + p.Name)
	const sum = 64
	if err != nil || len(value) < sum {
		return nil
	}
	g := &generation{sum: string(value[:sum]), describe: &pb.DescribeResponse{}}
	if proto.Unmarshal(value[sum:], g.describe) != nil {
		return nil
	}
	return g
}

// Changed reports whether the binary on disk is another one than the one that
// runs.
func (p *Plugin) Changed() bool {
	g := p.current.Load()
	if g == nil {
		return false
	}
	if p.other.Load() {
		return true
	}
	now, then := stampOf(p.path()), g.stamp.Load()
	return then != nil && now != (stamp{}) && now != *then && time.Since(now.at) > time.Second
}

// Replacement is a binary, or settings, by which a plugin answers now. Exactly
// one of its methods must be called.
type Replacement struct {
	plugin     *Plugin
	old, fresh *generation // may be the same
	settings   Settings    // those before
}

// Keep ends the process that was replaced.
func (r *Replacement) Keep() {
	if r.old != nil && r.old != r.fresh && r.old.process != nil {
		r.plugin.log.Info("plugin replaced", "old", r.old.sum[:12], "new", r.fresh.sum[:12])
		go r.old.retire()
	}
}

// Undo has the plugin answer as before.
func (r *Replacement) Undo() {
	p := r.plugin
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings = r.settings
	if r.old != r.fresh {
		p.current.CompareAndSwap(r.fresh, r.old)
		go r.fresh.retire()
	}
}

// Replace starts the binary on disk beside the one that runs, has check accept
// it, and lets it take over. On an error the old one goes on answering, with the
// settings that it had.
func (p *Plugin) Replace(ctx context.Context, settings Settings, check func(*wire.Client, *pb.DescribeResponse) error) (*Replacement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &Replacement{plugin: p, old: p.current.Load(), settings: p.settings}
	if r.old != nil {
		// Whatever comes of it, this file is not tried again by itself.
		now := stampOf(p.path())
		r.old.stamp.Store(&now)
	}
	if p.answersFor(settings, r.old) {
		r.fresh = r.old
	} else {
		var err error
		if r.fresh, err = p.launch(ctx, settings); err != nil {
			return nil, err
		}
	}
	if err := check(r.fresh.process.Client, r.fresh.describe); err != nil {
		if r.fresh != r.old {
			r.fresh.process.Kill()
		}
		return nil, err
	}
	p.other.Store(false)
	p.settings = settings
	p.current.Store(r.fresh)
	return r, nil
}

// answersFor reports whether a generation's process is what would be started with
// settings.
func (p *Plugin) answersFor(settings Settings, g *generation) bool {
	if g == nil || g.process == nil || g.process.Exited() || settings.Memory != p.settings.Memory || settings.Attach != p.settings.Attach {
		return false
	}
	if settings.Attach != "" {
		return true
	}
	sum, err := p.sum(settings)
	return err == nil && sum == g.sum && (settings.SHA256 == "" || settings.SHA256 == sum)
}

// retire ends a generation that was replaced, once it has answered.
func (g *generation) retire() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(renderTime); g.calls.Load() > 0 && time.Now().Before(deadline); {
		<-tick.C
	}
	g.process.Kill()
}

// Close ends the process for good.
func (p *Plugin) Close() {
	p.close() // also of a start that is under way
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.current.Load(); g != nil && g.process != nil {
		g.process.Kill()
	}
}
