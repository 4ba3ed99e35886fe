//go:build unix

package server

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// piece is how much of a file is mapped at once, in bytes.
const piece = 1 << 20

// ReadFrom sends what a reader has. A large file that a client on this machine
// gets alone is written from pages that are mapped: sendfile would give the client
// these pages to copy, and it reads one and a half times as fast when the copies are
// made here meanwhile. Where others are sent files too, or the network is between,
// the time of this processor is worth more.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	l, ok := r.(*io.LimitedReader)
	if !ok || !c.near || l.N < piece {
		return c.TCPConn.ReadFrom(r)
	}
	file, ok := l.R.(*os.File)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	defer c.large.Add(-1)
	for alone := c.large.Add(1) == 1; alone && l.N > 0; alone = c.large.Load() == 1 {
		pages, skip := mapped(file, min(l.N, piece))
		if pages == nil {
			break
		}
		n, err := c.TCPConn.Write(pages[skip:])
		sent, l.N = sent+int64(n), l.N-int64(n)
		if unmapped := unix.Munmap(pages); err == nil {
			err = unmapped
		}
		if err == nil {
			_, err = file.Seek(int64(n), io.SeekCurrent)
		}
		if err != nil { // EFAULT: the file became shorter meanwhile
			return sent, err
		}
	}
	n, err := c.TCPConn.ReadFrom(l)
	return sent + n, err
}

// mapped are the pages with up to n bytes of a file from where it is at, which is
// as far into them as is said. Nil: it ends there, or cannot be mapped.
func mapped(file *os.File, n int64) (pages []byte, skip int64) {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0
	}
	if n = min(n, info.Size()-at); n <= 0 {
		return nil, 0
	}
	skip = at % int64(os.Getpagesize())
	pages, err = unix.Mmap(int(file.Fd()), at-skip, int(skip+n), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, 0
	}
	return pages, skip
}
