package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"

	"github.com/entrepot-registry/entrepot/host/internal/sandbox"
)

// file mirrors config.hcl; attributes that need more than HCL's own types are
// read from their expressions, so that errors can point at them.
type file struct {
	Listen         *hcl.Attribute  `hcl:"listen"`
	DataDir        *hcl.Attribute  `hcl:"data_dir"`
	PluginDir      *hcl.Attribute  `hcl:"plugin_dir"`
	BaseURL        *hcl.Attribute  `hcl:"base_url"`
	Hosts          *hcl.Attribute  `hcl:"hosts"`
	TrustedProxies *hcl.Attribute  `hcl:"trusted_proxies"`
	LogLevel       *hcl.Attribute  `hcl:"log_level"`
	LogFormat      *hcl.Attribute  `hcl:"log_format"`
	AccessLog      *hcl.Attribute  `hcl:"access_log"`
	AuditLog       *hcl.Attribute  `hcl:"audit_log"`
	CacheSize      *hcl.Attribute  `hcl:"cache_size"`
	MemoryCache    *hcl.Attribute  `hcl:"memory_cache"`
	ReserveSpace   *hcl.Attribute  `hcl:"reserve_space"`
	SandboxWithout *hcl.Attribute  `hcl:"sandbox_without"`
	TLS            *tlsFile        `hcl:"tls,block"`
	Cooldown       *cooldownFile   `hcl:"cooldown,block"`
	Plugins        []pluginFile    `hcl:"plugin,block"`
	Repositories   []repositoryHCL `hcl:"repository,block"`
}

type tlsFile struct {
	Certificate string    `hcl:"certificate"`
	Key         string    `hcl:"key"`
	Range       hcl.Range `hcl:",def_range"`
}

type cooldownFile struct {
	Default    *hcl.Attribute `hcl:"default"`
	Ecosystems *hcl.Attribute `hcl:"ecosystems"`
	Packages   *hcl.Attribute `hcl:"packages"`
}

type pluginFile struct {
	Name   string         `hcl:"name,label"`
	SHA256 *hcl.Attribute `hcl:"sha256"`
	Memory *hcl.Attribute `hcl:"memory"`
	Idle   *hcl.Attribute `hcl:"idle"`
	Attach *string        `hcl:"attach"`
	Range  hcl.Range      `hcl:",def_range"`
}

type repositoryHCL struct {
	Name        string         `hcl:"name,label"`
	Plugin      *string        `hcl:"plugin"`
	Path        *hcl.Attribute `hcl:"path"`
	TTL         *hcl.Attribute `hcl:"ttl"`
	NegativeTTL *hcl.Attribute `hcl:"negative_ttl"`
	MaxStale    *hcl.Attribute `hcl:"max_stale"`
	Unknown     *hcl.Attribute `hcl:"unknown"`
	Removed     *hcl.Attribute `hcl:"removed"`
	MaxDocument *hcl.Attribute `hcl:"max_document"`
	MaxArtifact *hcl.Attribute `hcl:"max_artifact"`
	Prefetch    *hcl.Attribute `hcl:"prefetch"`
	AllowHosts  *hcl.Attribute `hcl:"allow_hosts"`
	Anonymous   *hcl.Attribute `hcl:"anonymous"`
	Hosted      *hostedHCL     `hcl:"hosted,block"`
	Directories []directoryHCL `hcl:"directory,block"`
	Upstreams   []upstreamHCL  `hcl:"upstream,block"`
	Options     *optionsHCL    `hcl:"options,block"`
	Range       hcl.Range      `hcl:",def_range"`
}

type hostedHCL struct {
	Names     *hcl.Attribute `hcl:"names"`
	Merge     *hcl.Attribute `hcl:"merge"`
	Any       *bool          `hcl:"any"`
	Overwrite *bool          `hcl:"overwrite"`
	Quota     *hcl.Attribute `hcl:"quota"`
	Unused    *hcl.Attribute `hcl:"unused"`
	Range     hcl.Range      `hcl:",def_range"`
}

type directoryHCL struct {
	Path    string         `hcl:"path,label"`
	Match   *hcl.Attribute `hcl:"match"`
	Refresh *hcl.Attribute `hcl:"refresh"`
	Range   hcl.Range      `hcl:",def_range"`
}

type optionsHCL struct {
	Body hcl.Body `hcl:",remain"`
}

