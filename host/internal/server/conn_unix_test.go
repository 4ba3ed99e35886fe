//go:build unix

package server

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// sending serves a file from an offset in the path, of which it says how long the
// rest is.
func sending(t *testing.T, path string) (s *httptest.Server, over *joining) {
	t.Helper()
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		from, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
		if err != nil {
			t.Error(err)
		}
		info, err := f.Stat()
		if err == nil {
			_, err = f.Seek(from, io.SeekStart)
		}
		if err != nil {
			t.Error(err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(info.Size()-from, 10))
		if r.Header.Get("Cut") != "" {
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Error(err)
			}
		}
		_, _ = io.CopyN(borrow(w), f, info.Size()-from)
	}))
	s.Listener = Joining(s.Config, s.Listener)
	over = s.Listener.(*joining)
	s.Start()
	t.Cleanup(s.Close)
	return s, over
}

func TestLargeFilesComeWhole(t *testing.T) {
	t.Parallel()
	content := make([]byte, 5<<20+12345)
	rand.Read(content)
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	s, over := sending(t, path)
	get := func(from int) {
		resp, err := s.Client().Get(s.URL + "/" + strconv.Itoa(from))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(body, content[from:]) {
			t.Errorf("from %d: got %d bytes of %d, or other ones: %v", from, len(body), len(content)-from, err)
		}
	}
	for _, from := range []int{0, 1, 4095, 4096, 4097, 1 << 20, len(content) - piece - 1, len(content) - piece, len(content) - 10} {
		get(from)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { get(i * 1000) })
	}
	all.Wait()
	s.Close() // waits for handlers
	if n := over.large.Load(); n != 0 {
		t.Errorf("%d files are said to be sent when none is", n)
	}
}

// TestWhatCannotBeMapped sends what a pipe has.
func TestWhatCannotBeMapped(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3*piece)
	rand.Read(content)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		from, to, err := os.Pipe()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		go func() {
			defer to.Close()
			_, _ = to.Write(content)
		}()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		if n, err := io.CopyN(w, from, int64(len(content))); n != int64(len(content)) || err != nil {
			t.Errorf("%d bytes were sent: %v", n, err)
		}
	}))
	s.Listener = Joining(s.Config, s.Listener)
	s.Start()
	defer s.Close()
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(body, content) {
		t.Errorf("got %d bytes, or other ones: %v", len(body), err)
	}
}

func TestAFileThatIsCutIsNoWholeAnswer(t *testing.T) {
	t.Parallel()
	content := make([]byte, 4<<20)
	rand.Read(content)
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	s, _ := sending(t, path)
	req, err := http.NewRequest(http.MethodGet, s.URL+"/0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cut", "yes")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil || !bytes.Equal(body, content[:len(body)]) || len(body) > len(content)/2 {
		t.Errorf("of a file cut to %d bytes came %d: %v", len(content)/2, len(body), err)
	}
}
