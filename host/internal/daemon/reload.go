package daemon

import (
	"errors"
	"io"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// Reload reads the configuration again, puts it in force and opens the logs
// anew. With an error nothing changes, except that the logs' files are opened
// anew all the same, because whoever rotates them has moved them.
func (d *Daemon) Reload() error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.closed {
		return errors.New("the host is stopping")
	}
	old := d.state.Load().config
	c, diags := d.o.Load()
	if diags.HasErrors() {
		d.reopenLogs(old)
		return Diagnostics{diags}
	}
	d.keepUntilRestart(c, old)
	d.warn(c)
	to, file, err := accessLogTo(c.AccessLog)
	if err != nil {
		return err
	}
	if err := d.apply(c); err != nil {
		if file != nil {
			file.Close()
		}
		d.reopenLogs(old)
		return err
	}
	d.useAccessLog(to, file)
	d.reopenAudit(c)
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
	needs((c.TLS == nil) != (old.TLS == nil) || c.TLS != nil && (c.TLS.Certificate != old.TLS.Certificate || c.TLS.Key != old.TLS.Key), "tls")
	needs(!slices.Equal(c.SandboxWithout, old.SandboxWithout), "sandbox_without")
	c.Listen, c.DataDir, c.PluginDir = old.Listen, old.DataDir, old.PluginDir
	c.MemoryCache, c.LogFormat, c.SandboxWithout, c.TLS = old.MemoryCache, old.LogFormat, old.SandboxWithout, old.TLS
}

// reopenLogs opens the logs of a configuration anew.
func (d *Daemon) reopenLogs(c *config.Config) {
	d.reopenAudit(c)
	to, file, err := accessLogTo(c.AccessLog)
	if err != nil {
		d.log.Error("the access log cannot be opened again", "error", err)
		return
	}
	d.useAccessLog(to, file)
}

func (d *Daemon) reopenAudit(c *config.Config) {
	if d.o.Quiet {
		return
	}
	if err := d.audit.Reopen(c.AuditFile()); err != nil {
		d.log.Error("the audit log cannot be opened again; that is tried with each event", "error", err)
	}
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
