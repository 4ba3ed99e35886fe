package peek

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/intake"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestNames(t *testing.T) {
	t.Parallel()
	write := func(body []byte) string {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	archive := func(members ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range members {
			w, err := z.Create(name)
			if err == nil && name[len(name)-1] != '/' {
				_, err = w.Write([]byte(name))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := write(archive("a/go.mod", "a/b c", "a/"))
	for want, patterns := range map[string][]string{
		"":                  {"tar:*"},
		"a/go.mod; names; ": {"names:zip", "zip:*/go.mod"},
		"names; ":           {"names:zip"},
	} {
		members, err := Members(good, &pb.Capabilities{Peek: patterns})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range members {
			got += m.Name + "; "
			if m.Name == "names" && string(m.Body) != "8 a/go.mod\n5 a/b c\n0 a/\n" {
				t.Errorf("the names are %q", m.Body)
			}
		}
		if got != want {
			t.Errorf("%v gives %q, want %q", patterns, got, want)
		}
	}
	if members, err := Members(write([]byte("no archive")), &pb.Capabilities{Peek: []string{"names:zip"}}); err != nil || len(members) != 0 {
		t.Errorf("what is no archive gives %v, %v", members, err)
	}
	for name, body := range map[string][]byte{"two lines": archive("a\nb"), "zip slip": archive("../a"), "cut off": archive("a")[:40]} {
		if _, err := Members(write(body), &pb.Capabilities{Peek: []string{"names:zip"}}); !errors.Is(err, intake.ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
