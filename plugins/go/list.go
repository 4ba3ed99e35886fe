package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/entrepot-registry/entrepot/sdk"
)

// planList serves the list of a module's versions.
func planList(r sdk.Request) sdk.Plan {
	path, err := modulePath(r)
	if err != nil {
		return notFound(err)
	}
	return listOf(path)
}

// listOf is the list of a module's versions. What is seen of it judges all that
// is asked of the versions on it.
func listOf(path string) sdk.Document {
	return sdk.Document{
		Path:   listPath(path),
		Name:   path,
		From:   sdk.From(listPath(path)),
		Render: func(in *sdk.Input) error { return renderList(in, path) },
	}
}

// renderList writes the versions that policy keeps, in upstream's order, and
// those published here. A list of which all is held back is refused, as an empty
// one would send the go command on to the newest commit; one that is empty
// upstream stays so.
func renderList(in *sdk.Input, path string) error {
	own := hostedVersions(in.Hosted(path))
	var list []listed
	if doc := in.Docs()[0]; doc.OK() {
		var err error
		if list, err = parseList(path, doc.Body); err != nil {
			return err
		}
	} else if own == nil {
		return sdk.NotFound("not found: no version of " + path + " is published here")
	}
	shown, ok, err := survey(in, path, list)
	if !ok || err != nil {
		return err
	}
	if len(list) > 0 && len(shown) == 0 && own == nil {
		return in.Held()
	}
	shown = withHosted(shown, own)
	var text strings.Builder
	for _, version := range shown {
		text.WriteString(version + "\n")
	}
	_, err = in.Output("", "text/plain; charset=utf-8").Write([]byte(text.String()))
	return err
}

// listed is one line of a list.
type listed struct {
	version string
	// published is the time that some proxies add, or a pseudo-version's own;
	// zero: the line does not tell.
	published time.Time
}

// parseList reads a list of versions. Lines that the go command would not take,
// or that the module's path cannot have, are left out. Text without a single
// version in it is no list.
func parseList(path string, body []byte) ([]listed, error) {
	var list []listed
	seen := map[string]bool{}
	blank, valid := true, false
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		version := fields[0]
		blank, valid = false, valid || semver.IsValid(version)
		if seen[version] || check(module.Version{Path: path, Version: version}) != nil {
			continue
		}
		seen[version] = true
		l := listed{version: version}
		t, err := module.PseudoVersionTime(version)
		l.published = t
		if err != nil && len(fields) > 1 {
			// The go command ignores what is no time, unless the list ends within it.
			if l.published, err = time.Parse(time.RFC3339, fields[1]); err != nil && !strings.HasSuffix(line, "\n") {
				return nil, fmt.Errorf("the list is cut off in the time of %s", version)
			}
		}
		list = append(list, l)
	}
	if !blank && !valid {
		return nil, errors.New("no line of the list is a version")
	}
	return list, nil
}