type upstreamHCL struct {
	Name     string         `hcl:"name,label"`
	URL      *hcl.Attribute `hcl:"url"`
	Role     *string        `hcl:"role"`
	Failover *bool          `hcl:"failover"`
	Username *string        `hcl:"username"`
	Password *hcl.Attribute `hcl:"password"`
	Token    *hcl.Attribute `hcl:"token"`
	Header   *hcl.Attribute `hcl:"header"`
	Value    *hcl.Attribute `hcl:"value"`
	CA       *hcl.Attribute `hcl:"ca"`
	Timeout  *hcl.Attribute `hcl:"timeout"`
	Range    hcl.Range      `hcl:",def_range"`
}

// Load reads a configuration file. Diagnostics may be warnings only; with
// errors the configuration must not be used.
func Load(path string) (*Config, hcl.Diagnostics) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Configuration cannot be read", Detail: err.Error()}}
	}
	return Parse(src, path)
}

// Parse reads the text of a configuration file called name.
func Parse(src []byte, name string) (*Config, hcl.Diagnostics) {
	parsed, diags := hclparse.NewParser().ParseHCL(src, name)
	if diags.HasErrors() {
		return nil, diags
	}
	var f file
	diags = append(diags, gohcl.DecodeBody(parsed.Body, evaluation(), &f)...)
	r := &reader{diags: diags}
	return r.config(&f), r.diags
}

// reader turns the file's attributes into values and collects complaints.
type reader struct {
	diags hcl.Diagnostics
	// warnings are about what is read all the same.
	warnings hcl.Diagnostics
}

