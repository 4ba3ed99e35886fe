package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/", "/npm/lodash", "/npm/@a%2fb", "/a//b", "/a.b/..c/d../.e", "/%E2%82%AC", "/a%20b", "/...", "/a%25b", "/~a", "/a+b", "/" + strings.Repeat("a", 8<<10-1),
	} {
		if f := checkPath(path); f != nil {
			t.Errorf("%.50q is refused: %s", path, f.Message)
		}
	}
	for _, path := range []string{
		"", "a", "*", "/..", "/a/../b", "/.", "/a/.", "/./a", "/%2e%2e", "/%2E", "/a%2f..%2fb", "/..%2f", "/%2f..", "/a/.%2e",
		"/%00", "/a%0ab", "/%7f", "/\x01", "/\x7f", `/\`, "/%5c", "/%ff", "/\xff", "/%c0%af", "/%ed%a0%80", "/%", "/%2", "/%gg", "/" + strings.Repeat("a", 8<<10),
	} {
		if f := checkPath(path); f == nil {
			t.Errorf("%.50q is accepted", path)
		}
	}
}

func TestWithoutDots(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/./a": "/a", "/a/./b": "/a/b", "/a/././b/./": "/a/b/", "/a/.": "/a/", "/.": "/", "/a/./.": "/a/", "/": "/", "": "", ".": ".",
		"/a/../b": "/a/../b", "/.././": "/../", "/a/.b/c./..d": "/a/.b/c./..d", "/a/%2e/b": "/a/%2e/b", "/a//./b": "/a//b", "/./..": "/..",
	} {
		if got := withoutDots(path); got != want {
			t.Errorf("%q without dots is %q, want %q", path, got, want)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"/a", "/%2e%2e/", "/%00", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if checkPath(path) != nil {
			return
		}
		plain, err := url.PathUnescape(path)
		if err != nil || strings.ContainsAny(plain, "\x00\r\n\\") {
			t.Errorf("%q is accepted", path)
		}
		for _, segment := range strings.Split(plain, "/") {
			if segment == ".." || segment == "." {
				t.Errorf("%q is accepted", path)
			}
		}
	})
}

// asked is a request as a client sent it.
func asked(target, host, remote string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = host, remote
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestAddressOfARequest(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://packages.example/sub")
	if err != nil {
		t.Fatal(err)
	}
	plain := &Address{Hosts: []string{"mirror.example"}}
	based := &Address{Base: base}
	trusting := &Address{Hosts: []string{"packages.example", "inner"}, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	all := []string{"X-Forwarded-Host", "evil.example, packages.example", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/sub/"}
	for name, test := range map[string]struct {
		address    *Address
		request    *http.Request
		base, path string // empty base: misdirected
	}{
		"as asked":                     {plain, asked("/npm/a", "127.0.0.1:8080", "1.2.3.4:5"), "http://127.0.0.1:8080", "/npm/a"},
		"loopback of another number":   {plain, asked("/npm/a", "127.8.8.8", "1.2.3.4:5"), "http://127.8.8.8", "/npm/a"},
		"IPv6":                         {plain, asked("/npm/a", "[::1]:8080", "1.2.3.4:5"), "http://[::1]:8080", "/npm/a"},
		"configured host":              {plain, asked("/npm/a", "Mirror.example:80", "1.2.3.4:5"), "http://mirror.example:80", "/npm/a"},
		"somebody's host":              {plain, asked("/npm/a", "evil.example", "1.2.3.4:5"), "", ""},
		"port that is none":            {plain, asked("/npm/a", "localhost:evil", "1.2.3.4:5"), "", ""},
		"no host":                      {plain, asked("/npm/a", "", "1.2.3.4:5"), "", ""},
		"base, unstripped":             {based, asked("/sub/npm/a", "packages.example", "1.2.3.4:5"), "https://packages.example/sub", "/npm/a"},
		"base, stripped":               {based, asked("/npm/a", "localhost", "1.2.3.4:5"), "https://packages.example/sub", "/npm/a"},
		"base itself":                  {based, asked("/sub", "packages.example", "1.2.3.4:5"), "https://packages.example/sub", ""},
		"longer than base":             {based, asked("/subway/a", "packages.example", "1.2.3.4:5"), "https://packages.example/sub", "/subway/a"},
		"base, and a header":           {based, asked("/npm/a", "packages.example", "10.0.0.1:5", all...), "https://packages.example/sub", "/npm/a"},
		"forwarded by a stranger":      {trusting, asked("/npm/a", "localhost", "1.2.3.4:5", all...), "http://localhost", "/npm/a"},
		"forwarded by a proxy":         {trusting, asked("/sub/npm/a", "inner:80", "10.1.1.1:5", all...), "https://packages.example/sub", "/npm/a"},
		"the same over mapped IPv4":    {trusting, asked("/npm/a", "inner:80", "[::ffff:10.1.1.1]:5", all...), "https://packages.example/sub", "/npm/a"},
		"somebody's host forwarded":    {trusting, asked("/npm/a", "inner", "10.1.1.1:5", "X-Forwarded-Host", "evil.example"), "", ""},
		"somebody's host by a proxy":   {trusting, asked("/npm/a", "evil.example", "10.1.1.1:5"), "", ""},
		"a client's prefix":            {trusting, asked("/npm/a", "inner", "10.1.1.1:5", "X-Forwarded-Prefix", "/evil, /sub"), "http://inner/sub", "/npm/a"},
		"forwarded host that is none":  {trusting, asked("/npm/a", "inner", "10.1.1.1:5", "X-Forwarded-Host", `a"b`), "", ""},
		"forwarded scheme of no use":   {trusting, asked("/npm/a", "inner", "10.1.1.1:5", "X-Forwarded-Proto", "gopher"), "http://inner", "/npm/a"},
		"forwarded prefix that climbs": {trusting, asked("/npm/a", "inner", "10.1.1.1:5", "X-Forwarded-Prefix", "/../x"), "http://inner", "/npm/a"},
	} {
		gotBase, gotPath, failure := test.address.of(test.request, test.request.URL.EscapedPath())
		if (failure != nil) != (test.base == "") || gotBase != test.base || gotPath != test.path {
			t.Errorf("%s: %q %q %v, want %q %q", name, gotBase, gotPath, failure, test.base, test.path)
		}
	}
}

