package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

const somePackages = "Package: tide\nVersion: 1:1.0-1\nFilename: pool/main/t/tide/tide_1.0-1_amd64.deb\nSize: 9\nSHA256: 0123\n\n"

// compressed is a text in every form that an index comes in.
func compressed(t testing.TB, text []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"": text}
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		".gz":   func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		".xz":   func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
		".lzma": func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) },
		".zst":  func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := open(&b)
		if err == nil {
			_, err = w.Write(text)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	return all
}

// bzipped is somePackages as bzip2 writes it, which nothing in Go does.
const bzipped = "QlpoOTFBWSZTWZygW6IAABdfgAAQQAP/MCFASQC+r9wQIABURGKaAGgBoHqNPUIiPUZHqekD1B6gaAPdJVitbAIJwPeProAcKVIRJLkbtg4YGx+SK0AEVil07uTRmTwU/CDZJoMQVw9jZFwCT2j9A1lJoSfi7kinChITlAt0QA=="

func TestIndexIsReadInEveryCompression(t *testing.T) {
	t.Parallel()
	render := plugintest.Renderer(t, open)
	forms := compressed(t, []byte(somePackages))
	var err error
	if forms[".bz2"], err = base64.StdEncoding.DecodeString(bzipped); err != nil {
		t.Fatal(err)
	}
	path := "/sea/dists/stable/main/binary-amd64/by-hash/SHA256/" + strings.Repeat("0", 64)
	for name, body := range forms {
		r := render(t, plugintest.Question{Path: path + "?files", Upstream: map[string][]byte{path: body}})
		if r.Failure != nil || len(r.Facts) != 1 || r.Facts[0].GetPath() != "/sea/pool/main/t/tide/tide_1.0-1_amd64.deb" || r.Facts[0].GetName() != "sea/tide" {
			t.Errorf("Packages%s tells %v (%v)", name, r.Facts, r.Failure)
		}
		if name == "" {
			continue
		}
		r = render(t, plugintest.Question{Path: path + "?files", Upstream: map[string][]byte{path: body[:len(body)-5]}})
		if r.Failure == nil && name != ".lzma" {
			t.Errorf("Packages%s is read though it is cut off", name)
		}
	}
}

func TestDecompressedIsBounded(t *testing.T) {
	t.Parallel()
	if _, err := io.ReadAll(&bounded{strings.NewReader("more than five"), 5}); !errors.Is(err, errTooLarge) {
		t.Errorf("reading too much ends in %v", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	f.Add([]byte(somePackages))
	f.Add([]byte("Package: tide\nVersion: 1\nDirectory: pool\nFiles:\n 00 1 tide_1.dsc\nChecksums-Sha256:\n 00 1 tide_1.dsc\n 00 1 ../../x\n"))
	f.Add([]byte(" a\n\nFilename: ../x\nPackage: x\nVersion: 1\n"))
	for _, body := range compressed(f, []byte(somePackages)) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decompress(data)
		if err != nil {
			return
		}
		// An error is as good as an answer; neither may name what no archive has.
		_ = readIndex(io.LimitReader(r, 1<<20), func(p pkg) {
			for _, file := range p.files {
				if !clean(file.path) || p.name == "" || p.version == "" {
					t.Errorf("%+v is of %s %s", file, p.name, p.version)
				}
			}
		})
	})
}

// BenchmarkIndex reads an index as large as that of a distribution.
func BenchmarkIndex(b *testing.B) {
	var text bytes.Buffer
	for i := range 60_000 {
		fmt.Fprintf(&text, "Package: package-%d\nSource: source-%d\nVersion: %d.%d-1\nInstalled-Size: %d\nMaintainer: Somebody <somebody@example.com>\nArchitecture: amd64\nDepends: libc6 (>= 2.34), libgcc-s1 (>= 3.0), libstdc++6 (>= 11), zlib1g (>= 1:1.2.0)\nDescription: something that is useful in a way\nHomepage: https://example.com/%d\nDescription-md5: 00112233445566778899aabbccddeeff\nSection: utils\nPriority: optional\nFilename: pool/main/p/package-%d/package-%d_%d.%d-1_amd64.deb\nSize: %d\nMD5sum: 00112233445566778899aabbccddeeff\nSHA256: %064x\n\n", i, i%20_000, i%7, i%100, i*10, i, i, i, i%7, i%100, i*1000+1, i)
	}
	for name, body := range compressed(b, text.Bytes()) {
		if name == ".lzma" {
			continue
		}
		b.Run("Packages"+name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				r, err := decompress(body)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				if err := readIndex(r, func(pkg) { n++ }); err != nil || n != 60_000 {
					b.Fatalf("%d packages (%v)", n, err)
				}
			}
		})
	}
}
