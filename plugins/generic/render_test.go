package main

import (
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

// TestVersions says what tells contents apart, and what does not.
func TestVersions(t *testing.T) {
	t.Parallel()
	const monday, tuesday = "Mon, 09 Jun 2025 00:00:00 GMT", "Tue, 10 Jun 2025 00:00:00 GMT"
	version := func(headers ...string) string {
		t.Helper()
		doc := &sdk.Doc{URL: "https://tools.example.com/lamp.zip", Status: 200, Header: map[string]string{}}
		for i := 0; i < len(headers); i += 2 {
			doc.Header[headers[i]] = headers[i+1]
		}
		v, _, err := named("tools/lamp.zip").state(doc)
		if err != nil {
			t.Fatal(err)
		}
		if v.Name != "tools/lamp.zip" || strings.HasPrefix(v.Version, "2025") == v.Published.IsZero() {
			t.Errorf("%v is %+v", headers, v)
		}
		return v.Version
	}
	one := version("etag", `"1"`, "last-modified", monday, "content-length", "10")
	for name, other := range map[string]string{
		"etag":   version("etag", `"2"`, "last-modified", monday, "content-length", "10"),
		"time":   version("etag", `"1"`, "last-modified", tuesday, "content-length", "10"),
		"length": version("etag", `"1"`, "last-modified", monday, "content-length", "11"),
		"none":   version(),
	} {
		if other == one {
			t.Errorf("another %s makes no other version", name)
		}
	}
	for name, same := range map[string]string{
		"weak etag":    version("etag", `W/"1"`, "last-modified", monday, "content-length", "10"),
		"content type": version("etag", `"1"`, "last-modified", monday, "content-length", "10", "content-type", "text/plain"),
	} {
		if same != one {
			t.Errorf("another %s makes another version", name)
		}
	}
}

func TestFoldersBehindRedirects(t *testing.T) {
	t.Parallel()
	if _, _, err := named("tools/lamp").state(&sdk.Doc{URL: "https://tools.example.com/lamp/", Status: 200}); err == nil {
		t.Error("the listing of a folder is taken for a file")
	}
}

// FuzzNames has any name: its address is read back as the same file, also with a
// digest, and upstream is never asked above its address.
func FuzzNames(f *testing.F) {
	f.Add("tools/lamp-1.0.0.tar.gz")
	f.Add("images/a%20b+c/%7E%2Fd é.img?x#y")
	f.Add("tools//%")
	f.Fuzz(func(t *testing.T, name string) {
		x := named(name)
		if y := named(strings.TrimPrefix(x.address(), "/")); y.address() != x.address() || y.path != x.path {
			t.Errorf("%q is %q, which is read back as %q", name, x.address(), y.address())
		}
		if !strings.HasPrefix(x.path, "/") || strings.ContainsAny(x.path, "?# ") {
			t.Errorf("%q is asked as %q", name, x.path)
		}
	})
}

// TestSpellingsAreOneFile has a file be the same however its address is escaped,
// and another where an escape means something else.
func TestSpellingsAreOneFile(t *testing.T) {
	for _, test := range []struct {
		one, other string
		same       bool
	}{
		{"acme/lib++-1.tgz", "acme/lib%2B%2b-1.tgz", true},
		{"acme/a@1:2,3.bin", "acme/a%401%3A2%2C3.bin", true},
		{"acme/a~b", "acme/a%7Eb", true},
		{"acme/a%20b", "acme/a+b", false},
		{"acme/a%2Fb", "acme/a/b", false},
		{"acme/a%23b", "acme/a", false},
		{"acme/a%25b", "acme/a%b", true}, // no escape at all
	} {
		one, other := named(test.one), named(test.other)
		if (one.address() == other.address()) != test.same {
			t.Errorf("%s and %s are %s and %s", test.one, test.other, one.address(), other.address())
		}
	}
}
