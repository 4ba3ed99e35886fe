package publish

import (
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMendForm reads forms in pieces of any size; all have the same file.
func TestMendForm(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "one\n", "line\n--b--\nline", strings.Repeat("long ", 20_000)} {
		for name, form := range map[string]string{
			"as it should be": "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + file + "\r\n--b--\r\n",
			"without an end":  "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + file + "\r\n--b--",
			"a line feed":     "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + file + "\n--b--",
			"two":             "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + file + "\n--b--\n",
		} {
			for kind, body := range map[string]io.Reader{
				"whole": strings.NewReader(form), "bytes": iotest.OneByteReader(strings.NewReader(form)),
				"halves": iotest.HalfReader(strings.NewReader(form)), "with its end": iotest.DataErrReader(strings.NewReader(form)),
			} {
				r := &http.Request{Header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, Body: io.NopCloser(body)}
				mendForm(r)
				part, err := multipart.NewReader(r.Body, "b").NextPart()
				if err != nil {
					t.Fatalf("%s, %s: %v", name, kind, err)
				}
				got, err := io.ReadAll(part)
				if err != nil || string(got) != file {
					t.Errorf("%s, %s: %d bytes, want %d (%v)", name, kind, len(got), len(file), err)
				}
			}
		}
	}
	broken := &http.Request{Header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, Body: io.NopCloser(io.MultiReader(strings.NewReader("--b"), iotest.ErrReader(io.ErrUnexpectedEOF)))}
	mendForm(broken)
	if got, err := io.ReadAll(broken.Body); err != io.ErrUnexpectedEOF || string(got) != "--b" {
		t.Errorf("a body that breaks off is %q, %v", got, err)
	}
}
