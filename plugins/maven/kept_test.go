package main

import "testing"

func TestReadPlugin(t *testing.T) {
	t.Parallel()
	for descriptor, want := range map[string]string{
		`<?xml version="1.0" encoding="UTF-8"?><plugin><name>Hello</name><groupId>com.acme</groupId><goalPrefix> hello </goalPrefix><mojos><mojo><goal>hi</goal></mojo></mojos></plugin>`: "hello Hello",
		`<?xml version="1.0" encoding="ISO-8859-1"?><plugin><name>caf` + "\xe9" + `</name><goalPrefix>hello</goalPrefix></plugin>`:                                                        "hello café",
		`<plugin><name>Hello</name></plugin>`:               "",
		`<plugin><goalPrefix>hello</goalPrefix>`:            "",
		`<project><goalPrefix>hello</goalPrefix></project>`: "",
		``: "",
	} {
		got := ""
		if p := readPlugin([]byte(descriptor)); p != nil {
			got = p.Prefix + " " + p.Name
		}
		if got != want {
			t.Errorf("%s is read as %q", descriptor, got)
		}
	}
}
