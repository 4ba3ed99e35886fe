package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/entrepot-registry/entrepot/sdk/names"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// host carries plans out as entrepot does, on the documents of a script.
type host struct {
	script     *script
	client     *wire.Client
	close      func()
	about      *pb.DescribeResponse
	names      names.Rules
	repository *pb.Repository
	upstreams  map[string]bool // roles
	kept       map[string]*rendering
	catalogue  catalogue         // the script's, with what its requests changed
	sessions   map[string][]byte // what was uploaded in several requests so far
	begun      int               // sessions
	hangs      bool              // a question was not answered in time
	// cut is how much of a document's body upstream sends; nil: all.
	cut func(address string, body []byte) []byte
}

// rendering is what a document was rendered to.
type rendering struct {
	path    string // canonical
	query   bool   // it is no listing
	about   string // the one package that the plan says it is about; empty: another number of them
	named   bool   // the plan says which package it is about, or that it is about several
	failure *failure
	answer  *pb.PlanResponse // what the client gets instead of outputs; nil: outputs
	state   *pb.State        // of a snapshot
	outputs map[string]*output
	facts   []*pb.Fact
	asked   []string // absolute addresses of its upstream documents, in order
	listed  [][]byte // what upstream answered there
}

type output struct {
	contentType string
	header      map[string]string
	body        []byte
}

// failure is an error for the client.
type failure struct {
	kind                          pb.ErrorKind
	message, name, version, until string
	code                          string // the ecosystem's own; empty: the one of its kind
}

// failed is a plugin's failure.
func failed(f *pb.Failure) *failure {
	return &failure{kind: f.GetKind(), message: f.GetMessage(), code: f.GetCode()}
}

// Error returns the message.
func (f *failure) Error() string { return f.message }

// answer is what a client gets.
type answer struct {
	status  int
	header  map[string]string // names in lower case
	message string            // of an error
	body    []byte
}

// newHost starts a plugin and configures it with the script's options.
func newHost(s *script, start starter) (*host, error) {
	client, stop, err := start()
	if err != nil {
		return nil, err
	}
	h := &host{script: s, client: client, close: stop, upstreams: map[string]bool{}, kept: map[string]*rendering{}, catalogue: s.catalogue.clone(), sessions: map[string][]byte{}}
	if err := h.configure(); err != nil {
		stop()
		return nil, err
	}
	return h, nil
}

