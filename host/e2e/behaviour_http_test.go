package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// headersOf are the headers of an answer that do not differ from one request
// to the next.
func headersOf(a faultAnswer) http.Header {
	h := maps.Clone(a.Header)
	for _, name := range []string{"Date", "X-Request-Id", "Connection"} {
		h.Del(name)
	}
	return h
}

func faultRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeadNeverDownloadsAndSaysWhatGetSays(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "headed", Version: "1.0.0", Body: faultBytes(1, 300_000)}
	w := faultVersion{Name: "headed", Version: "1.1.0", Body: faultBytes(2, 300_000)}
	reg := startFaultRegistry(t, v, w)
	h := startHost(t, faultConfig(reg.URL))
	address := h.URL + "/npm" + v.path()
	same := func(t *testing.T, address string, headers ...string) {
		t.Helper()
		head, got := faultTry(t, http.MethodHead, address, headers...), faultTry(t, http.MethodGet, address, headers...)
		if head.Status != got.Status || len(head.Body) != 0 {
			t.Errorf("HEAD answers %d with %d bytes, GET %d", head.Status, len(head.Body), got.Status)
		}
		if a, b := headersOf(head), headersOf(got); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("HEAD says\n%v\nand GET\n%v", a, b)
		}
	}
	for range 3 {
		if a := faultTry(t, http.MethodHead, address); a.Status != http.StatusOK || a.Header.Get("Content-Length") != "300000" {
			t.Errorf("HEAD of a cold file: %d %v", a.Status, a.Header)
		}
	}
	if n := reg.Fetched(v); n != 0 || faultKept(h, v.Body) {
		t.Errorf("HEAD downloaded the file: upstream was asked %d times", n)
	}
	t.Run("cold file", func(t *testing.T) {
		gate := newFaultGate(t)
		reg.BreakTarballs(gate.gated(200_000))
		head := faultTry(t, http.MethodHead, address)
		resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(faultRequest(t, address))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got := faultAnswer{Status: resp.StatusCode, Header: resp.Header}
		// GET stores what it fetches, and says so; HEAD does not.
		head.Header.Del("Cache-Status")
		got.Header.Del("Cache-Status")
		if a, b := headersOf(head), headersOf(got); head.Status != got.Status || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("HEAD says %d\n%v\nand GET %d\n%v", head.Status, a, got.Status, b)
		}
	})
	faultGet(t, address, v.Body)
	t.Run("warm file", func(t *testing.T) { same(t, address) })
	t.Run("range of a warm file", func(t *testing.T) {
		for _, ranges := range []string{"bytes=5-9", "bytes=300000-"} { // which are for GET alone
			a := faultTry(t, http.MethodHead, address, "Range", ranges)
			if a.Status != http.StatusOK || a.Header.Get("Content-Length") != "300000" || a.Header.Get("Content-Range") != "" {
				t.Errorf("HEAD of %s: %d %v", ranges, a.Status, a.Header)
			}
		}
	})
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		faultTry(t, http.MethodGet, h.URL+"/npm/headed", "Accept-Encoding", encoding)
		t.Run("document in "+encoding, func(t *testing.T) { same(t, h.URL+"/npm/headed", "Accept-Encoding", encoding) })
	}
	t.Run("absent", func(t *testing.T) { same(t, h.URL+"/npm/nobody") })
	t.Run("absent file", func(t *testing.T) { same(t, h.URL+"/npm/headed/-/headed-7.0.0.tgz") })
	t.Run("no repository", func(t *testing.T) { same(t, h.URL+"/nowhere") })
	t.Run("start page", func(t *testing.T) { same(t, h.URL+"/") })
	if n := reg.Fetched(w); n != 0 {
		t.Errorf("a file that nobody asked for was fetched %d times", n)
	}
}

