package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

// FuzzRegistration has a registration rendered in both protocols: what is shown
// was kept, and can be read.
func FuzzRegistration(f *testing.F) {
	f.Add([]byte(`{"items":[{"@id":"https://r.example.com/lamp/page.json","commitTimeStamp":"2025-06-01T00:00:00Z","lower":"1.0.0","upper":"2.0.0","items":[{"catalogEntry":{"id":"Lamp","version":"1.0.0","published":"2025-01-01T00:00:00Z"}},{"catalogEntry":{"id":"Lamp","version":"2.0.0-a.b","published":"2025-06-01T00:00:00Z"}}]}]}`))
	f.Add([]byte(`{"items":[{"items":[{"catalogEntry":{"version":"1.0","published":"1900-01-01T00:00:00","dependencyGroups":[{"targetFramework":".NETFramework4.5","dependencies":[{"id":"Bulb","range":"[1.0.0, )"}]},null]}}]}]}`))
	render := plugintest.Renderer(f, open)
	upstream := map[string][]byte{"/index.json": []byte(`{"resources":[{"@id":"https://r.example.com/","@type":"RegistrationsBaseUrl"}]}`)}
	question := plugintest.Question{Now: time.Date(2025, 6, 2, 0, 0, 0, 0, time.UTC), Cooldown: 7 * 24 * time.Hour, Upstream: upstream}
	f.Fuzz(func(t *testing.T, body []byte) {
		upstream["https://r.example.com/lamp/index.json"] = body
		question.Path = "/v3/registration/lamp/index.json"
		r := render(t, question)
		if r.Failure != nil {
			return
		}
		kept := map[string]bool{}
		for _, fact := range r.Facts {
			kept[fact.GetVersion()] = fact.GetKept()
		}
		var flat struct{ Versions []string }
		if err := json.Unmarshal(r.Outputs[versionsOutput], &flat); err != nil {
			t.Fatal(err)
		}
		for _, v := range flat.Versions {
			if !kept[v] {
				t.Fatalf("%s is shown, but was not kept", v)
			}
		}
		question.Path = "/v2/Packages(Id='lamp',Version='1.0.0')"
		r = render(t, question)
		if r.Failure == nil && !kept["1.0.0"] {
			t.Fatal("lamp 1.0.0 has an entry, but was not kept")
		}
		readXML(t, r.Outputs[""])
	})
}

// readXML fails unless a text is XML to its end.
func readXML(t *testing.T, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
}
