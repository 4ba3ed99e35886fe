package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

const configJSON = `{"dl":"https://files.example.com/crates","api":"https://api.example.com"}`

var now = time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC)

// indexFile makes an index file of so many versions, one a day, the last of
// them today.
func indexFile(versions int) []byte {
	var b bytes.Buffer
	dependency := `{"name":"dependency","req":"^1.0","features":["std","derive"],"optional":true,"default_features":false,"target":null,"kind":"normal"}`
	for i := range versions {
		published := now.AddDate(0, 0, i-versions+1).Format(time.RFC3339)
		fmt.Fprintf(&b, `{"name":"demo","vers":"1.%d.0","deps":[%s],"cksum":"%064x","features":{"std":["dependency/std"]},"yanked":false,"pubtime":"%s"}`+"\n",
			i, dependency+","+dependency, i, published)
	}
	return b.Bytes()
}

func BenchmarkIndex(b *testing.B) {
	file := indexFile(350)
	render := plugintest.Renderer(b, open)
	q := plugintest.Question{
		Path: "/de/mo/demo", Now: now, Cooldown: 7 * 24 * time.Hour,
		Upstream: map[string][]byte{"/de/mo/demo": file, "/config.json": []byte(configJSON)},
	}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if r := render(b, q); r.Failure != nil || len(r.Facts) != 350 {
			b.Fatal(r.Failure, len(r.Facts))
		}
	}
}

// FuzzIndex has any bytes as an index file: each line that is written stands in
// the file as it is, and is of a version that was kept and of no other.
func FuzzIndex(f *testing.F) {
	f.Add(indexFile(10))
	f.Add([]byte(`{"name":"demo","vers":"1.0.0","cksum":"` + strings.Repeat("0", 64) + `","vers":"2.0.0"}`))
	f.Add([]byte("{}\n\n[]\n\"\n"))
	render := plugintest.Renderer(f, open)
	f.Fuzz(func(t *testing.T, file []byte) {
		r := render(t, plugintest.Question{
			Path: "/de/mo/demo", Now: now, Cooldown: 7 * 24 * time.Hour,
			Upstream: map[string][]byte{"/de/mo/demo": file, "/config.json": []byte(configJSON)},
		})
		if r.Failure != nil {
			return
		}
		kept := map[string]bool{}
		for _, fact := range r.Facts {
			kept[fact.GetVersion()] = fact.GetKept()
		}
		for line := range bytes.Lines(r.Outputs[""]) {
			if !bytes.Contains(file, line) {
				t.Fatalf("%q is not a line of upstream's", line)
			}
			release, ok := parseLine(string(line))
			if !ok {
				t.Fatalf("%q cannot be read", line)
			}
			if version := release.version.Original(); !kept[version] {
				t.Fatalf("%s is written, but was not kept", version)
			}
		}
	})
}
