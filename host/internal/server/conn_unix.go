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
		n, err := c.writeMapped(file, min(l.N, piece))
		sent, l.N = sent+n, l.N-n
		if err != nil || n == 0 {
			return sent, err
		}
	}
	n, err := c.TCPConn.ReadFrom(l)
	return sent + n, err
}

// writeMapped writes up to n bytes of a file from where it is at; none: it ends
// there. If it becomes shorter meanwhile, the kernel says EFAULT.
func (c *conn) writeMapped(file *os.File, n int64) (int64, error) {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if n = min(n, info.Size()-at); n <= 0 {
		return 0, nil
	}
	before := at % int64(os.Getpagesize())
	pages, err := unix.Mmap(int(file.Fd()), at-before, int(before+n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	written, err := c.TCPConn.Write(pages[before:])
	if unmapped := unix.Munmap(pages); err == nil {
		err = unmapped
	}
	if err == nil {
		_, err = file.Seek(int64(written), io.SeekCurrent)
	}
	return int64(written), err
}
