package intake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
)

// attachments is the form in which files stand beside others.
const attachments = "json:/_attachments/*.tgz/data"

// opened is a body taken apart: its files as "name=text", and what is left.
func opened(store *blobs.Store, form string, body io.Reader, limits Limits) (files []string, left string, err error) {
	b, err := Open(store, form, request("application/json", body), limits)
	if err != nil {
		return nil, "", err
	}
	defer b.Abort()
	for _, f := range b.Files {
		if _, err := f.Writer.Commit(nil, false); err != nil {
			return nil, "", err
		}
		text, err := store.Read(f.Writer.Digest(), f.Writer.Size())
		if err != nil {
			return nil, "", err
		}
		files = append(files, f.Name+"="+string(text))
	}
	return files, string(b.Fields["json"]), nil
}

func TestJSONComesApart(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	for name, c := range map[string]struct {
		form, body string
		files      []string
		left       string
	}{
		"a file": {
			attachments, `{ "name" : "boat", "_attachments": {"@a/b-1.tgz": {"data": "aGVsbG8=", "length": 5}} }`,
			[]string{"@a/b-1.tgz=hello"}, `{"name":"boat","_attachments":{"@a/b-1.tgz":{"data":"","length":5}}}`,
		},
		"others beside it": {
			attachments, `{"_attachments":{"b.sigstore":{"data":"{\"a\":1}"},"b.tgz":{"data":"aGVsbG8=","more":{"data":"x"}}},"data":"y"}`,
			[]string{"b.tgz=hello"}, `{"_attachments":{"b.sigstore":{"data":"{\"a\":1}"},"b.tgz":{"data":"","more":{"data":"x"}}},"data":"y"}`,
		},
		"several":               {"json:/*", `{"a":"YQ==","b":"Yg==","c":1}`, []string{"a=a", "b=b"}, `{"a":"","b":"","c":1}`},
		"in a list":             {"json:/files/*", `{"files":["YQ==",null,"Yg=="]}`, []string{"0=a", "2=b"}, `{"files":["",null,""]}`},
		"without a *":           {"json:/a/b", `{"a":{"b":"YQ=="}}`, []string{"b=a"}, `{"a":{"b":""}}`},
		"an escaped key":        {"json:/a~1b/*", `{"a\/b":{"c":"YQ=="}}`, []string{"c=a"}, `{"a\/b":{"c":""}}`},
		"escapes in the base64": {"json:/a", `{"a":"Pz8\/\u0050j4\u002B\nPz8\/"}`, []string{"a=???>>>???"}, `{"a":""}`},
		"nothing":               {"json:/a", `{"a":""}`, []string{"a="}, `{"a":""}`},
		"no string":             {"json:/a", `{"a":{"b":[1,-2.5e+3,true,false,null,"\"\\ \u00e9"]}}`, nil, `{"a":{"b":[1,-2.5e+3,true,false,null,"\"\\ \u00e9"]}}`},
		"no pointer":            {"json:", ` "1.0.0" ` + "\n", nil, `"1.0.0"`},
		"empty ones":            {"json:/a", ` { } `, nil, `{}`},
		"an empty list":         {"json:/a", `[ ]`, nil, `[]`},
		"as deep as may be":     {"json:/a", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), nil, strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)},
	} {
		files, left, err := opened(store, c.form, iotest.OneByteReader(strings.NewReader(c.body)), small)
		if err != nil || !slices.Equal(files, c.files) || left != c.left {
			t.Errorf("%s: %q and %s (%v)", name, files, left, err)
		}
	}
}

