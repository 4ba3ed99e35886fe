package wire

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// ErrGone says that the plugin's process went away; asking a new one the same
// question is right.
var ErrGone = errors.New("plugin went away")

// ErrFailed says that a plugin panicked or broke the contract. The text is for
// its author, not for clients.
var ErrFailed = errors.New("plugin failed")

// Client asks a plugin.
type Client struct {
	service pb.EcosystemServiceClient
}

// NewClient makes a client of a connection.
func NewClient(c grpc.ClientConnInterface) *Client {
	return &Client{pb.NewEcosystemServiceClient(c)}
}

// Describe asks what the plugin is.
func (c *Client) Describe(ctx context.Context, hostVersion string) (*pb.DescribeResponse, error) {
	r, err := c.service.Describe(ctx, &pb.DescribeRequest{HostVersion: hostVersion})
	return r, explain(err)
}

// Configure checks a repository's options beside upstreams of roles; nil: it is not
// known which.
func (c *Client) Configure(ctx context.Context, repository, optionsJSON string, upstreams []string) (*pb.ConfigureResponse, error) {
	r, err := c.service.Configure(ctx, &pb.ConfigureRequest{Repository: repository, OptionsJson: optionsJSON, Upstreams: upstreams})
	return r, explain(err)
}

// Plan asks what to do with a request.
func (c *Client) Plan(ctx context.Context, r *pb.PlanRequest) (*pb.PlanResponse, error) {
	p, err := c.service.Plan(ctx, r)
	return p, explain(err)
}

// Document is an upstream document on its way to a plugin.
type Document struct {
	// Header describes it; Size must be the body's length.
	Header *pb.DocumentHeader
	// Body is read once and closed; nil: empty.
	Body io.ReadCloser
}

// Sink takes what a rendering produces.
type Sink interface {
	// Output begins an output, or goes on with one begun before.
	Output(*pb.OutputHeader) error
	// Piece is more of the output begun last. The bytes are the sink's.
	Piece([]byte) error
	// Facts are facts found. They are the sink's.
	Facts([]*pb.Fact)
	// Reset drops everything since the start: documents were lacking.
	Reset() error
}

// Fetch gets documents for a rendering, in the order of the sources.
type Fetch func(context.Context, []*pb.Source) ([]Document, error)

// Bounds of one rendering.
const (
	MaxRounds    = 64
	MaxDocuments = 512
)

// Render has a document rendered: it sends start, the packages of ours and the
// documents of sources, gets what the plugin finds lacking, and hands outputs and facts to the sink.
// How it ended is returned, also when that is a failure for the client; err
// says that there is no answer.
func (c *Client) Render(ctx context.Context, start *pb.RenderStart, hosted []*pb.HostedPackage, sources []*pb.Source, fetch Fetch, sink Sink) (*pb.RenderDone, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	docs, err := fetch(ctx, sources)
	if err != nil {
		return nil, err
	}
	stream, err := c.service.Render(ctx)
	if err != nil {
		closeAll(docs)
		return nil, explain(err)
	}
	if err := stream.Send(&pb.RenderRequest{Message: &pb.RenderRequest_Start{Start: start}}); err != nil {
		closeAll(docs)
		return nil, streamError(stream, err)
	}
	for _, p := range batches(hosted) {
		if err := stream.Send(&pb.RenderRequest{Message: &pb.RenderRequest_Hosted{Hosted: p}}); err != nil {
			closeAll(docs)
			return nil, streamError(stream, err)
		}
	}
	count := 0
	for round := 1; ; round++ {
		count += len(docs)
		if round > MaxRounds || count > MaxDocuments {
			closeAll(docs)
			return nil, fmt.Errorf("plugin asks for more than %d documents in %d rounds for %s", MaxDocuments, MaxRounds, start.GetPath())
		}
		if err := sendDocuments(stream, docs); err != nil {
			return nil, err
		}
		needed, done, err := receive(stream, sink)
		if err != nil || needed == nil {
			return done, err
		}
		if err := sink.Reset(); err != nil {
			return nil, err
		}
		if docs, err = fetch(ctx, needed); err != nil {
			return nil, err
		}
	}
}

type renderStream = grpc.BidiStreamingClient[pb.RenderRequest, pb.RenderResponse]

func sendDocuments(stream renderStream, docs []Document) error {
	defer closeAll(docs)
	buf := make([]byte, PieceSize)
	for _, d := range docs {
		if err := stream.Send(&pb.RenderRequest{Message: &pb.RenderRequest_Document{Document: d.Header}}); err != nil {
			return streamError(stream, err)
		}
		for d.Body != nil {
			n, err := d.Body.Read(buf)
			if n > 0 {
				// Send marshals before it returns, so buf may be used again.
				if err := stream.Send(&pb.RenderRequest{Message: &pb.RenderRequest_Piece{Piece: buf[:n]}}); err != nil {
					return streamError(stream, err)
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("reading upstream document %s: %w", d.Header.GetUrl(), err)
			}
		}
	}
	err := stream.Send(&pb.RenderRequest{Message: &pb.RenderRequest_Run{Run: &pb.RenderRun{}}})
	if err != nil {
		return streamError(stream, err)
	}
	return nil
}

// receive reads one run's answer: sources that are needed, or the end.
func receive(stream renderStream, sink Sink) (needed []*pb.Source, done *pb.RenderDone, err error) {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil, nil, explain(err)
		}
		switch m := r.GetMessage().(type) {
		case *pb.RenderResponse_Needed:
			if len(m.Needed.GetSources()) == 0 {
				return nil, nil, errors.New("plugin asks for further documents and names none")
			}
			return m.Needed.GetSources(), nil, nil
		case *pb.RenderResponse_Output:
			err = sink.Output(m.Output)
		case *pb.RenderResponse_Piece:
			err = sink.Piece(m.Piece)
		case *pb.RenderResponse_Facts:
			sink.Facts(m.Facts.GetFacts())
		case *pb.RenderResponse_Done:
			return nil, m.Done, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

func closeAll(docs []Document) {
	for _, d := range docs {
		if d.Body != nil {
			d.Body.Close()
		}
	}
}

// streamError finds the reason for a failed Send, which only Recv knows.
func streamError(stream renderStream, err error) error {
	if errors.Is(err, io.EOF) {
		if _, recv := stream.Recv(); recv != nil {
			err = recv
		}
	}
	return explain(err)
}

// explain turns gRPC's codes into what people and callers can use.
func explain(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Canceled:
		return context.Canceled
	case codes.Unavailable:
		return fmt.Errorf("%w: %s", ErrGone, s.Message())
	case codes.DeadlineExceeded:
		return fmt.Errorf("plugin did not answer in time: %w", context.DeadlineExceeded)
	case codes.Unimplemented:
		return fmt.Errorf("plugin lacks a call of this contract: %s", s.Message())
	}
	return fmt.Errorf("%w: %s", ErrFailed, s.Message())
}
