package wire

import (
	"crypto/md5"  //nolint:gosec // what some registries give
	"crypto/sha1" //nolint:gosec // what some registries give
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// algorithms are those of digests of bytes. The first that a file has a digest by
// is verified: SHA-2 before others, which registries give beside it.
var algorithms = []struct {
	name string
	make func(sum []byte) hash.Hash
}{
	{"sha512", func([]byte) hash.Hash { return sha512.New() }},
	{"sha384", func([]byte) hash.Hash { return sha512.New384() }},
	{"sha256", func([]byte) hash.Hash { return sha256.New() }},
	{"sha3-512", func([]byte) hash.Hash { return sha3.New512() }},
	{"sha3-384", func([]byte) hash.Hash { return sha3.New384() }},
	{"sha3-256", func([]byte) hash.Hash { return sha3.New256() }},
	{"blake2b-512", func([]byte) hash.Hash { return unkeyed(blake2b.New512) }},
	{"blake2b-256", func([]byte) hash.Hash { return unkeyed(blake2b.New256) }},
	{"blake2s-256", func([]byte) hash.Hash { return unkeyed(blake2s.New256) }},
	{"shake256", func(sum []byte) hash.Hash { return shake{sha3.NewSHAKE256(), len(sum)} }},
	{"shake128", func(sum []byte) hash.Hash { return shake{sha3.NewSHAKE128(), len(sum)} }},
	{"sha224", func([]byte) hash.Hash { return sha256.New224() }},
	{"sha3-224", func([]byte) hash.Hash { return sha3.New224() }},
	{"sha1", func([]byte) hash.Hash { return sha1.New() }},
	{"md5", func([]byte) hash.Hash { return md5.New() }},
}

// Strongest is the digest that a file is verified by, of those that it has; nil:
// none of them can be verified.
func Strongest(digests []*pb.Digest) *pb.Digest {
	for _, a := range algorithms {
		for _, d := range digests {
			if strings.EqualFold(d.GetAlgorithm(), a.name) && len(d.GetSum()) > 0 {
				return d
			}
		}
	}
	for _, d := range digests {
		if OfMembers(d.GetAlgorithm()) && len(d.GetSum()) > 0 {
			return d
		}
	}
	return nil
}

// NewHash makes the hash that a digest of bytes is verified by; nil: its
// algorithm is not known, or hashes an archive's members.
func NewHash(d *pb.Digest) hash.Hash {
	for _, a := range algorithms {
		if strings.EqualFold(d.GetAlgorithm(), a.name) {
			return a.make(d.GetSum())
		}
	}
	return nil
}

// unkeyed makes a BLAKE2 hash without a key (RFC 7693): a key is all that it
// fails for.
func unkeyed(make func(key []byte) (hash.Hash, error)) hash.Hash {
	h, _ := make(nil)
	return h
}

// shake is an extendable-output function (FIPS 202, section 6.2) as a hash with
// sums of size bytes.
type shake struct {
	*sha3.SHAKE
	size int
}

func (s shake) Size() int { return s.size }

// Sum reads from a copy, so that more can be written.
func (s shake) Sum(b []byte) []byte {
	absorbed, sum := *s.SHAKE, make([]byte, s.size)
	absorbed.Read(sum)
	return append(b, sum...)
}
