package daemon

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/plugins"
	"github.com/entrepot-registry/entrepot/host/internal/server"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// checker has a new binary accept the options of its repositories.
func (d *Daemon) checker(c *config.Config, name string) func(*wire.Client, *pb.DescribeResponse) error {
	return func(client *wire.Client, describe *pb.DescribeResponse) error {
		for _, r := range c.Repositories {
			if r.Plugin != name {
				continue
			}
			options, diags := r.DecodeOptions(describe.GetOptions())
			if diags.HasErrors() {
				return Diagnostics{diags}
			}
			ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
			resp, err := client.Configure(ctx, r.Name, options, upstream.Roles(r.Upstreams, fromEnvironment(describe.GetUpstreams())))
			cancel()
			if err != nil {
				return err
			}
			if diags := configured(r, resp); diags.HasErrors() {
				return Diagnostics{diags}
			}
		}
		return nil
	}
}

// build makes the site of a configuration.
func (d *Daemon) build(c *config.Config, all map[string]*plugins.Plugin) (*server.Site, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	site := &server.Site{Address: server.Address{Base: c.BaseURL, Trusted: c.TrustedProxies}}
	if _, port, err := net.SplitHostPort(c.Listen); err == nil {
		site.Address.Port = port
	}
	for _, h := range c.Hosts {
		site.Address.Hosts = append(site.Address.Hosts, strings.ToLower(h))
	}
	for _, r := range c.Repositories {
		p := all[r.Plugin]
		describe := p.Describe()
		if describe == nil {
			continue // it could not be started, which is an error already
		}
		options, more := r.DecodeOptions(describe.GetOptions())
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		defaults, urgent, rules := describe.GetUpstreams(), describe.GetUrgent(), describe.GetNames()
		var watch []string
		if p.Running() || p.Idle() {
			resp, err := p.Configure(d.ctx, r.Name, options, upstream.Roles(r.Upstreams, fromEnvironment(defaults)))
			if err != nil {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Plugin does not answer", Detail: err.Error(), Subject: &r.Range})
				continue
			}
			more := configured(r, resp)
			diags = append(diags, more...)
			if more.HasErrors() {
				continue
			}
			diags = append(diags, checkServes(r, resp.GetUpstreams())...)
			defaults, urgent, rules, watch = resp.GetUpstreams(), resp.GetUrgent(), resp.GetNames(), resp.GetWatch()
		}
		diags = append(diags, checkUpstreams(r, defaults)...)
		diags = append(diags, checkHosting(r, describe)...)
		set, err := upstream.New(upstream.Options{
			Upstreams: r.Upstreams, Defaults: fromEnvironment(defaults), Allow: append(configuredHosts(options, defaults), r.AllowHosts...),
			UserAgent: "entrepot/" + d.o.Version + " (+https://github.com/entrepot-registry/entrepot)",
			Observe:   d.metrics.Upstream,
		})
		if err != nil {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad upstream", Detail: err.Error(), Subject: &r.Range})
			continue
		}
		own := *r
		own.Anonymous = c.AnonymousIn(r)
		if own.Hosted == nil && describe.GetCapabilities().GetHost() {
			// What is ours stays ours when nothing is published here any more.
			some, err := d.cache.Catalog().Any(r.Name)
			if err != nil {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Packages cannot be read", Detail: err.Error(), Subject: &r.Range})
				continue
			}
			if some {
				own.Hosted = &config.Hosted{Unused: config.DefaultUnused}
			}
		}
		site.Repositories = append(site.Repositories, &cache.Repository{
			Repository: &own, Ecosystem: p, Options: options, Hosts: site.Address.Names(), Upstreams: set, Describe: describe, Urgent: urgent, Watch: watch, Names: wire.NamesOf(rules), Gate: d.scanner.Gate(&own),
		})
	}
	return site, diags
}