func (r *reader) fail(at hcl.Range, summary, detail string) {
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func (r *reader) config(f *file) *Config {
	c := &Config{
		Listen:         r.listen(f.Listen, "127.0.0.1:8080"),
		DataDir:        r.folder(f.DataDir, "data"),
		PluginDir:      r.folder(f.PluginDir, filepath.Join("bin", "plugins")),
		BaseURL:        r.baseURL(f.BaseURL),
		Hosts:          r.hosts(f.Hosts),
		TrustedProxies: r.prefixes(f.TrustedProxies),
		LogLevel:       r.oneOf(f.LogLevel, "info", logLevels...),
		LogFormat:      r.oneOf(f.LogFormat, "text", logFormats...),
		AccessLog:      r.logFile(f.AccessLog, "-"),
		AuditLog:       r.logFile(f.AuditLog, DefaultAuditLog),
		TLS:            tlsOf(f.TLS),
		CacheSize:      r.size(f.CacheSize, DefaultCacheSize),
		MemoryCache:    r.size(f.MemoryCache, DefaultMemoryCache),
		ReserveSpace:   r.size(f.ReserveSpace, DefaultReserveSpace),
		SandboxWithout: r.layers(f.SandboxWithout),
		Cooldown:       Cooldown{Default: 3 * 24 * time.Hour, Ecosystems: map[string]time.Duration{}},
		Plugins:        map[string]Plugin{},
	}
	if f.Cooldown != nil {
		used := map[string]bool{}
		for _, repo := range f.Repositories {
			used[or(repo.Plugin, repo.Name)] = true
		}
		r.cooldown(f.Cooldown, &c.Cooldown, slices.Sorted(maps.Keys(used)))
	}
	for _, p := range f.Plugins {
		if _, twice := c.Plugins[p.Name]; twice {
			r.fail(p.Range, "Duplicate plugin", fmt.Sprintf("Plugin %q is configured twice; keep one block.", p.Name))
		}
		c.Plugins[p.Name] = Plugin{
			Name: p.Name, SHA256: r.sha256(p.SHA256), Memory: r.size(p.Memory, 0), Idle: r.duration(p.Idle, idle), Attach: or(p.Attach, ""), Range: p.Range,
		}
	}
	names, paths := map[string]bool{}, map[string]string{}
	for i := range f.Repositories {
		repo := r.repository(&f.Repositories[i])
		if names[repo.Name] {
			r.fail(repo.Range, "Duplicate repository", fmt.Sprintf("There are two repositories called %q; rename one.", repo.Name))
		}
		if other, taken := paths[repo.Path]; taken {
			r.fail(repo.Range, "Duplicate path", fmt.Sprintf("Repositories %q and %q are both served at %s; give one another path.", other, repo.Name, repo.Path))
		}
		names[repo.Name], paths[repo.Path] = true, repo.Name
		c.Repositories = append(c.Repositories, repo)
	}
	c.warnings = r.warnings
	return c
}

var (
	logLevels  = []string{"trace", "debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

// baseURL reads the external address and takes the slash off its end; nil: there is
// none, or it is bad.
func (r *reader) baseURL(a *hcl.Attribute) *url.URL {
	u := r.url(a)
	if u == nil {
		return nil
	}
	u = trimSlash(u)
	if !plainPath(u.Path) {
		r.fail(a.Expr.Range(), "Bad address", fmt.Sprintf("%q: write a path that clients send as it is.", u))
		return nil
	}
	return u
}

// plainPath reports whether clients send a path as it is written: there is nothing
// in it to escape, and no segment that they resolve. Empty is one.
func plainPath(p string) bool {
	return p == "" || path.Clean(p) == p && (&url.URL{Path: p}).EscapedPath() == p
}

func trimSlash(u *url.URL) *url.URL {
	trimmed := *u
	trimmed.Path, trimmed.RawPath = strings.TrimRight(u.Path, "/"), ""
	return &trimmed
}

// ownPaths are addresses of the host itself.
var ownPaths = []string{"/healthz", "/readyz", "/metrics"}

var repositoryName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

func (r *reader) cooldown(f *cooldownFile, c *Cooldown, plugins []string) {
	c.Default = r.duration(f.Default, c.Default)
	r.each(f.Ecosystems, func(key string, at hcl.Range, value hcl.Expression) {
		c.Ecosystems[key] = r.durationExpr(value)
		r.ecosystem(key, at, plugins)
	})
	r.each(f.Packages, func(key string, at hcl.Range, value hcl.Expression) {
		rule, err := ParsePackagePattern(key)
		if err != nil {
			r.fail(at, "Bad package pattern", fmt.Sprintf("%q: %s.", key, err))
			return
		}
		rule.Window = r.durationExpr(value)
		r.ecosystem(rule.Type, at, plugins)
		same := func(other PackageRule) bool {
			return other.Type == rule.Type && other.Name == rule.Name && other.Version == rule.Version && other.Pattern != key
		}
		if i := slices.IndexFunc(c.Packages, same); i >= 0 {
			r.fail(at, "Duplicate rule", fmt.Sprintf("%q means the same as %q; keep one.", key, c.Packages[i].Pattern))
		}
		if strings.ContainsAny(rule.Name+rule.Version, "[]{} ") {
			r.warnings = append(r.warnings, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Rule that may fit nothing", Subject: &at,
				Detail: fmt.Sprintf("%q: * and ? alone stand for other characters, and names of packages seldom have brackets, braces or spaces.", key)})
		}
		c.Packages = append(c.Packages, rule)
	})
}

// each walks a map written in the file.
func (r *reader) each(a *hcl.Attribute, visit func(key string, at hcl.Range, value hcl.Expression)) {
	if a == nil {
		return
	}
	pairs, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		key, diags := p.Key.Value(evaluation())
		if diags.HasErrors() || key.Type() != cty.String {
			r.fail(p.Key.Range(), "Bad key", "Write the key as a quoted string.")
			continue
		}
		if seen[key.AsString()] {
			r.fail(p.Key.Range(), "Duplicate key", fmt.Sprintf("%q stands twice; keep one.", key.AsString()))
		}
		seen[key.AsString()] = true
		visit(key.AsString(), p.Key.Range(), p.Value)
	}
}

func (r *reader) text(a *hcl.Attribute) (string, bool) {
	v, diags := a.Expr.Value(evaluation())
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return "", false
	}
	if v.IsNull() || v.Type() != cty.String {
		r.fail(a.Expr.Range(), "Not a string", fmt.Sprintf(`%s must be a quoted string.`, a.Name))
		return "", false
	}
	return v.AsString(), true
}

func (r *reader) duration(a *hcl.Attribute, otherwise time.Duration) time.Duration {
	if a == nil {
		return otherwise
	}
	return r.durationExpr(a.Expr)
}

// positive reads a duration that cannot be nothing.
func (r *reader) positive(a *hcl.Attribute, otherwise time.Duration) time.Duration {
	before := len(r.diags)
	d := r.duration(a, otherwise)
	if d > 0 {
		return d
	}
	if len(r.diags) == before {
		r.fail(a.Expr.Range(), "Bad duration", fmt.Sprintf(`%s cannot be 0: write how long, as "30s", or leave it out.`, a.Name))
	}
	return otherwise
}

func (r *reader) durationExpr(e hcl.Expression) time.Duration {
	v, diags := e.Value(evaluation())
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return 0
	}
	if v.IsNull() || v.Type() != cty.String {
		r.fail(e.Range(), "Bad duration", `Write a quoted duration: "3d", "36h", or "0" for none.`)
		return 0
	}
	d, err := ParseDuration(v.AsString())
	if err != nil {
		r.fail(e.Range(), "Bad duration", strings.ToUpper(err.Error()[:1])+err.Error()[1:]+".")
	}
	return d
}

