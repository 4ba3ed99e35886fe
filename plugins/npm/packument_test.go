package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// keeper judges as Input.Keep does, and remembers what it held back.
type keeper struct {
	policy cooldown.Policy
	held   map[string]bool // versions
}

func newKeeper() *keeper {
	return &keeper{held: map[string]bool{}, policy: cooldown.Policy{
		Now:   time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC),
		Rules: []cooldown.Rule{{Name: "*", Window: 7 * 24 * time.Hour, Label: "default"}},
	}}
}

// Keep judges a version by its file, or by itself.
func (k *keeper) Keep(v sdk.Version, files ...sdk.File) bool {
	key := cooldown.Key{Name: v.Name, Version: v.Version}
	for _, f := range files {
		key.Path = f.Path
	}
	held := k.policy.Judge(key, v.Published).Held
	k.held[v.Version] = k.held[v.Version] || held
	return !held
}

// renderBoth renders both forms of a packument without a wire.
func renderBoth(name string, doc []byte, keep func(sdk.Version, ...sdk.File) bool, full, short io.Writer) (*packument, error) {
	p, err := readPackument(name, doc)
	if err != nil {
		return nil, err
	}
	p.judge(keep)
	l := newListing(p, func(path string) string { return "http://entrepot/npm" + path })
	if err := l.writeFull(full); err != nil {
		return nil, err
	}
	return p, l.writeAbbreviated(short)
}

// FuzzPackument checks that whatever upstream sends, each form is an error or
// valid JSON in which no reader finds a version that is held or odd.
func FuzzPackument(f *testing.F) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		f.Fatalf("no scripts to begin with: %v", err)
	}
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if name, ok := strings.CutPrefix(file.Name, "upstream "); ok {
				f.Add(strings.ReplaceAll(name, "%2f", "/"), file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, name string, doc []byte) {
		k := newKeeper()
		var full, short bytes.Buffer
		p, err := renderBoth(name, doc, k.Keep, &full, &short)
		if err != nil {
			return
		}
		for _, out := range [][]byte{full.Bytes(), short.Bytes()} {
			for _, version := range shownIn(t, name, out) {
				if e := p.byVersion[version]; k.held[version] || e != nil && e.odd {
					t.Errorf("%q is held or odd, and shown: %s", version, out)
				}
			}
		}
	})
}

// shownIn are all versions that a reader finds in a packument.
func shownIn(t *testing.T, name string, packument []byte) []string {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(packument))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil || !json.Valid(packument) {
		t.Fatalf("no valid JSON (%v): %s", err, packument)
	}
	object := func(v any) map[string]any { m, _ := v.(map[string]any); return m }
	shown := slices.Collect(maps.Keys(object(doc["time"])))
	for _, version := range object(doc["dist-tags"]) {
		shown = append(shown, version.(string))
	}
	for version, manifest := range object(doc["versions"]) {
		own := object(manifest)["version"].(string)
		tarball := object(object(manifest)["dist"])["tarball"].(string)
		file, err := url.PathUnescape(tarball[strings.LastIndexByte(tarball, '/')+1:])
		if err != nil {
			t.Errorf("the tarball of %q has no address: %s", version, tarball)
		}
		shown = append(shown, version, own)
		if of := fileVersion(name, file); of != "" {
			shown = append(shown, of)
		}
	}
	return shown
}

// TestFullKeepsBytes shows that what policy and addresses do not concern is
// passed on byte for byte, numbers and escapes included.
func TestFullKeepsBytes(t *testing.T) {
	t.Parallel()
	doc := `{"name":"a","n":1.0e400,"s":"\u003c\/","versions":{"1.0.0":{"version":"1.0.0","big":12345678901234567890,` +
		`"dist":{"tarball":"https://main.example.com/a/-/a-1.0.0.tgz","size":1.50}}},"time":{"1.0.0":"2025-01-01T00:00:00Z"},"dist-tags":{"latest":"1.0.0"}}`
	var full bytes.Buffer
	if _, err := renderBoth("a", []byte(doc), newKeeper().Keep, &full, io.Discard); err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(doc, "https://main.example.com", "http://entrepot/npm"); full.String() != want {
		t.Errorf("the document became\n%s\nwant\n%s", full.String(), want)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	p, err := readPackument("@acme/a", []byte(`{"versions":{
		"1.0.0":{"version":"1.0.0","license":{"type":"MIT"},"deprecated":"old","dist":{"tarball":"https://main.example.com/x/a-1.0.0.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
		"1.0.1":{"version":"1.0.1","license":"ISC","deprecated":"","dist":{"tarball":"http://main.example.com/x/a-1.0.1.tgz"}},
		"1.0.2":{"version":"1.0.2","deprecated":true,"dist":{"tarball":"ftp://main.example.com/a-1.0.2.tgz"}},
		"1.0.3":{"version":"1.0.3","deprecated":false,"dist":{"tarball":"https:///a-1.0.3.tgz"}}},
		"time":{"1.0.0":"2025-01-01T00:00:00.5Z"}}`))
	if err != nil {
		t.Fatal(err)
	}
	e := p.entries[0]
	if e.Name != "@acme/a" || !e.Published.Equal(time.Date(2025, 1, 1, 0, 0, 0, 5e8, time.UTC)) || !e.Yanked || e.License != "MIT" || e.odd {
		t.Errorf("1.0.0 is read as %+v", e.Version)
	}
	if e.file.Path != "/@acme/a/-/a-1.0.0.tgz" || e.file.URL != "https://main.example.com/x/a-1.0.0.tgz" || len(e.file.Digests) != 1 {
		t.Errorf("its file is read as %+v", e.file)
	}
	if e := p.entries[1]; e.Yanked || e.License != "ISC" || !e.Published.IsZero() || e.odd {
		t.Errorf("1.0.1 is read as %+v", e.Version)
	}
	if e := p.entries[2]; !e.Yanked || !e.odd || e.file.Path != "" {
		t.Errorf("1.0.2 is read as %+v with %+v", e.Version, e.file)
	}
	if e := p.entries[3]; e.Yanked || !e.odd {
		t.Errorf("1.0.3 is read as %+v with %+v", e.Version, e.file)
	}
}
