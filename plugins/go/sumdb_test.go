package main

import (
	"bytes"
	"testing"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

// FuzzLookup has any bytes as the record of a version: what is read of it are
// whole hashes, of both files.
func FuzzLookup(f *testing.F) {
	const sum = "h1:4VtsaP+8CDuzibhS7zz4/pKpFdEHRsb2JUcXRpRoN2w="
	f.Add([]byte("17\n" + lamp + " v1.0.0 " + sum + "\n" + lamp + " v1.0.0/go.mod " + sum + "\n\ngo.sum database tree\n"))
	f.Add([]byte("17\n" + lamp + " v1.0.0 h1:x\n" + lamp + " v1.0.0/go.mod h2:" + sum + "\n\n"))
	f.Add([]byte("not found"))
	f.Fuzz(func(t *testing.T, record []byte) {
		s, err := parseLookup(module.Version{Path: lamp, Version: "v1.0.0"}, &sdk.Doc{Status: 200, Body: record})
		if err != nil {
			return
		}
		if len(s.zip) == 0 || len(s.mod) == 0 {
			t.Fatal("a record without hashes is no error")
		}
		for algorithm, digests := range map[string][]sdk.Digest{"h1": s.zip, "h1:go.mod": s.mod} {
			for _, d := range digests {
				if d.Algorithm != algorithm || len(d.Sum) != 32 || !bytes.Contains(record, []byte(lamp)) {
					t.Errorf("read %+v", d)
				}
			}
		}
	})
}
