package plugintest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/tools/txtar"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// parseHosted reads a section "hosted NAME VERSION [PATH]", whose text is both
// the entry's extra and the bytes of its file.
func (s *script) parseHosted(title string, f txtar.File) error {
	words := strings.Fields(title)
	if len(words) != 2 && len(words) != 3 {
		return errors.New("write it as -- hosted NAME VERSION [PATH] --")
	}
	p := s.catalogue.of(words[0])
	e := &pb.Entry{Version: &pb.Version{Name: words[0], Version: words[1]}, Extra: f.Data, PublishedMs: s.policy.GetNowMs()}
	if len(words) == 3 {
		e.Path, e.Size = words[2], int64(len(f.Data))
		e.Digests = digestsOf(f.Data)
		s.catalogue.files[e.Path] = hostedFile{body: f.Data}
	}
	p.Entries = append(p.Entries, e)
	return nil
}

// hostedDirective reads a directive about what is hosted; false: it is none.
func (s *script) hostedDirective(words []string) (bool, error) {
	args := words[1:]
	switch words[0] {
	case "tag":
		if len(args) != 3 {
			return true, errors.New(`write it as "tag NAME TAG VERSION"`)
		}
		s.catalogue.of(args[0]).Tags[args[1]] = args[2]
	case "yanked":
		if len(args) < 2 {
			return true, errors.New(`write it as "yanked NAME VERSION [REASON]"`)
		}
		s.yanked = append(s.yanked, args)
	case "ours":
		if len(args) != 1 {
			return true, errors.New(`write it as "ours PATTERN"`)
		}
		s.catalogue.ours = append(s.catalogue.ours, args[0])
	case "merge":
		if len(args) != 1 {
			return true, errors.New(`write it as "merge PATTERN"`)
		}
		s.catalogue.merge = append(s.catalogue.merge, args[0])
	default:
		return false, nil
	}
	return true, nil
}

// yank marks the versions that a script says are yanked.
func (s *script) yank() {
	for _, args := range s.yanked {
		for _, e := range s.catalogue.of(args[0]).GetEntries() {
			if e.GetVersion().GetVersion() == args[1] {
				e.Yanked, e.Message = true, strings.Join(args[2:], " ")
			}
		}
	}
}

// hosted are the packages of ours that a document is about.
func (h *host) hosted(d *pb.Document) []*pb.HostedPackage {
	var out []*pb.HostedPackage
	for _, name := range sortedKeys(h.catalogue.packages) {
		p := h.catalogue.packages[name]
		if len(p.GetEntries()) > 0 && (slices.Contains(d.GetNames(), name) || d.GetHosted() != "" && cooldown.Match(d.GetHosted(), name)) {
			for _, asked := range d.GetExcerpts() {
				if asked.GetName() == name {
					p = excerpt(p, asked)
				}
			}
			out = append(out, p)
		}
	}
	return out
}

func sortedKeys[V any](all map[string]V) []string { return slices.Sorted(maps.Keys(all)) }

// own reports whether a document is only about names that upstream is not asked
// for.
func (h *host) own(d *pb.Document) bool {
	c := &h.catalogue
	for _, name := range d.GetNames() {
		if h.names.Any(c.merge, name) || !h.names.Any(c.ours, name) && !h.hosts(name) {
			return false
		}
	}
	return len(d.GetNames()) > 0
}

// hosts reports whether the script hosts a package of a name, or of one that is
// the same.
func (h *host) hosts(name string) bool {
	for hosted, p := range h.catalogue.packages {
		if h.names.Fold(hosted) == h.names.Fold(name) && len(p.GetEntries()) > 0 {
			return true
		}
	}
	return false
}

// besideOurs says why upstream's file of a version is not served: the version is
// hosted. Nil: it is not.
func (h *host) besideOurs(path string, v *pb.Version) error {
	for _, e := range h.catalogue.packages[v.GetName()].GetEntries() {
		own := e.GetVersion()
		same := own.GetVersion() == v.GetVersion() || canonicalOf(own) == canonicalOf(v)
		if v.GetVersion() != "" && same {
			return &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, name: v.GetName(), version: v.GetVersion(),
				message: path + " is no file of that version as it is published here, and upstream's of that version are not served beside it"}
		}
	}
	return nil
}

// digestsOf are the digests that a host knows of a file.
func digestsOf(body []byte) []*pb.Digest {
	blake2sum := blake2b.Sum256(body)
	md5sum, sha1sum, sha256sum, sha512sum := md5.Sum(body), sha1.Sum(body), sha256.Sum256(body), sha512.Sum512(body)
	return []*pb.Digest{
		{Algorithm: "md5", Sum: md5sum[:]}, {Algorithm: "sha1", Sum: sha1sum[:]},
		{Algorithm: "sha256", Sum: sha256sum[:]}, {Algorithm: "sha512", Sum: sha512sum[:]},
		{Algorithm: "blake2b-256", Sum: blake2sum[:]},
	}
}
