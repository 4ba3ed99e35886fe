package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
)

// directoryFile reads a body out of a file in a directory, which others may write
// to at any time. What is read after they did is an error: clients that got the
// beginning of a body must not get the end of another.
type directoryFile struct {
	io.ReadSeeker // of the body's part of the file
	file          *os.File
	opened        fs.FileInfo
	err           error // why reading ended early; nil: it did not
}

var errChanged = errors.New("it has changed and was not looked at since")

// openSource opens a file in a directory, if it is still the one that was
// looked at.
func openSource(f *catalog.File) (*Content, error) {
	file, err := os.Open(f.Source)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (info.Size() != max(f.Size, f.Whole) || !info.ModTime().Equal(f.Modified)) {
		err = errChanged
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	d := &directoryFile{ReadSeeker: io.NewSectionReader(file, f.Offset, f.Size), file: file, opened: info}
	return &Content{Digest: f.Body, Size: f.Size, plain: d}, nil
}

// Read looks at the file after its bytes were copied: what was written before that
// shows, and what is written later does not reach them.
func (d *directoryFile) Read(p []byte) (int, error) {
	n, err := d.ReadSeeker.Read(p)
	info, failed := d.file.Stat()
	if failed == nil && (info.Size() != d.opened.Size() || !info.ModTime().Equal(d.opened.ModTime())) {
		failed = errChanged
	}
	if failed != nil {
		d.err = failed
		return 0, failed
	}
	return n, err
}

// Err says why the body could not be read to its end, although it was opened, so
// that what was sent of it is none; nil: nothing was in the way.
func (c *Content) Err() error {
	if c.plain == nil {
		return nil
	}
	return c.plain.err
}
