package daemon

import (
	"errors"
	"io"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// Reload reads the configuration again, puts it in force and opens the access
// log anew. With an error nothing changes, except that the access log's file
// is opened anew all the same, because whoever rotates it has moved it.
func (d *Daemon) Reload() error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.closed {
		return errors.New("the host is stopping")
	}
	old := d.state.Load().config
	c, diags := d.o.Load()
	if diags.HasErrors() {
		d.reopenAccessLog(old.AccessLog)
		return Diagnostics{diags}
	}
	d.keepUntilRestart(c, old)
	to, file, err := accessLogTo(c.AccessLog)
	if err != nil {
		return err
	}
	if err := d.apply(c); err != nil {
		if file != nil {
			file.Close()
		}
		d.reopenAccessLog(old.AccessLog)
		return err
	}
	d.useAccessLog(to, file)
	d.blobs.SetLimits(c.CacheSize, c.ReserveSpace)
	if c.LogLevel != old.LogLevel {
		d.log.SetLevel(hclog.LevelFromString(c.LogLevel))
	}
	return nil
}

// keepUntilRestart puts settings back that cannot change while we run, and
// says which.
func (d *Daemon) keepUntilRestart(c, old *config.Config) {
	needs := func(changed bool, setting string) {
		if changed {
			d.log.Warn("a changed setting needs a restart; until then it stays as it was", "setting", setting)
		}
	}
	needs(c.Listen != old.Listen, "listen")
	needs(c.DataDir != old.DataDir, "data_dir")
	needs(c.PluginDir != old.PluginDir, "plugin_dir")
	needs(c.MemoryCache != old.MemoryCache, "memory_cache")
	needs(c.LogFormat != old.LogFormat, "log_format")
	needs(!slices.Equal(c.SandboxWithout, old.SandboxWithout), "sandbox_without")
	c.Listen, c.DataDir, c.PluginDir = old.Listen, old.DataDir, old.PluginDir
	c.MemoryCache, c.LogFormat, c.SandboxWithout = old.MemoryCache, old.LogFormat, old.SandboxWithout
}

func (d *Daemon) reopenAccessLog(path string) {
	to, file, err := accessLogTo(path)
	if err != nil {
		d.log.Error("the access log cannot be opened again", "error", err)
		return
	}
	d.useAccessLog(to, file)
}

// useAccessLog writes the access log elsewhere from now on.
func (d *Daemon) useAccessLog(to io.Writer, file io.Closer) {
	if d.access == nil { // a quiet host
		if file != nil {
			file.Close()
		}
		return
	}
	d.access.Swap(to)
	if d.logFile != nil {
		d.logFile.Close()
	}
	d.logFile = file
}
