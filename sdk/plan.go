package sdk

import (
	"encoding/json"
	"net/http"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Plan is what the host is to do with a request: an [Artifact], a [Document],
// a [Reply], a [Relay], an [Upload], an [Identity] or a [Failure].
type Plan interface {
	response(Request) *pb.PlanResponse
}

// Artifact serves a package file. The host looks its facts up, judges its
// version, fetches it once, verifies its digest and keeps it.
type Artifact struct {
	// Version is what it is part of, as far as the request tells. Facts found
	// under Path override it.
	Version Version
	// Path is its canonical address here; empty: the request's path.
	Path string
	// From is where upstream has it, tried in order. An address in the facts
	// comes first. Nil: only the facts tell.
	From []Source
	// Digest is one that the request itself names; zero: none.
	Digest Digest
	// Facts are canonical addresses here of documents that may tell its age,
	// address and digests, tried in order. One that ends in /* stands for the
	// indexes of all parts, below it, of snapshots in force that clients asked
	// for, and for what renderings with a history, below it, told Keep of. Empty:
	// it cannot be judged and is served only where cool-down is off.
	Facts []string
	// NamedIn is a pattern of paths here, which ends in /*, of files that may name
	// this one by its Digest, in hexadecimal: with one that is kept and served it is
	// served, else one that is held back holds it, unless it is known to be older.
	// While upstream cannot be asked, bytes that are kept are served under a path
	// that a kept file leads to so. Empty: none.
	NamedIn string
	// LeafTypes are the content types of files there that name no others there. All
	// others may name files which name others in turn. Empty: none does.
	LeafTypes []string
	// Unlisted serves it also where none of Facts tells of it, because no
	// document lists all that there is (unless the configuration has what is of
	// unknown age held back).
	Unlisted bool
	// Probe says that a HEAD comes before an upload: who may publish the package
	// is told of what is ours alone, because what upstream has would not be
	// uploaded.
	Probe bool
	// LookedUp says that a HEAD comes before a download as well: with Probe only a
	// token that was issued to publish the package (see [Identity.Grants]) tells
	// that it comes before an upload.
	LookedUp bool
	// Type is the content type; empty: what upstream says, else
	// application/octet-stream.
	Type string
	// Head is what upstream said of this very file, named by its Digest, to the
	// rendering that ended in it: it is not asked for its header once more, nor for
	// bytes that are kept under the digest already. Zero: it said nothing.
	Head Head
	// Ungated serves it without a verdict: it belongs to no version, or is
	// guarded by something better. Its route stands in [Ecosystem.Ungated].
	Ungated bool
	// Snapshot is the Path of the snapshot that it is part of, see
	// [Document.Snapshot]: with a Digest a part of any state that is kept and not
	// held back, else the part of its Path in the state whose root clients got
	// last. Empty: of none.
	Snapshot string
	// Header has further headers for the client, one value a name; nil: none.
	Header map[string]string
	// Missing is what the client is told where there is no such file; zero: the
	// host says so in its own words.
	Missing Failure
}

// Head is what upstream said of a file.
type Head struct {
	// Type is its content type; empty: nothing was said.
	Type string
	// Size in bytes; zero or less: unknown.
	Size int64
}

// Document serves what Render makes of upstream documents.
type Document struct {
	// Path is the canonical address here under which the rendering is kept.
	// Planning a GET of it must give this document again (with any Output).
	// Empty: the request's path and query.
	Path string
	// Output names which of the rendering's outputs is served; empty: the main
	// one. Where Render writes none of that name, the request fails.
	Output string
	// Beside says that clients read the Output after the main one, as its
	// checksum, and that it must fit: for a while it is that of the rendering of
	// which clients got the main one last.
	Beside bool
	// Name is the package it is about, by which the host knows whether upstream
	// may be asked; empty: one of Several, Query and Hosted says why.
	Name string
	// Several says that it is about more than one package, about none, or about
	// one that only rendering it tells.
	Several bool
	// From is what is asked of upstream at the start; nil: nothing.
	From []Source
	// Query marks what is no listing of a package: the answer to a search, or a
	// document about one version. Nothing is learnt from it about what upstream
	// has; what was seen of the listing that [Ecosystem.About] names judges it.
	// Its Keep calls must therefore name the same files as the listing's.
	Query bool
	// Immutable says that what upstream once answered stays as it is, so that it
	// is not asked again.
	Immutable bool
	// Snapshot makes it the root of a signed index and all that is listed there:
	// its outputs and what [Input.Part] names are one state, of which Name,
	// with the version given to [Input.State], is judged. The newest state that
	// policy serves is in force; until there is one the first that was seen is,
	// and never one that has expired while there is a newer. Parts that clients
	// ask for are kept for each state, and a new one waits for them for a while; one
	// that upstream left before clients got any is given up for the next. Parts in
	// one folder whose names differ after the first dot are forms of one another.
	Snapshot bool
	// History has the files that Keep is told of remembered, so that later
	// renderings find them in [Input.Earlier]. A Query finds there what is
	// remembered of the listing that judges it, and adds nothing. That upstream once
	// did not have the document is remembered too: what it tells at its first look
	// is new then.
	History bool
	// Hosted is a pattern, in which * stands for any run of characters, of the
	// names of packages of ours that Render gets besides the one called Name;
	// empty: none. It makes search and lists of all packages.
	Hosted string
	// NamesOnly says that of those Render needs only the names: their Files, Tags
	// and Extra are empty.
	NamesOnly bool
	// TagsOnly are the Tags that Render gets of the package of ours called Name, and
	// none of its Files; nil: it gets all of it.
	TagsOnly []string
	// MountedBelow has the packages of repositories of this plugin that are mounted
	// below this one be among those of Hosted, by their names with the rest of the
	// path before them. Of them Render gets only the names.
	MountedBelow bool
	// Listing is the path here of the document whose Keep is told of a version
	// called Listed with a file at this one's path, where upstream has it: when
	// that was seen without it, what a document with a History tells at its first
	// look was not there by then. Without Listed it is the path of the document of
	// which this one, a Query, tells Keep all: each rendering is a look at that.
	// Its own Path: it is such a list, of which also counts that upstream had it
	// not, or [Input.Empty]. Empty: none.
	Listing, Listed string
	// Probe is [Artifact.Probe], and LookedUp [Artifact.LookedUp], which the
	// artifact that it ends in has too.
	Probe, LookedUp bool
	// Header has further headers for the client that depend on the request, one
	// value a name; nil: none. Those of an output are told to
	// [Input.OutputWith].
	Header map[string]string
	// Render makes the document; it is required. It must be a pure function of
	// its input. A [Failure] that it returns is the answer to the client; any
	// other error means that upstream's documents could not be read, of which
	// nothing is learnt, so that what was known before may be served instead.
	Render func(*Input) error
}

// Source is something to ask of upstream.
type Source struct {
	// URL is below the upstream's base, whether it begins with a slash or not, or
	// absolute. Credentials are only sent below the base. Empty: the base.
	URL string
	// Role names the upstream; empty: the first.
	Role string
	// Accept is the Accept header to send; empty: none.
	Accept string
	// Optional says that the rendering can do without it; the [Doc] then has
	// the status. A source that is not optional fails the request, unless there
	// are packages of ours to render: of names that are ours upstream is not
	// asked, and the Doc has the status 404.
	Optional bool
	// Head asks for status and headers only.
	Head bool
	// Here says that URL is a path of this repository, whose plan is an
	// artifact: what clients get there is read.
	Here bool
	// Immutable says that what is there once stays as it is, so that it is not
	// asked again.
	Immutable bool
	// CountsAs is the kind of request that the upstream counts it as, where it
	// limits kinds apart: while it wants one kind to wait, as with 429, others are
	// asked, as is for the head of what is of that kind. Empty: the kind of all
	// that name none.
	CountsAs string
}

// From makes sources of addresses at the first upstream, none of them optional;
// without addresses there are none.
func From(urls ...string) []Source {
	sources := make([]Source, len(urls))
	for i, u := range urls {
		sources[i].URL = u
	}
	return sources
}

// Reply answers with what stands here; zero: status 200 without a body.
type Reply struct {
	// Status is the HTTP status, from 200 to 599; 0: 200.
	Status int
	// Header has one value a name; nil: none. Content-Length and
	// Transfer-Encoding are the host's, and fail the request here.
	Header map[string]string
	// Body is sent as it is; nil: empty.
	Body []byte
}

// JSON is a reply of status 200 with a value as JSON. It panics when the value
// cannot be encoded, which is a mistake in the plugin.
func JSON(v any) Reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return Reply{Header: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// Redirect is a reply that sends the client for good (301) to another address
// of ours, which [Request.URL] makes.
func Redirect(location string) Reply {
	return Reply{Status: http.StatusMovedPermanently, Header: map[string]string{"Location": location}}
}

// Relay passes a request and its answer on, without keeping either. The body
// is bounded by the host.
type Relay struct {
	// To is the address; zero: the base of the first upstream.
	To Source
	// Headers are request headers to pass on, besides Content-Type,
	// Content-Encoding and Accept; nil: none.
	Headers []string
	// Names are RFC 6901 pointers to where package names stand in a JSON body, as
	// keys or as strings, in which * stands for any member and ** for any number
	// of them. Members that are called like packages of ours are taken out, so
	// that upstream does not hear of them; a body that cannot be read is refused
	// then. Nil: the body has no names.
	Names []string
}

// Kind says what went wrong. Zero is none of them, and answers 500.
type Kind int

// The kinds of failure, with the status each usually has.
const (
	KindNotFound     = Kind(pb.ErrorKind_ERROR_KIND_NOT_FOUND)    // 404
	KindHeld         = Kind(pb.ErrorKind_ERROR_KIND_HELD)         // 403
	KindRefused      = Kind(pb.ErrorKind_ERROR_KIND_REFUSED)      // 403
	KindUnauthorized = Kind(pb.ErrorKind_ERROR_KIND_UNAUTHORIZED) // 401
	KindUpstream     = Kind(pb.ErrorKind_ERROR_KIND_UPSTREAM)     // 502
	KindBadRequest   = Kind(pb.ErrorKind_ERROR_KIND_BAD_REQUEST)  // 400
	KindMethod       = Kind(pb.ErrorKind_ERROR_KIND_METHOD)       // 405
	KindRateLimited  = Kind(pb.ErrorKind_ERROR_KIND_RATE_LIMITED) // 429
	KindUnavailable  = Kind(pb.ErrorKind_ERROR_KIND_UNAVAILABLE)  // 503
	KindConflict     = Kind(pb.ErrorKind_ERROR_KIND_CONFLICT)     // 409
	KindTooLarge     = Kind(pb.ErrorKind_ERROR_KIND_TOO_LARGE)    // 413
	KindRange        = Kind(pb.ErrorKind_ERROR_KIND_RANGE)        // 416
)

// Failure is an error for the client, as a plan or as what Render returns.
type Failure struct {
	// Kind decides the status; zero: 500. One that is none of the constants is a
	// mistake that fails the request.
	Kind Kind
	// Message says what is wrong and what the client's user can do; empty: nothing
	// is said.
	Message string
	// Code is the ecosystem's own word for it, for {code} in
	// [ErrorFormat.Body]; empty: the one of its kind in [ErrorFormat.Codes].
	Code string
	// Allow is the header of that name of a failure of KindMethod, as "GET, PUT";
	// empty: there is none.
	Allow string
}

// Error returns the message.
func (f Failure) Error() string { return f.Message }

// NotFound is the failure for something that does not exist.
func NotFound(message string) Failure { return Failure{Kind: KindNotFound, Message: message} }

// BadRequest is the failure for a request that makes no sense.
func BadRequest(message string) Failure { return Failure{Kind: KindBadRequest, Message: message} }

func (a Artifact) response(r Request) *pb.PlanResponse {
	path := a.Path
	if path == "" {
		path = r.Path
	}
	out := &pb.Artifact{
		Version:     a.Version.wire(),
		Path:        path,
		Sources:     wireSources(a.From),
		Facts:       a.Facts,
		ContentType: a.Type,
		Ungated:     a.Ungated,
		Snapshot:    a.Snapshot,
		Headers:     a.Header,
		Unlisted:    a.Unlisted,
		Probe:       a.Probe,
		LookedUp:    a.LookedUp,
		NamedIn:     a.NamedIn,
		LeafTypes:   a.LeafTypes,
	}
	if a.Missing != (Failure{}) {
		out.Missing = a.Missing.wire()
	}
	if len(a.Digest.Sum) > 0 {
		out.Digest = a.Digest.wire()
	}
	if a.Head != (Head{}) {
		out.Head = &pb.Head{ContentType: a.Head.Type, Size: a.Head.Size}
	}
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Artifact{Artifact: out}}
}

func (d Document) response(r Request) *pb.PlanResponse {
	out := &pb.Document{
		Path:    d.canonical(r),
		Output:  d.Output,
		Sources: wireSources(d.From),
		Query:   d.Query,

		Immutable: d.Immutable,
		Snapshot:  d.Snapshot,
		History:   d.History,
		Hosted:    d.Hosted,
		NamesOnly: d.NamesOnly,

		MountedBelow: d.MountedBelow,

		Beside:   d.Beside,
		Headers:  d.Header,
		Listing:  d.Listing,
		Listed:   d.Listed,
		Probe:    d.Probe,
		LookedUp: d.LookedUp,
	}
	if d.Name != "" {
		out.Names = []string{d.Name}
	}
	if d.TagsOnly != nil {
		out.Excerpts = []*pb.Excerpt{{Name: d.Name, Tags: d.TagsOnly}}
	}
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Document{Document: out}}
}

