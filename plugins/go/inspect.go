package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	modzip "golang.org/x/mod/zip"

	"github.com/entrepot-registry/entrepot/sdk"
)

// kept is what is kept of a version published here.
type kept struct {
	// Mod is its go.mod.
	Mod string `json:"mod"`
}

// maxKeptMod bounds a go.mod, of which each is kept with its module.
const maxKeptMod = 1 << 20

func packageFiles() *sdk.Package {
	return &sdk.Package{Peek: []string{"zip:**@*/go.mod", "names:zip"}, Inspect: inspect}
}

// inspect says of which version a module zip is, and holds it against what the
// go command takes (go.dev/ref/mod, "Module zip files").
func inspect(m *sdk.Members) (sdk.Entry, error) {
	names, ok := m.First("names")
	if !ok {
		return sdk.Entry{}, errors.New("it is no zip archive")
	}
	if m.Size > modzip.MaxZipFile {
		return sdk.Entry{}, fmt.Errorf("the module zip has more than %d bytes", modzip.MaxZipFile)
	}
	of, err := checkNames(string(names))
	if err != nil {
		return sdk.Entry{}, err
	}
	k := kept{Mod: "module " + modfile.AutoQuote(of.Path) + "\n"} // as the go command has it of a module without one
	if text, ok := m.First(of.Path + "@" + of.Version + "/go.mod"); ok {
		if err := checkMod(of, text); err != nil {
			return sdk.Entry{}, err
		}
		k.Mod = string(text)
	}
	extra, err := json.Marshal(k)
	return sdk.Entry{
		Version: sdk.Version{Name: of.Path, Version: of.Version},
		Path:    filePath(of, ".zip"),
		Extra:   extra,
	}, err
}

// checkMod holds a module's go.mod against its path.
func checkMod(of module.Version, text []byte) error {
	switch said := modfile.ModulePath(text); {
	case len(text) > maxKeptMod:
		return fmt.Errorf("its go.mod has more than %d bytes", maxKeptMod)
	case said != of.Path:
		return fmt.Errorf("its go.mod has the module %q, but the files are those of %q", said, of.Path)
	case semver.Build(of.Version) == "+incompatible":
		return errors.New("a version that is +incompatible has no go.mod")
	}
	return nil
}

// checkNames holds the members of a module zip against the rules, and returns
// the version that they are of.
func checkNames(list string) (module.Version, error) {
	of, err := prefixOf(list)
	if err != nil {
		return of, err
	}
	prefix := of.Path + "@" + of.Version + "/"
	folded := map[string]string{} // files and folders by their name in lower case
	var total uint64
	for line := range strings.Lines(list) {
		text, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		size, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return of, err
		}
		below, ok := strings.CutPrefix(name, prefix)
		if !ok {
			return of, fmt.Errorf("its file %q does not begin with %q", name, prefix)
		}
		folder := strings.HasSuffix(below, "/")
		if below = strings.TrimSuffix(below, "/"); below == "" {
			continue
		}
		if err := checkFile(below, folder, size); err != nil {
			return of, err
		}
		if err := fold(folded, below, folder); err != nil {
			return of, err
		}
		if total += size; size > modzip.MaxZipFile || total > modzip.MaxZipFile {
			return of, fmt.Errorf("its files have more than %d bytes", modzip.MaxZipFile)
		}
	}
	return of, nil
}

// prefixOf is the version that the first name in a list begins with.
func prefixOf(list string) (module.Version, error) {
	line, _, _ := strings.Cut(list, "\n")
	_, name, _ := strings.Cut(line, " ")
	modPath, rest, ok := strings.Cut(name, "@")
	version, _, deeper := strings.Cut(rest, "/")
	if !ok || !deeper {
		return module.Version{}, fmt.Errorf("it is no module zip: its first file %q does not begin with module@version/", name)
	}
	of := module.Version{Path: modPath, Version: version}
	return of, check(of)
}

// checkFile holds one file of a module against the rules.
func checkFile(name string, folder bool, size uint64) error {
	if err := module.CheckFilePath(name); err != nil {
		return err
	}
	switch base := path.Base(name); {
	case folder:
		return nil
	case strings.EqualFold(base, "go.mod") && base != "go.mod":
		return fmt.Errorf("its file %q is to be spelled go.mod", name)
	case base == "go.mod" && name != "go.mod":
		return fmt.Errorf("its file %q is the go.mod of another module", name)
	case name == "go.mod" && size > modzip.MaxGoMod, name == "LICENSE" && size > modzip.MaxLICENSE:
		return fmt.Errorf("its file %q has more than %d bytes", name, modzip.MaxGoMod)
	}
	return nil
}

// fold refuses names that some file systems do not tell apart, and files that
// are folders too.
func fold(known map[string]string, name string, folder bool) error {
	kind := "file "
	if folder {
		kind = "folder "
	}
	for {
		lower := strings.ToLower(name)
		if other, ok := known[lower]; ok && (other != kind+name || kind == "file ") {
			return fmt.Errorf("its names %q and %q collide", name, strings.TrimPrefix(strings.TrimPrefix(other, "file "), "folder "))
		}
		known[lower] = kind + name
		if name = path.Dir(name); name == "." {
			return nil
		}
		kind = "folder "
	}
}
