// Package peek reads of package files what a plugin wants to see: see the Peek
// patterns of the contract. Members come from intake, which checks the archive;
// lists of names are made here.
package peek

import (
	"archive/zip"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// names asks for a list of all members of a zip archive.
const names = "names:zip"

// folder begins a pattern for folders that stand for an archive, by a file that
// they have.
const folder = "folder:"

// Folders are the names of files which make a folder that has one of them stand
// for an archive.
func Folders(patterns []string) []string {
	var all []string
	for _, p := range patterns {
		if name, ok := strings.CutPrefix(p, folder); ok {
			all = append(all, name)
		}
	}
	return all
}

// Members are those of a package file that patterns choose, and with names:zip
// a member called "names" that has a line for each member of a zip archive: its
// size in bytes unpacked, a space and its name. Errors are those of
// [intake.Members].
func Members(file string, able *pb.Capabilities) ([]wire.Member, error) {
	patterns := able.GetPeek()
	rest := slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == names || strings.HasPrefix(p, folder) })
	listed := slices.Contains(patterns, names)
	if listed {
		rest = append(rest, "zip:") // so that the archive is checked
	}
	members, err := intake.Members(file, rest, able.GetPacked())
	if err != nil || !listed {
		return members, err
	}
	list, err := list(file)
	if err != nil || list == nil {
		return members, err
	}
	return append(members, wire.Member{Name: "names", Body: list}), nil
}

// list writes the names in a zip archive; nil: it is none.
func list(file string) ([]byte, error) {
	archive, err := zip.OpenReader(file)
	if errors.Is(err, zip.ErrFormat) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", intake.ErrArchive, err)
	}
	defer archive.Close()
	b := []byte{}
	for _, f := range archive.File {
		if strings.ContainsAny(f.Name, "\r\n") {
			return nil, fmt.Errorf("%w: the name of its member %q has more than one line", intake.ErrArchive, f.Name)
		}
		b = fmt.Appendf(b, "%d %s\n", f.UncompressedSize64, f.Name)
	}
	return b, nil
}
