package sdk

import (
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

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
	excerpts   []*HostedPackage
	missing    []string
	wanted     []*pb.Excerpt
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

// Excerpt is the state of a package as [Publication.Package] has it, but with those
// of its Files and Tags alone that stand at paths and have these names. It is for
// packages that may have very many, in an upload that is [Upload.Blind].
func (p *Publication) Excerpt(name string, paths, tags []string) *HostedPackage {
	if whole, ok := p.packages[name]; ok {
		return whole.excerpt(paths, tags)
	}
	asked := &pb.Excerpt{Name: name, Paths: paths, Tags: tags}
	if known := p.excerptOf(asked); known != nil {
		return known
	}
	p.wanted = append(p.wanted, asked)
	return p.Package(name)
}

// excerptOf is what came of what was asked for; nil: nothing yet.
func (p *Publication) excerptOf(asked *pb.Excerpt) *HostedPackage {
	for _, known := range p.excerpts {
		if proto.Equal(known.asked, asked) {
			return known
		}
	}
	return nil
}

// excerpt is what there is of a package at paths and under tags.
func (p *HostedPackage) excerpt(paths, tags []string) *HostedPackage {
	some := *p
	some.Files, some.Tags = nil, map[string]string{}
	for _, f := range p.Files {
		if slices.Contains(paths, f.File.Path) {
			some.Files = append(some.Files, f)
		}
	}
	for _, tag := range tags {
		if version, ok := p.Tags[tag]; ok {
			some.Tags[tag] = version
		}
	}
	return &some
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
// the same publication, or the request fails with 404.
func (p *Publication) Tag(name, tag, version string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_TAG, Version: &pb.Version{Name: name, Version: version}, Value: tag})
}

// Untag removes a tag; where there is none, nothing happens.
func (p *Publication) Untag(name, tag string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_UNTAG, Version: &pb.Version{Name: name}, Value: tag})
}

// Yank yanks or unlists a version, or the request fails with 404 where it is not
// there; the reason may be empty.
func (p *Publication) Yank(name, version, reason string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_YANK, Version: &pb.Version{Name: name, Version: version}, Value: reason})
}

// Unyank takes a yank back, with its reason. It fails like Yank.
func (p *Publication) Unyank(name, version string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_UNYANK, Version: &pb.Version{Name: name, Version: version}})
}

// Deprecate deprecates a version; an empty message takes it back. It fails like
// Yank.
func (p *Publication) Deprecate(name, version, message string) {
	p.order(&pb.Operation{Kind: pb.Operation_KIND_DEPRECATE, Version: &pb.Version{Name: name, Version: version}, Value: message})
}

// Delete deletes a version with its files, or, without a version, a package, and
// tags of what is gone; where there is nothing, nothing happens. For good: no
// other bytes can be published in their place (409), unless the repository lets
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

// Accept decides on an upload or a change.
func (s *server) Accept(stream grpc.ClientStreamingServer[pb.AcceptRequest, pb.AcceptResponse]) (err error) {
	defer s.recovered(&err)
	p, start, err := receivePublication(stream)
	if err != nil {
		return err
	}
	r, err := s.router(start.GetRepository())
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
		return stream.SendAndClose(&pb.AcceptResponse{Needed: p.missing, Excerpts: p.wanted})
	case failed != nil:
		return stream.SendAndClose(&pb.AcceptResponse{Failure: refusal(failed).wire()})
	}
	return stream.SendAndClose(&pb.AcceptResponse{Operations: r.Package.name(p.operations), Reply: reply.response(req).GetReply()})
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
			p.receive(m.Package)
		}
	}
	p.User, p.Now = start.GetUser(), instant(start.GetNowMs())
	return p, start, nil
}

// receive takes down a package, or more of its entries, or an excerpt of one.
func (p *Publication) receive(m *pb.HostedPackage) {
	if m.GetExcerpt() == nil {
		addHosted(p.packages, m)
		return
	}
	some := map[string]*HostedPackage{}
	known := p.excerptOf(m.GetExcerpt())
	if known != nil {
		some[known.Name] = known
	}
	addHosted(some, m)
	if known == nil {
		known = some[m.GetName()]
		known.asked = m.GetExcerpt()
		p.excerpts = append(p.excerpts, known)
	}
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
