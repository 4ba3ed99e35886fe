package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
)

// TestAFileThatChangesWhileItIsReadDoesNotLookWhole has a file of a directory
// written to while a client reads it, as a whole or a range.
func TestAFileThatChangesWhileItIsReadDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than lies in the buffers of a connection
	for _, test := range []struct {
		name, ranged string
		change       bool
		offset       int64
	}{
		{"untouched", "", false, 0},
		{"untouched, within another", "", false, 512},
		{"changed", "", true, 0},
		{"changed, within another", "", true, 512},
		{"a range of what is changed", "bytes=1-", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, make([]byte, size+test.offset), 0o600); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			file := &catalog.File{Source: path, Size: size, Offset: test.offset, Whole: size + test.offset, Modified: info.ModTime()}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				content, err := new(cache.Cache).OpenHosted(file)
				if err != nil {
					t.Error(err)
					return
				}
				defer content.Close()
				send(borrow(w), r, content, new(route).headOf(&cache.Repository{}, shown{size: content.Size}))
			}))
			defer s.Close()
			req, err := http.NewRequest(http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.ranged != "" {
				req.Header.Set("Range", test.ranged)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if test.change {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt(bytes.Repeat([]byte{1}, int(size+test.offset)), 0); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			body, err := io.ReadAll(resp.Body)
			if whole := err == nil; whole == test.change {
				t.Errorf("the rest is %d bytes, and ends with %v", len(body), err)
			}
			if bytes.IndexByte(body, 1) >= 0 {
				t.Error("it has bytes of what the file is now")
			}
		})
	}
}
