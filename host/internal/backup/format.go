// Package backup copies what cannot be fetched again, while it is in use, and
// makes a data directory of such a copy.
//
// A backup is a tar file, in this order: head.json ([Head]), the records of the
// store (Badger's backup format), the bodies that they need, named as below the
// data directory, and end.json ([End]). What has no end is not restored, nor
// what has other bytes than head, names and end say. What is only cached is not
// in it.
package backup

import (
	"archive/tar"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
)

// format is the number of the layout of a backup.
const format = 1

// Names of members.
const (
	headName    = "entrepot-backup/head.json"
	recordsName = "entrepot-backup/store.badger"
	bodiesName  = "entrepot-backup/blobs/"
	endName     = "entrepot-backup/end.json"
)

// maxDescription bounds head and end, in bytes.
const maxDescription = 256 << 20

// Head is what a backup says first.
type Head struct {
	// Format of the backup, and of the data directory that it is of.
	Format int `json:"format"`
	Data   int `json:"data_format"`
	// Entrepot is the version of the program that made it.
	Entrepot string `json:"entrepot"`
	// Created is when the records were as they are in it.
	Created time.Time `json:"created"`
	// Size in bytes and SHA256 in hex of the records.
	Size   int64  `json:"records_size"`
	SHA256 string `json:"records_sha256"`
}

// End is what a backup says last.
type End struct {
	// Bodies is how many there are, with that many bytes.
	Bodies int   `json:"bodies"`
	Bytes  int64 `json:"bytes"`
	// Missing are digests of bodies that packages need and that were not there,
	// Damaged of those that held other bytes.
	Missing []string `json:"missing,omitempty"`
	Damaged []string `json:"damaged,omitempty"`
}

func bodyName(d blobs.Digest) string {
	name := d.String()
	return bodiesName + name[:2] + "/" + name[2:]
}

// digestOf is the digest that a member is named by.
func digestOf(name string) (d blobs.Digest, ok bool) {
	rest, ok := strings.CutPrefix(name, bodiesName)
	raw, err := hex.DecodeString(strings.Replace(rest, "/", "", 1))
	if !ok || err != nil || copy(d[:], raw) != len(d) || bodyName(d) != name {
		return d, false
	}
	return d, true
}

// member adds a file of known size to an archive.
func member(w *tar.Writer, name string, size int64, modified time.Time, from io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: modified, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := io.CopyN(w, from, size)
	return err
}

// describe adds a head or an end.
func describe(w *tar.Writer, name string, modified time.Time, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return member(w, name, int64(len(text))+1, modified, strings.NewReader(string(text)+"\n"))
}
