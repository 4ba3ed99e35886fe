package upstream

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func packed(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFilesComeWithoutAnEncoding has servers label files as encoded, which are
// asked for as they are.
func TestFilesComeWithoutAnEncoding(t *testing.T) {
	t.Parallel()
	plain := []byte(strings.Repeat("light ", 5000))
	file := packed(t, plain)
	for name, test := range map[string]struct {
		path, encoding, kind string
		sent, want           []byte
		length               int64 // by HEAD
	}{
		"a gzip file, labelled by its name": {"/lamp.tar.gz", "x-gzip", "", file, file, int64(len(file))},
		"a gzip file, labelled by its type": {"/lamp", "gzip", "application/x-gzip", file, file, int64(len(file))},
		"a gzip file, packed once more":     {"/lamp.tgz", "gzip", "", packed(t, file), file, int64(len(packed(t, file)))},
		"another file, packed on the way":   {"/lamp.bin", "gzip", "text/plain", file, plain, -1},
		"a file that is not what it is called": {
			"/lamp.gz", "gzip", "", []byte("no gzip"), []byte("no gzip"), 7,
		},
		"a file without an encoding": {"/lamp.gz", "", "", file, file, int64(len(file))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.encoding != "" {
					w.Header().Set("Content-Encoding", test.encoding)
				}
				w.Header().Set("Content-Type", test.kind)
				w.Header().Set("Content-Length", strconv.Itoa(len(test.sent)))
				if r.Method != http.MethodHead {
					_, _ = w.Write(test.sent)
				}
			}))
			head, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: test.path}, Exact: true, Method: http.MethodHead})
			if err != nil {
				t.Fatalf("HEAD: %v", err)
			}
			head.Body.Close()
			got, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: test.path}, Exact: true})
			if err != nil {
				t.Fatalf("GET: %v", err)
			}
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			if err != nil || !bytes.Equal(body, test.want) {
				t.Errorf("GET has %d bytes, want %d (%v)", len(body), len(test.want), err)
			}
			if head.Length != test.length || got.Length >= 0 && got.Length != int64(len(test.want)) {
				t.Errorf("HEAD says %d bytes, want %d; GET says %d of %d", head.Length, test.length, got.Length, len(body))
			}
			for _, r := range []*Response{head, got} {
				if e := r.Header.Get("Content-Encoding"); e != "" {
					t.Errorf("the encoding %s is left", e)
				}
			}
		})
	}
}
