package server

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Answers come whole, whatever their size, and in one packet.
func TestHeadAndBodyInOnePacket(t *testing.T) {
	const largest = 20 << 10
	content := make([]byte, largest)
	rand.Read(content)
	var over atomic.Pointer[conn]
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		over.Store(r.Context().Value(connKey{}).(*conn))
		size, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		writeJoined(borrow(w), r, content[:size])
	}))
	s.Listener = Joining(s.Config, s.Listener)
	s.Start()
	defer s.Close()
	sent := uint32(0)
	// The head takes some 100 bytes of the 4,096 that net/http writes at once.
	sizes := []int{1, 2048, 3900, 4096, 4097, 8191, 16 << 10, largest}
	for size := 3950; size < 4010; size++ {
		sizes = append(sizes, size, size+4096)
	}
	for _, size := range sizes {
		resp, err := s.Client().Get(fmt.Sprintf("%s/%d", s.URL, size))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(body, content[:size]) {
			t.Errorf("%d bytes: got %d: %v", size, len(body), err)
		}
		before := sent
		if sent = packets(t, over.Load()); sent != before+1 {
			t.Errorf("%d bytes came in %d packets", size, sent-before)
		}
	}
}

// packets is how many packets with data a connection has sent.
func packets(t *testing.T, c *conn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); cmp.Or(e, err) != nil {
		t.Fatal(cmp.Or(e, err))
	}
	return info.Data_segs_out
}
