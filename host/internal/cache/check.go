package cache

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"os"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// errWrongDigest marks whole bodies with another digest than the file's.
var errWrongDigest = fmt.Errorf("%w", errUpstreamBody)

// check hashes a body with the algorithm that upstream gives a digest of.
type check struct{ hash hash.Hash }

func newCheck(expected *pb.Digest) *check { return &check{wire.NewHash(expected)} }

func (c *check) Write(p []byte) (int, error) {
	if c.hash != nil {
		c.hash.Write(p)
	}
	return len(p), nil
}

func (c *check) verify(expected *pb.Digest, path string, size int64) error {
	if wire.OfMembers(expected.GetAlgorithm()) {
		return verifyMembers(expected, path, size)
	}
	if c.hash == nil {
		if expected != nil {
			return fmt.Errorf("its digest is a %q, which cannot be verified", expected.GetAlgorithm())
		}
		return nil
	}
	if sum := c.hash.Sum(nil); !bytes.Equal(sum, expected.GetSum()) {
		return fmt.Errorf("its %s is %s, but %s is expected", expected.GetAlgorithm(), hex.EncodeToString(sum), hex.EncodeToString(expected.GetSum()))
	}
	return nil
}

// verifyMembers checks a digest of what an archive holds.
func verifyMembers(expected *pb.Digest, path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := wire.MembersDigest(expected.GetAlgorithm(), f, size)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum, expected.GetSum()) {
		return fmt.Errorf("its %s is %s, but %s is expected", expected.GetAlgorithm(), base64.StdEncoding.EncodeToString(sum), base64.StdEncoding.EncodeToString(expected.GetSum()))
	}
	return nil
}
