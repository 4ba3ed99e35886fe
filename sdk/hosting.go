package sdk

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Package says how package files are read.
type Package struct {
	// Peek chooses the members of a file that Inspect sees: "tar", "tar.gz" or
	// "zip", a colon and a pattern of names, in which * stands for any run of
	// characters without a slash and ** for any run at all; or "head:BYTES",
	// which is a member called "head"; or "names:zip", which is a member called
	// "names" with a line for each member of a zip archive: its size in bytes
	// unpacked, a space and its name. Nil: none. A file that is no such archive
	// has no such members, and one is refused in which another member has the name
	// of a chosen one but for case, because it would be unpacked over it where case
	// does not matter. "folder:NAME" has a folder of a directory that has a
	// file of that name stand for an archive of which that is a member; it is for
	// Unpack alone, and what lies in it is not looked at by itself.
	Peek []string
	// Inspect says what a file is; it is required. It must be a pure function. An
	// error says why the file is no package of this ecosystem, in words for the
	// one who published it.
	Inspect func(*Members) (Entry, error)
	// Unpack says what is in a file of a directory that holds several to be
	// served, as an image in an archive does; nil: Inspect tells, as it does of
	// what is uploaded. It must be a pure function, and errors are as Inspect's.
	Unpack func(*Unpacking) error
	// Packed says that clients use archives as they are, as Java does jars. Others
	// are unpacked, and one in which a name is a file's and a folder's is refused.
	Packed bool
	// Canonical is what all spellings of a version have in common that clients take
	// for one, as 1 of 1.0 and 1.0.0. It must be a pure function, also of what people
	// write who mean one, as v1.0, by which they explain or exempt it. Nil: each
	// version is only itself. Where a package of ours has a version, what would be stored of
	// another with the same canonical form is refused with 409, and is not served
	// where it lies in a directory.
	Canonical func(version string) string
}

// name gives the versions of what is to be stored their canonical form.
func (p *Package) name(operations []*pb.Operation) []*pb.Operation {
	for _, o := range operations {
		if o.GetKind() == pb.Operation_KIND_STORE {
			o.Version = p.named(o.GetVersion())
		}
	}
	return operations
}

// planned gives the version of an artifact its canonical form.
func (p *Package) planned(r *pb.PlanResponse) *pb.PlanResponse {
	p.named(r.GetArtifact().GetVersion())
	return r
}

func (p *Package) named(v *pb.Version) *pb.Version {
	if p != nil && p.Canonical != nil && v.GetVersion() != "" {
		v.Canonical = p.Canonical(v.GetVersion())
	}
	return v
}

// Entry is what Inspect makes of a package file.
type Entry struct {
	// Version that it is a file of, with its Name in canonical form; both are
	// required.
	Version Version
	// Path is its canonical address here, relative to the mount; it is required of
	// what has a file.
	Path string
	// Extra is what renderings find again in [Hosted.Extra]; nil: nothing.
	Extra []byte
	// Type is the content type that it is served with; empty: as
	// [Artifact.Type] says. It, Needs and Loose are those of the Entry that is
	// stored: of what Inspect returned, Accept gets none of them back.
	Type string
	// Needs are paths of loose files of the same package without which it is of
	// no use; nil: none.
	Needs []string
	// Loose marks a file that may be dropped once no other file of its package
	// has needed it for a while.
	Loose bool
}

// Members are those of a package file that [Package.Peek] chose.
type Members struct {
	// Name of the file; empty: it was sent without one.
	Name string
	// Path of a file that lies in a directory, below that directory, with
	// slashes; of others it is the Name.
	Path string
	// Size of the file in bytes.
	Size int64
	// Digests of the file: sha512, sha256, sha1 and md5, or those that
	// [Upload.Digests] names and sha256. Nil: it is a folder.
	Digests []Digest

	members []Member
}

// Member is a member of an archive.
type Member struct {
	// Name as the archive has it, without "./" at its beginning.
	Name string
	// Body is its content.
	Body []byte
}

