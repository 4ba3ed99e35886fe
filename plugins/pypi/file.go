package main

import (
	"net/url"
	"path"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// beside are the endings of what stands beside a file, with their types: core
// metadata (PEP 658) and a detached signature (PEP 503).
var beside = []struct{ ending, contentType string }{
	{".metadata", "text/plain; charset=utf-8"},
	{".asc", "application/pgp-signature"},
}

// planHosted serves a file that is published here, or what stands beside it.
func planHosted(r sdk.Request) sdk.Plan {
	project, file := r.Get("project"), r.Get("file")
	if !validName(project) {
		return sdk.NotFound("no project has such a name")
	}
	project = normalize(project)
	of, contentType := besides(file)
	plan := artifact(hostedPath(project, file), of, []string{project}, contentType)
	if !strings.HasSuffix(file, ".metadata") {
		return plan
	}
	return sdk.Document{Path: plan.Path, Name: project, Query: true, Render: func(in *sdk.Input) error {
		files, err := hostedFiles(in.Hosted(project))
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.text != nil && f.path == hostedPath(project, of) {
				_, err := in.Output("", contentType).Write(f.text)
				return err
			}
		}
		return in.Answer(plan)
	}}
}

// besides is the name of the file that a file stands beside, or its own, with
// its content type.
func besides(name string) (of, contentType string) {
	for _, b := range beside {
		if of, ok := strings.CutSuffix(name, b.ending); ok {
			return of, b.contentType
		}
	}
	return name, "application/octet-stream"
}

// planFile serves a file, or what stands beside it. The path says nothing of
// the host it comes from; the project's page does, and the file's name says
// whose page that is.
func planFile(r sdk.Request) sdk.Plan {
	place, ok := cleanPath("/" + r.Raw("path"))
	if !ok {
		return sdk.NotFound("no such file")
	}
	name, err := url.PathUnescape(path.Base(place))
	if err != nil {
		return sdk.NotFound("no such file")
	}
	name, contentType := besides(name)
	projects := projectsOf(name)
	if len(projects) == 0 {
		return sdk.NotFound(name + " is not the name of a Python package's file")
	}
	return artifact("/files"+place, name, projects, contentType)
}

// planProvenance serves the provenance of a file (PEP 740), at the address that
// the index gives it.
func planProvenance(r sdk.Request) sdk.Plan {
	place, ok := cleanPath(r.Path)
	if project := r.Get("project"); ok && validName(project) {
		return artifact(place, r.Get("file"), []string{normalize(project)}, "application/vnd.pypi.integrity.v1+json")
	}
	return sdk.NotFound("no such provenance")
}

// artifact is a file of the likeliest of some projects. All that is known of it
// stands on the project's page.
func artifact(place, file string, projects []string, contentType string) sdk.Artifact {
	a := sdk.Artifact{Path: place, Type: contentType, Version: sdk.Version{Name: projects[0]}}
	if v, ok := versionOf(file, projects[0]); ok {
		a.Version.Version = versions{}.normal(v)
	}
	for _, p := range projects {
		a.Facts = append(a.Facts, "/simple/"+p+"/")
	}
	return a
}
