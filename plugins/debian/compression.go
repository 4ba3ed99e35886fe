package main

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// compressions by the bytes that a file begins with. What begins with none of
// them is not compressed.
var compressions = []struct {
	magic string
	open  func(io.Reader) (io.Reader, error)
}{
	{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"\xfd7zXZ\x00", func(r io.Reader) (io.Reader, error) {
		return xz.ReaderConfig{DictCap: largestWindow}.NewReader(r)
	}},
	{"\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(largestWindow))
	}},
	{"\x5d\x00\x00", func(r io.Reader) (io.Reader, error) {
		return lzma.ReaderConfig{DictCap: largestWindow}.NewReader(r)
	}},
}

// Bounds of what is decompressed, in bytes.
const (
	largestWindow = 64 << 20
	largestIndex  = 2 << 30
)

// decompress reads a file whatever it is compressed with.
func decompress(body []byte) (io.Reader, error) {
	for _, c := range compressions {
		if !bytes.HasPrefix(body, []byte(c.magic)) {
			continue
		}
		r, err := c.open(bufio.NewReader(bytes.NewReader(body)))
		if err != nil {
			return nil, fmt.Errorf("it cannot be decompressed: %w", err)
		}
		return &bounded{r, largestIndex}, nil
	}
	return bytes.NewReader(body), nil
}

// bounded fails where more comes than may.
type bounded struct {
	io.Reader
	left int64
}

var errTooLarge = errors.New("it decompresses to more than 2 GiB")

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
