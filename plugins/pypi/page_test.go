package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

var now = time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC)

// simplePage makes a page of so many files, one an hour, the last of them now.
func simplePage(files int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"meta":{"_last-serial":1,"api-version":"1.4"},"name":"demo","versions":[`)
	for i := range files / 20 {
		fmt.Fprintf(&b, `"1.%d.0",`, i)
	}
	b.WriteString(`"9.9"],"files":[`)
	for i := range files {
		if i > 0 {
			b.WriteByte(',')
		}
		file := fmt.Sprintf("demo-1.%d.0-cp3%d-cp3%d-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", i/20, i%20, i%20)
		fmt.Fprintf(&b, `{"core-metadata":{"sha256":"%064x"},"data-dist-info-metadata":{"sha256":"%064x"},"filename":"%s","hashes":{"sha256":"%064x"},`+
			`"provenance":null,"requires-python":">=3.8","size":%d,"upload-time":"%s","url":"https://files.example.com/packages/%02x/%02x/%060x/%s","yanked":false}`,
			i, i, file, i, 1000+i, now.Add(time.Duration(i-files+1)*time.Hour).Format("2006-01-02T15:04:05.000000Z"), i%256, i/256, i, file)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkSimplePage(b *testing.B) {
	page := simplePage(7500)
	render := plugintest.Renderer(b, open)
	q := plugintest.Question{Path: "/simple/demo/", Now: now, Cooldown: 7 * 24 * time.Hour, Upstream: map[string][]byte{"/simple/demo/": page}}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if r := render(b, q); r.Failure != nil || len(r.Facts) != 15000 {
			b.Fatal(r.Failure, len(r.Facts))
		}
	}
}

// check looks at a rendered page: JSON and HTML must be well formed and list
// the same files, each at a place that was kept, none at one that was not.
func check(t *testing.T, r plugintest.Rendering) {
	t.Helper()
	if r.Failure != nil {
		return
	}
	kept := map[string]bool{}
	for _, f := range r.Facts {
		before, seen := kept[f.GetPath()]
		kept[f.GetPath()] = f.GetKept() && (before || !seen)
	}
	var page struct {
		Files []struct{ Filename, URL string }
	}
	if err := json.Unmarshal(r.Outputs[outputJSON], &page); err != nil {
		t.Fatalf("the page is no JSON: %v\n%s", err, r.Outputs[outputJSON])
	}
	var links []anchor
	if _, err := readHTML("http://entrepot/simple/demo/", r.Outputs[outputHTML], func(_ *htmlPage, l anchor) { links = append(links, l) }); err != nil {
		t.Fatal(err)
	}
	if len(links) != len(page.Files) {
		t.Fatalf("%d files in HTML, %d in JSON", len(links), len(page.Files))
	}
	for i, f := range page.Files {
		place, ok := strings.CutPrefix(f.URL, "http://entrepot")
		if !ok || !kept[place] {
			t.Errorf("%q at %s is listed, but was not kept", f.Filename, f.URL)
		}
		href, _, _ := strings.Cut(links[i].attributes["href"], "#")
		if href != f.URL {
			t.Errorf("JSON has %s, HTML has %s", f.URL, href)
		}
	}
	if !bytes.Equal(r.Outputs[outputHTML], r.Outputs[outputHTMLv1]) {
		t.Error("the two types of HTML have different pages")
	}
}

// FuzzJSONPage has any bytes as a page in JSON.
func FuzzJSONPage(f *testing.F) {
	f.Add(simplePage(3))
	f.Add([]byte(`{"files":[{"filename":"demo-1.0.tar.gz","url":"https://a.example.com/x","filename":"demo-2.0.tar.gz"}]}`))
	f.Add([]byte(`{"files":[{"filename":"demo-1\u00e9<\"&>.tar.gz","url":"//b.example.com/%2e%2e/y#z","hashes":{"md5":"00"},"yanked":"<a>"}],"meta":[]}`))
	render := plugintest.Renderer(f, open)
	f.Fuzz(func(t *testing.T, body []byte) {
		check(t, render(t, plugintest.Question{
			Path: "/simple/demo/", Now: now, Cooldown: 7 * 24 * time.Hour,
			Upstream: map[string][]byte{"/simple/demo/": body},
		}))
	})
}

// FuzzHTMLPage has any bytes as a page in HTML, with a JSON API that tells when
// some of its files were uploaded.
func FuzzHTMLPage(f *testing.F) {
	f.Add(`<a href="demo-1.0.tar.gz#sha256=00" data-yanked>demo-1.0.tar.gz</a><a href="/demo-2.0.tar.gz">x</a>`)
	f.Add(`<base href="https://c.example.com/"><a href="demo-2.0.tar.gz" data-core-metadata="true" data-requires-python="&gt;3"></a>`)
	f.Add("<meta name='pypi:project-status' content='\"<'><A hReF='demo-1.0.zip?a=b&c'>")
	render := plugintest.Renderer(f, open)
	api := []byte(`{"releases":{"2.0":[{"filename":"demo-2.0.tar.gz","upload_time_iso_8601":"2025-06-09T00:00:00Z"}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		check(t, render(t, plugintest.Question{
			Path: "/simple/demo/", Now: now, Cooldown: 7 * 24 * time.Hour,
			Upstream: map[string][]byte{"/simple/demo/": []byte(body), "/pypi/demo/json": api},
		}))
	})
}
