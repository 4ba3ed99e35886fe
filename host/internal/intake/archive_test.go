package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// item is a member of an archive that a test makes.
type item struct {
	name string
	body string
	kind byte // of a tar archive; 0: a file
	link string
}

func makeTar(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Mode: 0o644, Size: int64(len(i.body)), Typeflag: i.kind, Linkname: i.link}
		if i.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeZip(t testing.TB, mode os.FileMode, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, i.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inFile(t testing.TB, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "package")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var everywhere = []string{"tar:**/wanted", "tar.gz:**/wanted", "zip:**/wanted"}

func TestMembersAreThoseThatAreAskedFor(t *testing.T) {
	t.Parallel()
	items := []item{{name: "./p/wanted", body: "one"}, {name: "p/other", body: "two"}, {name: "p/deep/er/wanted", body: "three"}}
	plain := []item{{name: "p/wanted", body: "one"}, {name: "p/other", body: "two"}, {name: "p/deep/er/wanted", body: "three"}}
	for name, test := range map[string]struct {
		body     []byte
		patterns []string
		want     []string
	}{
		"tar":               {makeTar(t, items...), everywhere, []string{"p/wanted=one", "p/deep/er/wanted=three"}},
		"tar.gz":            {zipped(t, makeTar(t, items...)), everywhere, []string{"p/wanted=one", "p/deep/er/wanted=three"}},
		"zip":               {makeZip(t, 0o644, plain...), everywhere, []string{"p/wanted=one", "p/deep/er/wanted=three"}},
		"a star":            {makeTar(t, items...), []string{"tar:*/wanted"}, []string{"p/wanted=one"}},
		"another kind":      {makeZip(t, 0o644, plain...), []string{"tar:**"}, nil},
		"no archive":        {[]byte("nothing"), everywhere, nil},
		"empty":             {nil, everywhere, nil},
		"head":              {[]byte("nothing"), []string{"head:3"}, []string{"head=not"}},
		"head of less":      {[]byte("no"), []string{"head:3"}, []string{"head=no"}},
		"nothing is wanted": {makeTar(t, items...), nil, nil},
	} {
		members, err := Members(inFile(t, test.body), test.patterns, false)
		var got []string
		for _, m := range members {
			got = append(got, m.Name+"="+string(m.Body))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestPatternsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"rar:*", "head:x", "head:0", "head:99999999999", "tar"} {
		if _, err := Members(inFile(t, makeTar(t)), []string{pattern}, false); pattern != "tar" && (err == nil || errors.Is(err, ErrArchive)) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestArchivesThatAreRefused(t *testing.T) {
	t.Parallel()
	wanted := item{name: "p/wanted", body: "one"}
	whole := makeTar(t, wanted, item{name: "p/other", body: strings.Repeat("x", 5000)})
	link := func(name, to string) item { return item{name: name, kind: tar.TypeSymlink, link: to} }
	hard := func(name, to string) item { return item{name: name, kind: tar.TypeLink, link: to} }
	for name, test := range map[string]struct {
		body []byte
		says string
	}{
		"up":                        {makeTar(t, item{name: "../evil"}), "leads elsewhere"},
		"up in the middle":          {makeTar(t, item{name: "p/../../evil"}), "leads elsewhere"},
		"up and back":               {makeTar(t, item{name: "p/../evil"}), "leads elsewhere"},
		"from the root":             {makeTar(t, item{name: "/etc/evil"}), "leads elsewhere"},
		"up by a backslash":         {makeTar(t, item{name: `..\evil`}), "leads elsewhere"},
		"a folder that leads up":    {makeTar(t, item{name: "../", kind: tar.TypeDir}), "leads elsewhere"},
		"a drive":                   {makeTar(t, item{name: "C:evil"}), "drive"},
		"up, in a zip":              {makeZip(t, 0o644, item{name: "../evil"}), "leads elsewhere"},
		"from the root, in a zip":   {makeZip(t, 0o644, item{name: "/evil"}), "leads elsewhere"},
		"twice":                     {makeTar(t, wanted, wanted), "stands twice"},
		"twice, once with a dot":    {makeTar(t, wanted, item{name: "./p/wanted"}), "stands twice"},
		"twice, in a zip":           {makeZip(t, 0o644, wanted, wanted), "stands twice"},
		"a link out":                {makeTar(t, link("p/link", "../../etc")), "leads out of it"},
		"a link to the root":        {makeTar(t, link("p/link", "/etc/passwd")), "leads out of it"},
		"a link by a backslash":     {makeTar(t, link("p/link", `..\..\etc`)), "leads out of it"},
		"a hard link out":           {makeTar(t, hard("p/link", "../etc/passwd")), "leads out of it"},
		"through a link":            {makeTar(t, link("p/link", "."), item{name: "p/link/evil"}), "goes through a link"},
		"through a link to come":    {makeTar(t, item{name: "p/link/evil"}, link("p/link", ".")), "goes through a link"},
		"a link through a link":     {makeTar(t, link("a/b/l", "../.."), link("a/b/l/x", "../..")), "goes through a link"},
		"a hard link to a link":     {makeTar(t, link("a", "b"), hard("c", "a")), "another link"},
		"a hard link through one":   {makeTar(t, link("a", "b"), hard("c", "./a/d")), "another link"},
		"a link, in a zip":          {makeZip(t, os.ModeSymlink|0o777, item{name: "p/link", body: "/etc"}), "link"},
		"a folder's link, in a zip": {makeZip(t, os.ModeSymlink|0o777, item{name: "p/link/"}), "link"},
		"a file and a folder":       {makeTar(t, item{name: "p/d/", kind: tar.TypeDir}, item{name: "p/d"}), "as a folder it has"},
		"a file below a file":       {makeTar(t, item{name: "p/d/e/f"}, item{name: "p/d!"}, item{name: "p/d"}), "as a folder it has"},
		"a file below one, a zip":   {makeZip(t, 0o644, item{name: "a"}, item{name: "a/b"}), "as a folder it has"},
		"a link below a file":       {makeTar(t, item{name: "a"}, link("a/b", "../c")), "as a folder it has"},
		"another case":              {makeTar(t, wanted, item{name: "P/Wanted"}), "where case does not matter"},
		"another case, in a zip":    {makeZip(t, 0o644, item{name: "p/WANTED"}, wanted), "where case does not matter"},
		"a folder in another case":  {makeTar(t, wanted, item{name: "p/WANTED/", kind: tar.TypeDir}), "where case does not matter"},
		"below it in another case":  {makeTar(t, item{name: "p/WANTED/a"}, item{name: "p/wanted!"}, wanted), "where case does not matter"},
		"letters that are few":      {makeTar(t, item{name: "\u212a/wanted"}, item{name: "k/wanted"}), "where case does not matter"},
		"a device":                  {makeTar(t, item{name: "p/null", kind: tar.TypeChar}), "neither a file"},
		"a pipe":                    {makeTar(t, item{name: "p/pipe", kind: tar.TypeFifo}), "neither a file"},
		"a pipe, in a zip":          {makeZip(t, os.ModeNamedPipe|0o644, item{name: "p/pipe"}), "device"},
		"an unknown kind":           {makeTar(t, item{name: "p/wanted", kind: 'Y', body: "one"}), "neither a file"},
		"cut off in a member":       {whole[:2100], "cannot be read"},
		"cut off in a header":       {whole[:1100], "cannot be read"},
		"cut off, compressed":       {zipped(t, whole)[:60], "cannot be read"},
		"without its checksum":      {zipped(t, whole)[:len(zipped(t, whole))-4], "cannot be read to its end"},
		"a wrong checksum":          {corrupted(zipped(t, whole), 8), "cannot be read to its end"},
		"more after its end":        {zipped(t, append(slices.Clone(whole), "and more"...)), "goes on after its end"},
		"an archive after it":       {append(zipped(t, whole), zipped(t, whole)...), "goes on after its end"},
		"a zip cut off":             {makeZip(t, 0o644, wanted)[:40], "cannot be read"},
		"a damaged zip":             {corruptedAt(makeZip(t, 0o644, wanted), 40), "cannot be read"},
		"a long name":               {makeTar(t, item{name: "p/" + strings.Repeat("n", maxNameOfMember)}), "name has"},
		"members without end":       {zipped(t, makeTar(t, emptyMembers(3*freeMembers)...)), " members in "},
		"a large member":            {makeTar(t, item{name: "p/wanted", body: strings.Repeat("x", maxPeeked+1)}), "too large to be read"},
		"a bomb":                    {zipped(t, makeTar(t, item{name: "p/bomb", body: strings.Repeat("\x00", freeRatio+1<<20)})), "unpacks to more"},
		"a bomb, in a zip":          {makeZip(t, 0o644, item{name: "p/bomb", body: strings.Repeat("\x00", freeRatio+1<<20)}), "unpacks to more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			members, err := Members(inFile(t, test.body), everywhere, false)
			if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %d members, %v; want %q", len(members), err, test.says)
			}
		})
	}
}

// emptyMembers are so many with nothing in them, which take next to no room.
func emptyMembers(n int) []item {
	all := make([]item, n)
	for i := range all {
		all[i].name = fmt.Sprintf("p/%d", i)
	}
	return all
}

// corrupted changes a byte so many from the end, corruptedAt from the beginning.
func corrupted(b []byte, fromEnd int) []byte { return corruptedAt(b, len(b)-fromEnd) }

func corruptedAt(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 0x55
	return b
}

func TestArchivesThatAreNotRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{
		"links within":   makeTar(t, item{name: "p/a", body: "x"}, item{name: "p/b", kind: tar.TypeSymlink, link: "../p/a"}, item{name: "p/c", kind: tar.TypeLink, link: "p/a"}),
		"folders twice":  makeTar(t, item{name: "p/", kind: tar.TypeDir}, item{name: "p/", kind: tar.TypeDir}, item{name: "p/a"}),
		"this folder":    makeTar(t, item{name: "./", kind: tar.TypeDir}, item{name: "./p/a"}),
		"dots in a name": makeTar(t, item{name: "p/..a"}, item{name: "p/b..c"}, item{name: "p/l", kind: tar.TypeSymlink, link: "..a"}),
		"padding":        zipped(t, append(makeTar(t, item{name: "p/a"}), make([]byte, 9000)...)),
		"in two pieces":  append(zipped(t, makeTar(t, item{name: "p/a"})[:512]), zipped(t, makeTar(t, item{name: "p/a"})[512:])...),
		"empty":          makeTar(t),
		"empty zip":      makeZip(t, 0o644),
		"folders, a zip": makeZip(t, 0o755, item{name: "p/"}, item{name: "p/a"}),
		"global headers": globalHeader(t),
		"case elsewhere": makeTar(t, item{name: "p/wanted"}, item{name: "p/README"}, item{name: "p/readme"}, item{name: "p/LICENSE"}, item{name: "p/license/a"}),
		"folders' case":  makeZip(t, 0o644, item{name: "P/a"}, item{name: "p/wanted"}),
	} {
		if _, err := Members(inFile(t, body), everywhere, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackedArchivesMayHaveFilesThatAreFolders(t *testing.T) {
	t.Parallel()
	jar := makeZip(t, 0o644, item{name: "META-INF/license"}, item{name: "META-INF/license/a"}, item{name: "a/wanted", body: "one"})
	if members, err := Members(inFile(t, jar), everywhere, true); err != nil || len(members) != 1 {
		t.Errorf("%v, %v", members, err)
	}
	twice := makeZip(t, 0o644, item{name: "a/wanted"}, item{name: "A/wanted"})
	if _, err := Members(inFile(t, twice), everywhere, true); !errors.Is(err, ErrArchive) {
		t.Errorf("two names of what says which package it is: %v", err)
	}
}

// globalHeader is an archive as version control makes them.
func globalHeader(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "commit"}},
		{Typeflag: tar.TypeReg, Name: "p/a", Mode: 0o644},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzMembers has any bytes as a package file: members are those that patterns
// choose, within the bounds, and what is refused is refused for a reason.
func FuzzMembers(f *testing.F) {
	f.Add(makeTar(f, item{name: "p/wanted", body: "one"}))
	f.Add(zipped(f, makeTar(f, item{name: "p/wanted", body: "one"}, item{name: "p/l", kind: tar.TypeSymlink, link: "wanted"})))
	f.Add(makeZip(f, 0o644, item{name: "p/wanted", body: "one"}, item{name: "q"}))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{0x1f, 0x8b})
	path := filepath.Join(f.TempDir(), "package")
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		members, err := Members(path, everywhere, false)
		if err != nil && !errors.Is(err, ErrArchive) {
			t.Fatalf("an error of ours: %v", err)
		}
		for _, m := range members {
			if !strings.HasSuffix(m.Name, "/wanted") || strings.HasPrefix(m.Name, "/") || strings.Contains(m.Name, "/../") || strings.HasPrefix(m.Name, "../") || len(m.Body) > maxPeeked {
				t.Fatalf("%q has %d bytes", m.Name, len(m.Body))
			}
		}
	})
}