// TestAddressesAreBounded asks under ever new names, of which each would have
// documents of its own.
func TestAddressesAreBounded(t *testing.T) {
	t.Parallel()
	a := &Address{Port: "8080", Hosts: []string{"mirror.example"}, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	bases := map[string]bool{}
	for i := range 1000 {
		for _, r := range []*http.Request{
			asked("/a", fmt.Sprintf("127.0.0.1:%d", 10000+i), "1.2.3.4:5"),
			asked("/a", fmt.Sprintf("127.0.%d.%d:8080", i/250, 2+i%250), "1.2.3.4:5"),
			asked("/a", []string{"mirror.example", "Mirror.example", "mIRROR.example"}[i%3], "1.2.3.4:5"),
			asked("/a", "mirror.example", "10.0.0.1:5", "X-Forwarded-Prefix", fmt.Sprintf("/p%d", i)),
		} {
			if base, _, failure := a.of(r, "/a"); failure == nil {
				bases[base] = true
			}
		}
	}
	if len(bases) > maxUnlisted+1 {
		t.Errorf("we are reached at %d addresses", len(bases))
	}
	if base, _, failure := a.of(asked("/a", "localhost:9999", "127.0.0.1:5"), "/a"); failure != nil {
		t.Errorf("a port that is forwarded on this machine is %q: %v", base, failure)
	}
	for _, host := range []string{"127.0.0.1:8080", "localhost", "[::1]:8080", "mirror.example:8080", "127.0.0.1:10000"} {
		if base, _, failure := a.of(asked("/a", host, "1.2.3.4:5"), "/a"); failure != nil || base != "http://"+host {
			t.Errorf("%s is %q: %v", host, base, failure)
		}
	}
}

func TestAcceptedEncoding(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "GZip": "gzip", "zstd": "zstd", "gzip, zstd": "zstd", "br": "", "deflate, br": "", "*": "gzip",
		"gzip;q=0": "", "gzip; q = 0.000": "", "gzip;q=0.001": "gzip", "zstd;q=0, gzip;q=1": "gzip", "gzip;q=high": "gzip", ", ,gzip": "gzip", "gzipx": "",
		"*;q=0": "", "gzip;q=0, *": "", "*;q=0.5, gzip;q=0": "", "gzip, *;q=0": "gzip", "zstd;q=0.1, gzip;Q=0.5": "gzip", "zstd;q=0.5, gzip;q=0.5": "zstd",
		"identity, gzip;q=0.5": "", "identity;q=0.5, gzip": "gzip", "identity, gzip": "gzip", "identity;q=0, *": "gzip", "zstd;q=0.5, *": "gzip",
	} {
		r := asked("/", "localhost", "1.2.3.4:5", "Accept-Encoding", header)
		if got := acceptedEncoding(r); got != want {
			t.Errorf("%q gives %q, want %q", header, got, want)
		}
	}
	r := asked("/", "localhost", "1.2.3.4:5", "Accept-Encoding", "gzip", "Range", "bytes=0-1")
	if got := acceptedEncoding(r); got != "" {
		t.Errorf("a range of a document is in %q", got)
	}
	r = asked("/", "localhost", "1.2.3.4:5", "Accept-Encoding", "identity")
	r.Header.Add("Accept-Encoding", "gzip")
	if got := acceptedEncoding(r); got != "gzip" {
		t.Errorf("two lines give %q", got)
	}
}

