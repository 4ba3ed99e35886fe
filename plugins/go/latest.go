package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planLatest serves what is known of a module's latest version, of those that
// policy keeps. The go command asks for it where the list has no version.
func planLatest(r sdk.Request) sdk.Plan {
	path, err := modulePath(r)
	if err != nil {
		return notFound(err)
	}
	return sdk.Document{
		Path: latestPath(path),
		Name: path,
		From: []sdk.Source{
			{URL: listPath(path), Optional: true},
			{URL: latestPath(path), Optional: true},
		},
		History: true,
		Render:  func(in *sdk.Input) error { return renderLatest(in, path) },
	}
}

// renderLatest answers with the highest version on the list that is kept. Where
// none is tagged it is the commit that upstream calls the latest, or the newest
// pseudo-version on the list.
func renderLatest(in *sdk.Input, path string) error {
	list, latest := in.Docs()[0], in.Docs()[1]
	ours := in.Hosted(path)
	own := hostedVersions(ours)
	if !list.OK() && !latest.OK() {
		if err := neither(path, list, latest); own == nil || !errors.As(err, new(sdk.Failure)) {
			return err
		}
	}
	var all []listed
	if list.OK() {
		var err error
		if all, err = parseList(path, list.Body); err != nil {
			return err
		}
	}
	shown, ok, err := survey(in, path, all)
	if !ok || err != nil {
		return err
	}
	newest := highest(append(slices.Clone(shown), own...))
	h := hostedVersion(ours, newest)
	switch {
	case h != nil && !(module.IsPseudoVersion(newest) && latest.OK()):
		return tellHosted(in, h)
	case newest != "" && !module.IsPseudoVersion(newest):
		return tell(in, module.Version{Path: path, Version: newest})
	case latest.OK() && !tagged(all):
		return follow(in, path, latest)
	case newest != "":
		return tell(in, module.Version{Path: path, Version: newest})
	case len(all) > 0:
		return in.Held()
	}
	return sdk.NotFound("not found: upstream knows no version of " + path)
}

// tagged reports whether a list has more than pseudo-versions.
func tagged(list []listed) bool {
	return slices.ContainsFunc(list, func(l listed) bool { return !module.IsPseudoVersion(l.version) })
}

// tell answers with a version's own .info.
func tell(in *sdk.Input, m module.Version) error {
	doc, ok := in.Doc(infoSource(m))
	if !ok {
		return nil
	}
	if !doc.OK() {
		return fmt.Errorf("it lists %s %s, but answers %d for its .info", m.Path, m.Version, doc.Status)
	}
	i, err := readInfo(doc, m.Version)
	if err != nil {
		return err
	}
	if !in.Keep(sdk.Version{Name: m.Path, Version: m.Version, Published: i.published(), Claimed: true}) {
		return in.HeldVersion(m.Path, m.Version)
	}
	return write(in, doc.Body)
}

// neither is the answer where upstream has neither a list nor a latest version.
func neither(path string, docs ...*sdk.Doc) error {
	for _, d := range docs {
		if d.Status != http.StatusNotFound && d.Status != http.StatusGone {
			return errors.New("neither the list of versions nor the latest version can be had")
		}
	}
	return sdk.NotFound("not found: upstream knows no module " + path)
}

// highest is the version that clients choose: the highest release, else the
// highest pre-release, else the newest pseudo-version. Empty: there is none.
func highest(versions []string) string {
	best := ""
	for _, v := range versions {
		if best == "" || choose(v, best) {
			best = v
		}
	}
	return best
}

// choose reports whether clients choose one version rather than another.
func choose(a, b string) bool {
	if x, y := class(a), class(b); x != y {
		return x > y
	}
	if s, err := module.PseudoVersionTime(a); err == nil {
		if t, err := module.PseudoVersionTime(b); err == nil && !s.Equal(t) {
			return s.After(t)
		}
	}
	return semver.Compare(a, b) > 0
}

// class orders kinds of versions by how readily clients choose them.
func class(version string) int {
	switch {
	case module.IsPseudoVersion(version):
		return 0
	case semver.Prerelease(version) != "":
		return 1
	case semver.Build(version) != "":
		return 2 // +incompatible
	}
	return 3
}
