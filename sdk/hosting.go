package sdk

import (
	"errors"
	"io"
	"regexp"
	"slices"
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
	// has no such members. "folder:NAME" has a folder of a directory that has a
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

// UploadedFile is a file out of a request's body. Its bytes stay with the host.
type UploadedFile struct {
	// Name that the form of the body gives it; empty for "raw" and "bytes".
	Name string
	// Filename is the one that the client gave; empty: none.
	Filename string
	// Size in bytes.
	Size int64
	// Digests of it: sha512, sha256, sha1 and md5, or those that [Upload.Digests]
	// names and sha256.
	Digests []Digest
	// Entry is the Path and Extra that Inspect says it has, and the Name and
	// Version of its Version; nil: it is no package, for the reason in Problem, or
	// [Upload.Unread] had nobody look.
	Entry *Entry
	// Problem is why there is no Entry, as a [Failure], without a message where
	// nobody looked; nil: there is one.
	Problem error

	number int32
}

// Publication is an upload or a change that [Upload.Accept] decides on.
type Publication struct {
	// Files of the body; nil: it has none.
	Files []UploadedFile
	// User who asks; empty: nobody in particular.
	User string
	// Now is when what is stored is published.
	Now time.Time

	request    Request
	fields     map[string][]byte
	packages   map[string]*HostedPackage
	missing    []string
	operations []*pb.Operation
}

// Request is the client's request.
func (p *Publication) Request() Request { return p.request }

// Field is a field of the body that is not a file; nil: it was not sent, while
// one that was sent empty is an empty slice.
func (p *Publication) Field(name string) []byte { return p.fields[name] }

// Package is the state of a package of ours, whose Revision is 0 when there is
// none; it is never nil. One that [Upload.Names] does not name is so at first,
// and Accept is then run again with its state. A package that is changed must
// have been looked at, or named there, or the request fails, unless the upload is
// [Upload.Blind].
func (p *Publication) Package(name string) *HostedPackage {
	if known, ok := p.packages[name]; ok {
		return known
	}
	if !slices.Contains(p.missing, name) {
		p.missing = append(p.missing, name)
	}
	return &HostedPackage{Name: name} // Accept is run again with its state
}

func (p *Publication) order(o *pb.Operation) { p.operations = append(p.operations, o) }

// Store stores a file as an entry, whose Path must not be empty. Unless replace
// allows it, or the repository does, the request fails with 409 when there is one
// of its version at its path.
func (p *Publication) Store(f UploadedFile, e Entry, replace bool) {
	o := e.operation()
	o.File, o.Replace = f.number, replace
	p.order(o)
}

// StoreBytes stores a file that was not uploaded as such, of up to a MiB: what
// stands beside a package's file, as its metadata does. It fails like Store. An
// empty body is no file: nothing is then served at the entry's Path.
func (p *Publication) StoreBytes(body []byte, e Entry, replace bool) {
	o := e.operation()
	o.Body, o.Replace = body, replace
	p.order(o)
}

// StoreVersion stores a version that has no file of its own, or what is known
// of one: the Version and the Extra of an entry. It fails like Store where that
// is known already.
func (p *Publication) StoreVersion(e Entry, replace bool) {
	p.order(&pb.Operation{
		Kind: pb.Operation_KIND_STORE, Version: e.Version.wire(), Extra: e.Extra, File: -1, Replace: replace,
	})
}

// Tag points a tag at a version, which must be there or be stored before it by
// the same publication: look at [Publication.Package] first, and return
// [NotFound] where it is not, because the host has no better word for it than
// that the request failed.
func (p *Publication) Tag(name, tag, version string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_TAG, Version: &pb.Version{Name: name, Version: version}, Value: tag})
}

// Untag removes a tag; where there is none, nothing happens.
func (p *Publication) Untag(name, tag string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_UNTAG, Version: &pb.Version{Name: name}, Value: tag})
}

// Yank yanks or unlists a version, which must be there as for
// [Publication.Tag]; the reason may be empty.
func (p *Publication) Yank(name, version, reason string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_YANK, Version: &pb.Version{Name: name, Version: version}, Value: reason})
}

// Unyank takes a yank back, with its reason, of a version that must be there.
func (p *Publication) Unyank(name, version string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_UNYANK, Version: &pb.Version{Name: name, Version: version}})
}

// Deprecate deprecates a version, which must be there; an empty message takes it
// back.
func (p *Publication) Deprecate(name, version, message string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_DEPRECATE, Version: &pb.Version{Name: name, Version: version}, Value: message})
}

