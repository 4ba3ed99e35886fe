package main

import (
	"slices"
	"strings"
	"testing"
)

func TestImage(t *testing.T) {
	t.Parallel()
	const hubs, quays = "", "quay.example.com" // the default's role is the first upstream's
	for _, test := range []struct {
		about, name, ns string
		options         options
		upstreams       []string // that are configured; nil: it is not known
		want            string   // the canonical name; empty: it is refused
		role            string
		remotes         []string
	}{
		{about: "an official image", name: "tide", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "an official image in full", name: "library/tide", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "with its registry", name: "docker.io/library/tide", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "with its registry beside it", name: "library/tide", ns: "docker.io", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "with a server of its registry", name: "index.docker.io/library/tide", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "with a server of its registry beside it", name: "library/tide", ns: "registry-1.docker.io", want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "of another registry in capitals", name: "QUAY.example.com/acme/tide", want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "of another registry in capitals beside it", name: "acme/tide", ns: "Quay.Example.Com", want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "an official image of a registry that is known to be the hub", name: "tide", upstreams: []string{"docker.io", quays}, want: "tide", role: hubs, remotes: []string{"library/tide"}},
		{about: "an official image of a registry of another name", name: "tide", upstreams: []string{"sea.example.com"}, want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "with the port that everybody takes", name: quays + ":443/acme/tide", upstreams: []string{"docker.io", quays}, want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "with that port beside it", name: "acme/tide", ns: quays + ":443", upstreams: []string{"docker.io", quays}, want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "of the default with that port", name: "docker.io:443/library/tide", upstreams: []string{"sea.example.com"}, want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "of a server of the hub with that port", name: "library/tide", ns: "registry-1.docker.io:443", upstreams: []string{"sea.example.com"}, want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "of an upstream that is called with it", name: "acme/tide", ns: quays + ":443", upstreams: []string{"docker.io", quays + ":443"}, want: "quay.example.com:443/acme/tide", role: quays + ":443", remotes: []string{"acme/tide"}},
		{about: "with another port", name: "acme/tide", ns: quays + ":80", upstreams: []string{"docker.io", quays}, want: "quay.example.com:80/acme/tide", role: quays + ":80", remotes: []string{"acme/tide"}},
		{about: "somebody's image", name: "acme/tide", want: "acme/tide", role: hubs, remotes: []string{"acme/tide"}},
		{about: "below library", name: "library/acme/tide", want: "library/acme/tide", role: hubs, remotes: []string{"library/acme/tide"}},
		{about: "of another registry", name: "quay.example.com/acme/tide", want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "of another registry, a short name", name: "quay.example.com/tide", want: "quay.example.com/tide", role: quays, remotes: []string{"tide"}},
		{about: "of another registry beside it", name: "acme/tide", ns: "quay.example.com", want: "quay.example.com/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "of another registry's library", name: "quay.example.com/library/tide", want: "quay.example.com/library/tide", role: quays, remotes: []string{"library/tide"}},
		{about: "of a registry with a port", name: "localhost:5000/tide", want: "localhost:5000/tide", role: "localhost:5000", remotes: []string{"tide"}},
		{about: "of localhost", name: "localhost/tide", want: "localhost/tide", role: "localhost", remotes: []string{"tide"}},
		{about: "a dot in the only part", name: "tide.example", want: "tide.example", role: hubs, remotes: []string{"library/tide.example", "tide.example"}},
		{about: "a prefix", name: "internal/tide", options: options{Prefixes: []string{"internal"}}, want: "internal/tide", role: "internal", remotes: []string{"tide"}},
		{about: "no prefix", name: "internal/tide", want: "internal/tide", role: hubs, remotes: []string{"internal/tide"}},
		{about: "another default", name: "tide", options: options{Default: quays}, want: "tide", role: quays, remotes: []string{"tide"}},
		{about: "another default in full", name: "quay.example.com/tide", options: options{Default: quays}, want: "tide", role: quays, remotes: []string{"tide"}},
		{about: "Docker Hub beside another default", name: "docker.io/library/tide", options: options{Default: quays}, want: "docker.io/tide", role: hub, remotes: []string{"library/tide", "tide"}},

		{about: "an official image of the first upstream in full", name: "sea.example.com/library/tide", upstreams: []string{"sea.example.com", quays}, want: "tide", role: hubs, remotes: []string{"library/tide", "tide"}},
		{about: "of the first upstream beside it", name: "acme/tide", ns: "Sea.example.com:443", upstreams: []string{"sea.example.com", quays}, want: "acme/tide", role: hubs, remotes: []string{"acme/tide"}},
		{about: "of the first upstream that has a port", name: "sea.example.com:5000/acme/tide", upstreams: []string{"sea.example.com:5000"}, want: "acme/tide", role: hubs, remotes: []string{"acme/tide"}},
		{about: "of the first upstream that is a prefix", name: "internal/tide", options: options{Prefixes: []string{"internal"}}, upstreams: []string{"internal"}, want: "internal/tide", role: "internal", remotes: []string{"tide"}},
		{about: "of the first upstream beside it, in one part", name: "tide", ns: "sea.example.com", upstreams: []string{"sea.example.com"}, want: "sea.example.com/tide", role: "sea.example.com", remotes: []string{"tide"}},
		{about: "of the first upstream that is none", name: "internal/tide", upstreams: []string{"internal"}, want: "internal/tide", role: hubs, remotes: []string{"internal/tide"}},
		{about: "of the second upstream", name: quays + "/acme/tide", upstreams: []string{"sea.example.com", quays}, want: quays + "/acme/tide", role: quays, remotes: []string{"acme/tide"}},
		{about: "of the first upstream before Docker Hub", name: "sea.example.com/acme/tide", upstreams: []string{"sea.example.com", "docker.io"}, want: "sea.example.com/acme/tide", role: "sea.example.com", remotes: []string{"acme/tide"}},
		{about: "of the first upstream beside another default", name: "sea.example.com/acme/tide", options: options{Default: "docker.io"}, upstreams: []string{"sea.example.com"}, want: "sea.example.com/acme/tide", role: "sea.example.com", remotes: []string{"acme/tide"}},

		{about: "nothing", name: ""},
		{about: "an empty registry", name: "/tide"},
		{about: "the first upstream of the first upstream", name: "sea.example.com/sea.example.com/tide", upstreams: []string{"sea.example.com"}},
		{about: "upper case", name: "Acme/tide"},
		{about: "three underscores", name: "a___b"},
		{about: "an empty part", name: "acme//tide"},
		{about: "a dash at the end", name: "acme/tide-"},
		{about: "dots", name: "acme/../tide"},
		{about: "too long", name: strings.Repeat("a", 256)},
		{about: "a registry of the default's", name: "docker.io/quay.example.com/acme/tide"},
		{about: "a registry of the default's beside it", name: "quay.example.com/acme/tide", ns: "docker.io"},
		{about: "the default of the default", name: "docker.io/docker.io/tide"},
		{about: "an odd registry", name: "-quay.example.com/tide"},
		{about: "what is no registry beside it", name: "tide", ns: "acme"},
		{about: "an odd registry beside it", name: "tide", ns: "quay.example.com/x"},
	} {
		t.Run(test.about, func(t *testing.T) {
			t.Parallel()
			im, failure := registry{options: test.options, upstreams: test.upstreams}.image(test.name, test.ns)
			if test.want == "" {
				if failure == nil || failure.Code != "NAME_INVALID" {
					t.Fatalf("%+v, %v", im, failure)
				}
				return
			}
			if failure != nil || im.name != test.want || im.role != test.role || !slices.Equal(im.remotes, test.remotes) {
				t.Fatalf("%+v, %v", im, failure)
			}
			again, failure := registry{options: test.options, upstreams: test.upstreams}.image(im.name, "")
			if failure != nil || again.name != im.name || again.role != im.role || !slices.Equal(again.remotes, im.remotes) {
				t.Errorf("its canonical name is another: %+v, %v", again, failure)
			}
		})
	}
}

func FuzzImage(f *testing.F) {
	for _, name := range []string{"tide", "library/tide", "docker.io/docker.io/tide", "quay.example.com/acme/tide", "localhost:5000/a/b", "internal/a"} {
		f.Add(name, "")
		f.Add(name, "docker.io")
		f.Add(name, "quay.example.com")
		f.Add(name, "acme")
	}
	f.Fuzz(func(t *testing.T, name, ns string) {
		for _, o := range []options{{}, {Default: "quay.example.com"}, {Prefixes: []string{"internal"}}} {
			for _, upstreams := range [][]string{nil, {"quay.example.com"}, {"internal", "docker.io"}} {
				x := registry{options: o}.among(upstreams)
				im, failure := x.image(name, ns)
				if failure != nil {
					continue
				}
				again, failure := x.image(im.name, "")
				if failure != nil || again.name != im.name || again.role != im.role || !slices.Equal(again.remotes, im.remotes) {
					t.Errorf("%q of %q beside %v is %+v, but its canonical name is %+v, %v", name, ns, upstreams, im, again, failure)
				}
			}
		}
	})
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	for s, good := range map[string]bool{
		"sha256:" + strings.Repeat("0f", 32): true,
		"sha512:" + strings.Repeat("0f", 64): true,
		"sha256:" + strings.Repeat("0F", 32): false,
		"sha256:" + strings.Repeat("0f", 31): false,
		"sha512:" + strings.Repeat("0f", 32): false,
		"md5:" + strings.Repeat("0f", 16):    false,
		"sha256:":                            false,
		"sha256":                             false,
		"":                                   false,
	} {
		d, failure := parseDigest(s)
		if (failure == nil) != good || good && text(d) != s || !good && failure.Code != "DIGEST_INVALID" {
			t.Errorf("%q is %v, %v", s, d, failure)
		}
	}
}