func (h *host) configure() error {
	err := h.patiently(func(ctx context.Context) (err error) {
		h.about, err = h.client.Describe(ctx, "plugintest")
		return err
	})
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	h.repository = &pb.Repository{
		Name:        h.about.GetName(),
		OptionsJson: h.script.options,
		BaseUrl:     "http://entrepot/" + h.about.GetName(),
	}
	var c *pb.ConfigureResponse
	err = h.patiently(func(ctx context.Context) (err error) {
		c, err = h.client.Configure(ctx, h.repository.GetName(), h.script.options, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	for _, d := range c.GetDiagnostics() {
		return fmt.Errorf("options: %s", strings.TrimSpace(d.GetOption()+" "+d.GetMessage()))
	}
	for _, u := range c.GetUpstreams() {
		h.upstreams[u.GetRole()] = true
	}
	h.names = wire.NamesOf(c.GetNames())
	h.script.judgeUrgent(c.GetUrgent())
	return nil
}

// ask asks a question of the script. An error says that the plugin broke its
// contract.
func (h *host) ask(e *exchange) (*answer, error) {
	if e.found != "" {
		got, err := h.directory(e.found)
		if f, ok := errors.AsType[*failure](err); ok {
			return h.refuse(f), nil
		}
		return got, err
	}
	for name := range e.header {
		varies := func(v string) bool { return strings.EqualFold(v, name) }
		if !slices.ContainsFunc(h.about.GetVary(), varies) {
			return nil, fmt.Errorf("header %s does not reach the plugin: it is not in Ecosystem.Vary", name)
		}
	}
	plan, err := h.plan(e.method, e.path, e.query, e.header)
	if err != nil {
		return nil, err
	}
	got, err := h.carryOut(plan)
	if plan.GetUpload() != nil {
		got, err = h.upload(plan.GetUpload(), e)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return h.refuse(f), nil
	}
	return got, err
}

// plan asks for a plan. Path and query reach the plugin as net/http's
// EscapedPath gives them: without bytes that are no ASCII.
func (h *host) plan(method, path, query string, header map[string]string) (*pb.PlanResponse, error) {
	if method == "HEAD" {
		method = "GET"
	}
	return h.planned(&pb.PlanRequest{
		Repository: h.repository,
		Subject: &pb.PlanRequest_Request{Request: &pb.Request{
			Method: method, Path: escapeBytes(path), Query: escapeBytes(query), Headers: header,
		}},
	})
}

func (h *host) planned(r *pb.PlanRequest) (plan *pb.PlanResponse, err error) {
	err = h.patiently(func(ctx context.Context) (err error) {
		plan, err = h.client.Plan(ctx, r)
		return err
	})
	return plan, err
}

// planGET plans a canonical address.
func (h *host) planGET(address string) (*pb.PlanResponse, error) {
	path, query, _ := strings.Cut(address, "?")
	return h.plan("GET", path, query, nil)
}

func escapeBytes(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func (h *host) carryOut(plan *pb.PlanResponse) (*answer, error) {
	switch p := plan.GetPlan().(type) {
	case *pb.PlanResponse_Document:
		return h.document(p.Document)
	case *pb.PlanResponse_Artifact:
		return h.artifact(p.Artifact)
	case *pb.PlanResponse_Reply:
		return reply(p.Reply), nil
	case *pb.PlanResponse_Relay:
		doc := h.upstream(absolute(p.Relay.GetSource().GetRole(), p.Relay.GetSource().GetUrl()))
		return &answer{status: doc.status, header: doc.header, message: complaint(doc.status, doc.body), body: doc.body}, nil
	case *pb.PlanResponse_Identity:
		return reply(p.Identity.GetReply()), nil
	case *pb.PlanResponse_Upload:
		return nil, nil // ask does it, with the request
	case *pb.PlanResponse_Failure:
		return nil, failed(p.Failure)
	}
	return nil, fmt.Errorf("the plan %T is none that plugintest can carry out", plan.GetPlan())
}

func reply(r *pb.Reply) *answer {
	status := int(r.GetStatus())
	a := &answer{status: status, header: map[string]string{}, message: complaint(status, r.GetBody()), body: r.GetBody()}
	for name, value := range r.GetHeaders() {
		a.header[strings.ToLower(name)] = value
	}
	return a
}

// complaint is the message of an error that does not come from the host: its
// body.
func complaint(status int, body []byte) string {
	if status < 400 {
		return ""
	}
	return string(body)
}

// upstream is what upstream answers at an absolute address.
func (h *host) upstream(address string) *upstreamDoc {
	if doc, ok := h.script.upstream[address]; ok {
		return doc
	}
	return &upstreamDoc{status: 404}
}

func (h *host) document(d *pb.Document) (*answer, error) {
	r, err := h.render(d)
	if err != nil {
		return nil, err
	}
	if r.failure != nil {
		return nil, r.failure
	}
	if r.answer != nil {
		if r.answer.GetArtifact() == nil && r.answer.GetReply() == nil {
			return nil, fmt.Errorf("the rendering of %s is answered by %T: only an Artifact or a Reply can be", d.GetPath(), r.answer.GetPlan())
		}
		return h.carryOut(r.answer)
	}
	out, ok := r.outputs[d.GetOutput()]
	if !ok {
		return nil, fmt.Errorf("the rendering of %s has no output %q, only %q", d.GetPath(), d.GetOutput(), slices.Sorted(maps.Keys(r.outputs)))
	}
	header := map[string]string{"content-type": out.contentType}
	for name, value := range out.header {
		header[strings.ToLower(name)] = value
	}
	return &answer{status: 200, header: header, body: out.body}, nil
}

// render renders a document, once for each canonical address.
func (h *host) render(d *pb.Document) (*rendering, error) {
	if r, ok := h.kept[d.GetPath()]; ok {
		return r, nil
	}
	r := &rendering{path: d.GetPath(), query: d.GetQuery(), named: len(d.GetNames()) > 0 || d.GetHosted() != ""}
	if names := d.GetNames(); len(names) == 1 {
		r.about = names[0]
	}
	sink := &sink{rendering: r}
	sink.Reset()
	start := &pb.RenderStart{Repository: h.repository, Path: d.GetPath(), Policy: h.script.policy, Ours: h.catalogue.ours}
	hosted := h.hosted(d)
	without := false
	fetch := func(_ context.Context, sources []*pb.Source) ([]wire.Document, error) {
		if without {
			return h.unreached(sources)
		}
		return h.fetch(r, sources, h.own(d), len(hosted) > 0)
	}
	var done *pb.RenderDone
	render := func(ctx context.Context) (err error) {
		done, err = h.client.Render(ctx, start, hosted, d.GetSources(), fetch, sink)
		return err
	}
	err := h.patiently(render)
	if len(hosted) > 0 && len(d.GetNames()) == 0 && d.GetHosted() != "" && !d.GetSnapshot() && upstreamFailed(done, err) {
		// A list is made of what is ours where upstream fails.
		whole, failed := done, err
		without = true
		if err = errors.Join(sink.Reset(), h.patiently(render)); err != nil || done.GetFailure() != nil {
			done, err = whole, failed
		}
	}
	if f, ok := errors.AsType[*failure](err); ok {
		r.failure = f
	} else if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", d.GetPath(), err)
	}
	if refused := done.GetFailure(); refused != nil {
		r.failure = failed(refused)
	}
	r.answer, r.state = done.GetAnswer(), done.GetState()
	h.kept[d.GetPath()] = r
	return r, nil
}

// upstreamFailed reports whether a rendering came to nothing through upstream.
func upstreamFailed(done *pb.RenderDone, err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.kind == pb.ErrorKind_ERROR_KIND_UPSTREAM || done.GetFailure().GetKind() == pb.ErrorKind_ERROR_KIND_UPSTREAM
}

// unreached are documents of an upstream that cannot be reached.
func (h *host) unreached(sources []*pb.Source) ([]wire.Document, error) {
	var docs []wire.Document
	for _, s := range sources {
		doc := &upstreamDoc{}
		if s.GetHere() {
			var err error
			if doc, err = h.here(s); err != nil {
				return nil, err
			}
		}
		docs = append(docs, wire.Document{
			Header: &pb.DocumentHeader{Source: s, Url: absolute(s.GetRole(), s.GetUrl()), Status: int32(doc.status), Size: int64(len(doc.body))},
			Body:   io.NopCloser(strings.NewReader(string(doc.body))),
		})
	}
	return docs, nil
}

// fetch gets upstream documents for a rendering. Upstream is not asked about
// what is our own; where there are packages of ours, it may lack any of them.
func (h *host) fetch(r *rendering, sources []*pb.Source, own, hosted bool) ([]wire.Document, error) {
	var docs []wire.Document
	for _, s := range sources {
		if role := s.GetRole(); role != "" && !h.upstreams[role] && !h.upstreams["*"] {
			return nil, fmt.Errorf("the plugin has no upstream in the role of %s", role)
		}
		address := absolute(s.GetRole(), s.GetUrl())
		doc := h.upstream(address)
		if s.GetHere() {
			var err error
			if doc, err = h.here(s); err != nil {
				return nil, err
			}
		}
		if own && !s.GetHere() {
			doc = &upstreamDoc{status: 404}
		}
		if doc.status != 200 && !(hosted && doc.status == 404) && !s.GetOptional() {
			if doc.status == 404 || doc.status == 410 {
				return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: "upstream does not have " + s.GetUrl()}
			}
			return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_UPSTREAM, message: fmt.Sprintf("upstream answers %d for %s", doc.status, s.GetUrl())}
		}
		if !own && !s.GetHere() {
			r.asked, r.listed = append(r.asked, address), append(r.listed, []byte(doc.body))
		}
		body := doc.body
		if s.GetHead() {
			body = nil
		} else if h.cut != nil {
			body = h.cut(address, body)
		}
		docs = append(docs, wire.Document{
			Header: &pb.DocumentHeader{
				Source: s, Url: address, Status: int32(doc.status), Headers: wire.SourceHeaders(headerOf(doc, s), s.GetHead(), h.about.GetLearns()), Size: int64(len(body)),
			},
			Body: io.NopCloser(strings.NewReader(string(body))),
		})
	}
	return docs, nil
}

// headerOf are an upstream answer's headers.
func headerOf(doc *upstreamDoc, s *pb.Source) http.Header {
	header := http.Header{}
	for name, value := range doc.header {
		header.Set(name, value)
	}
	if s.GetHead() && doc.status == 200 {
		header.Set("Content-Length", strconv.Itoa(len(doc.body)))
	}
	return header
}

// sink collects what a rendering produces.
type sink struct {
	*rendering
	writing *output
}

// Output begins an output, or goes on with it.
func (s *sink) Output(header *pb.OutputHeader) error {
	if s.outputs[header.GetName()] == nil {
		s.outputs[header.GetName()] = &output{contentType: header.GetContentType(), header: header.GetHeaders()}
	}
	s.writing = s.outputs[header.GetName()]
	return nil
}

// Piece adds to the output begun last.
func (s *sink) Piece(p []byte) error {
	if s.writing == nil {
		return errors.New("a piece without an output")
	}
	s.writing.body = append(s.writing.body, p...)
	return nil
}

// Facts adds facts.
func (s *sink) Facts(facts []*pb.Fact) { s.facts = append(s.facts, facts...) }

// Reset drops what there is.
func (s *sink) Reset() error {
	s.outputs, s.facts, s.writing = map[string]*output{}, nil, nil
	return nil
}

// text is a body as messages show it.
func text(body []byte) string {
	if !utf8.Valid(body) {
		return fmt.Sprintf("%d bytes that are no text", len(body))
	}
	return string(body)
}
