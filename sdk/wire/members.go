package wire

import (
	"archive/zip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
)

// OfMembers reports whether a digest algorithm is one of an archive's members
// instead of its bytes.
func OfMembers(algorithm string) bool {
	return algorithm == "h1" || strings.HasPrefix(algorithm, "h1:")
}

// Bounds of an archive whose members are hashed: what the module zip format
// allows (go.dev/ref/mod#zip-files).
const (
	maxMembers     = 200_000
	maxMemberBytes = 2 << 30
)

// MembersDigest is the digest of an archive's members by an algorithm for which
// [OfMembers] holds: the SHA-256 that golang.org/x/mod/sumdb/dirhash's Hash1
// writes in base64. An error says that the body cannot be read as an archive.
func MembersDigest(algorithm string, body io.ReaderAt, size int64) ([]byte, error) {
	var names []string
	var open func(string) (io.ReadCloser, error)
	if name, single := strings.CutPrefix(algorithm, "h1:"); single {
		names = []string{name}
		open = func(string) (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(body, 0, size)), nil }
	} else {
		archive, err := zip.NewReader(body, size)
		if err != nil {
			return nil, err
		}
		members := map[string]*zip.File{}
		var total uint64
		for _, f := range archive.File {
			names, members[f.Name] = append(names, f.Name), f
			total += f.UncompressedSize64
		}
		if len(names) > maxMembers || total > maxMemberBytes {
			return nil, fmt.Errorf("it has %d members of %d bytes, which is more than an archive of this format may have", len(names), total)
		}
		open = func(name string) (io.ReadCloser, error) { return members[name].Open() }
	}
	sum, err := dirhash.Hash1(names, open)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
}
