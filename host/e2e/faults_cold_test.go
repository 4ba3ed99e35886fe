package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// following compares a body with what it should be while it arrives.
type following struct {
	want []byte
	at   int
}

func (f *following) Write(p []byte) (int, error) {
	if f.at+len(p) > len(f.want) || !bytes.Equal(p, f.want[f.at:f.at+len(p)]) {
		return 0, fmt.Errorf("wrong bytes at %d", f.at)
	}
	f.at += len(p)
	return len(p), nil
}

func TestTwoHundredClientsOfOneColdFileCauseOneFetch(t *testing.T) {
	t.Parallel()
	const clients, leaving = 200, 20
	v := faultVersion{Name: "popular", Version: "1.0.0", Body: faultBytes(1, 32<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(1 << 20))
	transport := &http.Transport{DisableCompression: true, MaxConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var begun, all sync.WaitGroup
	var whole atomic.Int64
	begun.Add(clients)
	for i := range clients {
		all.Go(func() {
			var once sync.Once
			told := func() { once.Do(begun.Done) }
			defer told()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/npm"+v.path(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			defer resp.Body.Close()
			f := &following{want: v.Body}
			if _, err := io.CopyN(f, resp.Body, 1000); err != nil {
				t.Errorf("client %d got no first bytes while upstream was held back: %v", i, err)
				return
			}
			if i%(clients/leaving) == 0 {
				leave()
				return
			}
			told()
			if _, err := io.Copy(f, resp.Body); err != nil || f.at != len(v.Body) {
				t.Errorf("client %d: %v after %d of %d bytes", i, err, f.at, len(v.Body))
				return
			}
			whole.Add(1)
		})
	}
	// All have their first bytes, or have left, before upstream sends the rest.
	begun.Wait()
	gate.Open()
	all.Wait()
	if n := whole.Load(); n != clients-leaving {
		t.Errorf("%d clients got the whole file, want %d", n, clients-leaving)
	}
	if n := reg.Fetched(v); n != 1 {
		t.Errorf("upstream was asked for the file %d times", n)
	}
	if n := reg.Documents(v.Name); n != 1 {
		t.Errorf("upstream was asked for the document %d times", n)
	}
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestFetchGoesOnWhenItsOnlyClientLeaves(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "left", Version: "1.0.0", Body: faultBytes(1, 2<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(1 << 20))
	resp, err := http.Get(h.URL + "/npm" + v.path())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	gate.Open()
	eventually(t, "to finish and keep the file", func() bool { return faultKept(h, v.Body) })
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	if n := reg.Fetched(v); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestManyClientsOfOneColdDocumentCauseOneFetch(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "asked", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	gate := newFaultGate(t)
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		gate.Wait(r)
		reg.serveDocument(w, r)
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/asked"); !has(a, "1.0.0") {
				t.Errorf("%d %s %v", a.Status, a.Body, a.Err)
			}
		})
	}
	eventually(t, "to ask upstream", func() bool { return reg.Documents("asked") > 0 })
	gate.Open()
	all.Wait()
	if n := reg.Documents("asked"); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestRangeOfColdFileIsAnsweredWhileItArrives(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "partly", Version: "1.0.0", Body: faultBytes(1, 4<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	gate := newFaultGate(t)
	reg.BreakTarballs(gate.gated(1 << 20))
	address, size := h.URL+"/npm"+v.path(), len(v.Body)
	ask := func(t *testing.T, spec string, from, to int) {
		t.Helper()
		a := faultTry(t, http.MethodGet, address, "Range", spec)
		want := fmt.Sprintf("bytes %d-%d/%d", from, to-1, size)
		if a.Err != nil || a.Status != http.StatusPartialContent || a.Header.Get("Content-Range") != want ||
			a.Header.Get("Content-Length") != strconv.Itoa(to-from) || !bytes.Equal(a.Body, v.Body[from:to]) {
			t.Errorf("Range %s: %d, Content-Range %q, want %q; %d bytes, %v", spec, a.Status, a.Header.Get("Content-Range"), want, len(a.Body), a.Err)
		}
	}
	ask(t, "bytes=1000-1999", 1000, 2000)
	ask(t, "bytes=0-0", 0, 1)
	ask(t, "bytes=1048000-1048575", 1048000, 1<<20) // the last that arrived
	for _, spec := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=99999999-", "bytes=-0"} {
		a := faultTry(t, http.MethodGet, address, "Range", spec)
		if a.Status != http.StatusRequestedRangeNotSatisfiable || a.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("Range %s of a cold file: %d, Content-Range %q", spec, a.Status, a.Header.Get("Content-Range"))
		}
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { ask(t, "bytes=-10", size-10, size) })
	waiting.Go(func() { ask(t, fmt.Sprintf("bytes=%d-", size/2), size/2, size) })
	waiting.Go(func() {
		// Nobody knows yet whether it is still the same file.
		a := faultTry(t, http.MethodGet, address, "Range", "bytes=5-9", "If-Range", `"something"`)
		if !a.whole() || !bytes.Equal(a.Body, v.Body) {
			t.Errorf("If-Range of a cold file: %d, %d bytes, %v", a.Status, len(a.Body), a.Err)
		}
	})
	waiting.Go(func() {
		a := faultTry(t, http.MethodGet, address, "Range", "bytes=1-2,5-9")
		if !a.whole() || !bytes.Equal(a.Body, v.Body) {
			t.Errorf("several ranges of a cold file: %d, %d bytes, %v", a.Status, len(a.Body), a.Err)
		}
	})
	gate.Open()
	waiting.Wait()
	if n := reg.Fetched(v); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}
