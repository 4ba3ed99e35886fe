package main

import (
	"slices"
	"strings"
)

// normalize returns a project's name as the simple API has it (PEP 503,
// normalized names): lower-case, with runs of dots, dashes and underscores as
// one dash.
func normalize(name string) string {
	if normalized(name) {
		return name
	}
	var b strings.Builder
	b.Grow(len(name))
	run := false
	for _, c := range []byte(name) {
		if c == '-' || c == '_' || c == '.' {
			if !run {
				b.WriteByte('-')
			}
			run = true
			continue
		}
		run = false
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// normalized reports whether normalize would change nothing.
func normalized(name string) bool {
	dash := false
	for _, c := range []byte(name) {
		if c == '_' || c == '.' || 'A' <= c && c <= 'Z' || c == '-' && dash {
			return false
		}
		dash = c == '-'
	}
	return true
}

// validName reports whether a name can be a project's: ASCII letters, digits,
// dots, dashes and underscores, a letter or digit at both ends.
func validName(name string) bool {
	if name == "" {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_' || c == '.') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	return true
}

// sdistEndings are the endings of files that name project and version only, or
// project, version and platform: sdists, eggs and installers of old.
var sdistEndings = []string{
	".tar.gz", ".zip", ".tar.bz2", ".tbz", ".tgz", ".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma", ".tar.Z", ".tar",
	".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg",
}

// stem returns a file's name without its ending; wheel says that it is a
// wheel. False: no such file belongs to an index.
func stem(file string) (name string, wheel, ok bool) {
	if name, ok := strings.CutSuffix(file, ".whl"); ok {
		return name, true, true
	}
	for _, ending := range sdistEndings {
		if name, ok := strings.CutSuffix(file, ending); ok {
			return name, false, true
		}
	}
	return "", false, false
}

// versionOf returns what a file's name says of its version, as it stands there
// and with what follows it in files other than wheels. False: it is no file of
// that project.
func versionOf(file, project string) (string, bool) {
	name, wheel, ok := stem(file)
	if !ok {
		return "", false
	}
	if wheel {
		// {name}-{version}(-{build})?-{python}-{abi}-{platform}
		parts := strings.Split(name, "-")
		if len(parts) < 5 || len(parts) > 6 || normalize(parts[0]) != project {
			return "", false
		}
		return parts[1], true
	}
	for i := range len(name) - 1 {
		if name[i] == '-' && normalize(name[:i]) == project {
			return name[i+1:], true
		}
	}
	return "", false
}

// maxProjects bounds what projectsOf returns.
const maxProjects = 8

// projectsOf returns the normalized names of the projects that a file may
// belong to, the likeliest first. Legacy sdists can have dashes in name and
// version, so a name ends at any dash: rather at one with a digit after it, and
// rather at the last.
func projectsOf(file string) []string {
	name, wheel, ok := stem(file)
	if !ok {
		return nil
	}
	if wheel {
		project, _, found := strings.Cut(name, "-")
		if !found || !validName(project) {
			return nil
		}
		return []string{normalize(project)}
	}
	var likely, other []string
	for i := len(name) - 2; i > 0; i-- {
		if name[i] != '-' || !validName(name[:i]) {
			continue
		}
		project := normalize(name[:i])
		if c := name[i+1]; '0' <= c && c <= '9' {
			likely = append(likely, project)
		} else {
			other = append(other, project)
		}
	}
	all := append(likely, other...)
	return slices.Compact(all[:min(len(all), maxProjects)])
}
