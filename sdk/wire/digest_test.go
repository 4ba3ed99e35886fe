package wire

import (
	"encoding/hex"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestNewHash has sums of "abc", as Python's hashlib computes them.
func TestNewHash(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[string]string{
		"sha512":      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"sha384":      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		"sha256":      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha224":      "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
		"sha3-512":    "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
		"sha3-384":    "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
		"sha3-256":    "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		"sha3-224":    "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
		"blake2b-512": "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
		"blake2s-256": "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
		"shake128":    "5881092dd818bf5cf8a3ddb793fbcba74097d5c5",
		"shake256":    "483366601360a8771c6863080cc4114d8db44530",
		"SHA1":        "a9993e364706816aba3e25717850c26c9cd0d89d",
		"md5":         "900150983cd24fb0d6963f7d28e17f72",
		"blake2b-256": "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
	} {
		sum, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		h := NewHash(&pb.Digest{Algorithm: algorithm, Sum: sum})
		if h == nil {
			t.Errorf("%s is not known", algorithm)
			continue
		}
		h.Write([]byte("a"))
		h.Sum(nil) // changes nothing
		h.Write([]byte("bc"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want || h.Size() != len(sum) {
			t.Errorf("%s is %s of %d bytes, want %s", algorithm, got, h.Size(), want)
		}
	}
	for _, algorithm := range []string{"", "whirlpool", "h1"} {
		if NewHash(&pb.Digest{Algorithm: algorithm}) != nil {
			t.Errorf("%q is known", algorithm)
		}
	}
}

func TestStrongest(t *testing.T) {
	t.Parallel()
	sum := []byte{1}
	for _, c := range []struct {
		name string
		has  []*pb.Digest
		want string
	}{
		{"nothing", nil, ""},
		{"none that is known", []*pb.Digest{{Algorithm: "whirlpool", Sum: sum}}, ""},
		{"the known one", []*pb.Digest{{Algorithm: "whirlpool", Sum: sum}, {Algorithm: "md5", Sum: sum}}, "md5"},
		{"in any case", []*pb.Digest{{Algorithm: "MD5", Sum: sum}, {Algorithm: "SHA1", Sum: sum}}, "SHA1"},
		{"SHA-2 first", []*pb.Digest{{Algorithm: "blake2b-256", Sum: sum}, {Algorithm: "md5", Sum: sum}, {Algorithm: "sha256", Sum: sum}}, "sha256"},
		{"bytes before members", []*pb.Digest{{Algorithm: "h1", Sum: sum}, {Algorithm: "md5", Sum: sum}}, "md5"},
		{"members", []*pb.Digest{{Algorithm: "md5"}, {Algorithm: "h1", Sum: sum}}, "h1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Strongest(c.has).GetAlgorithm(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