func TestWarmFileHasRangesAndConditions(t *testing.T) {
	t.Parallel()
	for size, n := range map[string]int{"in memory": 5_000, "on disk": 500_000} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			v := faultVersion{Name: "warm", Version: "1.0.0", Body: faultBytes(1, n)}
			reg := startFaultRegistry(t, v)
			h := startHost(t, faultConfig(reg.URL))
			address := h.URL + "/npm" + v.path()
			faultGet(t, address, v.Body)
			etag := faultGet(t, address, v.Body).Get("ETag")
			if !strings.HasPrefix(etag, `"`) {
				t.Fatalf("ETag of a warm file is %q", etag)
			}
			for name, test := range map[string]struct {
				headers []string
				status  int
				body    []byte
			}{
				"first bytes":          {[]string{"Range", "bytes=0-99"}, 206, v.Body[:100]},
				"last bytes":           {[]string{"Range", "bytes=-7"}, 206, v.Body[n-7:]},
				"from the middle":      {[]string{"Range", fmt.Sprintf("bytes=%d-", n/2)}, 206, v.Body[n/2:]},
				"beyond the end":       {[]string{"Range", fmt.Sprintf("bytes=%d-", n)}, 416, nil},
				"last none":            {[]string{"Range", "bytes=-0"}, 416, nil},
				"same by If-Range":     {[]string{"Range", "bytes=0-99", "If-Range", etag}, 206, v.Body[:100]},
				"other by If-Range":    {[]string{"Range", "bytes=0-99", "If-Range", `"other"`}, 200, v.Body},
				"weak by If-Range":     {[]string{"Range", "bytes=0-99", "If-Range", "W/" + etag}, 200, v.Body},
				"If-None-Match":        {[]string{"If-None-Match", etag}, 304, []byte{}},
				"If-None-Match, weak":  {[]string{"If-None-Match", `"a", W/` + etag}, 304, []byte{}},
				"If-None-Match, other": {[]string{"If-None-Match", `"other"`}, 200, v.Body},
				"If-Match, other":      {[]string{"If-Match", `"other"`}, 412, []byte{}},
				"gzip asked for":       {[]string{"Accept-Encoding", "gzip"}, 200, v.Body},
			} {
				a := faultTry(t, http.MethodGet, address, test.headers...)
				if a.Err != nil || a.Status != test.status || test.body != nil && !bytes.Equal(a.Body, test.body) {
					t.Errorf("%s: %d with %d bytes (%v), want %d with %d", name, a.Status, len(a.Body), a.Err, test.status, len(test.body))
				}
				if got, want := a.Header.Get("Content-Range"), fmt.Sprintf("bytes */%d", n); test.status == 416 && got != want {
					t.Errorf("%s: Content-Range %q, want %q", name, got, want)
				}
				if e := a.Header.Get("Content-Encoding"); e != "" {
					t.Errorf("%s: Content-Encoding %q", name, e)
				}
			}
			if reg.Fetched(v) != 1 {
				t.Errorf("upstream was asked %d times", reg.Fetched(v))
			}
		})
	}
}

