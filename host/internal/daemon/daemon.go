// Package daemon puts a host together: data directory, cache, policy, plugins
// and server, from a configuration, and again when that changes.
//
// A new configuration is prepared completely beside the one in force: plugins
// are started or replaced, options are checked, upstreams are made. Only when
// all of it holds does the server use it; otherwise nothing changes.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/directory"
	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/host/internal/publish"
	"github.com/entrepot-registry/entrepot/host/internal/sandbox"
	"github.com/entrepot-registry/entrepot/host/internal/server"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// Daemon is a host.
type Daemon struct {
	o         Options
	log       hclog.Logger
	dir       *store.Dir
	blobs     *blobs.Store
	policy    *policy.Engine
	cache     *cache.Cache
	server    *server.Server
	publisher *publish.Publisher
	metrics   *server.Metrics
	access    *server.AccessLog
	logFile   io.Closer // the access log's, when it has one of its own
	tokens    *access.Keeper
	audit     *access.Audit
	tls       *certificate // nil: connections are not encrypted
	scanner   *directory.Scanner
	rescan    chan struct{} // has directories looked at now
	relook    chan struct{} // has logs of upstream looked at now
	sockets   string
	wrap      func(*exec.Cmd) // sandboxes plugins; nil: they run as they are
	tidy      func()          // removes what lies outside of the data directory

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	reloading sync.Mutex // one reload at a time, and none after Close
	closed    bool

	mu    sync.Mutex // one configuration is put in force at a time
	state atomic.Pointer[state]
}

// state is what is in force. It is immutable.
type state struct {
	config  *config.Config
	site    *server.Site
	plugins map[string]*plugins.Plugin
}

// Options of a daemon.
type Options struct {
	// Load reads the configuration, at the start and at each reload.
	Load func() (*config.Config, hcl.Diagnostics)
	// Version of the host.
	Version string
	// Log gets what people should know.
	Log hclog.Logger
	// Quiet has no access log.
	Quiet bool
	// Self is this program with the arguments that make it call [sandbox.Main];
	// empty: plugins run without a sandbox.
	Self []string
}

// Diagnostics is a configuration's errors as an error.
type Diagnostics struct{ hcl.Diagnostics }

// New opens the data directory and puts the configuration in force. Close
// must be called.
func New(o Options) (d *Daemon, err error) {
	c, diags := o.Load()
	if diags.HasErrors() {
		return nil, Diagnostics{diags}
	}
	d = &Daemon{o: o, log: o.Log, rescan: make(chan struct{}, 1), relook: make(chan struct{}, 1), tidy: func() {}}
	d.state.Store(&state{config: c, site: &server.Site{}})
	d.audit = access.NewAudit(c.AuditFile(), d.log)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	d.warn(c)
	if d.dir, err = store.Open(c.DataDir, d.log); err != nil {
		return d, err
	}
	if d.blobs, err = blobs.Open(d.dir, blobs.Options{Limit: c.CacheSize, Reserve: c.ReserveSpace, Pinned: cache.Pinned(d.dir.Keep)}, d.log); err != nil {
		return d, err
	}
	if d.policy, err = policy.New(c.Cooldown, d.dir.Keep); err != nil {
		return d, err
	}
	if d.tokens, err = access.NewKeeper(d.dir.Keep); err != nil {
		return d, err
	}
	if c.TLS != nil {
		if d.tls, err = newCertificate(c.TLS, d.log); err != nil {
			return d, err
		}
	}
	d.cache = cache.New(cache.Options{Dir: d.dir, Blobs: d.blobs, Policy: d.policy, Memory: c.MemoryCache, Log: d.log})
	d.scanner = directory.New(d.cache.Catalog(), d.blobs, d.dir.Keep, d.log)
	if err = d.socketDir(); err != nil {
		return d, err
	}
	d.makeSandbox(c)
	d.cache.Catalog().Freed = func(digest blobs.Digest) { d.blobs.Discard(digest) }
	d.metrics = server.NewMetrics()
	d.metrics.Watch(&d.cache.Stats, server.Sizes{CacheBytes: d.blobs.Used, Evicted: d.blobs.Evicted, Plugins: d.eachPlugin})
	if err = d.openLogs(c); err != nil {
		return d, err
	}
	if d.publisher, err = publish.New(d.cache, d.blobs, d.dir.Keep, filepath.Join(d.dir.Path, "uploads"), d.log); err != nil {
		return d, err
	}
	if d.server, err = server.New(server.Options{Cache: d.cache, Publisher: d.publisher, Log: d.log, Access: d.access, Metrics: d.metrics, Ready: d.ready, Tokens: d.tokens, Audit: d.audit}); err != nil {
		return d, err
	}
	if err = d.apply(c); err != nil {
		return d, err
	}
	d.background(d.blobs.Run)
	d.background(d.watchBinaries)
	d.background(d.tidyStore)
	d.background(d.sweepUnused)
	d.background(d.watchSnapshots)
	d.background(d.watchDirectories)
	d.background(d.tokens.Run)
	return d, nil
}

