package sdk

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// server is the plugin's end of the wire.
type server struct {
	pb.UnimplementedEcosystemServiceServer
	options  []*pb.Option
	open     func(optionsJSON string, upstreams []string) (*router, error)
	defaults *router
	log      hclog.Logger // gets panics; nil: only whoever asks is told
	debugged bool         // breakpoints are for requests, and not for what is tried

	mu      sync.Mutex
	routers map[string]*router // by options and upstreams: opening is pure, so this is no state
}

// maxRouters bounds what is remembered of configurations that are gone.
const maxRouters = 256

// configured is what a router is of.
type configured interface {
	GetOptionsJson() string
	GetUpstreams() []string
}

func (s *server) router(c configured) (*router, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.Join(append([]string{c.GetOptionsJson()}, c.GetUpstreams()...), "\x00")
	if r, ok := s.routers[key]; ok {
		return r, nil
	}
	r, err := s.open(c.GetOptionsJson(), c.GetUpstreams())
	if err != nil {
		return nil, err
	}
	if s.routers == nil || len(s.routers) >= maxRouters {
		s.routers = map[string]*router{}
	}
	s.routers[key] = r
	return r, nil
}

// Describe answers for the default options.
func (s *server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	e := s.defaults
	d := &pb.DescribeResponse{
		Name:             e.Name,
		Title:            or(e.Title, e.Name),
		Version:          e.Version,
		PurlType:         or(e.PURL, e.Name),
		Mounts:           e.Mounts,
		Upstreams:        wireUpstreams(e.Upstreams),
		Options:          s.options,
		Vary:             e.Vary,
		CompleteListings: !e.IncompleteListings,
		Urgent:           e.Urgent,
		Names:            wire.NameRules(e.Names),
		Capabilities:     &pb.Capabilities{About: e.About != nil, Host: e.Package != nil},
		Challenge:        e.Challenge,
		Errors: &pb.ErrorFormat{
			ContentType: or(e.Errors.Type, "text/plain; charset=utf-8"),
			Body:        or(e.Errors.Body, "{message}"),
			Status:      map[string]int32{},
			Codes:       map[string]string{},
		},
		Learns:         e.Learns,
		Scopes:         map[string]string{},
		ListScope:      e.ListScope,
		OtherPurlTypes: e.OtherPURLs,
		PurlRegistry:   e.PURLRegistry,
	}
	for action, scope := range e.Scopes {
		d.Scopes[string(action)] = scope
	}
	if e.Package != nil {
		d.Capabilities.Peek = e.Package.Peek
		d.Capabilities.Unpack = e.Package.Unpack != nil
		d.Capabilities.Packed = e.Package.Packed
	}
	for kind, code := range e.Errors.Status {
		d.Errors.Status[wire.KindName(pb.ErrorKind(kind))] = int32(code)
	}
	for kind, code := range e.Errors.Codes {
		d.Errors.Codes[wire.KindName(pb.ErrorKind(kind))] = code
	}
	for _, r := range e.Routes {
		d.Routes = append(d.Routes, r.Match)
	}
	for _, t := range e.Setup {
		d.Setup = append(d.Setup, &pb.Snippet{Client: t.Client, File: t.File, Text: t.Text})
	}
	for _, u := range e.Ungated {
		d.Ungated = append(d.Ungated, &pb.Ungated{Route: u.Route, Reason: u.Reason})
	}
	return d, nil
}

// Configure opens the ecosystem with a repository's options, and tries what it
// plans.
func (s *server) Configure(_ context.Context, c *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	r, err := s.router(c)
	if err == nil && !s.debugged {
		err = r.probe(func(mistake string) {
			if s.log != nil {
				s.log.Warn(mistake)
			}
		})
	}
	if err != nil {
		d := &pb.Diagnostic{Message: err.Error()}
		var option OptionError
		if errors.As(err, &option) {
			d.Option, d.Message = option.Option, option.Message
		}
		return &pb.ConfigureResponse{Diagnostics: []*pb.Diagnostic{d}}, nil
	}
	return &pb.ConfigureResponse{Upstreams: wireUpstreams(r.Upstreams), Urgent: r.Urgent, Watch: r.Watch, Names: wire.NameRules(r.Names)}, nil
}

