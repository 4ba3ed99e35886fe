package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// A data directory says its format in a file of its own: these words and a
// number.
const (
	formatFile  = "format"
	formatWords = "entrepot data "
	// unfinished stands there while a backup is being restored.
	unfinished = "entrepot data is being restored"
)

// upgrade makes the next format of a data directory. What it did before it was
// killed it may have to do again.
type upgrade func(*Dir) error

// upgrades are the steps from format 1 on, in order. There has been one format
// so far, so there is none.
func upgrades() []upgrade { return nil }

// Format is the number of the format that this program writes.
func Format() int { return len(upgrades()) + 1 }

// FormatError says that a data directory, or a backup of one, cannot be used.
type FormatError struct {
	// What it is, and where.
	What string
	// Have is its format, Known the newest that this program understands.
	Have, Known int
}

// Error names both formats and says what to do.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has format %d, but this entrepot understands up to %d; use the version that wrote it, or a newer one", e.What, e.Have, e.Known)
}

// CheckFormat refuses a format that is newer than what this program
// understands, with a [*FormatError].
func CheckFormat(what string, have int) error {
	if have > Format() {
		return &FormatError{what, have, Format()}
	}
	return nil
}

// format is the number of the format of a directory; a new one gets the newest.
func (d *Dir) format(steps int) (int, error) {
	have, err := os.ReadFile(filepath.Join(d.Path, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return steps + 1, d.setFormat(formatWords + strconv.Itoa(steps+1))
	}
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(have))
	if text == unfinished {
		return 0, fmt.Errorf("data directory %s holds a backup that was not restored to its end; empty it and restore the backup again", d.Path)
	}
	number, ok := strings.CutPrefix(text, formatWords)
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return 0, fmt.Errorf("data directory %s says %q where its format should be (%s%d); is it one of entrepot's?", d.Path, text, formatWords, steps+1)
	}
	if n > steps+1 {
		return 0, &FormatError{"data directory " + d.Path, n, steps + 1}
	}
	return n, nil
}

// upgrade takes the steps that are left. The format is written after each, so
// that one that was cut off is taken again.
func (d *Dir) upgrade(have int, steps []upgrade, log hclog.Logger) error {
	for ; have <= len(steps); have++ {
		log.Info("upgrading the data directory", "path", d.Path, "from", have, "to", have+1)
		if err := steps[have-1](d); err != nil {
			return fmt.Errorf("upgrading data directory %s from format %d to %d: %w", d.Path, have, have+1, err)
		}
		if err := d.Keep.Sync(); err != nil {
			return err
		}
		if err := d.setFormat(formatWords + strconv.Itoa(have+1)); err != nil {
			return err
		}
	}
	return nil
}

// setFormat writes the format: what was there, or all of it.
func (d *Dir) setFormat(text string) error {
	return WriteFile(filepath.Join(d.Path, formatFile), func(f *os.File) error {
		_, err := f.WriteString(text + "\n")
		return err
	})
}

// WriteFile writes a file under a temporary name beside it, which it gets when
// all of it is on the disk: what was there before, or the whole.
func WriteFile(name string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*.part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // not there any more when all went well
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(name))
}

// SyncFolder makes names in a folder survive a power failure, where a system
// can.
func SyncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
