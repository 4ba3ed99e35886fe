package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planIndex serves a crate's index file. The folders must be those of the
// name; upper case is answered as the lower case that cargo asks for.
func planIndex(r sdk.Request) sdk.Plan {
	name := canonical(r.Get("crate"))
	if !validName(name) || canonical(r.Path) != indexPath(name) {
		return sdk.NotFound("no such file in a cargo index")
	}
	return indexDocument(name)
}

// indexDocument is the index file of a crate, by its canonical name.
func indexDocument(name string) sdk.Document {
	path := indexPath(name)
	return sdk.Document{
		Path:   path,
		Name:   name,
		From:   []sdk.Source{{URL: path, Role: roleIndex}, configSource},
		Render: func(in *sdk.Input) error { return renderIndex(in, name) },
	}
}

// planDownload serves a crate file. All that is known of it stands in the
// crate's index file.
func planDownload(r sdk.Request) sdk.Plan {
	name, version := canonical(r.Get("crate")), r.Get("version")
	if !validName(name) {
		return sdk.NotFound("no crate has such a name")
	}
	return sdk.Artifact{
		Version: sdk.Version{Name: name, Version: version},
		Path:    cratePath(name, version),
		Facts:   []string{indexPath(name)},
		Type:    "application/gzip",
	}
}

// renderIndex writes the lines of the versions that policy keeps, byte for
// byte, and then those of ours, which stand for upstream's of the same version.
// An index file with no version left would read to cargo as a crate that does
// not exist, so that is a failure, whose text cargo prints.
func renderIndex(in *sdk.Input, name string) error {
	file := in.Docs()[0]
	ours, err := hostedReleases(in.Hosted(name))
	if err != nil {
		return err
	}
	if !file.OK() && len(ours) == 0 {
		return sdk.NotFound(name + " is not published here")
	}
	out := in.Output("", "text/plain; charset=utf-8")
	if file.OK() {
		configuration, ok := configurationOf(in, file)
		if !ok {
			return nil // run again with it
		}
		if err := renderUpstream(in, out, name, file, configuration, ours); err != nil {
			return err
		}
	}
	lines := json.NewEncoder(out)
	for _, r := range ours {
		if err := lines.Encode(r.Line); err != nil {
			return err
		}
	}
	return nil
}

// configurationOf is the configuration of the index that an index file came from:
// of several, each says for itself where its crates are. False: it is not there
// yet. An address that does not end as it was asked for says nothing of where the
// index is, and neither does one without a configuration.
func configurationOf(in *sdk.Input, file *sdk.Doc) (*sdk.Doc, bool) {
	first := in.Docs()[1]
	base, told := strings.CutSuffix(file.URL, file.Source.URL)
	if !told || base+configSource.URL == first.URL {
		return first, true
	}
	own, ok := in.Doc(sdk.Source{URL: base + configSource.URL, Role: roleIndex, Optional: true})
	if ok && !own.OK() {
		return first, true
	}
	return own, ok
}

// renderUpstream writes the lines of upstream's.
func renderUpstream(in *sdk.Input, out io.Writer, name string, file, configuration *sdk.Doc, ours []hostedRelease) error {
	c, err := parseConfig(configuration.Body)
	if err != nil {
		return err
	}
	releases, err := parseIndex(name, file.Body)
	if err != nil {
		return err
	}
	if err := date(in, c, name, releases); err != nil {
		return err
	}
	start, end := 0, 0 // of a run of lines that are kept
	shown := false
	for _, r := range releases {
		if !r.keep(in, c) || hides(ours, r.version) {
			continue
		}
		shown = true
		if r.start != end {
			if _, err := out.Write(file.Body[start:end]); err != nil {
				return err
			}
			start = r.start
		}
		end = r.end
	}
	if !shown {
		if len(ours) > 0 {
			return nil
		}
		return in.Held()
	}
	last := file.Body[start:end]
	if len(ours) > 0 && !bytes.HasSuffix(last, []byte("\n")) {
		last = append(slices.Clip(last), '\n')
	}
	_, err = out.Write(last)
	return err
}

// hides reports whether a version of ours stands for one of upstream's.
func hides(ours []hostedRelease, version *semver.Version) bool {
	return slices.ContainsFunc(ours, func(r hostedRelease) bool { return sameVersion(r.version, version) })
}
