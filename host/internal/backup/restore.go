package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// ErrBad says that a backup is cut off, damaged or none.
var ErrBad = errors.New("the backup cannot be restored")

func bad(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrBad, fmt.Errorf(format, a...))
}

// Restore makes a data directory of a backup. The directory must be empty or
// not exist; [store.ErrNotEmpty] says that it is not. Every body is compared
// with its digest. With an error nothing is left in the directory; where the
// host is killed, the directory is refused until it is emptied.
func Restore(ctx context.Context, path string, from io.Reader, log hclog.Logger) (Head, End, error) {
	archive := tar.NewReader(from)
	head, err := readHead(archive)
	if err != nil {
		return head, End{}, err
	}
	dir, err := store.Restore(path, log)
	if err != nil {
		return head, End{}, err
	}
	end, err := restore(ctx, archive, dir, head, log)
	if err != nil {
		return head, end, errors.Join(err, dir.Abort())
	}
	return head, end, dir.Finish(head.Data)
}

// readHead reads the head and refuses what this program does not understand.
func readHead(archive *tar.Reader) (head Head, err error) {
	h, err := archive.Next()
	if err != nil || h.Name != headName {
		return head, bad("it does not begin as one of entrepot's does")
	}
	if err := read(archive, h, &head); err != nil {
		return head, err
	}
	if head.Format > format {
		return head, &store.FormatError{What: "the backup", Have: head.Format, Known: format}
	}
	if head.Format < 1 || head.Data < 1 {
		return head, bad("its head names no format")
	}
	return head, store.CheckFormat("the data directory in the backup", head.Data)
}

// read reads a head or an end.
func read(archive *tar.Reader, h *tar.Header, into any) error {
	if h.Size > maxDescription {
		return bad("%s has %d bytes", h.Name, h.Size)
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return cut(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return bad("%s: %w", h.Name, err)
	}
	return nil
}

// cut says what an error while reading means.
func cut(err error) error {
	switch {
	case errors.Is(err, ErrBad):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return bad("it is cut off: its end is missing")
	case errors.Is(err, tar.ErrHeader):
		return bad("it is damaged: %w", err)
	}
	return fmt.Errorf("copying the backup: %w", err)
}

func restore(ctx context.Context, archive *tar.Reader, dir *store.Restoring, head Head, log hclog.Logger) (End, error) {
	var b *blobs.Store
	return walk(ctx, archive, head, func(from io.Reader) (err error) {
		spool, err := os.CreateTemp(dir.Path, "records-")
		if err != nil {
			return err
		}
		defer os.Remove(spool.Name())
		defer spool.Close()
		if _, err := io.Copy(spool, from); err != nil {
			return err
		}
		if _, err := spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := dir.Keep.Load(spool); err != nil {
			return bad("its records: %w", err)
		}
		// Nothing may be evicted while it is put there.
		b, err = blobs.Open(dir.Dir, blobs.Options{Limit: math.MaxInt64}, log)
		return err
	}, func(d blobs.Digest, from io.Reader) (right bool, err error) {
		w, err := b.Create()
		if err != nil {
			return false, err
		}
		defer w.Abort()
		if _, err := io.Copy(w, from); err != nil || w.Digest() != d {
			return false, err
		}
		_, err = w.Commit(nil, true)
		return true, err
	})
}

// Check reads a backup through and says why it could not be restored; nil: it
// can.
func Check(ctx context.Context, from io.Reader) (Head, End, error) {
	archive := tar.NewReader(from)
	head, err := readHead(archive)
	if err != nil {
		return head, End{}, err
	}
	end, err := walk(ctx, archive, head, func(from io.Reader) error {
		_, err := io.Copy(io.Discard, from)
		return err
	}, func(d blobs.Digest, from io.Reader) (bool, error) {
		sum := sha256.New()
		_, err := io.Copy(sum, from)
		return blobs.Digest(sum.Sum(nil)) == d, err
	})
	if err == nil {
		_, err = io.Copy(io.Discard, from) // what fills the last block
	}
	return head, end, err
}

// walk goes through what follows the head and compares it with what head, names
// and end say. What is done with records happens once all of them were right.
func walk(ctx context.Context, archive *tar.Reader, head Head, records func(io.Reader) error, body func(blobs.Digest, io.Reader) (right bool, err error)) (end End, err error) {
	h, err := archive.Next()
	if err != nil {
		return end, cut(err)
	}
	if h.Name != recordsName || h.Size != head.Size {
		return end, bad("it has %q of %d bytes where its records should be", h.Name, h.Size)
	}
	if err := records(&checked{archive, sha256.New(), head.SHA256}); err != nil {
		return end, cut(err)
	}
	var found End
	for {
		if err := ctx.Err(); err != nil {
			return end, err
		}
		h, err := archive.Next()
		if err != nil {
			return end, cut(err)
		}
		if h.Name == endName {
			if err := read(archive, h, &end); err != nil {
				return end, err
			}
			return end, compare(found, end)
		}
		d, ok := digestOf(h.Name)
		if !ok {
			return end, bad("it has %q, which does not belong there", h.Name)
		}
		right, err := body(d, archive)
		if err != nil {
			return end, cut(err)
		}
		if !right {
			found.Damaged = append(found.Damaged, d.String())
		}
		found.Bodies++
		found.Bytes += h.Size
	}
}

// checked reads what has a digest; at the end of other bytes it fails.
type checked struct {
	io.Reader
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		return n, bad("it is damaged: its records have not the sha256 %s", c.want)
	}
	return n, err
}

// compare holds what was found against what the end says.
func compare(found, end End) error {
	for _, d := range found.Damaged {
		if !slices.Contains(end.Damaged, d) {
			return bad("it is damaged: body %s holds other bytes", d)
		}
	}
	if found.Bodies != end.Bodies || found.Bytes != end.Bytes {
		return bad("it has %d bodies of %d bytes, but should have %d of %d", found.Bodies, found.Bytes, end.Bodies, end.Bytes)
	}
	return nil
}
