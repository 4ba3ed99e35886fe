package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	gomod "golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
	modzip "golang.org/x/mod/zip"
)

// goModule is a version of a module that the fixture publishes.
type goModule struct {
	gomod.Version
	age   time.Duration
	files map[string]string
}

// goModules are what every fixture publishes.
var goModules = []goModule{
	goLibrary("example.com/team/shell", "v1.0.0", 365*day, ""),
	goLibrary("example.com/team/tide", "v1.0.0", 30*day, "example.com/team/shell v1.0.0"),
	// The newest tide is too young for a cool-down of days.
	goLibrary("example.com/team/tide", "v1.1.0", 2*time.Hour, "example.com/team/shell v1.0.0"),
	// All of spray is.
	goLibrary("example.com/team/spray", "v1.0.0", 2*time.Hour, ""),
	// Upper case, and a major version in the path.
	goLibrary("example.com/Team/Kelp/v2", "v2.0.0", 60*day, ""),
	// Without a go.mod, and without tags.
	goLibrary("example.com/team/wreck", "v2.0.0+incompatible", 60*day, ""),
	goLibrary("example.com/team/drift", "v0.0.0-20200501000000-0123456789ab", 1000*day, ""),
}

// goLibrary is a module of one package, whose Name is the module with its
// version, and of a command that prints it.
func goLibrary(path, version string, age time.Duration, needs string) goModule {
	m := goModule{gomod.Version{Path: path, Version: version}, age, map[string]string{}}
	prefix, _, _ := gomod.SplitPathVersion(path)
	name := strings.ToLower(prefix[strings.LastIndexByte(prefix, '/')+1:])
	m.files[name+".go"] = fmt.Sprintf("package %s\n\nconst Name = %q\n", name, path+" "+version)
	m.files["cmd/"+name+"/main.go"] = fmt.Sprintf("package main\n\nimport \"%s\"\n\nfunc main() { println(%s.Name) }\n", path, name)
	if !strings.HasSuffix(version, "+incompatible") {
		m.files["go.mod"] = fmt.Sprintf("module %s\n\ngo 1.21\n", path)
		if needs != "" {
			m.files["go.mod"] += "\nrequire " + needs + "\n"
			m.files["needs.go"] = fmt.Sprintf("package %s\n\nimport _ %q\n", name, strings.Fields(needs)[0])
		}
	}
	return m
}

// mod is the go.mod that proxies serve.
func (m goModule) mod() string {
	if text, ok := m.files["go.mod"]; ok {
		return text
	}
	return "module " + m.Path + "\n"
}

// info is the .info, with a commit's time.
func (m goModule) info() string {
	at := fixtureNow.Add(-m.age)
	if t, err := gomod.PseudoVersionTime(m.Version.Version); err == nil {
		at = t
	}
	return fmt.Sprintf(`{"Version":%q,"Time":%q}`, m.Version.Version, at.Format(time.RFC3339))
}

// zip is the module's zip.
func (m goModule) zip(t testing.TB) []byte {
	t.Helper()
	memory := fstest.MapFS{}
	var files []modzip.File
	for name, text := range m.files {
		memory[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		files = append(files, goFile{memory, name})
	}
	var b bytes.Buffer
	if err := modzip.Create(&b, m.Version, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// goFile is a file of a module, as x/mod/zip wants it.
type goFile struct {
	fs   fstest.MapFS
	name string
}

func (f goFile) Path() string                 { return f.name }
func (f goFile) Lstat() (os.FileInfo, error)  { return fs.Stat(f.fs, f.name) }
func (f goFile) Open() (io.ReadCloser, error) { return f.fs.Open(f.name) }

// sums are the lines of go.sum, from which the database is made.
func (m goModule) sums(t testing.TB) ([]byte, error) {
	file, err := os.CreateTemp(t.TempDir(), "*.zip")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Write(m.zip(t)); err != nil {
		return nil, err
	}
	zipSum, err := dirhash.HashZip(file.Name(), dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(m.mod())), nil })
	return fmt.Appendf(nil, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.Path, m.Version.Version, zipSum, modSum), err
}

// goProxy is a module proxy and a checksum database on loopback.
type goProxy struct {
	*fixture
	shelf *shelf
	// modules that are published.
	modules []goModule
	// key is the database's, as clients and the host are told it.
	key string
}

// startGo plays a module proxy with the modules, and a checksum database.
func startGo(t testing.TB) *goProxy {
	t.Helper()
	secret, key, err := note.GenerateKey(rand.Reader, "sumdb.example.com")
	if err != nil {
		t.Fatal(err)
	}
	p := &goProxy{shelf: newShelf(), key: key}
	database := sumdb.NewTestServer(secret, func(path, version string) ([]byte, error) {
		for _, m := range p.modules {
			if m.Path == path && m.Version.Version == version {
				return m.sums(t)
			}
		}
		return nil, fs.ErrNotExist
	})
	main, db := startUpstream(t, p.shelf), startUpstream(t, sumdb.NewServer(database))
	p.fixture = &fixture{
		repository: "go",
		upstream: fmt.Sprintf("upstream \"main\" { url = %q }\nupstream \"sumdb\" { url = %q }\noptions { sumdb = %q }",
			main.URL, db.URL, key),
		servers: []*Upstream{main, db},
	}
	for _, m := range goModules {
		p.publish(t, m)
		if _, err := database.Lookup(t.Context(), m.Version); err != nil { // others have asked for them before
			t.Fatal(err)
		}
	}
	return p
}

// publish adds a version.
func (p *goProxy) publish(t testing.TB, m goModule) {
	t.Helper()
	p.modules = append(p.modules, m)
	var list strings.Builder
	for _, other := range p.modules {
		if other.Path != m.Path {
			continue
		}
		if gomod.IsPseudoVersion(other.Version.Version) {
			p.shelf.put(goPath(m.Path, "@latest"), "application/json", []byte(other.info()))
			continue
		}
		list.WriteString(other.Version.Version + "\n")
	}
	p.shelf.put(goPath(m.Path, "@v/list"), "text/plain", []byte(list.String()))
	p.shelf.put(p.file(m, ".info"), "application/json", []byte(m.info()))
	if plain, ok := strings.CutSuffix(m.Version.Version, "+incompatible"); ok { // which clients ask for without
		p.shelf.put(goPath(m.Path, "@v/"+plain+".info"), "application/json", []byte(m.info()))
	}
	p.shelf.put(p.file(m, ".mod"), "text/plain", []byte(m.mod()))
	p.shelf.put(p.file(m, ".zip"), "application/zip", m.zip(t))
}

// find is a module that is published.
func (p *goProxy) find(t testing.TB, path, version string) goModule {
	t.Helper()
	for _, m := range p.modules {
		if m.Path == path && m.Version.Version == version {
			return m
		}
	}
	t.Fatalf("the fixture has no %s %s", path, version)
	return goModule{}
}

// file is the address of a version's file, here and upstream.
func (p *goProxy) file(m goModule, extension string) string {
	version, err := gomod.EscapeVersion(m.Version.Version)
	if err != nil {
		panic(err)
	}
	return goPath(m.Path, "@v/"+version+extension)
}

func goPath(path, rest string) string {
	escaped, err := gomod.EscapePath(path)
	if err != nil {
		panic(err)
	}
	return "/" + escaped + "/" + rest
}