// Plan routes a request, or asks About.
func (s *server) Plan(_ context.Context, p *pb.PlanRequest) (response *pb.PlanResponse, err error) {
	defer s.recovered(&err)
	r, err := s.router(p.GetRepository())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if v := p.GetAbout(); v != nil {
		if r.About == nil {
			return nil, status.Error(codes.Unimplemented, "plugin "+r.Name+" has no About")
		}
		d := r.About(Version{Name: v.GetName(), Version: v.GetVersion()})
		if complaint := r.complaint(d); complaint != "" {
			return nil, status.Errorf(codes.Internal, "plugin %s: About %s", r.Name, complaint)
		}
		plan := d.response(newRequest(p.GetRepository(), &pb.Request{Method: "GET", Path: d.Path}))
		plan.GetDocument().Canonical = r.Package.named(v).GetCanonical()
		return plan, nil
	}
	plan, req := r.plan(newRequest(p.GetRepository(), p.GetRequest()))
	if complaint := r.complaint(plan); complaint != "" {
		return nil, status.Errorf(codes.Internal, "plugin %s: the route of %s %s %s", r.Name, req.Method, req.Path, complaint)
	}
	return r.Package.planned(plan.response(req)), nil
}

// Render runs a document's Render function until it lacks nothing.
func (s *server) Render(stream grpc.BidiStreamingServer[pb.RenderRequest, pb.RenderResponse]) (err error) {
	defer s.recovered(&err)
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	start := m.GetStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "a rendering begins with a start")
	}
	r, err := s.router(start.GetRepository())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	path, query := splitQuery(start.GetPath())
	plan, req := r.plan(newRequest(start.GetRepository(), &pb.Request{Method: "GET", Path: path, Query: query}))
	document, ok := plan.(Document)
	if !ok {
		return status.Errorf(codes.Internal, "plugin %s: %s is no document: a Document's Path must plan to that document", r.Name, start.GetPath())
	}
	in := &Input{request: req, policy: policyFromWire(start.GetPolicy(), r.Names), docs: map[Source]*Doc{}, hosted: map[string]*HostedPackage{}, ours: start.GetOurs(), serveRemoved: start.GetServeRemoved(), several: document.Name == "", first: document.From, known: knownFromWire(start.GetKnown())}
	defer in.over.Store(true)
	for {
		if err := in.receive(stream); err != nil {
			return err
		}
		out := &sender{stream: stream}
		in.missing, in.facts, in.held, in.out, in.mistake, in.answer, in.state, in.logs, in.empty = nil, nil, hold{}, out, "", nil, nil, nil, false
		for _, s := range in.first {
			if in.docs[s] == nil {
				return status.Errorf(codes.Internal, "plugin %s: %s plans to other sources than it was asked for: a plan must be a pure function of the canonical address", r.Name, start.GetPath())
			}
		}
		err := document.Render(in)
		if len(in.missing) > 0 {
			needed := &pb.Needed{Sources: wireSources(in.missing)}
			if err := stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Needed{Needed: needed}}); err != nil {
				return err
			}
			continue
		}
		if in.mistake != "" {
			return status.Errorf(codes.Internal, "plugin %s: Input.Keep was told of %s in %s", r.Name, in.mistake, start.GetPath())
		}
		in.over.Store(true)
		r.Package.planned(in.answer)
		return finish(stream, in, out, err)
	}
}

