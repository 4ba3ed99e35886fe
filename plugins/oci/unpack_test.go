package main

import "testing"

// TestNamesOfArchives says what an image is called that an archive in a directory
// has.
func TestNamesOfArchives(t *testing.T) {
	t.Parallel()
	const quay = "quay.example.com"
	for _, test := range []struct {
		about, reference, file string
		upstreams              []string
		name, tag              string
	}{
		{"nothing", "", "team/boat.tar", nil, "team/boat", "latest"},
		{"a tag", "1.0", "team/boat.tar", nil, "team/boat", "1.0"},
		{"a folder with a dot", "1.0", "v1.2/boat.tar", nil, "v1-2/boat", "1.0"},
		{"a name", "acme/tide:1.0", "x.tar", nil, "acme/tide", "1.0"},
		{"a name without a tag", "acme/tide", "x.tar", nil, "acme/tide", "latest"},
		{"the default registry's", "docker.io/library/tide:1.0", "x.tar", []string{"docker.io", quay}, "tide", "1.0"},
		{"a server's of the default registry", "index.docker.io/library/tide:1.0", "x.tar", []string{"docker.io"}, "tide", "1.0"},
		{"an upstream's", quay + "/acme/tide:1.0", "x.tar", []string{"docker.io", quay}, quay + "/acme/tide", "1.0"},
		{"an upstream's with its port", quay + ":443/acme/tide:1.0", "x.tar", []string{"docker.io", quay}, quay + "/acme/tide", "1.0"},
		{"the first upstream's", quay + "/acme/tide:1.0", "x.tar", []string{quay}, "acme/tide", "1.0"},
		{"of no upstream", quay + "/acme/tide:1.0", "x.tar", []string{"docker.io"}, "acme/tide", "1.0"},
		{"of nobody knows which", quay + "/acme/tide:1.0", "x.tar", nil, "acme/tide", "1.0"},
		{"where it was pulled from", "localhost:5000/acme/tide:1.0", "x.tar", []string{"docker.io", quay}, "acme/tide", "1.0"},
		{"where it was pulled through", "127.0.0.1:8080/" + quay + "/acme/tide:1.0", "x.tar", []string{"docker.io", quay}, quay + "/acme/tide", "1.0"},
	} {
		im, tag, err := registry{}.among(test.upstreams).named(test.reference, test.file)
		if err != nil || im.name != test.name || tag != test.tag {
			t.Errorf("%s: %q is %s:%s, %v", test.about, test.reference, im.name, tag, err)
		}
	}
}