func (d *Daemon) background(work func(context.Context)) {
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		work(d.ctx)
	}()
}

// Close ends everything, in the opposite order of New.
func (d *Daemon) Close() error {
	d.cancel()
	d.reloading.Lock()
	d.closed = true
	d.reloading.Unlock()
	d.wg.Wait()
	if d.cache != nil {
		d.cache.Close()
	}
	var all sync.WaitGroup
	for _, p := range d.state.Load().plugins {
		all.Go(p.Close)
	}
	all.Wait()
	if d.access != nil {
		d.access.Close()
	}
	if d.logFile != nil {
		d.logFile.Close()
	}
	d.audit.Close()
	d.tidy()
	if d.dir != nil {
		return d.dir.Close()
	}
	return nil
}

// socketsName is the directory of sockets in a data directory, or a link to it.
const socketsName = "run"

// longestSocketDir leaves room for go-plugin's own names in the 104 bytes that
// the shortest systems allow a socket's path.
const longestSocketDir = 60

// socketDir makes the private directory of the sockets, ours and the plugins':
// below the data directory, or among temporary files when that path is too long,
// with a link to it, by which the next start removes what a killed host leaves.
func (d *Daemon) socketDir() error {
	dir, err := filepath.Abs(filepath.Join(d.dir.Path, socketsName))
	if err != nil {
		return err
	}
	if left, err := os.Readlink(dir); err == nil && strings.HasPrefix(filepath.Base(left), "entrepot-") {
		os.RemoveAll(left)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if link := dir; len(dir) > longestSocketDir {
		if dir, err = os.MkdirTemp("", "entrepot-"); err != nil {
			return err
		}
		d.tidy = func() { os.RemoveAll(dir); os.Remove(link) }
		if err := os.Symlink(dir, link); err != nil {
			return err
		}
	}
	d.sockets = dir
	return os.MkdirAll(dir, 0o700)
}

// makeSandbox finds out how far plugins can be locked up here, and says what
// cannot be enforced.
func (d *Daemon) makeSandbox(c *config.Config) {
	if len(d.o.Self) == 0 {
		return
	}
	s := sandbox.New(d.o.Self, func(layer string) bool { return !slices.Contains(c.SandboxWithout, layer) })
	for _, m := range s.Missing() {
		d.log.Warn("sandbox: " + m)
	}
	if len(s.Enforced()) > 0 {
		d.wrap = s.Wrap
	}
}

// warn tells of settings that work otherwise than might be thought.
func (d *Daemon) warn(c *config.Config) {
	for _, w := range c.Warnings() {
		d.log.Warn(w.Summary, "at", w.Subject.String(), "detail", w.Detail)
	}
}

// openLogs opens what must be written while requests are answered. A quiet
// host has an audit log too, once there is something to note.
func (d *Daemon) openLogs(c *config.Config) error {
	if d.o.Quiet {
		return nil
	}
	to, file, err := accessLogTo(c.AccessLog)
	if err != nil {
		return err
	}
	d.access, d.logFile = server.NewAccessLog(to), file
	return d.audit.Reopen(c.AuditFile())
}

// accessLogTo opens what an access log is written to; nil: nothing.
func accessLogTo(path string) (io.Writer, io.Closer, error) {
	switch path {
	case "":
		return nil, nil, nil
	case "-":
		return os.Stdout, nil, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("access log: %w", err)
	}
	return f, f, nil
}

// apply prepares a configuration and puts it in force. With an error nothing
// changes.
func (d *Daemon) apply(c *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.put(c)
}

// applyAgain applies the configuration in force again.
func (d *Daemon) applyAgain() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.put(d.state.Load().config)
}