// All are the members in the archive's order; nil: it has none that was chosen.
func (m *Members) All() []Member { return m.members }

// First returns the content of the first member whose name matches a pattern,
// as in [Package.Peek] but without the kind of archive. False, with nil: no
// member's does.
func (m *Members) First(pattern string) ([]byte, bool) {
	glob := Glob(pattern)
	for _, member := range m.members {
		if glob.MatchString(member.Name) {
			return member.Body, true
		}
	}
	return nil, false
}

// Glob is the regular expression of a pattern of names, in which * stands for
// any run of characters without a slash and ** for any run at all. It matches
// whole names; that of an empty pattern only the empty one.
func Glob(pattern string) *regexp.Regexp { return wire.Glob(pattern) }

// Hosted is a file of ours.
type Hosted struct {
	// Version that it is a file of; Published is when it was published here. It has
	// a Name, a Version and Yanked besides, and all else zero.
	Version Version
	// File has its Path, Digests, Size and the Extra of its [Entry].
	File File
	// Message says why its version is yanked or deprecated; empty, while it is
	// not yanked: it is neither.
	Message string
}

// HostedPackage is a package of ours.
type HostedPackage struct {
	// Name in canonical form.
	Name string
	// Revision grows with each change; 0: there is no such package.
	Revision uint64
	// Tags are versions by tag; it may be nil.
	Tags map[string]string
	// Owners are users; nil: nobody in particular.
	Owners []string
	// Extra is what [Publication.SetExtra] kept of it; nil: nothing.
	Extra []byte
	// Files in the order in which they were stored; nil: there are none.
	Files []Hosted

	asked *pb.Excerpt // what there is of it here; nil: all
}

// Versions are the files by version, in the order in which versions were
// stored first; nil: there are none.
func (p *HostedPackage) Versions() [][]Hosted {
	index := map[string]int{}
	var all [][]Hosted
	for _, f := range p.Files {
		i, ok := index[f.Version.Version]
		if !ok {
			i = len(all)
			index[f.Version.Version] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], f)
	}
	return all
}

// Identity answers about the one who asks: whom a token belongs to, or whether
// a log-in is right. The host has the accounts.
type Identity struct {
	// Password is where a password or token stands in the body, by which a client
	// logs in: an RFC 6901 pointer into JSON, or names of fields of an
	// URL-encoded form, with commas between, of which the first that is there
	// counts. Empty: the client asks who it is, and is refused when it is nobody.
	Password string
	// Reply is the answer. In its Body {user} and {token} are replaced; for a
	// JSON type by JSON strings with their quotes.
	Reply Reply
	// Nobody answers those without credentials, like Reply; its {token} is one
	// that stands for none. Its zero: they are refused.
	Nobody Reply
	// Gate refuses who gives no credentials, not even that token, as long as
	// there is anything in the repository that takes some: clients find out that
	// way whether they have to log in.
	Gate bool
	// Fields are those of an URL-encoded form that the plan depends on: it is
	// asked for again with them in the query. Nil: none.
	Fields []string
	// Lifetime makes {token} one of its own, which is good that long and for no
	// more than the Grants; {credential} is then what the client gave. 0: {token}
	// is what the client gave.
	Lifetime time.Duration
	// Grants are what the client wants the token for. It gets those that it may
	// have, whose texts {granted} stands for, with spaces between. Nil: a token
	// that only tells who one is.
	Grants []Grant
}

// Grant is something that a token may be good for.
type Grant struct {
	// Action that is allowed; it is required.
	Action Action
	// Name of the package, in canonical form; "*": what is about all of them.
	Name string
	// Text is what it is called in {granted}.
	Text string
}

func (p Identity) response(r Request) *pb.PlanResponse {
	out := &pb.Identity{
		Password: p.Password, Reply: p.Reply.response(r).GetReply(), Gate: p.Gate,
		Fields: p.Fields, LifetimeMs: p.Lifetime.Milliseconds(),
	}
	for _, g := range p.Grants {
		out.Grants = append(out.Grants, &pb.Grant{Action: string(g.Action), Name: g.Name, Text: g.Text})
	}
	if p.Nobody.Status != 0 || p.Nobody.Header != nil || p.Nobody.Body != nil {
		out.Nobody = p.Nobody.response(r).GetReply()
	}
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Identity{Identity: out}}
}

