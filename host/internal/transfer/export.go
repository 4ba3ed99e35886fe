package transfer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
)

// Chosen are packages of a repository to be exported.
type Chosen struct {
	Repository, Plugin string
	// Names in canonical form, and the versions of each that are meant.
	Names    []string
	Versions func(name, version string) bool
}

// Source has what is exported.
type Source struct {
	Catalog *catalog.Catalog
	// Open opens a file.
	Open func(*catalog.File) (io.ReadCloser, error)
	// Spool is a directory for temporary files.
	Spool string
	// Entrepot is the version of the program.
	Entrepot string
}

// Export writes packages as a tar of an export's directory, its list last. A
// file that cannot be read, or has changed, is not in the list, and the end says
// so.
func (s Source) Export(ctx context.Context, w io.Writer, all []Chosen) (end End, err error) {
	spool, err := os.CreateTemp(s.Spool, "export-")
	if err != nil {
		return end, err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	x := exporting{Source: s, archive: tar.NewWriter(w), list: json.NewEncoder(spool), taken: map[string]bool{}}
	if err := x.list.Encode(Line{Export: &Head{Format: format, Entrepot: s.Entrepot, Created: time.Now().UTC()}}); err != nil {
		return end, err
	}
	for _, chosen := range all {
		for _, name := range chosen.Names {
			if err := x.export(ctx, chosen, name); err != nil {
				return x.end, err
			}
		}
	}
	if err := x.list.Encode(Line{End: &x.end}); err != nil {
		return x.end, err
	}
	size, err := spool.Seek(0, io.SeekEnd)
	if err != nil {
		return x.end, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return x.end, err
	}
	if err := x.member(ListName, size, spool); err != nil {
		return x.end, err
	}
	return x.end, x.archive.Close()
}

// exporting is an export under way.
type exporting struct {
	Source
	archive *tar.Writer
	list    *json.Encoder
	taken   map[string]bool // files and folders of the export
	end     End
}

func (x *exporting) member(name string, size int64, from io.Reader) error {
	if err := x.archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Now(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := io.CopyN(x.archive, from, size)
	return err
}

func (x *exporting) export(ctx context.Context, chosen Chosen, name string) error {
	p, err := x.Catalog.Package(chosen.Repository, name)
	if err != nil {
		return err
	}
	graves, err := x.Catalog.Gone(chosen.Repository, name)
	if err != nil {
		return err
	}
	if p == nil {
		p = &catalog.Package{Name: name} // it was deleted
	}
	about := &Package{Repository: chosen.Repository, Plugin: chosen.Plugin, Name: p.Name, Tags: map[string]string{}, Owners: p.Owners, Extra: p.Extra}
	for path, g := range graves {
		if chosen.Versions(p.Name, g.Version) {
			if about.Gone == nil {
				about.Gone = map[string]Gone{}
			}
			about.Gone[path] = Gone{g.Version, g.Body.String()}
		}
	}
	var files []*File
	for _, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !chosen.Versions(p.Name, f.Version) {
			continue
		}
		for tag, version := range p.Tags {
			if version == f.Version {
				about.Tags[tag] = version
			}
		}
		out := &File{
			Version: f.Version, Canonical: f.Canonical, Path: f.Path, Size: f.Size, Published: f.Published.UTC(), Yanked: f.Yanked, Message: f.Message,
			Type: f.Type, Needs: f.Needs, Loose: f.Loose, Extra: f.Extra,
		}
		if f.Path != "" {
			out.Digests = map[string]string{"sha256": f.Body.String()}
			for algorithm, sum := range f.Digests {
				out.Digests[algorithm] = hex.EncodeToString(sum)
			}
			out.File = x.place(chosen.Repository, f)
			whole, err := x.file(out, f)
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
		}
		files = append(files, out)
	}
	if len(files) == 0 && len(about.Gone) == 0 && (len(p.Files) > 0 || p.Revision == 0) {
		return nil
	}
	x.end.Packages++
	if err := x.list.Encode(Line{Package: about}); err != nil {
		return err
	}
	for _, f := range files {
		if f.Path != "" {
			x.end.Files++
			x.end.Bytes += f.Size
		}
		if err := x.list.Encode(Line{File: f}); err != nil {
			return err
		}
	}
	return nil
}

// file puts a file into the archive and says whether it is what it should be.
func (x *exporting) file(out *File, f *catalog.File) (whole bool, err error) {
	from, err := x.Open(f)
	if err != nil {
		x.end.Problems = append(x.end.Problems, fmt.Sprintf("%s: %v", out.File, err))
		return false, nil
	}
	defer from.Close()
	sum := sha256.New()
	if err := x.member(out.File, f.Size, io.TeeReader(from, sum)); err != nil {
		return false, fmt.Errorf("%s: %w", out.File, err)
	}
	if got := sum.Sum(nil); [sha256.Size]byte(got) != f.Body {
		x.end.Problems = append(x.end.Problems, fmt.Sprintf("%s: it holds other bytes than were published", out.File))
		return false, nil
	}
	return true, nil
}

// place is where a file lies in an export: at its address in the repository,
// unless that is no name for a file, or is another's folder.
func (x *exporting) place(repository string, f *catalog.File) string {
	name := path.Join(repository, f.Path)
	fits := filepath.IsLocal(name) && strings.HasPrefix(name, repository+"/") && !strings.HasSuffix(f.Path, "/") &&
		!strings.ContainsAny(name, "\\:*?\"<>|") && !x.taken[name]
	for _, part := range strings.Split(name, "/") {
		fits = fits && len(part) <= 200 && !strings.HasPrefix(part, ".entrepot") && !strings.HasSuffix(part, partSuffix)
	}
	for folder := path.Dir(name); fits && folder != "."; folder = path.Dir(folder) {
		fits = !x.taken[folder+"\x00"] // a file
	}
	if !fits {
		return path.Join(repository, ".entrepot", f.Body.String())
	}
	x.taken[name], x.taken[name+"\x00"] = true, true
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		x.taken[folder] = true
	}
	return name
}
