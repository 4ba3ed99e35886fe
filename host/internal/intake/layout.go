package intake

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

// Signatures of a zip archive's records (APPNOTE.TXT, section 4.3).
const (
	sigLocal      = "PK\x03\x04"
	sigCentral    = "PK\x01\x02"
	sigDescriptor = "PK\x07\x08"
	sigEnd        = "PK\x05\x06"
	sigEnd64      = "PK\x06\x06"
	sigLocator64  = "PK\x06\x07"
)

// zipLayout goes over a zip archive from its first byte to its last.
type zipLayout struct {
	r    io.ReaderAt
	size int64
	at   int64
}

// oneReading refuses a zip archive that has anything but its members, one after
// the other, the directory that names each of them, and its end: some readers go
// by the directory and others by the members, and what they differ on is unpacked
// by one and not seen by another.
func oneReading(archive *zip.Reader, r io.ReaderAt, size int64) error {
	l := &zipLayout{r: r, size: size}
	type member struct {
		*zip.File
		data int64
	}
	members := make([]member, 0, len(archive.File))
	for _, f := range archive.File {
		data, err := f.DataOffset()
		if err != nil {
			return refused("its member %q cannot be read: %s", f.Name, err)
		}
		members = append(members, member{f, data})
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.data, b.data) })
	for _, m := range members {
		if err := l.local(m.File, m.data); err != nil {
			return err
		}
	}
	for _, f := range archive.File {
		head := l.next(46)
		if string(head[:4]) != sigCentral || string(l.peek(46, int64(len(f.Name)))) != f.Name {
			return refused("its directory does not follow its members")
		}
		l.at += 46 + int64(binary.LittleEndian.Uint16(head[28:])) + int64(binary.LittleEndian.Uint16(head[30:])) + int64(binary.LittleEndian.Uint16(head[32:]))
	}
	return l.end()
}

// peek are bytes at a distance from where it is; fewer: the archive has no more.
func (l *zipLayout) peek(from, n int64) []byte {
	b := make([]byte, max(0, min(n, l.size-l.at-from)))
	read, _ := l.r.ReadAt(b, l.at+from) // what cannot be read is as good as not there
	return b[:read]
}

// next are n bytes, zeros where the archive has no more.
func (l *zipLayout) next(n int64) []byte {
	b := make([]byte, n)
	copy(b, l.peek(0, n))
	return b
}

// local passes a member, whose bytes begin at data.
func (l *zipLayout) local(f *zip.File, data int64) error {
	head := l.next(30)
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(head[at:])) }
	u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(head[at:])) }
	switch {
	case string(head[:4]) != sigLocal || l.at+30+u16(26)+u16(28) != data:
		return refused("something that is none of its members stands before its member %q", f.Name)
	case string(l.peek(30, u16(26))) != f.Name:
		return refused("its member %q is called otherwise in its directory: %q", l.peek(30, u16(26)), f.Name)
	case uint16(u16(8)) != f.Method:
		return refused("its member %q is packed otherwise than its directory says", f.Name)
	}
	l.at = data + int64(f.CompressedSize64)
	said := func(size, want uint64) bool { return size == want || size == 1<<32-1 }
	whole := u32(14) == uint64(f.CRC32) && said(u32(18), f.CompressedSize64) && said(u32(22), f.UncompressedSize64)
	if f.Flags&8 != 0 {
		for _, d := range descriptors(f) {
			if bytes.Equal(l.peek(0, int64(len(d))), d) {
				l.at += int64(len(d))
				return nil
			}
		}
	}
	if !whole {
		return refused("its member %q has another size or checksum than its directory says", f.Name)
	}
	return nil
}

// descriptors are the forms in which a member's checksum and sizes may follow it.
func descriptors(f *zip.File) [][]byte {
	var all [][]byte
	for _, sig := range []string{sigDescriptor, ""} {
		short := binary.LittleEndian.AppendUint32([]byte(sig), f.CRC32)
		long := slices.Clone(short)
		long = binary.LittleEndian.AppendUint64(long, f.CompressedSize64)
		long = binary.LittleEndian.AppendUint64(long, f.UncompressedSize64)
		all = append(all, long)
		if max(f.CompressedSize64, f.UncompressedSize64) < 1<<32 {
			short = binary.LittleEndian.AppendUint32(short, uint32(f.CompressedSize64))
			all = append(all, binary.LittleEndian.AppendUint32(short, uint32(f.UncompressedSize64)))
		}
	}
	return all
}

// end passes what ends an archive.
func (l *zipLayout) end() error {
	if head := l.next(12); string(head[:4]) == sigEnd64 {
		l.at += 12 + int64(binary.LittleEndian.Uint64(head[4:])&(1<<62-1))
		if string(l.peek(0, 4)) != sigLocator64 {
			return refused("its directory is not followed by its end")
		}
		l.at += 20
	}
	head := l.next(22)
	if string(head[:4]) != sigEnd {
		return refused("its directory is not followed by its end")
	}
	comment := l.peek(22, l.size)
	if len(comment) != int(binary.LittleEndian.Uint16(head[20:])) {
		return refused("it goes on after its end")
	}
	if bytes.Contains(comment, []byte(sigEnd)) {
		return refused("it has two ends, of which one is in its comment")
	}
	return nil
}
