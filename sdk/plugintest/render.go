package plugintest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Question asks for one rendering.
type Question struct {
	// Path is the document's canonical address, with its query.
	Path string
	// Now is the instant to judge at. It is required with a Cooldown: at the zero
	// time all that has an age is held back.
	Now time.Time
	// Cooldown is how long versions are held back; 0 or negative: not at all.
	Cooldown time.Duration
	// Upstream has what upstream answers with status 200, by address as the
	// plugin asks it. What is not there is answered with 404 where it is
	// optional; where it is not, it is empty, with status 200. Nil: nothing is
	// there.
	Upstream map[string][]byte
}

// Rendering is what a plugin makes of a [Question].
type Rendering struct {
	// Outputs are the outputs by name, that of the main one being empty. It is never
	// nil; of a Failure it may have what was written before.
	Outputs map[string][]byte
	// Facts are the facts, in the order in which Input.Keep and Input.Part were
	// told; nil: none.
	Facts []*pb.Fact
	// Failure is the failure for the client, of the upstream kind where Render
	// returned an error that is no [sdk.Failure]; nil: none.
	Failure *pb.Failure
}

// Renderer returns a function that has a plugin render documents, without a
// host or a connection: for fuzz tests, which look at what is rendered
// themselves, and for benchmarks. The base address is http://entrepot, and options
// have their defaults. A plugin that does not open, a path that is no document's, and
// a Render that panics or breaks the contract end the test as Fatal does.
func Renderer[C any](tb testing.TB, open func(C) (sdk.Ecosystem, error)) func(testing.TB, Question) Rendering {
	tb.Helper()
	service, err := sdk.NewServer(open)
	if err != nil {
		tb.Fatal(err)
	}
	repository := &pb.Repository{Name: "entrepot", BaseUrl: "http://entrepot"}
	return func(tb testing.TB, q Question) Rendering {
		tb.Helper()
		path, query, _ := strings.Cut(q.Path, "?")
		plan, err := service.Plan(context.Background(), &pb.PlanRequest{
			Repository: repository,
			Subject:    &pb.PlanRequest_Request{Request: &pb.Request{Method: "GET", Path: path, Query: query}},
		})
		if err != nil {
			tb.Fatal(err)
		}
		if plan.GetDocument() == nil {
			tb.Fatalf("%s is no document: %v", q.Path, plan)
		}
		policy := &pb.Policy{NowMs: q.Now.UnixMilli()}
		if q.Cooldown > 0 {
			policy.Rules = []*pb.CooldownRule{{Name: "*", WindowMs: q.Cooldown.Milliseconds(), Label: "default"}}
		}
		stream := &renderStream{question: q, rendering: Rendering{Outputs: map[string][]byte{}}}
		stream.queue = append(stream.queue, &pb.RenderRequest{Message: &pb.RenderRequest_Start{
			Start: &pb.RenderStart{Repository: repository, Path: plan.GetDocument().GetPath(), Policy: policy},
		}})
		stream.answer(plan.GetDocument().GetSources())
		if err := service.Render(stream); err != nil {
			tb.Fatal(err)
		}
		return stream.rendering
	}
}

// renderStream is the plugin's end of a rendering, with the host's end played.
type renderStream struct {
	grpc.ServerStream // nil: a rendering uses Send and Recv only
	question          Question
	queue             []*pb.RenderRequest
	size              int // of upstream's documents: outputs are about as large
	output            string
	rendering         Rendering
}

// answer queues documents, and has the plugin run.
func (s *renderStream) answer(sources []*pb.Source) {
	for _, source := range sources {
		body, ok := s.question.Upstream[source.GetUrl()]
		header := &pb.DocumentHeader{Source: source, Url: absolute(source.GetRole(), source.GetUrl()), Status: 200, Size: int64(len(body))}
		if !ok && source.GetOptional() {
			header.Status = 404
		}
		s.queue = append(s.queue, &pb.RenderRequest{Message: &pb.RenderRequest_Document{Document: header}})
		s.size += len(body)
		for len(body) > 0 {
			n := min(len(body), wire.PieceSize)
			s.queue = append(s.queue, &pb.RenderRequest{Message: &pb.RenderRequest_Piece{Piece: body[:n]}})
			body = body[n:]
		}
	}
	s.queue = append(s.queue, &pb.RenderRequest{Message: &pb.RenderRequest_Run{Run: &pb.RenderRun{}}})
}

// Recv is the plugin's view of the host's messages.
func (s *renderStream) Recv() (*pb.RenderRequest, error) {
	if len(s.queue) == 0 {
		return nil, io.EOF
	}
	m := s.queue[0]
	s.queue = s.queue[1:]
	return m, nil
}

// Send takes the plugin's messages.
func (s *renderStream) Send(r *pb.RenderResponse) error {
	switch m := r.GetMessage().(type) {
	case *pb.RenderResponse_Needed:
		s.rendering = Rendering{Outputs: map[string][]byte{}}
		s.answer(m.Needed.GetSources())
	case *pb.RenderResponse_Output:
		s.output = m.Output.GetName()
		if s.rendering.Outputs[s.output] == nil {
			s.rendering.Outputs[s.output] = make([]byte, 0, s.size)
		}
	case *pb.RenderResponse_Piece:
		s.rendering.Outputs[s.output] = append(s.rendering.Outputs[s.output], m.Piece...)
	case *pb.RenderResponse_Facts:
		s.rendering.Facts = append(s.rendering.Facts, m.Facts.GetFacts()...)
	case *pb.RenderResponse_Done:
		s.rendering.Failure = m.Done.GetFailure()
	}
	return nil
}
