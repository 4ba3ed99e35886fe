package transfer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// partSuffix is of files that are being written.
const partSuffix = ".entrepot-part"

// Unpack makes a directory of what [Source.Export] writes. The directory must be
// empty, not exist, or have an export in it, which is brought up to date; files
// of packages that are gone stay, but are no longer in the list.
func Unpack(ctx context.Context, from io.Reader, dir string) (End, error) {
	if err := begin(dir); err != nil {
		return End{}, err
	}
	archive := tar.NewReader(from)
	for {
		if err := ctx.Err(); err != nil {
			return End{}, err
		}
		h, err := archive.Next()
		if err == io.EOF {
			return End{}, errors.New("the export was broken off: its list is missing")
		}
		if err != nil {
			return End{}, err
		}
		if h.Name == ListName {
			return finish(archive, dir)
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			return End{}, fmt.Errorf("the export has %q, which is no file below it", h.Name)
		}
		if err := unpack(archive, filepath.Join(dir, filepath.FromSlash(h.Name))); err != nil {
			return End{}, err
		}
	}
}

// begin makes a directory for an export, unless something else is in it.
func begin(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == ListName || e.Name() == beginName
	}
	if !ours {
		return fmt.Errorf("%s is not empty and holds no export; name another directory", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, beginName), nil, 0o600)
}

func unpack(from io.Reader, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name + partSuffix)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}

// finish writes the list, when it is whole.
func finish(from io.Reader, dir string) (end End, err error) {
	err = store.WriteFile(filepath.Join(dir, ListName), func(f *os.File) error {
		end, err = readList(io.TeeReader(from, f), func(*Package, []*File) error { return nil })
		if err != nil {
			return err
		}
		_, err = io.Copy(f, from) // what the reader did not need
		return err
	})
	if err != nil {
		return end, err
	}
	return end, os.Remove(filepath.Join(dir, beginName))
}

// Read reads the list of an export's directory and calls visit with each package
// and its files. fs.ErrNotExist: there is no list.
func Read(dir string, visit func(*Package, []*File) error) (End, error) {
	list, err := os.Open(filepath.Join(dir, ListName))
	if err != nil {
		return End{}, err
	}
	defer list.Close()
	return readList(list, visit)
}

// Open opens a file of an export, which has the size that the list says. What
// links lead to outside of the export is none.
func (f *File) Open(dir string) (_ *os.File, err error) {
	name := filepath.FromSlash(f.File)
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("the list has %q, which is no file below it", f.File)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	body, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := body.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is no file")
	case info.Size() != f.Size:
		err = fmt.Errorf("it has %d bytes, but the list says %d", info.Size(), f.Size)
	default:
		return body, nil
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", f.File, err), body.Close())
}