func TestJSONThatIsRefused(t *testing.T) {
	t.Parallel()
	store, root := openBlobs(t)
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"nothing":                  {``, ErrMalformed},
		"white space":              {" \n", ErrMalformed},
		"two values":               {`{} {}`, ErrMalformed},
		"a comma at the end":       {`{"a":1,}`, ErrMalformed},
		"a comma at the beginning": {`{,"a":1}`, ErrMalformed},
		"no comma":                 {`{"a":1 "b":2}`, ErrMalformed},
		"no colon":                 {`{"a" 1}`, ErrMalformed},
		"no key":                   {`{1:1}`, ErrMalformed},
		"no comma in a list":       {`[1 2]`, ErrMalformed},
		"a comma too many":         {`[1,]`, ErrMalformed},
		"no literal":               {`{"a":tru}`, ErrMalformed},
		"a split literal":          {`{"a":tr ue}`, ErrMalformed},
		"no number":                {`{"a":01}`, ErrMalformed},
		"an escape that is none":   {`{"a":"\x"}`, ErrMalformed},
		"a control character":      {"{\"a\":\"\n\"}", ErrMalformed},
		"too deep":                 {strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2), ErrMalformed},
		"deep and open":            {strings.Repeat(`{"a":`, 100_000), ErrMalformed},
		"no base64":                {`{"_attachments":{"a.tgz":{"data":"????"}}}`, ErrMalformed},
		"base64 cut off":           {`{"_attachments":{"a.tgz":{"data":"aGVsbG8"}}}`, ErrMalformed},
		"base64 that goes on":      {`{"_attachments":{"a.tgz":{"data":"aGVsbG8=YQ=="}}}`, ErrMalformed},
		"a strange escape in it":   {`{"_attachments":{"a.tgz":{"data":"aGVs\tbG8="}}}`, ErrMalformed},
		"a letter escaped in it":   {`{"_attachments":{"a.tgz":{"data":"aGVs\u00e9bG8="}}}`, ErrMalformed},
		"an open string":           {`{"_attachments":{"a.tgz":{"data":"aGVsbG8=`, ErrMalformed},
		"a large file":             {`{"_attachments":{"a.tgz":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 1001)) + `"}}}`, ErrTooLarge},
		"large files together":     {`{"_attachments":{"a.tgz":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 600)) + `"},"b.tgz":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 600)) + `"}}}`, ErrTooLarge},
		"a large rest":             {`{"a":"` + strings.Repeat("x", 600) + `"}`, ErrTooLarge},
		"a large number":           {`{"a":` + strings.Repeat("1", 600) + `}`, ErrTooLarge},
		"a large key":              {`{"` + strings.Repeat("x", 600) + `":1}`, ErrTooLarge},
		"many files":               {`{"_attachments":{` + strings.Repeat(`"a.tgz":{"data":""},`, maxFiles) + `"a.tgz":{"data":""}}}`, ErrTooLarge},
	} {
		limits := small
		if name == "many files" || strings.Contains(name, "deep") {
			limits.Fields = 1 << 20
		}
		if files, left, err := opened(store, attachments, strings.NewReader(c.body), limits); !errors.Is(err, c.want) {
			t.Errorf("%s: %q and %.100s (%v)", name, files, left, err)
		}
	}
	if left := filesBelow(t, root+"/tmp", 600); len(left) > 0 {
		t.Errorf("they leave %v", left)
	}
}

// TestJSONBreaks cuts a body off at every byte.
func TestJSONBreaks(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	whole := `{"a":[1,{"b":"\u00e9\\"}],"_attachments":{"a.tgz":{"data":"aGVsbG8=","n":null}}}`
	for n := range whole {
		for end, body := range map[string]io.Reader{
			"ends":   strings.NewReader(whole[:n]),
			"breaks": io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(io.ErrUnexpectedEOF)),
		} {
			if _, _, err := opened(store, attachments, body, small); !errors.Is(err, ErrMalformed) {
				t.Errorf("a body that %s after %q: %v", end, whole[:n], err)
			}
		}
	}
}

// TestJSONStreams has a file that is larger than what may be in memory.
func TestJSONStreams(t *testing.T) {
	t.Parallel()
	store, _ := openBlobs(t)
	part := bytes.Repeat([]byte("0123456789ab"), 64<<10)
	const parts = 20
	in, out := io.Pipe()
	go func() {
		_, err := io.WriteString(out, `{"_attachments":{"a.tgz":{"data":"`)
		for range parts {
			if err == nil {
				_, err = io.WriteString(out, base64.StdEncoding.EncodeToString(part))
			}
		}
		if err == nil {
			_, err = io.WriteString(out, `"}}}`)
		}
		out.CloseWithError(err)
	}()
	b, err := Open(store, attachments, request("application/json", in), Limits{File: 100 << 20, Fields: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	if size := b.Files[0].Writer.Size(); size != int64(parts*len(part)) {
		t.Errorf("the file has %d bytes", size)
	}
}

// FuzzJSON checks that a body that is taken apart is what the standard library
// reads: the same values, with files in the place of strings.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{`{"a":"YQ==","b":["x",1,{"c":null}]}`, `{"a":"Y\/8=\u002b"}`, `[[["YQ=="]]]`, `{"a":{"a":"YQ=="}}`, `"YQ=="`, `{"":""}`} {
		f.Add([]byte(body))
	}
	store, _ := openBlobs(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := Open(store, "json:/*", request("application/json", bytes.NewReader(body)), small)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("an error of ours: %v", err)
			}
			return
		}
		defer b.Abort()
		var whole, left any
		if err := json.Unmarshal(body, &whole); err != nil {
			t.Fatalf("what is no JSON is taken: %q: %v", body, err)
		}
		if err := json.Unmarshal(b.Fields["json"], &left); err != nil {
			t.Fatalf("what is left is no JSON: %q: %v", b.Fields["json"], err)
		}
		if got, want := fmt.Sprint(left), fmt.Sprint(emptied(whole)); got != want {
			t.Fatalf("of %q %q is left: %s, want %s", body, b.Fields["json"], got, want)
		}
	})
}

// emptied is a value with its members that are strings emptied.
func emptied(value any) any {
	empty := func(v any) any {
		if _, ok := v.(string); ok {
			return ""
		}
		return v
	}
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			value[k] = empty(v)
		}
	case []any:
		for i, v := range value {
			value[i] = empty(v)
		}
	}
	return value
}
