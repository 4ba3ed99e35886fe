package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/entrepot-registry/entrepot/sdk"
)

// hostedVersions are the versions of a module that are published here, the
// lowest first; nil: none is.
func hostedVersions(ours *sdk.HostedPackage) []string {
	if ours == nil {
		return nil
	}
	var all []string
	for _, f := range ours.Files {
		all = append(all, f.Version.Version)
	}
	slices.SortFunc(all, semver.Compare)
	return all
}

// hostedVersion is a version published here; nil: it is not.
func hostedVersion(ours *sdk.HostedPackage, version string) *sdk.Hosted {
	if ours == nil {
		return nil
	}
	for i := range ours.Files {
		if ours.Files[i].Version.Version == version {
			return &ours.Files[i]
		}
	}
	return nil
}

// tellHosted answers with the .info of a version published here. Its time is
// when it was.
func tellHosted(in *sdk.Input, h *sdk.Hosted) error {
	text, err := json.Marshal(info{Version: h.Version.Version, Time: h.Version.Published.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return write(in, text)
}

// planMod serves a version's go.mod: of what is published here the one in the
// zip.
func planMod(r sdk.Request) sdk.Plan {
	const contentType = "text/plain; charset=utf-8"
	m, err := fixedVersion(r)
	if err != nil {
		return notFound(err)
	}
	return sdk.Document{Path: filePath(m, ".mod"), Name: m.Path, Query: true, Render: func(in *sdk.Input) error {
		h := hostedVersion(in.Hosted(m.Path), m.Version)
		if h == nil {
			return in.Answer(fileOf(m, ".mod", contentType))
		}
		var k kept
		if err := json.Unmarshal(h.File.Extra, &k); err != nil {
			return fmt.Errorf("what is kept of %s@%s: %w", m.Path, m.Version, err)
		}
		_, err := in.Output("", contentType).Write([]byte(k.Mod))
		return err
	}}
}

// withHosted are versions of upstream's with those published here after them.
func withHosted(shown, own []string) []string {
	shown = slices.Clone(shown)
	for _, version := range own {
		if !slices.Contains(shown, version) && !module.IsPseudoVersion(version) {
			shown = append(shown, version)
		}
	}
	return shown
}