func finish(stream grpc.BidiStreamingServer[pb.RenderRequest, pb.RenderResponse], in *Input, out *sender, failed error) error {
	done := &pb.RenderDone{Answer: in.answer, State: in.state, Logs: in.logs, Empty: in.empty}
	if failed != nil {
		var f Failure
		if !errors.As(failed, &f) {
			f = Failure{Kind: KindUpstream, Message: "upstream's document could not be read: " + failed.Error()}
		}
		done = &pb.RenderDone{Failure: f.wire()}
	} else if err := out.flush(); err != nil {
		return err
	}
	const batch = 500
	for facts := in.facts; len(facts) > 0; {
		n := min(batch, len(facts))
		if err := stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Facts{Facts: &pb.Facts{Facts: facts[:n]}}}); err != nil {
			return err
		}
		facts = facts[n:]
	}
	return stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Done{Done: done}})
}

// receive reads documents until the host says run.
func (in *Input) receive(stream grpc.BidiStreamingServer[pb.RenderRequest, pb.RenderResponse]) error {
	var doc *Doc
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return status.Error(codes.Aborted, "the host ended the rendering")
		}
		if err != nil {
			return err
		}
		switch m := m.GetMessage().(type) {
		case *pb.RenderRequest_Document:
			h := m.Document
			doc = &Doc{
				Source: sourceFromWire(h.GetSource()),
				URL:    h.GetUrl(),
				Status: int(h.GetStatus()),
				Header: h.GetHeaders(),
				Body:   make([]byte, 0, h.GetSize()),
			}
			in.docs[doc.Source] = doc
		case *pb.RenderRequest_Hosted:
			addHosted(in.hosted, m.Hosted)
		case *pb.RenderRequest_Piece:
			if doc == nil {
				return status.Error(codes.InvalidArgument, "a piece without a document")
			}
			doc.Body = append(doc.Body, m.Piece...)
		case *pb.RenderRequest_Run:
			return nil
		}
	}
}

// sender streams outputs in pieces. What is written to several outputs in turns
// is sent output by output.
type sender struct {
	stream  grpc.BidiStreamingServer[pb.RenderRequest, pb.RenderResponse]
	writing string // output written now
	open    map[string]*pending
	sent    string // output begun last on the wire
	begun   bool
}

type pending struct {
	header *pb.OutputHeader
	buf    []byte
	begun  bool
}

func (s *sender) header(name, contentType string, headers map[string]string) error {
	if s.open == nil {
		s.open = map[string]*pending{}
	}
	if s.open[name] == nil {
		s.open[name] = &pending{header: &pb.OutputHeader{Name: name, ContentType: contentType, Headers: headers}}
	}
	s.writing = name
	return nil
}

func (s *sender) piece(p []byte) error {
	out := s.open[s.writing]
	out.buf = append(out.buf, p...)
	if len(out.buf) < wire.PieceSize {
		return nil
	}
	return s.send(out)
}

func (s *sender) send(out *pending) error {
	if !s.begun || s.sent != out.header.GetName() || !out.begun {
		if err := s.stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Output{Output: out.header}}); err != nil {
			return err
		}
		s.begun, s.sent, out.begun = true, out.header.GetName(), true
	}
	for buf := out.buf; len(buf) > 0; {
		n := min(wire.PieceSize, len(buf))
		if err := s.stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Piece{Piece: buf[:n]}}); err != nil {
			return err
		}
		buf = buf[n:]
	}
	out.buf = out.buf[:0]
	return nil
}

func (s *sender) flush() error {
	for _, name := range sortedKeys(s.open) {
		out := s.open[name]
		if len(out.buf) > 0 || !out.begun {
			if err := s.send(out); err != nil {
				return err
			}
		}
	}
	return nil
}

func wireUpstreams(upstreams []Upstream) []*pb.Upstream {
	out := make([]*pb.Upstream, len(upstreams))
	for i, u := range upstreams {
		out[i] = &pb.Upstream{Role: or(u.Role, "main"), Url: u.URL, Variables: u.Variables, Failover: u.Failover, Below: u.Below}
	}
	return out
}

func splitQuery(path string) (string, string) {
	before, after, _ := strings.Cut(path, "?")
	return before, after
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
