package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestReasonsStandInTheStatusLine refuses requests over connections as they are,
// and reads what comes back.
func TestReasonsStandInTheStatusLine(t *testing.T) {
	t.Parallel()
	failure := &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_REFUSED, Message: "joe may\r\nX-Evil: é not publish"}
	counted := make(chan recorder, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, asker: asker{given: r.Header.Get("Authorization") != ""}}
		f := *failure
		if r.URL.Path == "/unauthorized" {
			f.Kind = pb.ErrorKind_ERROR_KIND_UNAUTHORIZED
		}
		if r.URL.Path == "/missing" {
			f.Kind = pb.ErrorKind_ERROR_KIND_NOT_FOUND
		}
		plainFailure(rec, r, &f)
		counted <- recorder{status: rec.status, bytes: rec.bytes}
		if rec.last != nil {
			rec.last()
		}
	}))
	t.Cleanup(server.Close)
	const told = " joe may? X-Evil: ? not publish"
	for request, want := range map[string]string{
		"PUT /a":                "403" + told,
		"GET /a":                "403" + told,
		"GET /missing":          "404 Not Found",
		"HEAD /a":               "403 Forbidden",
		"PUT /unauthorized":     "401 Unauthorized",
		"PUT /unauthorized key": "401" + told,
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		target := strings.TrimSuffix(request, " key")
		headers := "Host: x\r\n"
		if strings.HasSuffix(request, " key") {
			headers += "Authorization: Bearer x\r\n"
		}
		body := ""
		if strings.HasPrefix(request, "PUT") {
			// More than a connection buffers.
			body = strings.Repeat("x", 8<<20)
			headers += "Content-Length: 8388608\r\n"
		}
		go io.WriteString(conn, target+" HTTP/1.1\r\n"+headers+"\r\n"+body) //nolint:errcheck // the answer may come before its end
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: strings.Fields(request)[0]})
		if err != nil {
			t.Fatalf("%s: %v", request, err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.Status != want || resp.Header.Get("X-Evil") != "" || resp.Header.Get("Content-Type") == "" || resp.Header.Get("Date") == "" {
			t.Errorf("%s is answered with %q %v %v, want %q", request, resp.Status, resp.Header, err, want)
		}
		if c := <-counted; c.status != resp.StatusCode || c.bytes != int64(len(got)) || request != "HEAD /a" && string(got) != failure.Message+"\n" {
			t.Errorf("%s: %d and %d bytes are counted, of %q", request, c.status, c.bytes, got)
		}
	}
}
