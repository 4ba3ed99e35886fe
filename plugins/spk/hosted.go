package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// hosted are the packages published here that a device can install: of each the
// file of the newest version.
func hosted(in *sdk.Input, q question) ([]object, error) {
	all := []object{}
	for _, p := range in.HostedPackages() {
		var best *sdk.Hosted
		var of kept
		for i := range p.Files {
			f := &p.Files[i]
			k, err := keptOf(*f)
			if err != nil {
				return nil, err
			}
			if f.Version.Yanked || !q.runs(k.Info.platforms()) || !q.takes(k.Info.first(), k.Info["os_max_ver"]) || k.Info.yes("beta", false) && !q.beta {
				continue
			}
			if best == nil || better(q, *f, k, *best, of) {
				best, of = f, k
			}
		}
		if best != nil {
			all = append(all, of.entry(in, q, *best))
		}
	}
	return all, nil
}

func keptOf(f sdk.Hosted) (kept, error) {
	var k kept
	if err := json.Unmarshal(f.File.Extra, &k); err != nil {
		return k, fmt.Errorf("what is kept of %s %s: %w", f.Version.Name, f.Version.Version, err)
	}
	return k, nil
}

// better reports whether a file is to be installed rather than another: that of
// the higher version, for the later DSM, and for fewer platforms.
func better(q question, f sdk.Hosted, k kept, other sdk.Hosted, of kept) bool {
	if c := compare(f.Version.Version, other.Version.Version); c != 0 {
		return c > 0
	}
	if a, b := parseOS(k.Info.first()), parseOS(of.Info.first()); a != b {
		return before(b, a)
	}
	exact := slices.Contains(k.Info.platforms(), q.arch)
	return exact && !slices.Contains(of.Info.platforms(), q.arch)
}

// entry is a file published here as an answer has it.
func (k kept) entry(in *sdk.Input, q question, f sdk.Hosted) object {
	i := k.Info
	o := object{}
	o.set("package", f.Version.Name)
	o.set("version", f.Version.Version)
	o.set("dname", or(i.in("displayname", q.language), f.Version.Name))
	o.set("desc", i.in("description", q.language))
	o.set("link", in.URL(f.File.Path))
	o.set("size", f.File.Size)
	for _, d := range f.File.Digests {
		if d.Algorithm == "md5" {
			o.set("md5", hex.EncodeToString(d.Sum))
		}
	}
	icons, retina := []string{}, []string{}
	for _, size := range []string{"72", "256"} {
		if k.Icons[size] != nil {
			icons = append(icons, in.URL(iconPath(f, k, size)))
		}
	}
	if k.Icons["256"] != nil {
		retina = append(retina, in.URL(iconPath(f, k, "256")))
	}
	o.set("thumbnail", icons)
	o.set("thumbnail_retina", retina)
	o.set("snapshot", []string{})
	startable := i.yes("startable", i.yes("ctl_stop", true))
	o.set("qinst", !k.License && !k.Install)
	o.set("qupgrade", !k.License && !k.Upgrade)
	o.set("qstart", !k.License && !k.Install && startable)
	o.set("start", startable)
	o.set("startable", startable)
	o.set("deppkgs", packages(k.Needs, i["install_dep_packages"]))
	o.set("conflictpkgs", packages(k.Conflicts, i["install_conflict_packages"]))
	o.set("depsers", nullable(i["start_dep_services"]))
	o.set("beta", i.yes("beta", false))
	for _, name := range []string{"changelog", "maintainer", "maintainer_url", "distributor", "distributor_url", "support_url", "report_url", "auto_upgrade_from"} {
		if i[name] != "" {
			o.set(name, i[name])
		}
	}
	for _, name := range []string{"silent_install", "silent_uninstall", "silent_upgrade"} {
		o.set(name, i.yes(name, false))
	}
	o.set("thirdparty", true)
	o.set("type", 0)
	o.set("price", 0)
	o.set("category", 0)
	o.set("subcategory", 0)
	o.set("download_count", 0)
	o.set("recent_download_count", 0)
	return o
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// packages are other packages that one needs or cannot stand, from a file or
// else from INFO, which has them between colons; nil: there are none.
func packages(sections map[string]map[string]string, names string) map[string]map[string]string {
	if len(sections) > 0 {
		return sections
	}
	for name := range strings.SplitSeq(names, ":") {
		name, version, _ := strings.Cut(strings.TrimSpace(name), ">")
		if name == "" {
			continue
		}
		if sections == nil {
			sections = map[string]map[string]string{}
		}
		sections[name] = map[string]string{}
		if version = strings.TrimPrefix(version, "="); version != "" {
			sections[name]["pkg_min_ver"] = version
		}
	}
	return sections
}

func iconPath(f sdk.Hosted, k kept, size string) string {
	return "/icons/" + url.PathEscape(f.Version.Name) + "/" + url.PathEscape(f.Version.Version) + "/" + url.PathEscape(k.tag()) + "/" + size + ".png"
}

// planIcon serves an icon out of a package published here.
func planIcon(r sdk.Request) sdk.Plan {
	name, version, tag, size := r.Get("name"), r.Get("version"), r.Get("tag"), r.Get("size")
	if !validName(name) || !validVersion(version) {
		return sdk.NotFound("no package has such a name and version")
	}
	path := "/icons/" + url.PathEscape(name) + "/" + url.PathEscape(version) + "/" + url.PathEscape(tag) + "/" + url.PathEscape(size) + ".png"
	return sdk.Document{Path: path, Name: name, Query: true, Render: func(in *sdk.Input) error {
		if ours := in.Hosted(name); ours != nil {
			for _, f := range ours.Files {
				k, err := keptOf(f)
				if err != nil {
					return err
				}
				if f.Version.Version == version && k.tag() == tag && k.Icons[size] != nil {
					_, err := in.Output("", "image/png").Write(k.Icons[size])
					return err
				}
			}
		}
		return sdk.NotFound("no package published here has such an icon")
	}}
}