// Delete deletes a version with its files, or, without a version, a package, and
// tags of what is gone; where there is nothing, nothing happens. For good: no
// other bytes can be published in their place, unless the repository lets
// published files be replaced; the same bytes may come back.
func (p *Publication) Delete(name, version string, forGood bool) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_DELETE, Version: &pb.Version{Name: name, Version: version}, ForGood: forGood})
}

// DeleteFile deletes a file of a version, for good or not, as [Publication.Delete].
func (p *Publication) DeleteFile(name, version, path string, forGood bool) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_DELETE, Version: &pb.Version{Name: name, Version: version}, Path: path, ForGood: forGood})
}

// Own makes a user an owner of a package. The request fails with 400 where no
// token has the user's name.
func (p *Publication) Own(name, user string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_OWN, Version: &pb.Version{Name: name}, Value: user})
}

// Disown takes that back; of who is no owner nothing is taken. Only an
// administrator may leave a package without owners: others get 403.
func (p *Publication) Disown(name, user string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_DISOWN, Version: &pb.Version{Name: name}, Value: user})
}

// SetExtra keeps what renderings find in [HostedPackage.Extra], in place of what
// was there; nil: nothing.
func (p *Publication) SetExtra(name string, extra []byte) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_EXTRA, Version: &pb.Version{Name: name}, Extra: extra})
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
	r, err := s.router(file.GetRepository().GetOptionsJson())
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
	return stream.SendAndClose(&pb.InspectResponse{Entry: &pb.Entry{Version: e.Version.wire(), Path: e.Path, Extra: e.Extra, ContentType: e.Type}})
}

// refusal is an error of a request as a failure.
func refusal(err error) Failure {
	var f Failure
	if errors.As(err, &f) {
		return f
	}
	return BadRequest(err.Error())
}

// Accept decides on an upload or a change.
func (s *server) Accept(stream grpc.ClientStreamingServer[pb.AcceptRequest, pb.AcceptResponse]) (err error) {
	defer s.recovered(&err)
	p, start, err := receivePublication(stream)
	if err != nil {
		return err
	}
	r, err := s.router(start.GetRepository().GetOptionsJson())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	plan, req := r.plan(newRequest(start.GetRepository(), start.GetRequest()))
	upload, ok := plan.(Upload)
	if !ok || upload.Accept == nil {
		return status.Errorf(codes.Internal, "plugin %s: %s %s is no upload with an Accept", r.Name, req.Method, req.Path)
	}
	p.request = req
	reply, failed := upload.Accept(p)
	switch {
	case len(p.missing) > 0:
		return stream.SendAndClose(&pb.AcceptResponse{Needed: p.missing})
	case failed != nil:
		return stream.SendAndClose(&pb.AcceptResponse{Failure: refusal(failed).wire()})
	}
	return stream.SendAndClose(&pb.AcceptResponse{Operations: p.operations, Reply: reply.response(req).GetReply()})
}

func receivePublication(stream grpc.ClientStreamingServer[pb.AcceptRequest, pb.AcceptResponse]) (*Publication, *pb.AcceptStart, error) {
	p := &Publication{fields: map[string][]byte{}, packages: map[string]*HostedPackage{}}
	var start *pb.AcceptStart
	field := ""
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		switch m := m.GetMessage().(type) {
		case *pb.AcceptRequest_Start:
			start = m.Start
		case *pb.AcceptRequest_Field:
			field = m.Field.GetName()
			p.fields[field] = make([]byte, 0, m.Field.GetSize())
		case *pb.AcceptRequest_Piece:
			p.fields[field] = append(p.fields[field], m.Piece...)
		case *pb.AcceptRequest_File:
			p.Files = append(p.Files, uploadedFile(m.File, int32(len(p.Files))))
		case *pb.AcceptRequest_Package:
			addHosted(p.packages, m.Package)
		}
	}
	p.User, p.Now = start.GetUser(), instant(start.GetNowMs())
	return p, start, nil
}

func uploadedFile(f *pb.UploadedFile, number int32) UploadedFile {
	u := UploadedFile{
		Name: f.GetName(), Filename: f.GetFilename(), Size: f.GetSize(), Digests: digestsFromWire(f.GetDigests()), number: number,
	}
	if e := f.GetEntry(); e != nil {
		u.Entry = &Entry{
			Version: Version{Name: e.GetVersion().GetName(), Version: e.GetVersion().GetVersion()}, Path: e.GetPath(), Extra: e.GetExtra(),
		}
	} else {
		u.Problem = Failure{Kind: Kind(f.GetFailure().GetKind()), Message: f.GetFailure().GetMessage()}
	}
	return u
}