// configuredHosts are those of default upstreams whose addresses the options
// name: whoever configured them may mean a private address.
func configuredHosts(options string, defaults []*pb.Upstream) []string {
	var hosts []string
	for _, d := range defaults {
		if u, err := url.Parse(d.GetUrl()); err == nil && u.Hostname() != "" && strings.Contains(options, u.Host) {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// fromEnvironment fills in default upstreams that a plugin leaves to variables
// of ours.
func fromEnvironment(defaults []*pb.Upstream) []*pb.Upstream {
	var out []*pb.Upstream
	for _, u := range defaults {
		at := u.GetUrl()
		for _, name := range u.GetVariables() {
			if v := os.Getenv(name); v != "" {
				at = v
				break
			}
		}
		out = append(out, &pb.Upstream{Role: u.GetRole(), Url: at, Failover: u.GetFailover()})
	}
	return out
}

// configured turns a plugin's complaints into diagnostics at their lines.
func configured(r *config.Repository, resp *pb.ConfigureResponse) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, d := range resp.GetDiagnostics() {
		at, what := r.OptionRange(d.GetOption()), "its options"
		if d.GetOption() == "" {
			what = "to serve this repository"
		}
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Plugin " + r.Plugin + " refuses " + what, Detail: d.GetMessage(), Subject: &at})
	}
	return diags
}

// checkUpstreams refuses upstreams of a role that the plugin does not know, and
// those at addresses that are never asked.
func checkUpstreams(r *config.Repository, defaults []*pb.Upstream) hcl.Diagnostics {
	var roles []string
	for _, d := range defaults {
		roles = append(roles, d.GetRole())
	}
	var diags hcl.Diagnostics
	refuse := func(host string, at hcl.Range) {
		if err := upstream.CheckHost(host); err != nil {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad host", Subject: &at,
				Detail: fmt.Sprintf("%s would never be asked: %s.", host, err)})
		}
	}
	for _, host := range r.AllowHosts {
		refuse(host, r.Range)
	}
	for _, u := range r.Upstreams {
		refuse(u.URL.Hostname(), u.Range)
		for _, d := range defaults {
			if detail := tooDeep(u.URL, d.GetBelow()); detail != "" {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad upstream", Subject: &u.Range, Detail: detail})
				break
			}
		}
		if u.Role != "" && !slices.Contains(roles, u.Role) && !slices.Contains(roles, "*") {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unknown role", Subject: &u.Range,
				Detail: fmt.Sprintf("Plugin %s has no upstream of role %q; write one of %s, or leave role out.", r.Plugin, u.Role, strings.Join(roles, ", "))})
		}
	}
	return diags
}

// tooDeep says what is wrong with the address of an upstream that has the path in it
// below which all is asked of it anyway; empty: it has not.
func tooDeep(u *url.URL, below string) string {
	before, after, has := strings.Cut(u.Path+"/", below+"/")
	if below == "" || !has {
		return ""
	}
	base := *u
	base.Path, base.RawPath = before, ""
	detail := fmt.Sprintf("All that is asked of %s is asked below %s, which the plugin adds: write %q", u, below, base.String())
	if after = strings.Trim(after, "/"); after != "" {
		detail += fmt.Sprintf(", and ask for names that begin with %s/", after)
	}
	return detail + "."
}

// checkServes refuses a repository that can only say that there is nothing: its
// plugin asks upstreams of which none is known, and it has no packages of its own.
func checkServes(r *config.Repository, defaults []*pb.Upstream) hcl.Diagnostics {
	known := slices.ContainsFunc(fromEnvironment(defaults), func(d *pb.Upstream) bool { return d.GetUrl() != "" && d.GetRole() == defaults[0].GetRole() })
	if known || len(defaults) == 0 || len(r.Upstreams) > 0 || r.Hosted != nil {
		return nil
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Nothing to serve", Subject: &r.Range,
		Detail: fmt.Sprintf("Plugin %s knows no upstream by itself: write an upstream block, or set the option, or the environment's variable, that names one (entrepot plugin describe %[1]s), or have packages of your own in a hosted or directory block.", r.Plugin)}}
}

// checkHosting refuses packages of one's own where the plugin cannot have any:
// it reads no package files and, to publish, takes no requests but GET.
func checkHosting(r *config.Repository, describe *pb.DescribeResponse) hcl.Diagnostics {
	if describe.GetCapabilities().GetHost() {
		return nil
	}
	var diags hcl.Diagnostics
	refuse := func(block string, at hcl.Range) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Plugin cannot host", Subject: &at,
			Detail: fmt.Sprintf("Plugin %s cannot host packages; remove the %s block, or use a plugin that can (its author gives it a Package).", r.Plugin, block)})
	}
	takes := slices.ContainsFunc(describe.GetRoutes(), func(route string) bool { return !strings.HasPrefix(route, "GET ") })
	if r.Hosted != nil && r.Hosted.Range.Filename != "" && !takes {
		refuse("hosted", r.Hosted.Range)
	}
	for _, d := range r.Directories {
		refuse("directory", d.Range)
	}
	return diags
}
