package main

import "testing"

func TestIndexPath(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a":         "/1/a",
		"Ab":        "/2/ab",
		"syn":       "/3/s/syn",
		"Syn":       "/3/s/syn",
		"rand":      "/ra/nd/rand",
		"serde":     "/se/rd/serde",
		"Inflector": "/in/fl/inflector",
		"a-_b":      "/a-/_b/a-_b",
	} {
		if got := indexPath(name); got != want {
			t.Errorf("index file of %s is %s, want %s", name, got, want)
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"serde": true, "Serde_json": true, "a-b": true, "a1": true,
		"": false, "a b": false, "a/b": false, "a.b": false, "é": false, "a%2f": false, "..": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("validName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestDownloadTemplate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ dl, want string }{
		"no marker": {"https://files.example.com/crates", "https://files.example.com/crates/Serde/1.0.0+b/download"},
		"crate":     {"https://files.example.com/{crate}-{version}", "https://files.example.com/Serde-1.0.0+b"},
		"folders":   {"https://files.example.com/{prefix}/{lowerprefix}", "https://files.example.com/Se/rd/se/rd"},
		"checksum":  {"https://files.example.com/{sha256-checksum}", "https://files.example.com/abc0"},
		"unknown":   {"https://files.example.com/{x}", "https://files.example.com/{x}/Serde/1.0.0+b/download"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (registryConfig{DL: tt.dl}).download("Serde", "1.0.0+b", []byte{0xab, 0xc0}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAPIAddress(t *testing.T) {
	t.Parallel()
	e, err := open(options{})
	if err != nil {
		t.Fatal(err)
	}
	registry := e.Upstreams[1].URL
	tests := map[string]struct {
		api, want string
		none      bool
	}{
		"none":              {"", "", true},
		"another registry":  {"https://api.example.com/", "https://api.example.com/api/v1/crates/a", false},
		"default registry":  {registry, "/api/v1/crates/a", false},
		"default, as a dir": {registry + "/", "/api/v1/crates/a", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, ok := registryConfig{API: tt.api}.api("/api/v1/crates/a")
			if ok == tt.none || source.URL != tt.want {
				t.Errorf("got %q, %v; want %q", source.URL, ok, tt.want)
			}
		})
	}
}

func TestIndexHost(t *testing.T) {
	t.Parallel()
	got, err := indexOf("https://registry.example.com/")
	if want := "https://index.registry.example.com/"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
