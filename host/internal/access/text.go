package access

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// A token's text is "ent_", its id, its secret and a checksum, all in letters
// and digits: a scanner for leaked secrets finds the prefix and tells by the
// checksum that it is no accident.
const (
	prefix       = "ent_"
	idLength     = 10
	secretLength = 30 // 178 bits, so that no slow hash is needed
	sumLength    = 6
	textLength   = len(prefix) + idLength + secretLength + sumLength
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newText makes a token's text; an empty id: a new one.
func newText(id string) string {
	if id == "" {
		id = string(random(idLength))
	}
	text := append([]byte(prefix+id), random(secretLength)...)
	sum := checksum(text)
	return string(append(text, sum[:]...))
}

// random makes n letters and digits, each as likely as any other.
func random(n int) []byte {
	out := make([]byte, 0, n)
	var some [64]byte
	for len(out) < n {
		rand.Read(some[:])
		for _, b := range some {
			if b < 4*62 && len(out) < n {
				out = append(out, base62[b%62])
			}
		}
	}
	return out
}

// checksum is the CRC-32 (IEEE) of what stands before it. crc32's own function
// would move the text of every request to the heap.
func checksum(text []byte) (out [sumLength]byte) {
	sum := ^uint32(0)
	for _, b := range text {
		sum = crc32.IEEETable[byte(sum)^b] ^ sum>>8
	}
	sum = ^sum
	for i := sumLength - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return out
}

// WellFormed reports whether a text has the form of a token and a checksum
// that fits; it need not be one that was made.
func WellFormed(text []byte) bool {
	if len(text) != textLength || string(text[:len(prefix)]) != prefix {
		return false
	}
	sum := checksum(text[:textLength-sumLength])
	return string(sum[:]) == string(text[textLength-sumLength:])
}

// idOf is the id in a well-formed text.
func idOf(text []byte) []byte { return text[len(prefix) : len(prefix)+idLength] }

// Redact takes the secrets of tokens out of a text for a log: some clients have
// them in addresses.
func Redact(s string) string {
	for from := 0; ; {
		i := strings.Index(s[from:], prefix)
		if i < 0 {
			return s
		}
		from += i + len(prefix)
		secret := from + idLength
		if end := from - len(prefix) + textLength; end <= len(s) && WellFormed([]byte(s[from-len(prefix):end])) {
			s = s[:secret] + "***" + s[end:]
		}
	}
}