func TestDocumentsAreEncodedAsAskedAndSayIt(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "encoded", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	address := h.URL + "/npm/encoded"
	plain := faultTry(t, http.MethodGet, address)
	if !has(plain, "1.0.0") || plain.Header.Get("Content-Encoding") != "" {
		t.Fatalf("without Accept-Encoding: %d %v", plain.Status, plain.Header)
	}
	tags := map[string]string{}
	for accept, want := range map[string]string{
		"":                            "",
		"identity":                    "",
		"br":                          "",
		"gzip":                        "gzip",
		"gzip, deflate":               "gzip",
		"deflate, gzip;q=0.5":         "gzip",
		"GZIP":                        "gzip",
		"gzip;q=0":                    "",
		"gzip; q=0.0":                 "",
		"zstd":                        "zstd",
		"gzip, deflate, br, zstd":     "zstd",
		"zstd;q=0, gzip":              "gzip",
		"gzip;q=0, zstd;q=0, *;q=0":   "",
		"identity;q=1.0, gzip;q=0.00": "",
	} {
		headers := []string{"Accept-Encoding", accept}
		if accept == "" {
			headers = nil
		}
		a := faultTry(t, http.MethodGet, address, headers...)
		if a.Err != nil || a.Status != http.StatusOK || a.Header.Get("Content-Encoding") != want {
			t.Errorf("Accept-Encoding %q: %d, Content-Encoding %q, want %q", accept, a.Status, a.Header.Get("Content-Encoding"), want)
			continue
		}
		if got := faultDecoded(t, a); !bytes.Equal(got, plain.Body) {
			t.Errorf("Accept-Encoding %q: %d bytes that are not the document", accept, len(got))
		}
		vary := strings.ToLower(strings.Join(a.Header.Values("Vary"), ","))
		if !strings.Contains(vary, "accept-encoding") || !slices.Contains(strings.Split(strings.ReplaceAll(vary, " ", ""), ","), "accept") {
			t.Errorf("Accept-Encoding %q: Vary is %q, want Accept and Accept-Encoding", accept, vary)
		}
		etag := a.Header.Get("ETag")
		if other, ok := tags[want]; ok && other != etag || etag == "" {
			t.Errorf("Accept-Encoding %q: ETag %q, before %q", accept, etag, other)
		}
		tags[want] = etag
		again := faultTry(t, http.MethodGet, address, append(headers, "If-None-Match", etag)...)
		if again.Status != http.StatusNotModified || len(again.Body) != 0 || again.Header.Get("ETag") != etag {
			t.Errorf("Accept-Encoding %q, If-None-Match %s: %d with %d bytes, ETag %q", accept, etag, again.Status, len(again.Body), again.Header.Get("ETag"))
		}
		if again.Header.Get("Vary") != a.Header.Get("Vary") {
			t.Errorf("Vary of a 304 is %q, of a 200 %q", again.Header.Get("Vary"), a.Header.Get("Vary"))
		}
		changed := faultTry(t, http.MethodGet, address, append(headers, "If-None-Match", `"other"`)...)
		if changed.Status != http.StatusOK || len(changed.Body) == 0 {
			t.Errorf("If-None-Match of another document: %d", changed.Status)
		}
	}
	if tags[""] == tags["gzip"] || tags["gzip"] == tags["zstd"] || tags[""] == tags["zstd"] {
		t.Errorf("encodings share an ETag: %v", tags)
	}
	if n := reg.Documents("encoded"); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

// faultDecoded takes an answer's encoding off, as its header says.
func faultDecoded(t *testing.T, a faultAnswer) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(a.Body)
	switch a.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer z.Close()
		r = z
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return body
}

func TestUpstreamsEncodingsNeverReachClientsUnsaid(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "zipped", Version: "1.0.0", Body: faultBytes(1, 70_000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	zip := func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(body)
		z.Close()
	}
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) { zip(w, faultDocument(reg.URL, v.Name, v)) })
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/zipped"); !has(a, "1.0.0") || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("document: %d %v", a.Status, a.Header)
	}
	// A file is what its digest says, however upstream packs it on the way.
	reg.BreakTarballs(func(w http.ResponseWriter, _ *http.Request, v faultVersion) { zip(w, v.Body) })
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.whole() && !bytes.Equal(a.Body, v.Body) {
		t.Errorf("a file was served with upstream's encoding: %v", a.Header)
	}
	reg.BreakTarballs(nil)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestMethodsThatFitNowhereAreRefused(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "methods", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPatch, "BREW"} {
		for _, path := range []string{"/npm/methods", "/npm" + v.path(), "/"} {
			if a := faultTry(t, method, h.URL+path); a.Status != http.StatusMethodNotAllowed || !strings.Contains(a.Header.Get("Allow"), "GET, HEAD") {
				t.Errorf("%s %s: %d %s, allowed are %q; want 405", method, path, a.Status, a.Body, a.Header.Get("Allow"))
			}
		}
	}
	if reg.Total() != 0 {
		t.Errorf("upstream was asked: %v", reg.Requests())
	}
}
