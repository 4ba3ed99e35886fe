package main

import (
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// age is the query that tells of a package file when it was uploaded.
const age = "age"

// packageFile are the names of package files: binary packages, and what source
// packages consist of.
var packageFile = regexp.MustCompile(`^[A-Za-z0-9][^/]*\.(?:u?deb|ddeb|dsc|diff\.gz|(?:tar|tar\.(?:gz|bz2|xz|lzma|zst))(?:\.asc)?)$`)

// isPackage reports whether a file is a package file. Archives of icons for
// software centres (DEP-11) are called like source packages, but are indexes.
func isPackage(file string) bool {
	return packageFile.MatchString(path.Base(file)) && path.Base(path.Dir(file)) != "dep11"
}

// image is a file of the installer: in the folder that has the sums of all that
// is below it. What it matches first is the architecture's installer, then the
// installer's version.
var image = regexp.MustCompile(`(?:^|/)(installer-[^/]+)/([^/]+)/[^/]*images/.`)

// isImage reports whether a file is one of the installer, and not the list of
// such files.
func isImage(file string) bool { return image.MatchString(file) && !sums.MatchString(path.Base(file)) }

// planFile serves a package file or an image of the installer. What the indexes
// in force list is verified by what they say, and was judged with them; what they
// do not is judged by when upstream got it.
func planFile(r sdk.Request, archive, file string) sdk.Plan {
	if !isPackage(file) && !isImage(file) {
		return sdk.NotFound("an archive has indexes, package files and keys, and this is none of them")
	}
	here := "/" + escape(archive+"/"+file)
	version := versionOf(archive, file)
	source := sdk.Source{URL: "/" + escape(file), Role: archive}
	if r.Query == age {
		source.Head = true
		return sdk.Document{
			Path:   here + "?" + age,
			Name:   version.Name,
			From:   []sdk.Source{source},
			Query:  true,
			Render: func(in *sdk.Input) error { return renderAge(in, here, version) },
		}
	}
	plan := sdk.Artifact{
		Version: version,
		Path:    here,
		From:    []sdk.Source{source},
		Facts:   []string{"/" + escape(archive) + "/*", here + "?" + age},
	}
	if strings.HasSuffix(file, "deb") {
		plan.Type = "application/vnd.debian.binary-package"
	}
	return plan
}

// renderAge tells of a file when upstream got it. Where upstream does not say,
// nothing is told: only where no cool-down applies is the file served then.
func renderAge(in *sdk.Input, here string, version sdk.Version) error {
	uploaded, err := http.ParseTime(in.Docs()[0].Header["last-modified"])
	text := "unknown"
	if err == nil {
		version.Published = uploaded
		in.Keep(version, sdk.File{Path: here})
		text = uploaded.UTC().Format("2006-01-02T15:04:05Z")
	}
	_, err = in.Output("", "text/plain; charset=utf-8").Write([]byte(text + "\n"))
	return err
}

// versionOf is the package and version that a file's name tells, as far as it
// does: name, version without its epoch, and more after an underscore, or
// after what ends the name of a source package's file. An image's are those of
// the installer.
func versionOf(archive, file string) sdk.Version {
	if m := image.FindStringSubmatch(file); m != nil {
		return sdk.Version{Name: archive + "/" + m[1], Version: m[2]}
	}
	name, rest, _ := strings.Cut(path.Base(file), "_")
	version, _, found := strings.Cut(rest, "_")
	if !found {
		version = sourceEnd.ReplaceAllString(rest, "")
	}
	return sdk.Version{Name: archive + "/" + name, Version: version}
}

// sourceEnd is what follows the version in the name of a source package's file.
var sourceEnd = regexp.MustCompile(`(?:\.(?:orig(?:-[A-Za-z0-9-]+)?|debian))?\.(?:dsc|diff\.gz|tar(?:\.[a-z0-9]+)?(?:\.asc)?)$`)
