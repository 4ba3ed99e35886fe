// Package transfer takes hosted packages out of a host, as plain files with a
// list beside them, and reads such a directory for another host.
//
// Files lie as their repository has them, at REPOSITORY/PATH, so that they can
// be served or uploaded elsewhere as they are. What files do not tell is in the
// list: lines of JSON, each an object with one member that says what it is
// ([Line]). The list is written last, so that a directory with one is whole.
package transfer

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// ListName is the name of the list in an export.
const ListName = "entrepot-export.jsonl"

// beginName marks a directory whose export is not whole yet.
const beginName = ".entrepot-export.part"

// format is the number of the layout of an export.
const format = 1

// Line is a line of the list. One member is set.
type Line struct {
	// Export is the first line.
	Export *Head `json:"export,omitempty"`
	// Package begins a package, of which the files follow.
	Package *Package `json:"package,omitempty"`
	// File is a file of the package before.
	File *File `json:"file,omitempty"`
	// End is the last line.
	End *End `json:"end,omitempty"`
}

// Head says what an export is.
type Head struct {
	// Format of the export.
	Format int `json:"format"`
	// Entrepot is the version of the program that made it.
	Entrepot string `json:"entrepot"`
	// Created is when it was begun.
	Created time.Time `json:"created"`
}

// Package is a hosted package.
type Package struct {
	// Repository that it is in, and that repository's plugin.
	Repository string `json:"repository"`
	Plugin     string `json:"plugin"`
	// Name in canonical form.
	Name string `json:"name"`
	// Tags are versions by tag.
	Tags map[string]string `json:"tags,omitempty"`
	// Owners are users.
	Owners []string `json:"owners,omitempty"`
	// Extra is the plugin's.
	Extra []byte `json:"extra,omitempty"`
	// Gone are files that were deleted for good, by path.
	Gone map[string]Gone `json:"gone,omitempty"`
}

// Gone is a file that was deleted for good.
type Gone struct {
	// Version that it was of.
	Version string `json:"version"`
	// SHA256 of the bytes that may come back, in hex.
	SHA256 string `json:"sha256"`
}

// File is a file of a package, or a version without files.
type File struct {
	// Version that it is of.
	Version string `json:"version"`
	// Canonical is what it has in common with other spellings; empty: there are
	// none.
	Canonical string `json:"canonical,omitempty"`
	// Path is its address in the repository; empty: there is no file.
	Path string `json:"path,omitempty"`
	// File is where it lies in the export, with slashes.
	File string `json:"file,omitempty"`
	// Size in bytes.
	Size int64 `json:"size,omitempty"`
	// Digests in hex by algorithm; sha256 is always there.
	Digests map[string]string `json:"digests,omitempty"`
	// Published is when it was.
	Published time.Time `json:"published"`
	// Yanked is whether its version is yanked.
	Yanked bool `json:"yanked,omitempty"`
	// Message says why it is yanked or deprecated.
	Message string `json:"message,omitempty"`
	// Type is the content type; empty: as its name says.
	Type string `json:"type,omitempty"`
	// Needs are paths of loose files of the package.
	Needs []string `json:"needs,omitempty"`
	// Loose is whether it goes when no file needs it.
	Loose bool `json:"loose,omitempty"`
	// Extra is the plugin's.
	Extra []byte `json:"extra,omitempty"`
}

// End says how much there is.
type End struct {
	Packages int   `json:"packages"`
	Files    int   `json:"files"`
	Bytes    int64 `json:"bytes"`
	// Problems are files that could not be read, with the reasons.
	Problems []string `json:"problems,omitempty"`
}

// readList reads a list and calls visit with each package and its files.
func readList(from io.Reader, visit func(*Package, []*File) error) (end End, err error) {
	lines := json.NewDecoder(from)
	var head Line
	if err := lines.Decode(&head); err != nil || head.Export == nil {
		return end, fmt.Errorf("the list does not begin as one of entrepot's does")
	}
	if head.Export.Format != format {
		return end, fmt.Errorf("the export has format %d, but this entrepot understands %d; use the version that wrote it, or a newer one", head.Export.Format, format)
	}
	var of *Package
	var files []*File
	done := func() error {
		if of == nil {
			return nil
		}
		end.Packages++
		return visit(of, files)
	}
	for {
		var l Line
		if err := lines.Decode(&l); err != nil {
			return end, fmt.Errorf("the list is cut off or damaged: %w", err)
		}
		switch {
		case l.Package != nil:
			if err := done(); err != nil {
				return end, err
			}
			of, files = l.Package, nil
		case l.File != nil && of != nil:
			files = append(files, l.File)
			if l.File.Path != "" {
				end.Files++
			}
		case l.End != nil:
			if err := done(); err != nil {
				return end, err
			}
			if end.Packages != l.End.Packages || end.Files != l.End.Files {
				return end, fmt.Errorf("the list has %d packages and %d files, but should have %d and %d", end.Packages, end.Files, l.End.Packages, l.End.Files)
			}
			return *l.End, nil
		}
	}
}
