package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// pinKey is how bodies are kept that records need: digest, owner.
const pinKey = "pin/"

// tentative are owners that pin bodies before they are there.
var tentative = []string{"aside/", "seen/"}

// Write writes a backup of an open data directory and its bodies. The directory
// remains in use; what changes after the beginning is not in the backup. Bodies
// that cannot be copied are told in the end, the others are.
func Write(ctx context.Context, w io.Writer, d *store.Dir, b *blobs.Store, entrepot string) (End, error) {
	hold := b.Hold()
	defer hold.Release()
	head := Head{Format: format, Data: store.Format(), Entrepot: entrepot, Created: time.Now().UTC()}
	records, err := os.CreateTemp(filepath.Join(d.Path, "tmp"), "backup-")
	if err != nil {
		return End{}, err
	}
	defer os.Remove(records.Name())
	defer records.Close()
	// Whether a body must be there.
	needed := map[blobs.Digest]bool{}
	sum := sha256.New()
	err = d.Keep.Backup(ctx, io.MultiWriter(records, sum), func(key string) {
		if digest, must, ok := pinned(key); ok {
			needed[digest] = needed[digest] || must
		}
	})
	if err != nil {
		return End{}, fmt.Errorf("copying records: %w", err)
	}
	only := make(map[blobs.Digest]struct{}, len(needed))
	for digest := range needed {
		only[digest] = struct{}{}
	}
	hold.Only(only)
	if head.Size, err = records.Seek(0, io.SeekEnd); err != nil {
		return End{}, err
	}
	head.SHA256 = hex.EncodeToString(sum.Sum(nil))
	archive := tar.NewWriter(w)
	if err := describe(archive, headName, head.Created, head); err != nil {
		return End{}, err
	}
	if _, err := records.Seek(0, io.SeekStart); err != nil {
		return End{}, err
	}
	if err := member(archive, recordsName, head.Size, head.Created, records); err != nil {
		return End{}, err
	}
	end, err := writeBodies(ctx, archive, b, needed, head.Created)
	if err != nil {
		return end, err
	}
	return end, errors.Join(describe(archive, endName, head.Created, end), archive.Close())
}

// pinned takes the record of a pin apart.
func pinned(key string) (d blobs.Digest, must, ok bool) {
	rest, ok := strings.CutPrefix(key, pinKey)
	name, owner, more := strings.Cut(rest, "\x00")
	raw, err := hex.DecodeString(name)
	if !ok || !more || err != nil || copy(d[:], raw) != len(d) {
		return d, false, false
	}
	return d, !slices.ContainsFunc(tentative, func(p string) bool { return strings.HasPrefix(owner, p) }), true
}

// writeBodies copies bodies in the order of their digests, which is how they
// lie on the disk.
func writeBodies(ctx context.Context, archive *tar.Writer, b *blobs.Store, needed map[blobs.Digest]bool, at time.Time) (end End, err error) {
	digests := make([]blobs.Digest, 0, len(needed))
	for d := range needed {
		digests = append(digests, d)
	}
	slices.SortFunc(digests, func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range digests {
		if err := ctx.Err(); err != nil {
			return end, err
		}
		size, right, err := writeBody(archive, b, d, at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if needed[d] {
				end.Missing = append(end.Missing, d.String())
			}
			continue
		case err != nil:
			return end, fmt.Errorf("copying body %s: %w", d, err)
		case !right:
			end.Damaged = append(end.Damaged, d.String())
		}
		end.Bodies++
		end.Bytes += size
	}
	return end, nil
}

// writeBody copies one body and says whether it holds what it should.
func writeBody(archive *tar.Writer, b *blobs.Store, d blobs.Digest, at time.Time) (size int64, right bool, err error) {
	f, err := b.Raw(d)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	sum := sha256.New()
	err = member(archive, bodyName(d), info.Size(), at, io.TeeReader(f, sum))
	return info.Size(), blobs.Digest(sum.Sum(nil)) == d, err
}
