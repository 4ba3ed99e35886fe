package intake

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// twoFiles is a zip archive whose members have their sizes after them, or before.
func twoFiles(t *testing.T, before bool, comment string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"folder/", "meta.txt", "hidden.txt"} {
		body := []byte("the bytes of " + name)
		if name == "folder/" {
			body = nil
		}
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		make := w.CreateHeader
		if before {
			h.Method, h.CRC32, h.CompressedSize64, h.UncompressedSize64 = zip.Store, crc32.ChecksumIEEE(body), uint64(len(body)), uint64(len(body))
			make = w.CreateRaw
		}
		to, err := make(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withoutRecord leaves the last member out of the directory.
func withoutRecord(z []byte) []byte {
	end := bytes.LastIndex(z, []byte(sigEnd))
	last := bytes.LastIndex(z, []byte(sigCentral))
	e := bytes.Clone(z[end:])
	n := binary.LittleEndian.Uint16(e[8:]) - 1
	binary.LittleEndian.PutUint16(e[8:], n)
	binary.LittleEndian.PutUint16(e[10:], n)
	binary.LittleEndian.PutUint32(e[12:], binary.LittleEndian.Uint32(e[12:])-uint32(end-last))
	return append(bytes.Clone(z[:last]), e...)
}

// TestZipsThatReadersReadDifferently says which archives have one reading.
func TestZipsThatReadersReadDifferently(t *testing.T) {
	t.Parallel()
	plain, stored := twoFiles(t, false, ""), twoFiles(t, true, "")
	called := bytes.Replace(plain, []byte("meta.txt"), []byte("evil.txt"), 1)
	sized := bytes.Clone(stored)
	binary.LittleEndian.PutUint32(sized[bytes.Index(sized, []byte("meta.txt"))-30+22:], 3)
	for _, c := range []struct {
		name, why string // empty: it is taken
		body      []byte
	}{
		{"sizes after members", "", plain},
		{"sizes before members", "", stored},
		{"a comment", "", twoFiles(t, true, "made by hand")},
		{"two archives", "stands before its member", append(bytes.Clone(plain), stored...)},
		{"a member of two names", "called otherwise", called},
		{"a member that the directory does not name", "does not follow its members", withoutRecord(plain)},
		{"another size before a member", "another size", sized},
		{"an end in a comment", "two ends", twoFiles(t, false, "x"+sigEnd+"y")},
		{"bytes behind its end", "goes on after its end", append(bytes.Clone(plain), "junk"...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.zip")
			if err := os.WriteFile(path, c.body, 0o600); err != nil {
				t.Fatal(err)
			}
			members, err := Members(path, []string{"zip:*.txt"}, false)
			if c.why == "" && err != nil || c.why != "" && (!errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%v with %d members, want %q", err, len(members), c.why)
			}
		})
	}
}
