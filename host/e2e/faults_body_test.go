package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Sizes below and above what is withheld until the digest is right, and above
// what is kept in memory.
var faultSizes = map[string]int{"small": 9_001, "large": 3<<20 + 17}

// hijacked answers with raw bytes and closes the connection.
func hijacked(w http.ResponseWriter, write func(*bufio.Writer)) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	write(rw.Writer)
	rw.Flush()
}

// cutBodies are ways in which a body can end before its end.
var cutBodies = map[string]func(*bufio.Writer, []byte){
	"with Content-Length": func(w *bufio.Writer, body []byte) {
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		w.Write(body[:len(body)/2])
	},
	"with Content-Length, one byte short": func(w *bufio.Writer, body []byte) {
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		w.Write(body[:len(body)-1])
	},
	"chunked": func(w *bufio.Writer, body []byte) {
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))
		w.Write(body[:len(body)/2])
	},
	"chunked, without the last chunk": func(w *bufio.Writer, body []byte) {
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(body)/2)
		w.Write(body[:len(body)/2])
		w.WriteString("\r\n")
	},
	"without a length": func(w *bufio.Writer, body []byte) {
		w.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		w.Write(body[:len(body)/2])
	},
}

func TestTruncatedBodyIsNeverServedAsWholeNorKept(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	seed := uint64(0)
	for how, cut := range cutBodies {
		for size, n := range faultSizes {
			for _, digest := range []string{"with digest", "without digest"} {
				if how == "without a length" && digest == "without digest" {
					continue // see TestBodyThatNobodyCanVerifyIsRefused
				}
				seed++
				v := faultVersion{Name: fmt.Sprintf("cut%d", seed), Version: "1.0.0", Body: faultBytes(seed, n), Undigested: digest == "without digest"}
				reg.Publish(v)
				t.Run(how+"/"+size+"/"+digest, func(t *testing.T) {
					reg.BreakTarballs(func(w http.ResponseWriter, _ *http.Request, v faultVersion) {
						hijacked(w, func(w *bufio.Writer) { cut(w, v.Body) })
					})
					a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
					if a.whole() {
						t.Fatalf("half a body was served as a whole: %d of %d bytes", len(a.Body), len(v.Body))
					}
					if a.Err == nil && a.Status != http.StatusBadGateway {
						t.Errorf("status %d, want 502 or a connection that is cut: %s", a.Status, a.Body)
					}
					if faultKept(h, v.Body) || faultKept(h, v.Body[:len(v.Body)/2]) {
						t.Error("a body that broke off is kept")
					}
					h.wait(t, "to remove the temporary file", func() bool { return len(faultFiles(t, h.Dir+"/data/tmp")) == 0 })
					reg.BreakTarballs(nil)
					faultGet(t, h.URL+"/npm"+v.path(), v.Body)
					before := reg.Fetched(v)
					faultGet(t, h.URL+"/npm"+v.path(), v.Body)
					if reg.Fetched(v) != before {
						t.Error("the mended file was not kept")
					}
				})
			}
		}
	}
}

func TestBodyThatNobodyCanVerifyIsRefused(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "unverified", Version: "1.0.0", Body: faultBytes(1, 5000), Undigested: true}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	reg.BreakTarballs(func(w http.ResponseWriter, _ *http.Request, v faultVersion) {
		hijacked(w, func(w *bufio.Writer) { cutBodies["without a length"](w, v.Body) })
	})
	a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
	if a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "without length and digest") {
		t.Fatalf("a body without length and digest gives %d %q", a.Status, a.Body)
	}
}

