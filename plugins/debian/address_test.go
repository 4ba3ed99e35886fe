package main

import "testing"

func TestSplit(t *testing.T) {
	t.Parallel()
	l := layout{nested: []string{"*/updates"}}
	for below, want := range map[string][2]string{
		"stable/InRelease":                      {"stable", "InRelease"},
		"stable/main/binary-amd64/Packages":     {"stable", "main/binary-amd64/Packages"},
		"stretch/updates/InRelease":             {"stretch/updates", "InRelease"},
		"stretch/updates/main/source/Sources":   {"stretch/updates", "main/source/Sources"},
		"stable/updates-not/binary-all/Release": {"stable", "updates-not/binary-all/Release"},
		"stable":                                {"stable", ""},
	} {
		if name, file := l.split(below); name != want[0] || file != want[1] {
			t.Errorf("%s is %s of the suite %s, want %q", below, file, name, want)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"a": true, "a/b": true, "a/": true, "a..b": true, "..a": true, "a+b~c:d": true,
		"": false, "/a": false, "a//b": false, "./a": false, "..": false, "../a": false, "a/../b": false, "a\\b": false, "a\nb": false,
	} {
		if got := clean(file); got != want {
			t.Errorf("%q is clean: %t, want %t", file, got, want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"tide_1.0-1_amd64.deb":         "tide 1.0-1",
		"tide_1.0-1+b2_amd64.udeb":     "tide 1.0-1+b2",
		"tide_1.0-1.dsc":               "tide 1.0-1",
		"tide_1.0-1.debian.tar.xz":     "tide 1.0-1",
		"tide_1.0-1.diff.gz":           "tide 1.0-1",
		"tide_1.0.orig.tar.gz":         "tide 1.0",
		"tide_1.0.orig-doc.tar.bz2":    "tide 1.0",
		"tide_1.0.orig.tar.gz.asc":     "tide 1.0",
		"tide_1.0~rc1.tar":             "tide 1.0~rc1",
		"tide_2025.6.tar.zst":          "tide 2025.6",
		"libtide++2_2.0~rc1_all.deb":   "libtide++2 2.0~rc1",
		"tide.deb":                     "tide.deb ",
		"tide_1.0_1.2_amd64_extra.deb": "tide 1.0",
	} {
		v := versionOf("sea", file)
		if got := v.Name + " " + v.Version; got != "sea/"+want {
			t.Errorf("%s is %q, want %q", file, got, "sea/"+want)
		}
	}
}

func TestUrgentSuites(t *testing.T) {
	t.Parallel()
	e, err := open(options{Urgent: []string{"*-security"}})
	if err != nil || len(e.Urgent) != 1 || e.Urgent[0] != "*/dists/*-security" {
		t.Errorf("urgent are %q (%v)", e.Urgent, err)
	}
}
