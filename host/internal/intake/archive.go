package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/wire"
)

// ErrArchive says that a package file is not one that may be published.
var ErrArchive = errors.New("the archive is refused")

// Bounds of an archive.
const (
	maxMembers      = 200_000
	freeMembers     = 10_000   // members that any archive may have
	memberBytes     = 50       // packed bytes that each further one takes at least
	maxPeeked       = 16 << 20 // bytes of one member that is looked at
	maxPeekedTotal  = 64 << 20
	maxUnpacked     = 16 << 30 // bytes of all members
	maxRatio        = 300      // unpacked to packed bytes
	freeRatio       = 64 << 20 // unpacked bytes that any archive may have
	maxNameOfMember = 4096
	maxNames        = 32 << 20 // bytes of all names and targets of links
)

// peek is what a plugin wants to see of package files of one kind.
type peek struct {
	names []*regexp.Regexp
	head  int64
}

// Members are those of a package file that patterns choose, see
// the Peek patterns of the contract. The whole archive is checked on the way: names that lead
// out of it, members that stand twice, and more bytes than it may unpack to
// are errors that wrap ErrArchive, and so are names that some readers take for
// one, where it matters; those of a file that is packed are never unpacked. A file
// that is no archive has no members.
func Members(file string, patterns []string, packed bool) ([]wire.Member, error) {
	kinds, err := parsePatterns(patterns)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	u := &unpacking{packed: info.Size(), seen: map[string]bool{}, chosen: map[string]bool{}, links: map[string]bool{}}
	if head := kinds["head"].head; head > 0 {
		body := make([]byte, min(head, info.Size()))
		if _, err := io.ReadFull(f, body); err != nil {
			return nil, err
		}
		u.members = append(u.members, wire.Member{Name: "head", Body: body})
	}
	switch kind := kindOf(f); {
	case kind == "":
	case kinds[kind].names == nil:
	case kind == "zip":
		err = u.zip(f, info.Size(), kinds[kind].names)
	case kind == "tar.gz":
		var unzipped *gzip.Reader
		if unzipped, err = gzip.NewReader(f); err == nil {
			err = u.tar(unzipped, kinds[kind].names)
		}
	default:
		err = u.tar(f, kinds[kind].names)
	}
	if err == nil {
		err = u.checkCollisions(packed)
	}
	if err != nil && !errors.Is(err, ErrArchive) {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return u.members, err
}

func parsePatterns(patterns []string) (map[string]peek, error) {
	kinds := map[string]peek{}
	for _, p := range patterns {
		kind, pattern, _ := strings.Cut(p, ":")
		k := kinds[kind]
		switch kind {
		case "head":
			n, err := strconv.ParseInt(pattern, 10, 64)
			if err != nil || n <= 0 || n > maxPeeked {
				return nil, fmt.Errorf("plugin peeks at %q: write head: and a number of bytes up to %d", p, maxPeeked)
			}
			k.head = n
		case "zip", "tar", "tar.gz":
			k.names = append(k.names, wire.Glob(pattern))
		default:
			return nil, fmt.Errorf("plugin peeks at %q: begin with one of tar:, tar.gz:, zip: and head: there", p)
		}
		kinds[kind] = k
	}
	return kinds, nil
}

// kindOf tells an archive by how it begins; empty: it is none.
func kindOf(f *os.File) string {
	head := make([]byte, 262)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return ""
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return "zip"
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "tar.gz"
	case n == 262 && string(head[257:]) == "ustar":
		return "tar"
	}
	return ""
}

// unpacking goes through an archive.
type unpacking struct {
	packed, unpacked, peeked int64
	seen                     map[string]bool // names of what is no folder
	folders                  []string        // names of folders
	chosen                   map[string]bool // names of what patterns choose
	count                    int64           // of members
	names                    int64           // bytes of all names
	links                    map[string]bool // names of links to names
	targets                  []string        // what hard links lead to
	members                  []wire.Member
	buf                      []byte
}

func refused(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrArchive, fmt.Sprintf(format, a...))
}