func TestRangeOf(t *testing.T) {
	t.Parallel()
	const size = 1000
	type answer struct {
		from, to int64
		ranged   bool
		ok       bool
	}
	whole, outside := answer{0, size, false, true}, answer{0, 0, false, false}
	for spec, want := range map[string]answer{
		"bytes=0-0": {0, 1, true, true}, "bytes=0-999": {0, 1000, true, true}, "bytes=0-5000": {0, 1000, true, true}, "bytes=5-": {5, 1000, true, true},
		"bytes=-1": {999, 1000, true, true}, "bytes=-5000": {0, 1000, true, true}, "bytes=999-": {999, 1000, true, true},
		"bytes=1000-": outside, "bytes=1000-2000": outside, "bytes=-0": outside,
		"": whole, "bytes=": whole, "bytes=-": whole, "bytes=5-4": whole, "bytes=a-b": whole, "bytes=0-1,5-6": whole, "items=0-1": whole, "bytes=--5": whole,
		"bytes=99999999999999999999-": whole, "bytes=0-99999999999999999999": whole,
	} {
		var got answer
		got.from, got.to, got.ranged, got.ok = rangeOf(asked("/", "localhost", "1.2.3.4:5", "Range", spec), size)
		if got != want {
			t.Errorf("%q is %+v, want %+v", spec, got, want)
		}
	}
	r := asked("/", "localhost", "1.2.3.4:5", "Range", "bytes=0-1", "If-Range", `"a"`)
	if _, _, ranged, ok := rangeOf(r, size); ranged || !ok {
		t.Error("If-Range is taken on trust")
	}
}

func TestEtagMatches(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		`"a"`: true, `W/"a"`: true, `"b", "a"`: true, `"b",W/"a"`: true, "*": true, `"b"`: false, "a": false, `"ab"`: false, "": false, `"a`: false, `"a-gzip"`: true, `W/"a-zstd"`: true, `"a-b"`: false, `"b-gzip"`: false,
	} {
		if got := etagMatches(header, `"a"`); got != want {
			t.Errorf("%q matches: %t", header, got)
		}
	}
}

func TestAppendJSONIsValidWhateverItGets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": `"plain"`, `"\`: `"\"\\"`, "\x00\n\x7f": `"\u0000\u000a\u007f"`, "\xff": "\"\uFFFD\"", "€": `"€"`,
	} {
		if got := string(appendJSON(nil, text)); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
	}
	if n := len(appendJSON(nil, strings.Repeat("a", 10_000))); n > 2100 {
		t.Errorf("a long text takes %d bytes", n)
	}
}

func TestNamesAreThoseThatHostHeadersHave(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://Packages.example.com/sub")
	if err != nil {
		t.Fatal(err)
	}
	a := Address{Base: base, Hosts: []string{"a.example.com", "b.example.com:5000"}, Port: "8080"}
	got := a.Names()
	want := []string{
		"127.0.0.1:8080", "[::1]:8080",
		"a.example.com", "a.example.com:443", "a.example.com:80", "a.example.com:8080", "b.example.com:5000",
		"localhost:8080",
		"packages.example.com", "packages.example.com:443", "packages.example.com:80", "packages.example.com:8080",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
