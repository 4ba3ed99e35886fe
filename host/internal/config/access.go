package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/access"
)

// TLS names the files of a certificate, with those that vouch for it, and of
// its key, both PEM.
type TLS struct {
	Certificate, Key string
	// Range is where it is configured.
	Range hcl.Range
}

// DefaultAuditLog stands for audit.log in the data directory.
const DefaultAuditLog = "\x00"

// AuditFile is where the audit log is; "-": standard output; empty: none.
func (c *Config) AuditFile() string {
	if c.AuditLog == DefaultAuditLog {
		return filepath.Join(c.DataDir, "audit.log")
	}
	return c.AuditLog
}

// loopback reports whether only this machine can reach what we listen on.
func (c *Config) loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// AnonymousIn are the actions that need no token in a repository. Where that
// is not said, anybody on this machine may read, and nobody else anything.
func (c *Config) AnonymousIn(r *Repository) []access.Action {
	if r.Anonymous == nil && c.loopback() {
		return []access.Action{access.Read}
	}
	return r.Anonymous
}

// Warnings are about settings that work otherwise than might be thought.
func (c *Config) Warnings() hcl.Diagnostics {
	diags := slices.Clone(c.warnings)
	used := c.PluginNames()
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		if at := c.Plugins[name].Range; !slices.Contains(used, name) {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Plugin is not used", Subject: &at,
				Detail: fmt.Sprintf("No repository uses a plugin %q, so this block does nothing; those in use are %s.", name, strings.Join(used, ", "))})
		}
	}
	if c.loopback() {
		return diags
	}
	for _, r := range c.Repositories {
		if r.Anonymous == nil {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Nobody may read without a token", Subject: &r.Range,
				Detail: fmt.Sprintf(`Other machines can reach %s, and what they may do in repository %q without a token is not said: write anonymous = ["read"] to let everybody read, or anonymous = [] to keep it so.`, c.Listen, r.Name)})
		}
	}
	return diags
}

// actions reads what needs no token.
func (r *reader) actions(a *hcl.Attribute) []access.Action {
	if a == nil {
		return nil
	}
	out := []access.Action{}
	r.strings(a, func(s string, at hcl.Range) {
		action, err := access.ParseAction(s)
		if err != nil {
			r.fail(at, "Unknown action", err.Error()+".")
			return
		}
		out = append(out, action)
	})
	return out
}

// tlsOf is where the certificate is. Whether it is one is seen when it is used,
// because it changes without the configuration.
func tlsOf(f *tlsFile) *TLS {
	if f == nil {
		return nil
	}
	return &TLS{Certificate: f.Certificate, Key: f.Key, Range: f.Range}
}

// ParsePrefix reads a range of addresses, or one address.
func ParsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}