// checkName refuses names that lead out of the archive or stand twice.
func (u *unpacking) checkName(name string, dir bool) (string, error) {
	clean := strings.TrimPrefix(name, "./")
	switch {
	case len(name) > maxNameOfMember:
		return "", refused("a member's name has %d bytes", len(name))
	case strings.HasPrefix(clean, "/"), strings.Contains(clean, `\`), strings.ContainsRune(clean, 0), path.Clean("/"+clean) != "/"+strings.TrimSuffix(clean, "/") && clean != "" && clean != ".":
		return "", refused("the name of its member %q leads elsewhere", name)
	case len(clean) > 1 && clean[1] == ':':
		return "", refused("its member %q names a drive", name)
	}
	u.count++
	if u.names += int64(len(name)); u.names > maxNames || u.count >= u.most() {
		return "", refused("it has more than %d members in %d bytes, or %d bytes of their names", u.most(), u.packed, maxNames)
	}
	if dir {
		u.folders = append(u.folders, clean)
	} else {
		if u.seen[clean] {
			return "", refused("its member %q stands twice", name)
		}
		u.seen[clean] = true
	}
	return clean, nil
}

// most is how many members there may be: each takes some room, unless there is
// nothing in it and the archive is only to keep us busy.
func (u *unpacking) most() int64 { return min(maxMembers, freeMembers+u.packed/memberBytes) }

// checkLink refuses links that lead out of the archive from a folder of it.
func checkLink(name, folder, target string) error {
	to := path.Join(folder, target)
	if strings.HasPrefix(target, "/") || strings.Contains(target, `\`) || to == ".." || strings.HasPrefix(to, "../") {
		return refused("its link %q leads out of it, to %q", name, target)
	}
	return nil
}

// checkWays refuses names and links that go through links: where those end
// depends on what was unpacked before.
func (u *unpacking) checkWays() error {
	if len(u.links) == 0 {
		return nil
	}
	for name := range u.seen {
		if u.throughLink(name) {
			return refused("the name of its member %q goes through a link", name)
		}
	}
	for _, target := range u.targets {
		if u.throughLink(target + "/") {
			return refused("it links to %q, which is, or goes through, another link", target)
		}
	}
	return nil
}

// throughLink reports whether a folder on the way to a name is a link.
func (u *unpacking) throughLink(name string) bool {
	for i, c := range []byte(name) {
		if c == '/' && u.links[name[:i]] {
			return true
		}
	}
	return false
}

// grow counts unpacked bytes.
func (u *unpacking) grow(n int64) error {
	u.unpacked += n
	if u.unpacked > maxUnpacked || u.unpacked > freeRatio && u.unpacked > maxRatio*u.packed {
		return refused("it unpacks to more than %d bytes from %d", u.unpacked, u.packed)
	}
	return nil
}

// member goes through the bytes of a member and keeps those of one that is
// wanted.
func (u *unpacking) member(name string, from io.Reader, names []*regexp.Regexp) error {
	wanted := false
	for _, re := range names {
		wanted = wanted || re.MatchString(name)
	}
	var body bytes.Buffer
	if u.buf == nil {
		u.buf = make([]byte, 32<<10) // one for all members
	}
	for {
		n, err := from.Read(u.buf)
		if wanted {
			body.Write(u.buf[:n])
			if u.peeked += int64(n); body.Len() > maxPeeked || u.peeked > maxPeekedTotal {
				return refused("its member %q is too large to be read", name)
			}
		}
		if err == io.EOF {
			break
		}
		if errors.Is(err, ErrArchive) {
			return err
		}
		if err != nil {
			return refused("its member %q cannot be read: %s", name, err)
		}
	}
	if wanted {
		u.chosen[name] = true
		u.members = append(u.members, wire.Member{Name: name, Body: body.Bytes()})
	}
	return nil
}

func (u *unpacking) tar(r io.Reader, names []*regexp.Regexp) error {
	bounded := &counted{r, u}
	archive := tar.NewReader(bounded)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, ErrArchive) {
			return err
		}
		if err != nil {
			return refused("it cannot be read: %s", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // is about the members that follow
		}
		name, err := u.checkName(h.Name, h.Typeflag == tar.TypeDir)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			err = u.member(name, archive, names)
		case tar.TypeSymlink, tar.TypeLink:
			err = u.link(name, h)
		default:
			err = refused("its member %q is neither a file nor a folder nor a link", name)
		}
		if err != nil {
			return err
		}
	}
	if err := atEnd(bounded); err != nil {
		return err
	}
	return u.checkWays()
}

// link checks a link of a tar archive. It may lead to other members only.
func (u *unpacking) link(name string, h *tar.Header) error {
	u.names += int64(len(h.Linkname))
	if h.Typeflag == tar.TypeSymlink {
		u.links[name] = true
		return checkLink(name, path.Dir(name), h.Linkname)
	}
	u.targets = append(u.targets, path.Clean(h.Linkname))
	return checkLink(name, "", h.Linkname)
}

// atEnd reads what follows a tar archive, which is to be nothing: readers
// differ on where it ends, and a compressed one is whole only if it is read to
// its end.
func atEnd(r io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if bytes.IndexFunc(buf[:n], func(c rune) bool { return c != 0 }) >= 0 {
			return refused("it goes on after its end")
		}
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, ErrArchive) {
			return err
		}
		if err != nil {
			return refused("it cannot be read to its end: %s", err)
		}
	}
}

// counted bounds what is unpacked.
type counted struct {
	io.Reader
	u *unpacking
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if grown := c.u.grow(int64(n)); grown != nil {
		return 0, grown
	}
	return n, err
}

func (u *unpacking) zip(r io.ReaderAt, size int64, names []*regexp.Regexp) error {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return refused("it cannot be read: %s", err)
	}
	if err := oneReading(archive, r, size); err != nil {
		return err
	}
	for _, f := range archive.File {
		dir := strings.HasSuffix(f.Name, "/")
		name, err := u.checkName(f.Name, dir)
		if err != nil {
			return err
		}
		if mode := f.Mode(); mode&os.ModeSymlink != 0 || !dir && !mode.IsRegular() {
			return refused("its member %q is no file, but a link or a device", name)
		}
		if dir {
			continue
		}
		from, err := f.Open()
		if err == nil {
			err = u.member(name, &counted{from, u}, names)
			from.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
