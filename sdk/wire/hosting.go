package wire

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// batches splits packages so that each message stays small.
func batches(packages []*pb.HostedPackage) []*pb.HostedPackage {
	var out []*pb.HostedPackage
	for _, p := range packages {
		head := &pb.HostedPackage{Name: p.GetName(), Revision: p.GetRevision(), Tags: p.GetTags(), Owners: p.GetOwners(), Extra: p.GetExtra(), Excerpt: p.GetExcerpt()}
		out = append(out, head)
		size := 0
		for _, e := range p.GetEntries() {
			if size += 300 + len(e.GetExtra()); size > PieceSize && len(head.GetEntries()) > 0 {
				head, size = &pb.HostedPackage{Name: p.GetName(), Excerpt: p.GetExcerpt()}, 0
				out = append(out, head)
			}
			head.Entries = append(head.Entries, e)
		}
	}
	return out
}

// Member is a member of a package file.
type Member struct {
	// Name in the archive.
	Name string
	// Body is its content.
	Body []byte
}

// Inspect asks what a package file is, with the members that are known of it,
// and what was measured because an earlier answer needed it.
func (c *Client) Inspect(ctx context.Context, file *pb.PackageFile, members []Member, measured ...*pb.Measured) (*pb.InspectResponse, error) {
	stream, err := c.service.Inspect(ctx)
	if err != nil {
		return nil, explain(err)
	}
	err = stream.Send(&pb.InspectRequest{Message: &pb.InspectRequest_File{File: file}})
	for _, m := range members {
		if err != nil {
			break
		}
		err = stream.Send(&pb.InspectRequest{Message: &pb.InspectRequest_Member{Member: &pb.MemberHeader{Name: m.Name, Size: int64(len(m.Body))}}})
		for piece := range pieces(m.Body) {
			if err == nil {
				err = stream.Send(&pb.InspectRequest{Message: &pb.InspectRequest_Piece{Piece: piece}})
			}
		}
	}
	for _, m := range measured {
		if err == nil {
			err = stream.Send(&pb.InspectRequest{Message: &pb.InspectRequest_Measured{Measured: m}})
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // at EOF only the answer knows why
		return nil, explain(err)
	}
	r, err := stream.CloseAndRecv()
	return r, explain(err)
}

// pieces cuts a body into what a message may carry.
func pieces(body []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(body) > 0 {
			n := min(len(body), PieceSize)
			if !yield(body[:n]) {
				return
			}
			body = body[n:]
		}
	}
}

// Publication is an upload or a change to be decided on.
type Publication struct {
	// Start begins it.
	Start *pb.AcceptStart
	// Fields of the body.
	Fields map[string][]byte
	// Files of the body.
	Files []*pb.UploadedFile
	// Packages that are known to be concerned.
	Packages []*pb.HostedPackage
}

// Accept asks for a decision.
func (c *Client) Accept(ctx context.Context, p Publication) (*pb.AcceptResponse, error) {
	stream, err := c.service.Accept(ctx)
	if err != nil {
		return nil, explain(err)
	}
	send := func(m *pb.AcceptRequest) {
		if err == nil {
			err = stream.Send(m)
		}
	}
	send(&pb.AcceptRequest{Message: &pb.AcceptRequest_Start{Start: p.Start}})
	for name, value := range p.Fields {
		send(&pb.AcceptRequest{Message: &pb.AcceptRequest_Field{Field: &pb.FieldHeader{Name: name, Size: int64(len(value))}}})
		for piece := range pieces(value) {
			send(&pb.AcceptRequest{Message: &pb.AcceptRequest_Piece{Piece: piece}})
		}
	}
	for _, f := range p.Files {
		send(&pb.AcceptRequest{Message: &pb.AcceptRequest_File{File: f}})
	}
	for _, batch := range batches(p.Packages) {
		send(&pb.AcceptRequest{Message: &pb.AcceptRequest_Package{Package: batch}})
	}
	if err != nil && !errors.Is(err, io.EOF) { // at EOF only the answer knows why
		return nil, explain(err)
	}
	r, err := stream.CloseAndRecv()
	return r, explain(err)
}

// Glob is the regular expression of a pattern of names, in which * stands for
// any run of characters without a slash and ** for any run at all.
func Glob(pattern string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(quoted, `\*\*`, `.*`)
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(quoted, `\*`, `[^/]*`) + `$`)
}
