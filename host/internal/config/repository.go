package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

func (r *reader) repository(f *repositoryHCL) *Repository {
	if !repositoryName.MatchString(f.Name) {
		r.fail(f.Range, "Bad repository name", fmt.Sprintf("%q: write lower-case letters, digits, dots, dashes and underscores.", f.Name))
	}
	repo := &Repository{
		Name:         f.Name,
		Plugin:       or(f.Plugin, f.Name),
		Path:         "/" + f.Name,
		TTL:          r.duration(f.TTL, DefaultTTL),
		NegativeTTL:  r.duration(f.NegativeTTL, DefaultNegativeTTL),
		MaxStale:     r.duration(f.MaxStale, DefaultMaxStale),
		HoldUnknown:  r.oneOf(f.Unknown, "serve", "serve", "hold") == "hold",
		ServeRemoved: r.oneOf(f.Removed, "refuse", "refuse", "serve") == "serve",
		MaxDocument:  r.size(f.MaxDocument, DefaultMaxDocument),
		MaxArtifact:  r.size(f.MaxArtifact, DefaultMaxArtifact),
		Prefetch:     r.size(f.Prefetch, 0),
		AllowHosts:   r.allowHosts(f.AllowHosts),
		Anonymous:    r.actions(f.Anonymous),
		Range:        f.Range,
	}
	if f.Path != nil {
		path, ok := r.text(f.Path)
		repo.Path = strings.TrimRight(path, "/")
		if ok && (!strings.HasPrefix(path, "/") || !plainPath(repo.Path)) {
			r.fail(f.Path.Expr.Range(), "Bad path", fmt.Sprintf(`%q: write a path that begins with a slash and that clients send as it is, as "/npm" or "/team/npm".`, path))
		}
	}
	if slices.Contains(ownPaths, repo.Path) {
		at := f.Range
		if f.Path != nil {
			at = f.Path.Expr.Range()
		}
		r.fail(at, "Reserved path", fmt.Sprintf(`%s is answered by entrepot itself; write another path, as path = "/packages%s".`, repo.Path, repo.Path))
	}
	if f.Hosted != nil {
		repo.Hosted = r.hosted(f.Hosted)
	}
	for i := range f.Directories {
		repo.Directories = append(repo.Directories, r.directory(&f.Directories[i]))
	}
	if len(repo.Directories) > 0 && repo.Hosted == nil {
		repo.Hosted = &Hosted{Unused: DefaultUnused} // nothing is published besides
	}
	if f.Options != nil {
		repo.options = f.Options.Body
	}
	for i := range f.Upstreams {
		u := r.upstream(&f.Upstreams[i])
		if slices.ContainsFunc(repo.Upstreams, func(other *Upstream) bool { return other.Name == u.Name }) {
			r.fail(u.Range, "Duplicate upstream", fmt.Sprintf("Repository %q has two upstreams called %q; rename one.", repo.Name, u.Name))
		}
		repo.Upstreams = append(repo.Upstreams, u)
	}
	return repo
}

func (r *reader) directory(f *directoryHCL) *Directory {
	d := &Directory{Path: filepath.Clean(f.Path), Refresh: r.positive(f.Refresh, DefaultRefresh), Range: f.Range}
	if f.Path == "" {
		r.fail(f.Range, "Empty path", `Write a directory's path, as directory "/srv/packages" {}.`)
	}
	r.strings(f.Match, func(s string, _ hcl.Range) { d.Match = append(d.Match, s) })
	return d
}

func (r *reader) hosted(f *hostedHCL) *Hosted {
	h := &Hosted{
		Any:       f.Any != nil && *f.Any,
		Overwrite: f.Overwrite != nil && *f.Overwrite,
		Quota:     r.size(f.Quota, 0),
		Unused:    r.duration(f.Unused, DefaultUnused),
		Range:     f.Range,
	}
	names := func(into *[]string) func(string, hcl.Range) {
		return func(s string, at hcl.Range) {
			if s == "" {
				r.fail(at, "Empty name", `Write a name, or a pattern as "@acme/*".`)
				return
			}
			*into = append(*into, s)
		}
	}
	r.strings(f.Names, names(&h.Names))
	r.strings(f.Merge, names(&h.Merge))
	return h
}

func (r *reader) upstream(f *upstreamHCL) *Upstream {
	u := &Upstream{
		Name:     f.Name,
		Role:     or(f.Role, ""),
		URL:      r.url(f.URL),
		Failover: f.Failover != nil && *f.Failover,
		Username: or(f.Username, ""),
		Password: r.secret(f.Password),
		Token:    r.headerValue(f.Token),
		Header:   r.headerName(f.Header),
		Value:    r.headerValue(f.Value),
		CA:       r.certificates(f.CA),
		Timeout:  r.positive(f.Timeout, DefaultTimeout),
		Range:    f.Range,
	}
	kinds := 0
	for _, set := range []bool{u.Username != "" || u.Password != "", u.Token != "", u.Header != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		r.fail(f.Range, "Several credentials", "Write one of username and password, token, or header and value.")
	}
	if (f.Header == nil) != (f.Value == nil) {
		r.fail(f.Range, "Incomplete header", "Write header and value together.")
	}
	if f.URL == nil {
		r.fail(f.Range, "Missing address", fmt.Sprintf(`Upstream %q needs a url, as url = "https://registry.example.com".`, f.Name))
	}
	if u.URL == nil {
		u.URL = &url.URL{Scheme: "https", Host: "upstream.invalid"} // what else is wrong is to be told, too
	}
	return u
}