// Hosted is a package of ours that the document is about or that matches
// [Document.Hosted], by its name in canonical form; nil: there is none.
func (in *Input) Hosted(name string) *HostedPackage { return in.hosted[name] }

// HostedPackages are all packages of ours that the document is about or that
// match [Document.Hosted], by name; nil: there are none.
func (in *Input) HostedPackages() []*HostedPackage {
	var all []*HostedPackage
	for _, name := range sortedKeys(in.hosted) {
		all = append(all, in.hosted[name])
	}
	return all
}

// Ours reports whether a name is one that only we have packages of: a search
// leaves out what upstream says of it. Names that are the same to
// [Ecosystem.Names] are the same here.
func (in *Input) Ours(name string) bool {
	return in.policy.Names.Any(in.ours, name)
}

// addHosted takes a package, or more of its files, off the wire.
func addHosted(all map[string]*HostedPackage, p *pb.HostedPackage) {
	known := all[p.GetName()]
	if known == nil {
		known = &HostedPackage{Name: p.GetName(), Revision: p.GetRevision(), Tags: p.GetTags(), Owners: p.GetOwners(), Extra: p.GetExtra()}
		all[p.GetName()] = known
	}
	for _, e := range p.GetEntries() {
		known.Files = append(known.Files, Hosted{
			Version: Version{
				Name: e.GetVersion().GetName(), Version: e.GetVersion().GetVersion(),
				Published: instant(e.GetPublishedMs()), Yanked: e.GetYanked(),
			},
			File:    File{Path: e.GetPath(), Digests: digestsFromWire(e.GetDigests()), Size: e.GetSize(), Extra: e.GetExtra()},
			Message: e.GetMessage(),
		})
	}
}

// Inspect reads a package file's members.
func (s *server) Inspect(stream grpc.ClientStreamingServer[pb.InspectRequest, pb.InspectResponse]) (err error) {
	defer s.recovered(&err)
	var file *pb.PackageFile
	var measured []*pb.Measured
	members := &Members{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch m := m.GetMessage().(type) {
		case *pb.InspectRequest_File:
			file = m.File
		case *pb.InspectRequest_Member:
			members.members = append(members.members, Member{Name: m.Member.GetName(), Body: make([]byte, 0, m.Member.GetSize())})
		case *pb.InspectRequest_Piece:
			if len(members.members) == 0 {
				return status.Error(codes.InvalidArgument, "a piece without a member")
			}
			last := &members.members[len(members.members)-1]
			last.Body = append(last.Body, m.Piece...)
		case *pb.InspectRequest_Measured:
			measured = append(measured, m.Measured)
		}
	}
	r, err := s.router(file.GetRepository())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if r.Package == nil {
		return status.Error(codes.Unimplemented, "plugin "+r.Name+" cannot host packages")
	}
	members.Path, members.Size, members.Digests = file.GetName(), file.GetSize(), digestsFromWire(file.GetDigests())
	members.Name = members.Path[strings.LastIndexByte(members.Path, '/')+1:]
	if file.GetUnpack() && r.Package.Unpack != nil {
		return stream.SendAndClose(unpack(r.Package, members, measured))
	}
	e, failed := r.Package.Inspect(members)
	if failed != nil {
		return stream.SendAndClose(&pb.InspectResponse{Failure: refusal(failed).wire()})
	}
	return stream.SendAndClose(&pb.InspectResponse{Entry: &pb.Entry{Version: r.Package.named(e.Version.wire()), Path: e.Path, Extra: e.Extra, ContentType: e.Type}})
}

// refusal is an error of a request as a failure.
func refusal(err error) Failure {
	var f Failure
	if errors.As(err, &f) {
		return f
	}
	return BadRequest(err.Error())
}