func TestBrokenBodyIsResumedWithRange(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *bufio.Writer, etag string, body []byte){
		"Content-Length": func(w *bufio.Writer, etag string, body []byte) {
			fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n", etag, len(body))
			w.Write(body[:len(body)/2])
		},
		"chunked": func(w *bufio.Writer, etag string, body []byte) {
			fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nETag: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", etag, len(body))
			w.Write(body[:len(body)/2])
		},
	}
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	seed := uint64(100)
	for framing, first := range tests {
		for size, n := range faultSizes {
			seed++
			v := faultVersion{Name: fmt.Sprintf("resume%d", seed), Version: "1.0.0", Body: faultBytes(seed, n)}
			reg.Publish(v)
			t.Run(framing+"/"+size, func(t *testing.T) {
				var ranges, conditions []string
				reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, v faultVersion) {
					ranges, conditions = append(ranges, r.Header.Get("Range")), append(conditions, r.Header.Get("If-Range"))
					if len(ranges) == 1 {
						hijacked(w, func(w *bufio.Writer) { first(w, faultETag(v.Body), v.Body) })
						return
					}
					faultServeWhole(w, r, v)
				})
				faultGet(t, h.URL+"/npm"+v.path(), v.Body)
				if len(ranges) != 2 || ranges[0] != "" {
					t.Fatalf("upstream was asked for the ranges %q, want all and then the rest", ranges)
				}
				from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(ranges[1], "bytes="), "-"))
				if err != nil || from <= 0 || from > len(v.Body)/2 {
					t.Errorf("the second request has Range %q, want the rest after at most %d bytes", ranges[1], len(v.Body)/2)
				}
				if conditions[1] != faultETag(v.Body) {
					t.Errorf("If-Range is %q, want %s", conditions[1], faultETag(v.Body))
				}
				if !faultKept(h, v.Body) {
					t.Error("the file is not kept under its digest")
				}
			})
		}
	}
}

func TestBodyThatBreaksOffOftenIsResumedWhileItGetsOn(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "flaky", Version: "1.0.0", Body: faultBytes(7, 3<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, v faultVersion) {
		from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
		hijacked(w, func(w *bufio.Writer) {
			status := "200 OK"
			if from > 0 {
				status = fmt.Sprintf("206 Partial Content\r\nContent-Range: bytes %d-%d/%d", from, len(v.Body)-1, len(v.Body))
			}
			fmt.Fprintf(w, "HTTP/1.1 %s\r\nETag: %s\r\nContent-Length: %d\r\n\r\n", status, faultETag(v.Body), len(v.Body)-from)
			w.Write(v.Body[from:min(from+300<<10, len(v.Body))])
		})
	})
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	if n := reg.Fetched(v); n < 10 {
		t.Errorf("it was asked for %d times, so this tells nothing", n)
	}
}

func TestBodyThatChangesBetweenBreakAndResumeIsNotServed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ undigested, ignoring bool }{
		"with digest": {}, "without digest": {undigested: true},
		"upstream ignores If-Range, with digest": {ignoring: true}, "upstream ignores If-Range": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := faultVersion{Name: "changing", Version: "1.0.0", Body: faultBytes(7, 2<<20), Undigested: test.undigested}
			other := v
			other.Body = faultBytes(8, 2<<20)
			reg := startFaultRegistry(t, v)
			h := startHost(t, faultConfig(reg.URL))
			reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, _ faultVersion) {
				if r.Header.Get("Range") == "" {
					hijacked(w, func(w *bufio.Writer) {
						fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n", faultETag(v.Body), len(v.Body))
						w.Write(v.Body[:len(v.Body)/2])
					})
					return
				}
				if test.ignoring {
					r.Header.Del("If-Range")
				}
				faultServeWhole(w, r, other) // where If-Range does not fit: 200 and all of it
			})
			if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.whole() && !bytes.Equal(a.Body, other.Body) {
				t.Fatalf("two halves of different files were served as one")
			}
		})
	}
}

func TestWrongDigestNeverReachesAClientAsWhole(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	seed := uint64(200)
	for size, n := range faultSizes {
		seed++
		v := faultVersion{Name: fmt.Sprintf("wrong%d", seed), Version: "1.0.0", Body: faultBytes(seed, n)}
		wrong := v
		wrong.Body = append(bytes.Clone(v.Body[:n-1]), v.Body[n-1]^1)
		reg.Publish(v)
		t.Run(size, func(t *testing.T) {
			reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, _ faultVersion) { faultServeWhole(w, r, wrong) })
			for range 2 {
				a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
				if a.whole() || len(a.Body) >= n {
					t.Fatalf("a wrong file was served: %d bytes, error %v", len(a.Body), a.Err)
				}
				if a.Err == nil && (a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "sha512")) {
					t.Errorf("%d %s: want 502 and what was expected", a.Status, a.Body)
				}
			}
			if faultKept(h, wrong.Body) {
				t.Error("the wrong body is kept")
			}
			reg.BreakTarballs(nil)
			faultGet(t, h.URL+"/npm"+v.path(), v.Body)
		})
	}
}

