package main

import (
	"slices"
	"testing"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"demo": "demo", "Demo": "demo", "foo.bar": "foo-bar", "foo_-.bar": "foo-bar", "foo--bar": "foo-bar",
		"A1": "a1", "zope.interface": "zope-interface", "foo-bar": "foo-bar", "": "",
	} {
		if got := normalize(name); got != want {
			t.Errorf("normalize(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "A.b_c-d": true, "0": true,
		"": false, "-a": false, "a.": false, "a/b": false, "a b": false, "é": false, "..": false, "a%2fb": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("validName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file, project, want string
		other               bool // the file is of another project
	}{
		"wheel":                {file: "foo_bar-1.0-py3-none-any.whl", project: "foo-bar", want: "1.0"},
		"wheel with a build":   {file: "foo-1.0-2-py3-none-any.whl", project: "foo", want: "1.0"},
		"wheel, local version": {file: "foo-1.0+cpu.2-cp312-cp312-linux_x86_64.whl", project: "foo", want: "1.0+cpu.2"},
		"wheel, local with _":  {file: "foo-1.0+ubuntu_1-py3-none-any.whl", project: "foo", want: "1.0+ubuntu.1"},
		"sdist, local with -":  {file: "foo-1.0+Ubuntu-01.tar.gz", project: "foo", want: "1.0+ubuntu.1"},
		"egg, local version":   {file: "foo-1.0+ubuntu_1-py2.7-linux-x86_64.egg", project: "foo", want: "1.0+ubuntu.1"},
		"tbz":                  {file: "foo-1.0.tbz", project: "foo", want: "1.0"},
		"txz":                  {file: "foo-1.0.txz", project: "foo", want: "1.0"},
		"tlz":                  {file: "foo-1.0.tlz", project: "foo", want: "1.0"},
		"lzip":                 {file: "foo-1.0.tar.lz", project: "foo", want: "1.0"},
		"lzma":                 {file: "foo-1.0.tar.lzma", project: "foo", want: "1.0"},
		"wheel of another":     {file: "foo_baz-1.0-py3-none-any.whl", project: "foo", other: true},
		"wheel, too few parts": {file: "foo-1.0-any.whl", project: "foo", other: true},
		"sdist":                {file: "foo-1.0.tar.gz", project: "foo", want: "1.0"},
		"sdist, old spelling":  {file: "Foo.Bar-1.0.zip", project: "foo-bar", want: "1.0"},
		"dashes in the name":   {file: "foo-bar-1.0.tar.bz2", project: "foo-bar", want: "1.0"},
		"number in the name":   {file: "foo-2-1.0.tar.gz", project: "foo-2", want: "1.0"},
		"dash in the version":  {file: "foo-1.0-1.tar.gz", project: "foo", want: "1.0.post1"},
		"leading zeros":        {file: "foo-2020.01.05.tar.gz", project: "foo", want: "2020.1.5"},
		"pre-release":          {file: "foo-1.0-beta.2.tar.gz", project: "foo", want: "1.0b2"},
		"epoch":                {file: "foo-1!2.0.tar.gz", project: "foo", want: "1!2.0"},
		"egg":                  {file: "foo-1.0-py2.7.egg", project: "foo", want: "1.0"},
		"egg with a platform":  {file: "foo-1.0-py2.7-linux-x86_64.egg", project: "foo", want: "1.0"},
		"installer":            {file: "foo-1.0.win-amd64-py2.7.exe", project: "foo", want: "1.0"},
		"dumb":                 {file: "foo-1.0.linux-x86_64.tar.gz", project: "foo", want: "1.0"},
		"no PEP 440":           {file: "foo-dev.tar.gz", project: "foo", want: "dev"},
		"sdist of another":     {file: "foobar-1.0.tar.gz", project: "foo", other: true},
		"no version":           {file: "foo-.tar.gz", project: "foo", other: true},
		"no ending":            {file: "foo-1.0", project: "foo", other: true},
		"ending only":          {file: ".whl", project: "foo", other: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := versionOf(tt.file, tt.project)
			if ok == tt.other {
				t.Fatalf("%s is of %s: %v", tt.file, tt.project, ok)
			}
			if got = (versions{}).normal(got); got != tt.want {
				t.Errorf("%s is of version %q, want %q", tt.file, got, tt.want)
			}
		})
	}
}

func TestProjectsOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file string
		want []string
	}{
		"wheel":             {"Foo_Bar-1.0-py3-none-any.whl", []string{"foo-bar"}},
		"sdist":             {"foo_bar-1.0.tar.gz", []string{"foo-bar"}},
		"number in a name":  {"foo-2-1.0.tar.gz", []string{"foo-2", "foo"}},
		"word after a dash": {"foo-bar-1.0.tar.gz", []string{"foo-bar", "foo"}},
		"egg":               {"foo-1.0-py2.7.egg", []string{"foo", "foo-1-0"}},
		"no number":         {"foo-dev.zip", []string{"foo"}},
		"no dash":           {"foo.tar.gz", nil},
		"other file":        {"foo-1.0.txt", nil},
		"bad name":          {"a b-1.0.tar.gz", nil},
		"wheel, bad name":   {"a%b-1.0-py3-none-any.whl", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := projectsOf(tt.file); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if n := len(projectsOf("a-1-1-1-1-1-1-1-1-1-1-1-1-1.tar.gz")); n != maxProjects {
		t.Errorf("%d projects, want %d at most", n, maxProjects)
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		versions []string
		want     string
	}{
		"numbers, not letters": {[]string{"1.9", "1.10", "1.2"}, "1.10"},
		"no pre-release":       {[]string{"1.0", "2.0rc1", "2.0.dev3"}, "1.0"},
		"post-release":         {[]string{"1.0", "1.0.post1"}, "1.0.post1"},
		"epoch":                {[]string{"2020.1", "1!1.0"}, "1!1.0"},
		"pre-releases only":    {[]string{"2.0a1", "2.0rc1", "2.0b1"}, "2.0rc1"},
		"legacy last":          {[]string{"zzz", "0.1"}, "0.1"},
		"legacy only":          {[]string{"dev", "zzz"}, "zzz"},
		"none":                 {nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := newest(tt.versions); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path, want string
		bad        bool
	}{
		"plain":            {path: "/a/b.whl", want: "/a/b.whl"},
		"plus":             {path: "/a%2Bb/c+d", want: "/a+b/c+d"},
		"lower-case hex":   {path: "/a%2fb", want: "/a%2Fb"},
		"space":            {path: "/a%20b", want: "/a%20b"},
		"needless escape":  {path: "/%61", want: "/a"},
		"parent":           {path: "/a/../b", bad: true},
		"escaped parent":   {path: "/a/%2e%2E/b", bad: true},
		"empty segment":    {path: "/a//b", bad: true},
		"malformed escape": {path: "/a%2", bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := cleanPath(tt.path)
			if ok == tt.bad || ok && got != tt.want {
				t.Errorf("got %q, %v; want %q", got, ok, tt.want)
			}
		})
	}
}