func (d Document) canonical(r Request) string {
	if d.Path != "" {
		return d.Path
	}
	if r.Query != "" {
		return r.Path + "?" + r.Query
	}
	return r.Path
}

func (p Reply) response(Request) *pb.PlanResponse {
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Reply{Reply: &pb.Reply{Status: int32(status), Headers: p.Header, Body: p.Body}}}
}

func (p Relay) response(Request) *pb.PlanResponse {
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Relay{Relay: &pb.Relay{Source: p.To.wire(), Headers: p.Headers, Names: p.Names}}}
}

func (f Failure) response(Request) *pb.PlanResponse {
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Failure{Failure: f.wire()}}
}

func (f Failure) wire() *pb.Failure {
	return &pb.Failure{Kind: pb.ErrorKind(f.Kind), Message: f.Message, Code: f.Code, Allow: f.Allow}
}

func (v Version) wire() *pb.Version { return &pb.Version{Name: v.Name, Version: v.Version} }

func (d Digest) wire() *pb.Digest { return &pb.Digest{Algorithm: d.Algorithm, Sum: d.Sum} }

func wireDigests(digests []Digest) []*pb.Digest {
	if len(digests) == 0 {
		return nil
	}
	out := make([]*pb.Digest, len(digests))
	for i, d := range digests {
		out[i] = d.wire()
	}
	return out
}

func digestsFromWire(digests []*pb.Digest) []Digest {
	var out []Digest
	for _, d := range digests {
		out = append(out, Digest{Algorithm: d.GetAlgorithm(), Sum: d.GetSum()})
	}
	return out
}

func (s Source) wire() *pb.Source {
	return &pb.Source{Url: s.URL, Role: s.Role, Accept: s.Accept, Optional: s.Optional, Head: s.Head, Here: s.Here, Immutable: s.Immutable, CountsAs: s.CountsAs}
}

func sourceFromWire(s *pb.Source) Source {
	return Source{URL: s.GetUrl(), Role: s.GetRole(), Accept: s.GetAccept(), Optional: s.GetOptional(), Head: s.GetHead(), Here: s.GetHere(), Immutable: s.GetImmutable(), CountsAs: s.GetCountsAs()}
}

func wireSources(sources []Source) []*pb.Source {
	out := make([]*pb.Source, len(sources))
	for i, s := range sources {
		out[i] = s.wire()
	}
	return out
}