func TestUndigestedFileMayNotChangeLater(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "pinned", Version: "1.0.0", Body: faultBytes(9, 70_000), Undigested: true}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	if out, err := h.Run(t, "purge", "pkg:npm/pinned"); err != nil {
		t.Fatalf("purge: %v %s", err, out)
	}
	other := v
	other.Body = faultBytes(10, 70_000)
	reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, _ faultVersion) { faultServeWhole(w, r, other) })
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.whole() {
		t.Fatal("other bytes than the first time were served under the same name")
	}
	reg.BreakTarballs(nil)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestTruncatedDocumentIsNeverServedNorKept(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "cutdoc", Version: "1.0.0", Body: faultBytes(11, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	doc := faultDocument(reg.URL, v.Name, v)
	for how, cut := range cutBodies {
		t.Run(how, func(t *testing.T) {
			if out, err := h.Run(t, "purge", "--repository", "npm"); err != nil {
				t.Fatalf("purge: %v %s", err, out)
			}
			reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) {
				hijacked(w, func(w *bufio.Writer) { cut(w, doc) })
			})
			a := faultTry(t, http.MethodGet, h.URL+"/npm/cutdoc")
			if a.Status != http.StatusBadGateway {
				t.Errorf("half a document gives %d %q (%v), want 502", a.Status, a.Body, a.Err)
			}
			reg.BreakDocuments(nil)
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/cutdoc"); !a.whole() || !bytes.Contains(a.Body, []byte(`"1.0.0"`)) {
				t.Errorf("mended: %d %s", a.Status, a.Body)
			}
			// And what was kept before survives a later break.
			reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) {
				hijacked(w, func(w *bufio.Writer) { cut(w, doc) })
			})
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/cutdoc"); !a.whole() || !strings.Contains(a.Header.Get("Cache-Status"), "stale") {
				t.Errorf("kept before the break: %d %q %s", a.Status, a.Header.Get("Cache-Status"), a.Body)
			}
			reg.BreakDocuments(nil)
		})
	}
}

func TestBodyThatStallsEndsWithinItsTimeout(t *testing.T) {
	t.Parallel()
	small := faultVersion{Name: "stall-small", Version: "1.0.0", Body: faultBytes(1, 50_000)}
	large := faultVersion{Name: "stall-large", Version: "1.0.0", Body: faultBytes(2, 2<<20)}
	reg := startFaultRegistry(t, small, large)
	h := startHost(t, strings.Replace(faultConfig(reg.URL), fmt.Sprintf("{ url = %q }", reg.URL), fmt.Sprintf("{\n url = %q\n timeout = \"1s\"\n }", reg.URL), 1))
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(40_000))
	for _, v := range []faultVersion{small, large} {
		began := time.Now()
		a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
		if a.whole() {
			t.Errorf("%s: half a body was served as a whole", v.Name)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("%s: a body that stalls ended after %s", v.Name, took)
		}
	}
	if n := reg.Fetched(large); n > 2 {
		t.Errorf("a body that stalls was begun %d times", n)
	}
	// Who runs the host is told of each.
	h.wait(t, "to log both", func() bool { return strings.Count(h.log.String(), "did not arrive whole") == 2 })
	if _, _, metrics := get(t, h.URL+"/metrics"); !strings.Contains(string(metrics), "entrepot_upstream_broken_total 2\n") {
		t.Error("/metrics does not count them")
	}
	h.wait(t, "to note that a client was cut off", func() bool {
		lines, err := os.ReadFile(filepath.Join(h.Dir, "access.log"))
		return err == nil && strings.Count(string(lines), `"cache":"fwd=miss; detail=\"cut off\""`) == 1
	})
	gate.Open()
	faultGet(t, h.URL+"/npm"+large.path(), large.Body)
}