func (r *reader) size(a *hcl.Attribute, otherwise int64) int64 {
	if a == nil {
		return otherwise
	}
	s, ok := r.text(a)
	if !ok {
		return otherwise
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<62 {
		r.fail(a.Expr.Range(), "Bad size", fmt.Sprintf(`%q is no size: write "50GB" or "512MiB".`, s))
		return otherwise
	}
	if n > 0 && strings.Trim(s, "0123456789") == "" {
		at := a.Expr.Range()
		r.warnings = append(r.warnings, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Size without a unit", Subject: &at,
			Detail: fmt.Sprintf("%q is taken for bytes: write the unit, as %q or %q.", s, s+"B", s+"GB")})
	}
	return int64(n)
}

func (r *reader) url(a *hcl.Attribute) *url.URL {
	if a == nil {
		return nil
	}
	s, ok := r.text(a)
	if !ok {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		r.fail(a.Expr.Range(), "Bad address", fmt.Sprintf(`%q: write a whole address without query, as "https://registry.example.com/path".`, s))
		return nil
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); strings.HasSuffix(u.Host, ":") || u.Port() != "" && (err != nil || port == 0) {
		r.fail(a.Expr.Range(), "Bad address", fmt.Sprintf(`%q: write a port from 1 to 65535 after the colon, as "https://registry.example.com:8443", or none.`, s))
		return nil
	}
	if u.User != nil {
		r.fail(a.Expr.Range(), "Credentials in address", "Write them as username and password, where logs do not show them.")
		return nil
	}
	return u
}

// strings walks a list of strings written in the file.
func (r *reader) strings(a *hcl.Attribute, visit func(s string, at hcl.Range)) {
	if a == nil {
		return
	}
	items, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return
	}
	for _, item := range items {
		v, diags := item.Value(evaluation())
		if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
			r.fail(item.Range(), "Not a string", fmt.Sprintf("%s is a list of quoted strings.", a.Name))
			continue
		}
		visit(v.AsString(), item.Range())
	}
}

func (r *reader) layers(a *hcl.Attribute) []string {
	var out []string
	r.strings(a, func(s string, at hcl.Range) {
		if !slices.Contains(sandbox.Layers, s) {
			r.fail(at, "Unknown layer", fmt.Sprintf("%q: write some of %s.", s, strings.Join(sandbox.Layers, ", ")))
			return
		}
		out = append(out, s)
	})
	return out
}

func (r *reader) prefixes(a *hcl.Attribute) []netip.Prefix {
	var out []netip.Prefix
	r.strings(a, func(s string, at hcl.Range) {
		p, err := ParsePrefix(s)
		if err != nil {
			r.fail(at, "Bad address range", fmt.Sprintf(`%q: write "10.0.0.0/8" or "127.0.0.1".`, s))
			return
		}
		out = append(out, p)
	})
	return out
}

func (r *reader) oneOf(a *hcl.Attribute, otherwise string, allowed ...string) string {
	if a == nil {
		return otherwise
	}
	s, ok := r.text(a)
	if !ok {
		return otherwise
	}
	if !slices.Contains(allowed, s) {
		r.fail(a.Expr.Range(), "Bad value", fmt.Sprintf("%s is %q: write one of %s.", a.Name, s, strings.Join(allowed, ", ")))
		return otherwise
	}
	return s
}

var hexSum = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

func (r *reader) sha256(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	s, ok := r.text(a)
	if ok && !hexSum.MatchString(s) {
		r.fail(a.Expr.Range(), "Bad sha256", "Write 64 hexadecimal digits, as sha256sum prints them.")
	}
	return strings.ToLower(s)
}

// secret reads a credential; env("NAME") and file("path") keep it out of the
// configuration. A secret that turns out empty is an error.
func (r *reader) secret(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	s, ok := r.text(a)
	if ok && s == "" {
		r.fail(a.Expr.Range(), "Empty secret", fmt.Sprintf("%s is empty; is the variable or file set?", a.Name))
	}
	return s
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

// PluginNames are the plugins that the repositories use, sorted.
func (c *Config) PluginNames() []string {
	names := map[string]bool{}
	for _, r := range c.Repositories {
		names[r.Plugin] = true
	}
	return slices.Sorted(maps.Keys(names))
}
