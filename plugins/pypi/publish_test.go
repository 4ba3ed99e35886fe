package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSameSpellsEqualVersionsAlike(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1": "1", "1.0": "1", "1.0.0": "1", "10.0": "10", "1.10": "1.10", "1.10.0": "1.10", "0.0": "0", "2024.1.0": "2024.1",
		"1!1.0": "1!1", "1.0a1": "1a1", "1.0.post1": "1.post1", "1.0.0.dev0": "1.dev0", "1.0+a.0": "1+a.0", "1.0.0rc1.post2.dev3+x": "1rc1.post2.dev3+x",
	} {
		if got := same(version); got != want {
			t.Errorf("%s is spelled %s, want %s", version, got, want)
		}
	}
}

func TestFilesThatMayBePublished(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"demo-1.0.tar.gz": true, "demo-1.0.zip": true, "demo-1.0-py3-none-any.whl": true, "demo-1!1.0+x-py3-none-any.whl": true,
		"demo-1.0.egg": false, "demo-1.0.tar.bz2": false, "demo-1.0.tar.gz.asc": false, "demo-1.0.whl.metadata": false, ".zip": false, "": false,
		"a/b.zip": false, `a\b.zip`: false, "a b.zip": false, "a%2fb.zip": false, "é.zip": false, "..zip": false,
	} {
		if got := validFile(file); got != want {
			t.Errorf("validFile(%q) = %v, want %v", file, got, want)
		}
	}
}

func TestFoldersAreCalledByNameAndVersion(t *testing.T) {
	t.Parallel()
	d := dist{project: "acme-tide", version: "1.0"}
	for folder, want := range map[string]bool{
		"acme_tide-1.0": true, "Acme.Tide-1.0.0": true, "acme-tide-1.0": true,
		"acme_tide": false, "acme_tide-1.1": false, "tide-1.0": false, "acme_tide-1.0-x": false, "": false,
	} {
		if got := d.isOf(folder); got != want {
			t.Errorf("isOf(%q) = %v, want %v", folder, got, want)
		}
	}
}

func TestFieldsBeforeABrokenLineAreRead(t *testing.T) {
	t.Parallel()
	fields := parseMetadata([]byte("Metadata-Version: 2.1\nName: tide\nVersion: 1.0\nSummary: turns\nwith the moon\nName: other\n\ntext\n"))
	if fields.Get("Name") != "tide" || fields.Get("Version") != "1.0" || fields.Get("Summary") != "turns" || len(fields["Name"]) != 1 {
		t.Errorf("the fields are %q", fields)
	}
	d := dist{project: "tide", version: "1.0+ubuntu.1"}
	for _, version := range []string{"1.0+ubuntu.1", "1.0+ubuntu-1", "1.0+Ubuntu_01", "1.0.0+ubuntu.1"} {
		if !d.is(version) {
			t.Errorf("%s is not %s", version, d.version)
		}
	}
}

func TestCoreMetadata(t *testing.T) {
	t.Parallel()
	const text = "Metadata-Version: 2.4\nName: Acme.Tide\nVersion: 1.0\nSummary: turns\n  with the moon\nKeywords: moon,tide\n" +
		"Author-email: Ann <ann@example.com>\nLicense-Expression: MIT\nClassifier: A :: B\nClassifier: C :: D\nProject-URL: Home, https://example.com/a,b\n" +
		"Requires-Python: >=3.8\nRequires-Dist: shell<2\nRequires-Dist: moon; extra == 'm'\nProvides-Extra: m\nDescription-Content-Type: text/plain\n\nName: not a field\n"
	fields := parseMetadata([]byte(text))
	got, err := json.Marshal(newInfo(fields, "1.0"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"author":"","author_email":"Ann \u003cann@example.com\u003e","classifiers":["A :: B","C :: D"],"description":"","description_content_type":"text/plain",` +
		`"home_page":"","keywords":"moon,tide","license":"","license_expression":"MIT","maintainer":"","maintainer_email":"","name":"Acme.Tide",` +
		`"project_urls":{"Home":"https://example.com/a,b"},"provides_extra":["m"],"requires_dist":["shell\u003c2","moon; extra == 'm'"],"requires_python":"\u003e=3.8",` +
		`"summary":"turns with the moon","version":"1.0","yanked":false,"yanked_reason":null}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for name, bad := range map[string]string{
		"no name": "Version: 1\n", "a bad name": "Name: -a\nVersion: 1\n", "no version": "Name: a\n", "a bad version": "Name: a\nVersion: new\n",
		"no fields": "nothing", "empty": "",
	} {
		d := dist{metadata: []byte(bad)}
		if err := d.identify(); err == nil {
			t.Errorf("%s: it is %s %s", name, d.project, d.version)
		}
	}
	d := dist{metadata: []byte("Name: Acme__Tide\nVersion: 1.0-ALPHA\n")} // without an empty line at its end
	if err := d.identify(); err != nil || d.project != "acme-tide" || d.version != "1.0a0" {
		t.Errorf("it is %s %s (%v)", d.project, d.version, err)
	}
}

func TestVersionsOfOursAreListed(t *testing.T) {
	t.Parallel()
	if got, want := withVersions(`["1.0","2.0"]`, []string{"1.0.0", "3.0"}), `["1.0","2.0","3.0"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := withVersions(`[]`, []string{"1"}); got != `["1"]` {
		t.Errorf("got %s", got)
	}
}

// FuzzCoreMetadata has any bytes as core metadata: what is accepted has a name
// and version that are safe in a path.
func FuzzCoreMetadata(f *testing.F) {
	f.Add([]byte("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\ntext"))
	f.Add([]byte("Name: d\n e\nVersion: 1!2.0+x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d := dist{metadata: text}
		if err := d.identify(); err != nil {
			return
		}
		if !validName(d.project) || !validVersion(d.version) || strings.ContainsAny(d.version, "/ ") {
			t.Fatalf("%q %q", d.project, d.version)
		}
	})
}
