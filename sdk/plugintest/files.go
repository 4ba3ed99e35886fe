package plugintest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// scriptFile is a file of a script that is sent or lies in a directory: bytes,
// or an archive of members.
type scriptFile struct {
	kind    string // of the archive, as Package.Peek has it; empty: it is none
	members []wire.Member
	body    []byte
}

// archiveKinds are kinds of archives by how names end.
var archiveKinds = []struct{ suffix, kind string }{{".tar", "tar"}, {".tar.gz", "tar.gz"}, {".tgz", "tar.gz"}, {".zip", "zip"}, {"/", "folder"}}

// parseFile reads a section "file NAME", or "file NAME MEMBER" of an archive.
func (s *script) parseFile(title string, body []byte) error {
	words := strings.Fields(title)
	if len(words) != 1 && len(words) != 2 {
		return errors.New("write it as -- file NAME --, or of an archive as -- file NAME MEMBER --")
	}
	f := s.files[words[0]]
	if len(words) == 1 {
		if f != nil {
			return fmt.Errorf("the file %s stands twice", words[0])
		}
		s.files[words[0]] = &scriptFile{body: body}
		return nil
	}
	if f == nil {
		f = &scriptFile{}
		for _, k := range archiveKinds {
			if strings.HasSuffix(words[0], k.suffix) {
				f.kind = k.kind
			}
		}
		s.files[words[0]] = f
	}
	if f.kind == "" {
		return fmt.Errorf("%s is no archive with members: its name must end in .tar, .tar.gz, .tgz, .zip or a slash, and no section may have all of it", words[0])
	}
	if f.member(words[1]) != nil {
		return fmt.Errorf("the member %s stands twice", words[1])
	}
	f.members = append(f.members, wire.Member{Name: words[1], Body: body})
	return nil
}

// pack makes archives of members.
func (s *script) pack() error {
	for name, f := range s.files {
		if f.kind == "" || f.kind == "folder" {
			continue
		}
		var out bytes.Buffer
		if err := f.write(&out); err != nil {
			return fmt.Errorf("the file %s: %w", name, err)
		}
		f.body = out.Bytes()
	}
	return nil
}

// write writes an archive, of which no time and no owner is told.
func (f *scriptFile) write(out *bytes.Buffer) error {
	if f.kind == "zip" {
		z := zip.NewWriter(out)
		for _, m := range f.members {
			w, err := z.Create(m.Name)
			if err != nil {
				return err
			}
			if _, err := w.Write(m.Body); err != nil {
				return err
			}
		}
		return z.Close()
	}
	var to io.Writer = out
	if f.kind == "tar.gz" {
		z := gzip.NewWriter(out)
		defer z.Close()
		to = z
	}
	t := tar.NewWriter(to)
	for _, m := range f.members {
		if err := t.WriteHeader(&tar.Header{Name: m.Name, Mode: 0o644, Size: int64(len(m.Body))}); err != nil {
			return err
		}
		if _, err := t.Write(m.Body); err != nil {
			return err
		}
	}
	return t.Close()
}

// size in bytes, of a folder that of what lies in it.
func (f *scriptFile) size() int64 {
	size := int64(len(f.body))
	if f.kind == "folder" {
		for _, m := range f.members {
			size += int64(len(m.Body))
		}
	}
	return size
}

// digests are those of a file; nil: it is a folder.
func (f *scriptFile) digests() []*pb.Digest {
	if f.kind == "folder" {
		return nil
	}
	return digestsOf(f.body)
}

// member is a member; nil: there is none of that name.
func (f *scriptFile) member(name string) *wire.Member {
	i := slices.IndexFunc(f.members, func(m wire.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &f.members[i]
}

// peek are the members that a plugin chose.
func (f *scriptFile) peek(patterns []string) []wire.Member {
	var out []wire.Member
	for _, pattern := range patterns {
		kind, rest, _ := strings.Cut(pattern, ":")
		switch {
		case kind == "head":
			n, _ := strconv.Atoi(rest) // a plugin of another kind of number does not start
			out = append(out, wire.Member{Name: "head", Body: f.body[:min(n, len(f.body))]})
		case kind == "names" && f.kind == "zip":
			var names bytes.Buffer
			for _, m := range f.members {
				fmt.Fprintf(&names, "%d %s\n", len(m.Body), m.Name)
			}
			out = append(out, wire.Member{Name: "names", Body: names.Bytes()})
		case kind == f.kind:
			glob := wire.Glob(rest)
			for _, m := range f.members {
				if glob.MatchString(m.Name) && !slices.ContainsFunc(out, func(o wire.Member) bool { return o.Name == m.Name }) {
					out = append(out, m)
				}
			}
		}
	}
	return out
}

// part is a member as it may be served; false: the archive has none of it.
func (f *scriptFile) part(p *pb.Part) ([]byte, bool) {
	m := f.member(path.Clean(p.GetName()))
	switch {
	case m == nil:
		return nil, false
	case p.GetEncoding() == "" || bytes.HasPrefix(m.Body, []byte{0x1f, 0x8b}):
		return m.Body, true
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(m.Body) // a buffer takes all
	_ = z.Close()
	return out.Bytes(), true
}
