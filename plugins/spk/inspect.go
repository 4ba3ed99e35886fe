package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// kept is what is kept of a package file that is published here.
type kept struct {
	Info info `json:"info"`
	// Icons are PNG files by their size in pixels, "72" or "256".
	Icons map[string][]byte `json:"icons,omitempty"`
	// Install and Upgrade are whether a wizard asks questions then.
	Install bool `json:"install_wizard,omitempty"`
	Upgrade bool `json:"upgrade_wizard,omitempty"`
	License bool `json:"license,omitempty"`
	// Signed is whether it carries a signature.
	Signed bool `json:"signed,omitempty"`
	// Needs and Conflicts are other packages, with what is said of them.
	Needs     map[string]map[string]string `json:"needs,omitempty"`
	Conflicts map[string]map[string]string `json:"conflicts,omitempty"`
}

// Bounds of what is kept of a package, which every answer reads.
const (
	maxInfo = 256 << 10
	maxIcon = 256 << 10
)

func packageFiles() *sdk.Package {
	return &sdk.Package{
		Peek: []string{
			"tar:INFO", "tar:PACKAGE_ICON*.PNG", "tar:WIZARD_UIFILES/*", "tar:LICENSE", "tar:conf/PKG_DEPS", "tar:conf/PKG_CONX", "tar:syno_signature.asc",
		},
		Inspect:   inspect,
		Canonical: canonical,
	}
}

// inspect says of which version a package file is, by its INFO (Synology package
// developer guide, "package structure").
func inspect(m *sdk.Members) (sdk.Entry, error) {
	text, ok := m.First("INFO")
	switch {
	case !ok:
		return sdk.Entry{}, errors.New("it is no package (.spk): a tar archive with a file INFO at its top")
	case len(text) > maxInfo:
		return sdk.Entry{}, fmt.Errorf("the package's INFO has more than %d bytes", maxInfo)
	}
	k := kept{Info: parseInfo(string(bytes.ToValidUTF8(text, []byte("\ufffd")))), Icons: map[string][]byte{}}
	name, version := k.Info["package"], k.Info["version"]
	switch {
	case !validName(name):
		return sdk.Entry{}, fmt.Errorf("the package's INFO has the package %q, which no package can be called", name)
	case !validVersion(version):
		return sdk.Entry{}, fmt.Errorf("the package's INFO has the version %q, which is none", version)
	}
	for _, platform := range k.Info.platforms() {
		if !archPattern.MatchString(platform) {
			return sdk.Entry{}, fmt.Errorf("the package's INFO has the arch %q, which is none", platform)
		}
	}
	if err := k.look(m); err != nil {
		return sdk.Entry{}, err
	}
	extra, err := json.Marshal(k)
	return sdk.Entry{
		Version: sdk.Version{Name: name, Version: version},
		Path:    filePath(name, version, k.tag(), name+"-"+version+".spk"),
		Extra:   extra,
	}, err
}

// tag tells the files of one version apart, which are for different platforms
// and DSMs.
func (k kept) tag() string {
	tag := strings.Join(append(k.Info.platforms(), k.Info.first()), "-")
	if tag = strings.Trim(tag, "-"); len(tag) > 60 {
		return shortHash(tag)
	}
	return tag
}

// look reads the other members.
func (k *kept) look(m *sdk.Members) error {
	for _, member := range m.All() {
		switch {
		case member.Name == "PACKAGE_ICON.PNG":
			k.Icons["72"] = member.Body
		case member.Name == "PACKAGE_ICON_256.PNG", member.Name == "PACKAGE_ICON_120.PNG" && k.Icons["256"] == nil:
			k.Icons["256"] = member.Body
		case strings.HasPrefix(member.Name, "WIZARD_UIFILES/install_uifile"):
			k.Install = true
		case strings.HasPrefix(member.Name, "WIZARD_UIFILES/upgrade_uifile"):
			k.Upgrade = true
		case member.Name == "LICENSE":
			k.License = true
		case member.Name == "syno_signature.asc":
			k.Signed = true
		case member.Name == "conf/PKG_DEPS":
			k.Needs = parseSections(string(member.Body))
		case member.Name == "conf/PKG_CONX":
			k.Conflicts = parseSections(string(member.Body))
		}
	}
	for key, size := range map[string]string{"package_icon": "72", "package_icon_120": "256", "package_icon_256": "256"} {
		text := strings.TrimPrefix(k.Info[key], "data:image/png;base64,")
		delete(k.Info, key)
		if icon, err := base64.StdEncoding.DecodeString(text); err == nil && len(icon) > 0 && k.Icons[size] == nil {
			k.Icons[size] = icon
		}
	}
	for size, icon := range k.Icons {
		if len(icon) > maxIcon || !bytes.HasPrefix(icon, []byte("\x89PNG\r\n\x1a\n")) {
			return fmt.Errorf("the package's icon of %s pixels is no PNG file of up to %d bytes", size, maxIcon)
		}
	}
	return nil
}

// parseSections reads a file of [package] sections with key=value lines.
func parseSections(text string) map[string]map[string]string {
	all := map[string]map[string]string{}
	var section map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = map[string]string{}
			all[strings.TrimSuffix(name, "]")] = section
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section != nil {
			section[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return all
}