func (d *Daemon) put(c *config.Config) error {
	fresh, replaced, diags := d.startPlugins(c)
	old := d.state.Load()
	all := map[string]*plugins.Plugin{}
	for _, name := range c.PluginNames() {
		if all[name] = fresh[name]; all[name] == nil {
			all[name] = old.plugins[name]
		}
	}
	site, more := d.build(c, all)
	if diags = append(diags, more...); diags.HasErrors() {
		closeAll(fresh)
		for _, r := range replaced {
			r.Undo()
		}
		return Diagnostics{diags}
	}
	for _, r := range replaced {
		r.Keep()
	}
	d.policy.Configure(c.Cooldown)
	for _, repo := range site.Repositories {
		d.scanner.Join(repo.Repository)
		d.complete(repo)
	}
	d.server.Use(site)
	d.cache.Reconsider()
	d.state.Store(&state{c, site, all})
	for _, again := range []chan struct{}{d.rescan, d.relook} {
		select {
		case again <- struct{}{}:
		default: // it is going to be done anyway
		}
	}
	for name, p := range old.plugins {
		if all[name] == nil {
			go p.Close()
		}
	}
	for _, p := range fresh {
		d.background(p.Watch)
	}
	return nil
}

// complete gives versions that were published before their canonical form was
// kept theirs, before anybody may publish another spelling of them.
func (d *Daemon) complete(repo *cache.Repository) {
	err := d.cache.Catalog().Complete(repo.Name, repo.Ecosystem.Sum(), func(path string) (string, bool, error) {
		return d.cache.Form(d.ctx, repo, path)
	})
	if err != nil {
		d.log.Warn("other spellings of versions that were published before are not recognised until the next start", "repository", repo.Name, "error", err)
	}
}

func closeAll(all map[string]*plugins.Plugin) {
	for _, p := range all {
		p.Close()
	}
}

// startPlugins starts the plugins that do not run yet, in parallel, and has
// the others replaced where their binary changed. One that cannot be started
// but is known from before does not keep the rest from being served.
func (d *Daemon) startPlugins(c *config.Config) (fresh map[string]*plugins.Plugin, replaced []*plugins.Replacement, diags hcl.Diagnostics) {
	fresh = map[string]*plugins.Plugin{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range c.PluginNames() {
		said := c.Plugin(name)
		settings := plugins.Settings{SHA256: said.SHA256, Memory: said.Memory, Idle: said.Idle, Attach: said.Attach}
		p := d.state.Load().plugins[name]
		isNew := p == nil
		if isNew {
			p = plugins.New(name, settings, plugins.Options{
				Dir: c.PluginDir, SocketDir: d.sockets, Version: d.o.Version, Wrap: d.wrap, Keep: d.dir.Keep, Log: d.log,
			})
			fresh[name] = p
		}
		all.Go(func() {
			var r *plugins.Replacement
			var err error
			if isNew {
				err = p.Start(d.ctx)
			} else {
				r, err = p.Replace(d.ctx, settings, d.checker(c, name))
			}
			if errors.Is(err, plugins.ErrDown) {
				d.log.Error("serving what is cached without the plugin", "plugin", name, "error", err)
				err = nil
			}
			mu.Lock()
			defer mu.Unlock()
			if r != nil {
				replaced = append(replaced, r)
			}
			diags = append(diags, startDiagnostics(c, name, err)...)
		})
	}
	all.Wait()
	return fresh, replaced, diags
}

// startDiagnostics points at where a plugin that cannot be used is asked for:
// its own block, or the first repository that wants it.
func startDiagnostics(c *config.Config, name string, err error) hcl.Diagnostics {
	if more := (Diagnostics{}); errors.As(err, &more) {
		return more.Diagnostics
	}
	if err == nil {
		return nil
	}
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Plugin cannot be used", Detail: err.Error()}
	if p, ok := c.Plugins[name]; ok {
		d.Subject = &p.Range
		return hcl.Diagnostics{d}
	}
	for _, r := range c.Repositories {
		if r.Plugin == name {
			d.Subject = &r.Range
			break
		}
	}
	return hcl.Diagnostics{d}
}

func (d *Daemon) eachPlugin(visit func(name string, running bool, restarts int64)) {
	for name, p := range d.state.Load().plugins {
		visit(name, p.Running() || p.Idle(), p.Restarts())
	}
}

// ready says which plugins do not run.
func (d *Daemon) ready() error {
	var down []string
	d.eachPlugin(func(name string, running bool, _ int64) {
		if !running {
			down = append(down, name)
		}
	})
	if len(down) > 0 {
		slices.Sort(down)
		return fmt.Errorf("plugins are down: %s", strings.Join(down, ", "))
	}
	return nil
}

// repositories of the site in force.
func (d *Daemon) repositories() []*cache.Repository { return d.state.Load().site.Repositories }
