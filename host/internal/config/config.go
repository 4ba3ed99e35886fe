// Package config reads config.hcl into a typed structure.
//
// Every complaint carries file, line and column and says what to write
// instead; nothing is ever guessed. In particular a duration that cannot be
// read is an error, never "off". The options block of a repository is kept
// unread: its schema is the plugin's, see [Repository.DecodeOptions].
package config

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/access"
)

// Config is the whole configuration with defaults filled in.
type Config struct {
	// Listen is the address and port to serve on.
	Listen string
	// DataDir holds everything that is kept.
	DataDir string
	// PluginDir holds the plugin binaries.
	PluginDir string
	// BaseURL is the external address, without a slash at its end; nil: taken
	// from each request's Host.
	BaseURL *url.URL
	// Hosts are host names accepted besides loopback and BaseURL's.
	Hosts []string
	// TrustedProxies may send X-Forwarded-* headers.
	TrustedProxies []netip.Prefix
	// LogLevel is trace, debug, info, warn or error.
	LogLevel string
	// LogFormat is text or json.
	LogFormat string
	// AccessLog is a file; "-": standard output; empty: none.
	AccessLog string
	// AuditLog is a file; "-": standard output; empty: none;
	// [DefaultAuditLog]: audit.log in the data directory.
	AuditLog string
	// TLS is how connections are encrypted; nil: they are not.
	TLS *TLS
	// CacheSize bounds cached bodies, in bytes.
	CacheSize int64
	// MemoryCache bounds small bodies kept in memory, in bytes.
	MemoryCache int64
	// ReserveSpace is the free space, in bytes, that cached bodies never use.
	ReserveSpace int64
	// SandboxWithout are layers of the plugins' sandbox that are left out.
	SandboxWithout []string
	// Cooldown holds new versions back.
	Cooldown Cooldown
	// Plugins has settings of plugins that have a block, by name.
	Plugins map[string]Plugin
	// Repositories in the order of the file.
	Repositories []*Repository

	warnings hcl.Diagnostics
}

// Cooldown says how long new versions are held back.
type Cooldown struct {
	// Default for all packages.
	Default time.Duration
	// Ecosystems by plugin name.
	Ecosystems map[string]time.Duration
	// Packages by package URL pattern, in the order of the file.
	Packages []PackageRule
}

// PackageRule is a cool-down for packages that match a purl.
type PackageRule struct {
	// Pattern as written: "pkg:npm/@acme/*", "pkg:npm/lodash@4.*".
	Pattern string
	// Type, Name and Version are the pattern's parts; Version may be empty.
	Type, Name, Version string
	// Window is how long.
	Window time.Duration
}

// Plugin is how one plugin is run.
type Plugin struct {
	// Name of the plugin and its binary.
	Name string
	// SHA256 that the binary must have, in hex; empty: any.
	SHA256 string
	// Memory is what its garbage collector keeps within, in bytes; 0: no bound.
	Memory int64
	// Idle is after how long without a question it is stopped, to be started
	// again by the next; 0: never.
	Idle time.Duration
	// Attach is a process to use instead of starting one; empty: none.
	Attach string
	// Range is where it is configured.
	Range hcl.Range
}

// idle is after how long plugins are stopped unless the configuration says
// otherwise. What they said is kept, and to start one takes some 50 ms.
const idle = time.Minute

// Plugin is how a plugin is run, also one that has no block.
func (c *Config) Plugin(name string) Plugin {
	if p, ok := c.Plugins[name]; ok {
		return p
	}
	return Plugin{Name: name, Idle: idle}
}

// Repository is one mount.
type Repository struct {
	// Name is unique.
	Name string
	// Plugin is the ecosystem plugin.
	Plugin string
	// Path is the mount, beginning with a slash and without one at its end.
	Path string
	// Upstreams in order; empty: the plugin's default.
	Upstreams []*Upstream
	// TTL is how long a document is served without asking upstream.
	TTL time.Duration
	// NegativeTTL is how long "not found" is believed.
	NegativeTTL time.Duration
	// MaxStale is how long after its TTL a document may still be served when
	// upstream cannot be reached.
	MaxStale time.Duration
	// HoldUnknown holds what has no publish time at the first look, or only one
	// that its author claims.
	HoldUnknown bool
	// ServeRemoved keeps serving cached files of versions gone upstream.
	ServeRemoved bool
	// MaxDocument and MaxArtifact bound what is read from upstream, in bytes.
	MaxDocument, MaxArtifact int64
	// Prefetch bounds what is fetched beforehand of a state that upstream has left
	// behind, in bytes, besides files of packages that clients use.
	Prefetch int64
	// Hosted says which packages of its own it has; nil: none.
	Hosted *Hosted
	// Directories hold package files that are served, too.
	Directories []*Directory
	// AllowHosts are hosts with private addresses that upstream's documents may
	// point at, besides the upstreams' own.
	AllowHosts []string
	// Anonymous are the actions that need no token; nil: not said, see
	// [Config.AnonymousIn].
	Anonymous []access.Action
	// Range is where it is configured.
	Range hcl.Range

	options hcl.Body
}

// Hosted says which packages a repository has of its own. Names are patterns in
// which * stands for any run of characters.
type Hosted struct {
	// Names are ours alone: upstream is never asked for them.
	Names []string
	// Merge are names whose versions are both ours and upstream's.
	Merge []string
	// Any allows any name to be published, which then hides upstream's.
	Any bool
	// Overwrite allows published files to be replaced.
	Overwrite bool
	// Quota bounds the bytes of the repository's files; 0: no bound.
	Quota int64
	// Unused is how long files are kept that no other needs any more.
	Unused time.Duration
	// Range is where the block stands; zero: there is none, only directories.
	Range hcl.Range
}

// Directory is a tree with package files.
type Directory struct {
	// Path of it.
	Path string
	// Match are patterns of the files' paths below it, in which * stands for any
	// run of characters without a slash and ** for any run; nil: all files.
	Match []string
	// Refresh is how often it is looked at.
	Refresh time.Duration
	// Range is where the block stands.
	Range hcl.Range
}

// Upstream is one registry to ask.
type Upstream struct {
	// Name is the block's label.
	Name string
	// Role is which of the plugin's upstreams it is; empty: the one of that
	// name, else the first.
	Role string
	// URL is the base address.
	URL *url.URL
	// Failover says that the next upstream is asked also when this one fails,
	// not only when it has nothing. For mirrors of the same content.
	Failover bool
	// Username and Password are sent as Basic credentials.
	Username, Password string
	// Token is sent as a Bearer credential.
	Token string
	// Header and Value are sent as they are; empty: none.
	Header, Value string
	// CA is a file of PEM certificates to trust besides the system's.
	CA string
	// Timeout bounds the wait for the beginning of an answer and, up to ten seconds,
	// for more of its body.
	Timeout time.Duration
	// Range is where it is configured.
	Range hcl.Range
}

// Defaults where the file says nothing.
const (
	DefaultRefresh      = time.Hour
	DefaultUnused       = 24 * time.Hour
	DefaultTTL          = 5 * time.Minute
	DefaultNegativeTTL  = time.Minute
	DefaultMaxStale     = 7 * 24 * time.Hour
	DefaultTimeout      = 30 * time.Second
	DefaultCacheSize    = 50 << 30
	DefaultMemoryCache  = 128 << 20
	DefaultReserveSpace = 256 << 20
	DefaultMaxDocument  = 256 << 20
	DefaultMaxArtifact  = 16 << 30
)
