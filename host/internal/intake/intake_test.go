package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// openBlobs returns an empty store and its directory.
func openBlobs(t testing.TB) (*blobs.Store, string) {
	t.Helper()
	root := t.TempDir()
	dir, err := store.Open(root, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	b, err := blobs.Open(dir, blobs.Options{}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return b, root
}

// filesBelow are the files of at least a size below a directory.
func filesBelow(t testing.TB, root string, size int64) []string {
	t.Helper()
	var all []string
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Size() == size {
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func request(contentType string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.Header.Set("Content-Type", contentType)
	return r
}

// form makes multipart form data of fields and, with a file name, files.
func form(t testing.TB, parts ...[3]string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var err error
		var to io.Writer
		if p[1] == "" {
			to, err = w.CreateFormField(p[0])
		} else {
			to, err = w.CreateFormFile(p[0], p[1])
		}
		if err == nil {
			_, err = io.WriteString(to, p[2])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

// frame makes parts with their length before them.
func frame(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// described is a body for comparison.
func described(b *Body) string {
	var out strings.Builder
	for _, f := range b.Files {
		fmt.Fprintf(&out, "file %q %q of %d bytes, %s\n", f.Name, f.Filename, f.Writer.Size(), hex.EncodeToString(f.Digests()["sha256"])[:8])
	}
	for _, name := range []string{"a", "b", "json"} {
		if v, ok := b.Fields[name]; ok {
			fmt.Fprintf(&out, "field %s=%q\n", name, v)
		}
	}
	return out.String()
}

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])[:8]
}

var small = Limits{File: 1000, Fields: 500}

func TestBodiesComeApart(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	contentType, multipart := form(t, [3]string{"a", "", "one"}, [3]string{"content", "p.zip", "bytes"}, [3]string{"a", "", "two"}, [3]string{"b", "", ""})
	for name, test := range map[string]struct {
		form, contentType string
		body              []byte
		want              string
	}{
		"none":               {"none", "", []byte("ignored"), ""},
		"raw":                {"raw", "", []byte("bytes"), fmt.Sprintf("file \"\" \"\" of 5 bytes, %s\n", sum("bytes"))},
		"form":               {"form", contentType, multipart, fmt.Sprintf("file \"content\" \"p.zip\" of 5 bytes, %s\nfield a=\"one\\ntwo\"\nfield b=\"\"\n", sum("bytes"))},
		"framed":             {"u32le:a,@crate", "", frame("{}", "bytes"), fmt.Sprintf("file \"crate\" \"\" of 5 bytes, %s\nfield a=\"{}\"\n", sum("bytes"))},
		"framed, both empty": {"u32le:a,@crate", "", frame("", ""), fmt.Sprintf("file \"crate\" \"\" of 0 bytes, %s\nfield a=\"\"\n", sum(""))},
		"JSON":               {"json", "", []byte(`{"users":["a"]}`), "field json=\"{\\\"users\\\":[\\\"a\\\"]}\"\n"},
	} {
		for kind, body := range map[string]io.Reader{"": bytes.NewReader(test.body), ", byte by byte": iotest.OneByteReader(bytes.NewReader(test.body))} {
			b, err := Open(store, test.form, request(test.contentType, body), small)
			if err != nil {
				t.Errorf("%s%s: %v", name, kind, err)
				continue
			}
			if got := described(b); got != test.want {
				t.Errorf("%s%s:\n%swant\n%s", name, kind, got, test.want)
			}
			b.Abort()
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	much := strings.Repeat("x", 501)
	contentType, good := form(t, [3]string{"a", "", "one"}, [3]string{"content", "p.zip", "bytes"})
	_, large := form(t, [3]string{"content", "p.zip", much + much})
	_, together := form(t, [3]string{"c", "p", much}, [3]string{"d", "q", much})
	_, field := form(t, [3]string{"a", "", much})
	_, fields := form(t, [3]string{"a", "", much[:300]}, [3]string{"b", "", much[:300]})
	var many [][3]string
	for i := range maxFields + 1 {
		many = append(many, [3]string{fmt.Sprint(i), "", ""})
	}
	manyType, manyFields := form(t, many...)
	for i := range many {
		many[i][1] = "f"
	}
	filesType, manyFiles := form(t, many...)
	withBoundary := func(b []byte) []byte { // of the form whose content type is sent
		return bytes.ReplaceAll(b, boundaryOf(b), boundaryOf(good))
	}
	for name, test := range map[string]struct {
		form, contentType string
		body              []byte
		want              error
	}{
		"a file":              {"raw", "", []byte(much + much), ErrTooLarge},
		"a file of a form":    {"form", contentType, withBoundary(large), ErrTooLarge},
		"files together":      {"form", contentType, withBoundary(together), ErrTooLarge},
		"a field":             {"form", contentType, withBoundary(field), ErrTooLarge},
		"fields together":     {"form", contentType, withBoundary(fields), ErrTooLarge},
		"many fields":         {"form", manyType, manyFields, ErrTooLarge},
		"many files":          {"form", filesType, manyFiles, ErrTooLarge},
		"no form":             {"form", "text/plain", []byte("x"), ErrMalformed},
		"no boundary":         {"form", "multipart/form-data", good, ErrMalformed},
		"another boundary":    {"form", "multipart/form-data; boundary=x", good, ErrMalformed},
		"a form cut off":      {"form", contentType, good[:len(good)-40], ErrMalformed},
		"a form without end":  {"form", contentType, good[:len(good)-4], ErrMalformed},
		"a frame, too long":   {"u32le:a,@crate", "", frame("{}", much+much), ErrTooLarge},
		"a frame's field":     {"u32le:a,@crate", "", frame(much, "x"), ErrTooLarge},
		"a frame cut off":     {"u32le:a,@crate", "", frame("{}", "bytes")[:10], ErrMalformed},
		"a length cut off":    {"u32le:a,@crate", "", frame("{}", "bytes")[:8], ErrMalformed},
		"a frame's field cut": {"u32le:a,@crate", "", frame("{}")[:5], ErrMalformed},
		"a frame that lies":   {"u32le:a,@crate", "", binary.LittleEndian.AppendUint32(frame("{}"), 1<<31), ErrMalformed},
		"more than frames":    {"u32le:a,@crate", "", append(frame("{}", "bytes"), 'x'), ErrMalformed},
		"JSON cut off":        {"json", "", []byte(`{"a":`), ErrMalformed},
	} {
		b, err := Open(store, test.form, request(test.contentType, bytes.NewReader(test.body)), small)
		if !errors.Is(err, test.want) || b != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := Open(store, "odd", request("", nil), small); err == nil || errors.Is(err, ErrMalformed) {
		t.Errorf("a form that nobody knows: %v", err)
	}
}

func boundaryOf(body []byte) []byte {
	line, _, _ := bytes.Cut(body, []byte("\r\n"))
	return line[2:]
}

// TestBrokenBodiesLeaveNothing has the connection break at each part of a body.
func TestBrokenBodiesLeaveNothing(t *testing.T) {
	t.Parallel()
	store, root := openBlobs(t)
	contentType, body := form(t, [3]string{"first", "p", "twelve bytes"}, [3]string{"a", "", "one"}, [3]string{"second", "q", "bytes"})
	for _, at := range []int{10, 200, 300, 400, len(body) - 10} {
		broken := io.MultiReader(bytes.NewReader(body[:at]), iotest.ErrReader(errors.New("connection reset")))
		if _, err := Open(store, "form", request(contentType, broken), small); !errors.Is(err, ErrMalformed) {
			t.Errorf("broken off after %d bytes: %v", at, err)
		}
	}
	var tooLarge *http.MaxBytesError
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(bytes.NewReader(body)), int64(bytes.Index(body, []byte("bytes"))))
	if _, err := Open(store, "form", request(contentType, limited), small); !errors.As(err, &tooLarge) {
		t.Errorf("longer than the server reads: %v", err)
	}
	if left := filesBelow(t, root, int64(len("twelve bytes"))); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestAddedFilesAreHashed(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	b, err := Open(store, "none", request("", nil), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	if err := b.Add([]byte("bytes")); err != nil {
		t.Fatal(err)
	}
	if got, want := described(b), fmt.Sprintf("file \"\" \"\" of 5 bytes, %s\n", sum("bytes")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzForms has any bytes as a body of each form: it comes apart or is refused
// for a reason, within the bounds.
func FuzzForms(f *testing.F) {
	contentType, body := form(f, [3]string{"a", "", "one"}, [3]string{"content", "p.zip", "bytes"})
	f.Add(body)
	f.Add(frame("{}", "bytes"))
	f.Add([]byte(`{"a":{"data":"Ynl0ZXM="},"b":[1,null,"\u00e9"]}`))
	store, _ := openBlobs(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, form := range []string{"raw", "form", "u32le:a,@crate", "json:/*/data"} {
			b, err := Open(store, form, request(contentType, bytes.NewReader(body)), small)
			if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%s: an error of ours: %v", form, err)
			}
			if err != nil {
				continue
			}
			var files, fields int64
			for _, f := range b.Files {
				files += f.Writer.Size()
			}
			for _, v := range b.Fields {
				fields += int64(len(v))
			}
			if files > small.File || fields > small.Fields+maxFields {
				t.Fatalf("%s: %d bytes of files, %d of fields", form, files, fields)
			}
			b.Abort()
		}
	})
}
